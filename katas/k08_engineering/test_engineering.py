"""Ordered tests of kata 08: each adds one idea, and needs only what stands above it."""

import csv
import json
import os
import pickle
import random
import re
import time
import zipfile
from contextlib import contextmanager, suppress
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
import torch
from torch import nn

from katas.k05_model.model import ModelConfig
from katas.k08_engineering.engineering import (
    CSVLogger,
    JSONLLogger,
    RunConfig,
    TrainingConfig,
    load_checkpoint,
    make_run_id,
    save_checkpoint,
)

LOGGERS = {"csv": CSVLogger, "jsonl": JSONLLogger}


def run_config(**training):
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


def read_log(path):
    """The rows of a log, as a reader without our code sees them; None for an empty cell."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_bytes().decode().splitlines()]
    rows = csv.DictReader(path.read_bytes().decode().splitlines(), strict=True)
    return [{name: read_cell(cell) for name, cell in row.items()} for row in rows]


def read_cell(cell):
    """The number in a cell of a table, None for an empty one; what is no number stays as it is."""
    with suppress(TypeError, ValueError):
        return float(cell) if cell else None
    return cell


def numbers(rows):
    """Rows with each number as text, which makes 7 and 7.0 equal, and nan equal to nan."""
    return [
        {name: repr(float(value)) if isinstance(value, int | float) else value for name, value in row.items()}
        for row in rows
    ]


def test_training_config_fills_in_what_is_left_out():
    """Two numbers suffice; warm-up takes a tenth of the steps, at most 100; nothing can be changed."""
    config = TrainingConfig(max_steps=70, batch_size=12)
    assert (config.micro_batches, config.device, config.warmup_steps) == (1, "auto", 7)
    assert TrainingConfig(max_steps=9, batch_size=1).warmup_steps == 0
    assert TrainingConfig(max_steps=5000, batch_size=1).warmup_steps == 100
    assert TrainingConfig(max_steps=5000, batch_size=1, warmup_steps=0).warmup_steps == 0
    assert TrainingConfig(max_steps=70, batch_size=12, warmup_steps=70, min_lr=1e-3, learning_rate=1e-3)
    with pytest.raises(FrozenInstanceError):
        config.max_steps = 71


CANNOT_BE = [
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
    ("name", "value", "others"), CANNOT_BE, ids=[f"{name}={value}" for name, value, _ in CANNOT_BE]
)
def test_training_config_refuses_values_that_cannot_be(name, value, others):
    """ValueError names the field and its value, and both of each if two do not go together."""
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
def test_file_may_leave_fields_out_and_write_numbers_as_people_do(name, text, byte_order_mark, tmp_path):
    """What has a default may be left out, and vocab_size too; 3e-4 is a number, 2 does for 2.0."""
    path = tmp_path / name
    path.write_bytes(byte_order_mark + text.encode())
    config = RunConfig.from_file(path)
    training = TrainingConfig(
        max_steps=50, batch_size=8, learning_rate=0.0003, max_norm=2.0, betas=(0.9, 0.95)
    )
    assert config == RunConfig("a small one", ModelConfig(None, 64, bias=False), training)
    assert [type(number) for number in (config.training.learning_rate, *config.training.betas)] == [float] * 3


@pytest.mark.parametrize("name", ["run.yaml", "run.yml", "run.json", "RUN.YAML", "run.of.2026.json"])
def test_config_is_the_same_after_a_file(name, tmp_path):
    """What from_file reads is equal to what to_file wrote, in folders that it makes if need be."""
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
    with pytest.raises(ValueError, match=r"\.toml"):
        config.to_file(tmp_path / "run.toml")
    with pytest.raises(FileNotFoundError):
        RunConfig.from_file(tmp_path / name)


def document(changes):
    """A file, JSON and thus YAML too, in which one key has another value, or is gone if that is `...`."""
    values = {
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


def in_short(changes):
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
def test_mistake_in_a_file_is_refused_by_name(name, contents, named, tmp_path, monkeypatch):
    """ValueError names file and key, with the value or the key most like it; nothing is run."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_bytes(contents)
    with pytest.raises(ValueError) as refusal:
        RunConfig.from_file(path)
    assert str(path) in str(refusal.value)
    # And what it says besides.
    assert [word for word in named if word in str(refusal.value).replace(str(path), "")] == named
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_override_changes_what_it_names_and_what_follows_from_that():
    """A new configuration differs in the keys assigned, the last one of each; the old one stays."""
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
def test_override_refuses_what_it_does_not_understand(assignment, named):
    """ValueError names the assignment without "=", the unknown key and its nearest, or the value."""
    with pytest.raises(ValueError) as refusal:
        run_config().override(["name=new", assignment])
    assert [word for word in named if word in str(refusal.value)] == named


