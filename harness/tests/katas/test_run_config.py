"""The configuration that kata 08 gives: it checks itself, and survives a file and the command line."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from katas.k05_model.model import ModelConfig
from katas.k08_engineering.config import RunConfig, TrainingConfig


def run_config(**training: Any) -> RunConfig:
    """A configuration in which no field has its default."""
    model = ModelConfig(
        vocab_size=67,
        block_size=11,
        d_model=24,
        num_heads=3,
        num_layers=5,
        d_ff=31,
        dropout=0.25,
        bias=False,
        tie_weights=False,
    )
    given = {
        "max_steps": 70,
        "batch_size": 12,
        "micro_batches": 3,
        "learning_rate": 3e-4,
        "min_lr": 2e-5,
        "warmup_steps": 13,
        "weight_decay": 0.3,
        "betas": (0.8, 0.95),
        "max_norm": 0.7,
        "eval_interval": 9,
        "seed": 5,
        "device": "cpu",
    }
    return RunConfig(name="größer: 3e4", model=model, training=TrainingConfig(**{**given, **training}))


def test_two_numbers_suffice_and_warm_up_follows() -> None:
    config = TrainingConfig(max_steps=70, batch_size=12)
    assert (config.micro_batches, config.device, config.warmup_steps) == (1, "auto", 7)
    assert TrainingConfig(max_steps=9, batch_size=1).warmup_steps == 0
    assert TrainingConfig(max_steps=5000, batch_size=1).warmup_steps == 100
    assert TrainingConfig(max_steps=5000, batch_size=1, warmup_steps=0).warmup_steps == 0
    assert TrainingConfig(max_steps=70, batch_size=12, warmup_steps=70, min_lr=1e-3, learning_rate=1e-3)


def test_nothing_can_be_changed() -> None:
    config = run_config()
    with pytest.raises(FrozenInstanceError):
        config.training.max_steps = 71  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        config.name = "another"  # type: ignore[misc]


INVALID = [
    *(("max_steps", value, []) for value in (0, -3, True)),
    *(("batch_size", value, []) for value in (0, -4)),
    *(("micro_batches", value, []) for value in (0, -1)),
    *(("learning_rate", value, []) for value in (0.0, -0.1, float("nan"), float("inf"))),
    *(("min_lr", value, []) for value in (-0.1, float("nan"))),
    *(("warmup_steps", value, []) for value in (-1, False)),
    *(("weight_decay", value, []) for value in (-0.25, float("inf"))),
    *(("betas", value, []) for value in ((0.9, 1.0), (-0.5, 0.9), (float("nan"), 0.9))),
    *(("max_norm", value, []) for value in (0.0, -1.5, float("nan"))),
    *(("eval_interval", value, []) for value in (0, -2)),
    *(("seed", value, []) for value in (-1, True)),
    *(("device", value, []) for value in ("gpu", "", "cuda:x")),
    ("micro_batches", 5, ["batch_size", "12"]),
    ("micro_batches", 24, ["batch_size", "12"]),
    ("min_lr", 4e-4, ["learning_rate", "0.0003"]),
    ("warmup_steps", 71, ["max_steps", "70"]),
]


@pytest.mark.parametrize(
    ("name", "value", "others"), INVALID, ids=[f"{name}={value}" for name, value, _ in INVALID]
)
def test_invalid_values_are_refused_by_name(name: str, value: object, others: list[str]) -> None:
    with pytest.raises(ValueError) as refusal:
        run_config(**{name: value})
    named = [name, str(value), *others]
    assert [word for word in named if word in str(refusal.value)] == named


@pytest.mark.parametrize("byte_order_mark", [b"", b"\xef\xbb\xbf"], ids=["UTF-8", "byte order mark"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "run.yaml",
            "name: a small one\nmodel: {block_size: 64, d_ff: null, bias: no}\n"
            "training:\n  max_steps: 50\n  batch_size: 8\n  learning_rate: 3e-4\n  max_norm: 2\n"
            "  betas: [9e-1, 0.95]\n",
        ),
        (
            "run.json",
            '{"name": "a small one", "model": {"block_size": 64, "bias": false}, "training": {'
            '"max_steps": 50, "batch_size": 8, "learning_rate": 3e-4, "max_norm": 2, "betas": [9E-1, 0.95]}}',
        ),
    ],
    ids=["yaml", "json"],
)
def test_a_file_may_leave_fields_out_and_write_numbers_as_people_do(
    name: str, text: str, byte_order_mark: bytes, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(byte_order_mark + text.encode())
    config = RunConfig.from_file(path)
    training = TrainingConfig(
        max_steps=50, batch_size=8, learning_rate=0.0003, max_norm=2.0, betas=(0.9, 0.95)
    )
    assert config == RunConfig("a small one", ModelConfig(None, 64, bias=False), training)
    assert [type(number) for number in (config.training.learning_rate, *config.training.betas)] == [float] * 3


@pytest.mark.parametrize("name", ["run.yaml", "run.yml", "run.json", "RUN.YAML", "run.of.2026.json"])
def test_a_configuration_is_the_same_after_a_file(name: str, tmp_path: Path) -> None:
    path, config = tmp_path / "new" / "folder" / name, run_config()
    config.to_file(path)
    assert RunConfig.from_file(path) == config
    assert RunConfig.from_file(str(path)).training.betas == (0.8, 0.95)  # no list, and hashable
    smallest = RunConfig("a", ModelConfig(None, 8), TrainingConfig(max_steps=70, batch_size=3))
    smallest.to_file(str(path))
    assert RunConfig.from_file(path) == smallest
    assert [each.name for each in path.parent.iterdir()] == [name]
    if path.suffix == ".json":
        json.loads(path.read_bytes())  # and the format is the one that the name says


def test_another_ending_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.toml"):
        run_config().to_file(tmp_path / "run.toml")
    with pytest.raises(FileNotFoundError):
        RunConfig.from_file(tmp_path / "run.yaml")
    assert list(tmp_path.iterdir()) == []


def test_as_dict_is_plain_and_leaves_out_what_follows() -> None:
    config = RunConfig("a", ModelConfig(None, 8), TrainingConfig(max_steps=70, batch_size=3))
    values = config.as_dict()
    assert yaml.safe_load(yaml.safe_dump(values)) == json.loads(json.dumps(values)) == values
    assert not {"vocab_size", "d_ff"} & values["model"].keys()
    assert "warmup_steps" not in values["training"]
    chosen = run_config().as_dict()
    assert (chosen["model"]["d_ff"], chosen["training"]["warmup_steps"]) == (31, 13)
    assert chosen["training"]["betas"] == [0.8, 0.95]


def test_as_dict_of_equal_configurations_is_the_same_text() -> None:
    texts = {json.dumps(run_config(weight_decay=value).as_dict()) for value in (0, 0.0)}
    assert len(texts) == 1


def document(changes: dict[str, Any]) -> bytes:
    """A file, JSON and thus YAML too, in which one key has another value, or is missing if that is `...`."""
    values: dict[str, Any] = {
        "name": "small",
        "model": {"block_size": 64},
        "training": {"max_steps": 50, "batch_size": 8},
    }
    [(key, value)] = changes.items()
    *sections, name = key.split(".")
    section = values[sections[0]] if sections else values
    section[name] = value
    if value is ...:
        del section[name]
    return json.dumps(values).encode()


def in_short(changes: dict[str, Any]) -> str:
    [(key, value)] = changes.items()
    return f"no {key}" if value is ... else f"{key}: {json.dumps(value)}"


@pytest.mark.parametrize(
    ("name", "contents", "named"),
    [
        pytest.param("of.yaml", document(changes), named, id=in_short(changes))
        for changes, named in [
            ({"training.learning_rte": 0.1}, ["learning_rte", "learning_rate"]),
            ({"model.num_heds": 2}, ["num_heds", "num_heads"]),
            ({"trainig": {}}, ["trainig", "training"]),
            ({"training.max_steps": "many"}, ["max_steps", "many"]),
            ({"training.max_steps": 50.5}, ["max_steps", "50.5"]),
            ({"training.max_steps": True}, ["max_steps", "True"]),
            ({"training.learning_rate": "fast"}, ["learning_rate", "fast"]),
            ({"training.learning_rate": False}, ["learning_rate", "False"]),
            ({"training.betas": 0.75}, ["betas", "0.75"]),
            ({"training.betas": [0.75]}, ["betas", "0.75"]),
            ({"training.betas": [0.75, "b"]}, ["betas", "b"]),
            ({"model.bias": "perhaps"}, ["bias", "perhaps"]),
            ({"model.bias": 1}, ["bias", "1"]),
            ({"model.d_ff": "wide"}, ["d_ff", "wide"]),
            ({"name": 2024}, ["name", "2024"]),
            ({"name": "  "}, ["name", "  "]),
            ({"model": 77}, ["model", "77"]),
            ({"training": None}, ["training"]),
            ({"model.num_heads": 7}, ["num_heads", "7"]),
            ({"training.micro_batches": 3}, ["micro_batches", "3"]),
            ({"name": ...}, ["name"]),
            ({"model": ...}, ["model"]),
            ({"model.block_size": ...}, ["block_size"]),
            ({"training.max_steps": ...}, ["max_steps"]),
        ]
    ]
    + [
        pytest.param("of.json", document(changes), named, id=f"JSON {in_short(changes)}")
        for changes, named in [
            ({"model.num_heds": 2}, ["num_heds", "num_heads"]),
            ({"training.max_steps": "many"}, ["max_steps", "many"]),
        ]
    ]
    + [
        pytest.param("empty.yaml", b"", [], id="empty.yaml"),
        pytest.param("empty.json", b"", [], id="empty.json"),
        pytest.param("list.yaml", b"- one\n- two\n", [], id="list.yaml"),
        pytest.param("text.json", b'"one"', [], id="text.json"),
        pytest.param("open.yaml", b"name: [small\n", [], id="open.yaml"),
        pytest.param("comma.json", b'{"name": "small",}', [], id="comma.json"),
        pytest.param("latin-1.yaml", b"name: gr\xf6\xdfer\n", [], id="latin-1.yaml"),
        pytest.param("of.toml", document({"name": "small"}), [".toml"], id="of.toml"),
        pytest.param("no_ending", document({"name": "small"}), [], id="no_ending"),
        pytest.param(
            "code.yaml", b"name: !!python/object/apply:os.mkdir [made_by_the_file]\n", [], id="code.yaml"
        ),
    ],
)
def test_a_mistake_in_a_file_is_refused_by_name_and_nothing_is_run(
    name: str, contents: bytes, named: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_bytes(contents)
    with pytest.raises(ValueError) as refusal:
        RunConfig.from_file(path)
    assert str(path) in str(refusal.value)
    assert [word for word in named if word in str(refusal.value).replace(str(path), "")] == named
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_override_changes_what_it_names_and_what_follows_from_that() -> None:
    config, before = run_config(), run_config()
    changed = config.override(
        [
            "training.learning_rate=3e-3",
            "training.betas=[0.7, 8e-1]",
            "training.micro_batches = 4",
            "training.device=cuda:1",
            "model.bias=true",
            "model.num_layers=9",
            "model.num_layers=2",
            "name=a=b",
        ]
    )
    model = replace(before.model, bias=True, num_layers=2)
    training = replace(
        before.training, learning_rate=0.003, betas=(0.7, 0.8), micro_batches=4, device="cuda:1"
    )
    assert changed == RunConfig("a=b", model, training)
    assert config == before, "override has changed the old configuration"
    assert config.override([]) == before, "override([]) gives another configuration"
    assert config.override(["name=2024"]).name == "2024"
    assert config.override(("model.vocab_size=null",)).model.vocab_size is None
    left_out = RunConfig("a", ModelConfig(5, 8), TrainingConfig(max_steps=70, batch_size=3))
    follows = left_out.override(["model.d_model=20", "training.max_steps=900"])
    assert (follows.model.d_ff, follows.training.warmup_steps) == (80, 90)
    follows = config.override(["model.d_model=48", "training.max_steps=900"])
    assert (follows.model.d_ff, follows.training.warmup_steps) == (31, 13)


NOT_UNDERSTOOD = {
    "training.seed": ["training.seed"],
    "--resume": ["--resume"],
    "training.learning_rte=0.1": ["learning_rte", "training.learning_rate"],
    "learning_rate=0.1": ["training.learning_rate"],
    "model.seed=1": ["model.seed", "training.seed"],
    "training.seed.deep=1": ["training.seed.deep"],
    "training=7": ["training"],
    "training.seed=x": ["seed", "x"],
    "training.seed=": ["seed"],
    "training.betas=[0.5": ["betas", "[0.5"],
    "training.batch_size=13": ["batch_size", "13", "micro_batches", "3"],
    "name=": ["name"],
}


@pytest.mark.parametrize(("assignment", "named"), NOT_UNDERSTOOD.items(), ids=NOT_UNDERSTOOD)
def test_override_refuses_what_it_does_not_understand(assignment: str, named: list[str]) -> None:
    with pytest.raises(ValueError) as refusal:
        run_config().override(["name=new", assignment])
    assert [word for word in named if word in str(refusal.value)] == named