@contextmanager
def another_process(monkeypatch):
    """As in another process: hash() gives other numbers, and the clock shows the time of another zone."""
    with monkeypatch.context() as patch:
        patch.setattr("builtins.hash", lambda value, ours=hash: ours(("another salt", ours(value))))
        patch.setenv("TZ", "XYZ-9")  # nine hours before UTC
        set_clock()
        try:
            yield
        finally:
            patch.undo()
            set_clock()


def set_clock():
    if hasattr(time, "tzset"):  # Windows does not have it
        time.tzset()


def test_run_id_sorts_by_time_and_tells_configurations_apart(monkeypatch):
    """In alphabetical order ids are in order of time, whatever the zone; equal only if all is equal."""
    config, noon = run_config(), datetime(2026, 10, 25, 12, 0, 0, 9)
    berlin, tokyo = timezone(timedelta(hours=2)), timezone(timedelta(hours=9))
    later = [timedelta(microseconds=1), timedelta(seconds=9), timedelta(seconds=10), timedelta(days=100)]
    moments = [noon, *(noon + pause for pause in later)]
    first = make_run_id(config, noon)
    for zone in (None, berlin):
        ids = [make_run_id(config, moment.replace(tzinfo=zone)) for moment in moments]
        assert ids == sorted(set(ids))
    early, late = datetime(2026, 10, 25, 3, tzinfo=tokyo), datetime(2026, 10, 24, 23, tzinfo=UTC)
    assert make_run_id(config, early) < make_run_id(config, late)  # at 18 and at 23 o'clock in UTC
    assert make_run_id(config, early) == make_run_id(run_config(), early.astimezone(UTC))
    with another_process(monkeypatch):
        again, in_utc = (make_run_id(config, moment) for moment in (noon, noon.replace(tzinfo=UTC)))
        assert again == in_utc, "a time without a zone was not taken to be UTC"
        assert again == first, "another process has another name for the same configuration"
    others = [
        config,
        run_config(seed=6),
        run_config(betas=(0.8, 0.96)),
        replace(config, model=replace(config.model, tie_weights=True)),
        replace(config, name="größer; 3e4"),
    ]
    assert len({make_run_id(other, noon) for other in others}) == len(others), "two runs have one name"
    same = run_config(weight_decay=0.0), run_config(weight_decay=0)
    names = [make_run_id(each, noon) for each in same]
    assert names[0] == names[1], "with weight_decay=0.0 and 0 the configurations are equal, the names are not"
    for name in ("ok", "../a b", "größer", "CON: <x>|?*\\.", "x" * 500, "日本"):
        made = make_run_id(replace(config, name=name), noon)
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,100}", made), (
            f"expected up to 100 of A-Z, a-z, 0-9, - and _: {made}"
        )
    assert "warm-1" in make_run_id(replace(config, name="warm-1"), noon)
    assert make_run_id(replace(config, name="b"), noon) < make_run_id(replace(config, name="a"), moments[1])


@pytest.mark.parametrize("kind", LOGGERS)
def test_log_gives_back_every_number(kind, tmp_path):
    """After each call the file has the row, with the numbers as they were and the columns of the first."""
    LOGGERS[kind](tmp_path / f"log.{kind}").log(0, loss=0.5)  # the folder is there, the file is not
    path = tmp_path / "new" / "folder" / f"log.{kind}"
    logger = LOGGERS[kind](path)
    rows = [
        {"step": 0, "loss": 0.1 + 0.2, "tokens": 2**53 - 1, "val_loss": None},
        {"step": 1, "loss": float("nan"), "tokens": 0, "val_loss": 5e-324},
        {"step": 12, "loss": float("inf"), "tokens": -7, "val_loss": float("-inf")},
    ]
    for count, row in enumerate(rows):
        logger.log(**row)
        line_ends = path.read_bytes().count(b"\n")
        found = numbers(read_log(path))
        assert found == numbers(rows[: count + 1])
        assert line_ends == count + (2 if kind == "csv" else 1), "each row has to have a line of its own"
    logger.log(13, val_loss=1 / 3, loss=2.5)  # in another order, and without tokens
    rows.append({"step": 13, "loss": 2.5, "tokens": None, "val_loss": 1 / 3})
    found = numbers(read_log(path))
    assert found == numbers(rows)
    with pytest.raises(ValueError, match="lr"):
        logger.log(14, loss=1.5, lr=0.25)
        found = numbers(read_log(path))  # what was written, if nothing was refused
    found = numbers(read_log(path))
    assert found == numbers(rows)  # and nothing of that row
    assert [list(row) for row in read_log(path)] == [["step", "loss", "tokens", "val_loss"]] * 4


def kill_while_writing(path, lost):
    """Take off a log's last bytes, as if its process had died before writing them; return its whole rows."""
    contents = path.read_bytes()[:-lost] if lost else path.read_bytes()
    path.write_bytes(contents[: contents.rfind(b"\n") + 1])
    kept = numbers(read_log(path))
    path.write_bytes(contents)
    return kept


@pytest.mark.parametrize("lost", [0, 1, 3, 25, 10_000], ids=lambda lost: f"{lost} bytes lost")
@pytest.mark.parametrize("kind", LOGGERS)
def test_log_goes_on_where_a_kill_has_left_it(kind, lost, tmp_path):
    """A new logger goes on with the columns of the file, and cuts off a last line that has no end."""
    path = tmp_path / f"log.{kind}"
    rows = [{"step": step, "loss": step / 7, "lr": 0.5} for step in range(4)]
    first = LOGGERS[kind](path)
    for row in rows:
        first.log(**row)
    kept = kill_while_writing(path, lost)
    second = LOGGERS[kind](str(path))
    found = numbers(read_log(path))
    assert found == kept, "a new logger has to find the whole rows, all of them and nothing else"
    if kept:
        with pytest.raises(ValueError, match="val_loss"):
            second.log(9, val_loss=2.0)
            found = numbers(read_log(path))  # what was written, if nothing was refused
    second.log(9, lr=0.25, loss=1.5)
    found = numbers(read_log(path))
    assert found == [*kept, *numbers([{"step": 9, "loss": 1.5, "lr": 0.25}])]


@pytest.mark.parametrize("kind", LOGGERS)
def test_log_is_rewound_to_a_step(kind, tmp_path):
    """The rows of later steps go, the others stay as they are, and logging goes on from there."""
    path, copy, link = tmp_path / "logs" / f"log.{kind}", tmp_path / f"copy.{kind}", tmp_path / f"link.{kind}"
    logger, steps = LOGGERS[kind](path), [2, 8, 9, 10, 30, 100]
    logger.rewind(5)  # nothing is there yet
    rows = [{"step": step, "loss": step / 7} for step in steps]
    for row in rows:
        logger.log(**row)
    copy.write_bytes(path.read_bytes())
    os.link(path, link)  # shows the old file also when another one has taken its place
    LOGGERS[kind](path).rewind(100)
    found = numbers(read_log(path))
    assert found == numbers(rows)
    assert path.read_bytes() == copy.read_bytes()
    logger.rewind(10)
    found = numbers(read_log(path))
    assert found == numbers(rows[:4])
    logger.log(11, loss=0.5)
    found = numbers(read_log(path))
    assert found == numbers([*rows[:4], {"step": 11, "loss": 0.5}])
    assert link.read_bytes() == copy.read_bytes(), "the old file was overwritten, not replaced"
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    LOGGERS[kind](path).rewind(9)
    found = numbers(read_log(path))
    assert found == numbers(rows[:3])


DRAWS = {
    "nothing": lambda run: 0.5,
    "generator": lambda run: torch.rand((), generator=run.generator).item(),
    "torch": lambda run: torch.rand(()).item(),
    "python": lambda run: random.gauss(0, 1),  # makes two at a time, and keeps one for the next call
    "numpy": lambda run: np.random.standard_normal(),  # likewise
}
OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.1),
    "fused": lambda parameters: torch.optim.AdamW(parameters, lr=0.1, fused=True),
}


class Centred(nn.Module):
    """Takes off the running mean of what it has seen in training: a buffer, which is no parameter."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, x):
        if self.training:
            self.mean.lerp_(x.detach().mean(dim=0), 0.1)
        return x - self.mean


class Run:
    """A model in training, small, with dropout if wanted; all that is random follows from the seed."""

    def __init__(self, seed, *, optimizer="adamw", dropout=0.0, draw="nothing", width=7):
        for seeded in (torch.manual_seed, random.seed, np.random.seed):
            seeded(seed)
        layers = [nn.Linear(5, width), Centred(width), nn.Dropout(dropout), nn.Linear(width, 3)]
        self.model = nn.Sequential(*layers)
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.generator = torch.Generator().manual_seed(seed)
        self.draw = DRAWS[draw]

    def train(self, steps):
        for _ in range(steps):
            x = torch.linspace(-1, 1, 20).reshape(4, 5).roll(1, 0) ** 2 * self.draw(self)
            self.optimizer.zero_grad()
            (self.model(x) - 1).square().mean().backward()
            self.optimizer.step()

    def save(self, path, step=7, **parts):
        given = {"model": self.model, "optimizer": self.optimizer, "generator": self.generator}
        save_checkpoint(path, step=step, config=run_config(), **{**given, **parts})

    def load(self, path):
        return load_checkpoint(path, model=self.model, optimizer=self.optimizer, generator=self.generator)

    def state(self):
        """All that it consists of, the global generators included, bit for bit."""
        name, keys, *rest = np.random.get_state()
        return {
            "weights": bits(self.model.state_dict()),
            "optimizer": bits(self.optimizer.state_dict()["state"]),
            "generator of the batches": bits(self.generator.get_state()),
            "generator of torch": bits(torch.get_rng_state()),
            "generator of Python": random.getstate(),
            "generator of NumPy": (name, keys.tolist(), *rest),
        }


def bits(value):
    """A copy that == compares: of each tensor its shape and bytes."""
    if isinstance(value, dict):
        return {name: bits(item) for name, item in value.items()}
    return (value.shape, value.numpy().tobytes()) if isinstance(value, torch.Tensor) else value


def differing(actual, expected):
    return [part for part in expected if actual[part] != expected[part]]


def move_to_gpu(path):
    """Rewrite a checkpoint as a run on a GPU would have written it: each tensor says where it was."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    here, there = (b"X" + len(name).to_bytes(4, "little") + name for name in (b"cpu", b"cuda:0"))
    with zipfile.ZipFile(path, "w") as archive:
        for name, contents in records.items():
            archive.writestr(name, contents.replace(here, there) if name.endswith("data.pkl") else contents)


@pytest.mark.parametrize(
    ("parts", "from_gpu"),
    [
        ({"optimizer": "sgd"}, False),
        ({"optimizer": "adamw"}, False),
        ({"optimizer": "fused"}, False),
        ({"draw": "generator"}, False),
        ({"draw": "torch"}, False),
        ({"dropout": 0.5}, False),
        ({"draw": "python"}, False),
        ({"draw": "numpy"}, False),
        ({"draw": "generator", "dropout": 0.5}, True),
    ],
    ids=["sgd", "adamw", "fused", "generator", "torch", "dropout", "python", "numpy", "from-a-gpu"],
)
def test_seven_steps_and_five_are_twelve(parts, from_gpu, tmp_path):
    """Resumed after 7 steps, a run is where it was, and 5 steps later where 12 steps lead, bit for bit."""
    path, run = tmp_path / "new" / "folder" / "last.pt", Run(0, **parts)
    run.train(7)
    at_seven = run.state()
    run.save(path)
    assert differing(run.state(), at_seven) == [], "saving has changed the run"
    run.train(5)
    if from_gpu:
        move_to_gpu(path)  # which this machine may not have

    alone = Run(1, **parts).model.eval()
    assert load_checkpoint(str(path), model=alone) == 7
    weights = bits(alone.state_dict())
    assert weights == at_seven["weights"]
    assert not alone.training, "loading has changed the mode of the model"

    resumed = Run(2, **parts)
    resumed.train(3)
    assert resumed.load(path) == 7
    loaded = resumed.state()
    assert differing(loaded, at_seven) == [], "loaded, but not as it was when it was saved"
    resumed.train(5)
    assert differing(resumed.state(), run.state()) == [], "five steps later it is elsewhere"


class Trap:
    """When it is about to be saved, it takes down what is in a file, and fails as a full disk would."""

    def __init__(self, path):
        self.path, self.seen = path, []

    def __reduce__(self):
        self.seen.append(self.path.read_bytes())
        raise OSError("no space left")


class Unfinishable(nn.Linear):
    """A layer whose saving fails half-way: at its extra state, which comes after its weights."""

    def __init__(self, trap):
        super().__init__(5, 3)
        self.trap = trap

    def get_extra_state(self):
        return self.trap


def test_checkpoint_is_replaced_whole_or_not_at_all(tmp_path):
    """While a checkpoint is written the old one is there, and stays if that fails; it is plain data."""
    path, link, run = tmp_path / "run" / "last.pt", tmp_path / "link", Run(0)
    run.save(path, step=3)
    before, trap = path.read_bytes(), Trap(path)
    with pytest.raises(OSError, match="no space left"):
        run.save(path, step=4, model=Unfinishable(trap))
    assert trap.seen == [before], "a kill while the new one is written would not leave the old one"
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]

    os.link(path, link)  # shows the old file also when another one has taken its place
    run.train(1)
    run.save(str(path), step=4)
    assert link.read_bytes() == before, "the old file was overwritten, not replaced"
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert (Run(1).load(link), Run(1).load(path)) == (3, 4)
    save_checkpoint(
        path,
        model=run.model,
        optimizer=run.optimizer,
        step=4,
        config=run_config(seed=90817263),
        generator=run.generator,
    )
    contents = repr(torch.load(path, weights_only=True))
    assert "90817263" in contents, "the configuration is not in the checkpoint"


class Hostile:
    """Whoever unpickles it makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def with_torch(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def weights_by_group(model, count):
    parameters = list(model.parameters())
    return torch.optim.AdamW([{"params": parameters[number::count]} for number in range(count)])


SPOIL = {  # what is done to a good checkpoint
    "empty": lambda path: path.write_bytes(b""),
    "a log": lambda path: path.write_bytes(b"step,loss\n0,4.2\n"),
    "first half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "one byte short": lambda path: os.truncate(path, path.stat().st_size - 1),
    "second half": lambda path: path.write_bytes(path.read_bytes()[path.stat().st_size // 2 :]),
    "a list": lambda path: torch.save([1, 2], path),
    "weights only": lambda path: torch.save(Run(3).model.state_dict(), path),
    "a pickle with code": lambda path: path.write_bytes(
        pickle.dumps(Hostile(path.with_name("made")), protocol=2)
    ),
    "code": lambda path: torch.save(Hostile(path.with_name("made")), path),
    "code inside": lambda path: torch.save({"model": Hostile(path.with_name("made"))}, path),
    "wider": lambda path: Run(3, width=8).save(path),
    "deeper": lambda path: Run(3).save(path, model=nn.Sequential(*Run(3).model, nn.Linear(3, 3))),
    "flatter": lambda path: Run(3).save(path, model=Run(3).model[:3]),
    "half the digits": lambda path: Run(3).save(path, model=Run(3).model.half()),
    "two groups": lambda path: Run(3).save(path, optimizer=weights_by_group(Run(3).model, 2)),
    "fewer weights": lambda path: Run(3).save(path, optimizer=weights_by_group(Run(3).model[:1], 1)),
    "no generator": lambda path: Run(3).save(path, generator=None),
}


@pytest.mark.parametrize("spoil", SPOIL.values(), ids=SPOIL)
def test_file_that_cannot_be_used_is_refused_and_changes_nothing(spoil, tmp_path):
    """ValueError names a file that is damaged, foreign or of another model; no code in it is run."""
    path = tmp_path / "last.pt"
    Run(3).save(path)
    spoil(path)
    run = Run(4)
    run.train(2)
    before = run.state()
    with pytest.raises(ValueError, match=re.escape(str(path))):
        run.load(path)
    files = [each.name for each in tmp_path.iterdir()]
    assert files == [path.name], "code in the file has been run: it has made a folder"
    assert differing(run.state(), before) == [], "the file was refused, but these have changed"
    with pytest.raises(FileNotFoundError):
        run.load(tmp_path / "nowhere.pt")
