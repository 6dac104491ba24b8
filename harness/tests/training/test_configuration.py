"""A configuration is refused in a sentence where the katas or torch would run out of memory."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.tests.support.miniature import Miniature
from harness.training import configuration
from harness.training.configuration import read_configuration
from harness.training.request import CannotTrain, TrainingRequest

MODEL = {"block_size": 8, "d_model": 16, "num_layers": 1, "d_ff": 64}
TRAINING = {"batch_size": 4, "seed": 0}
ALIASES = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcd", "bcde", strict=True)
)


def capstone(**changes: int) -> SimpleNamespace:
    """A capstone that reads every file as the same configuration, with some values changed."""
    model = SimpleNamespace(**{name: changes.get(name, value) for name, value in MODEL.items()})
    training = SimpleNamespace(**{name: changes.get(name, value) for name, value in TRAINING.items()})
    config = SimpleNamespace(model=model, training=training)
    config.override = lambda changes: config
    return SimpleNamespace(RunConfig=SimpleNamespace(from_file=lambda path: config))


def refusal(mini: Miniature, file: Path, *changes: str, **values: int) -> str:
    with pytest.raises(CannotTrain) as caught:
        read_configuration(mini.course, capstone(**values), TrainingRequest(str(file), changes=changes))
    return str(caught.value)


@pytest.fixture
def good(mini: Miniature) -> Path:
    path = mini.root / "good.yaml"
    path.write_text(
        "name: good\nmodel: {block_size: 8}\ntraining: {max_steps: &steps 5, eval_interval: *steps}\n"
    )
    return path


def test_a_configuration_is_read(mini: Miniature, good: Path) -> None:
    request = TrainingRequest(str(good), changes=["model.d_model=16", "name=[not closed"])
    assert read_configuration(mini.course, capstone(), request).model.block_size == 8


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "aliases.yaml",
            ALIASES,
            "holds more than 10,000 values. A configuration has about twenty: use fewer.",
        ),
        ("deep.yaml", "name: " + "[" * 5000 + "]" * 5000, "is nested more than 20 levels deep."),
        ("deep.yml", "- " * 5000 + "x", "is nested more than 20 levels deep."),
        ("deep.JSON", '{"name": ' + "[" * 100_000, "is nested more than 20 levels deep."),
        ("large.yaml", "#" * 1_000_001, "is larger than 1,000,000 bytes: this is not a configuration."),
    ],
)
def test_a_file_that_is_not_a_configuration_is_refused(
    mini: Miniature, name: str, text: str, message: str
) -> None:
    (mini.root / name).write_text(text)
    assert message in refusal(mini, mini.root / name)


def test_brackets_in_texts_of_json_are_not_counted(mini: Miniature) -> None:
    path = mini.root / "good.json"
    path.write_text('{"name": "' + "[" * 100 + '\\"["}')
    assert read_configuration(mini.course, capstone(), TrainingRequest(str(path)))


@pytest.mark.parametrize("change", [ALIASES, "[" * 100])
def test_a_value_on_the_command_line_is_checked_too_and_quoted_short(
    mini: Miniature, good: Path, change: str
) -> None:
    message = refusal(mini, good, f"training.seed={change} # {'x' * 5000}")
    assert "use fewer." in message
    assert len(message) < 500


def test_an_unknown_configuration_is_quoted_short(mini: Miniature) -> None:
    message = refusal(mini, Path("x" * 5000))
    assert message.startswith("There is no configuration 'xxx")
    assert len(message) < 500


def test_a_seed_that_torch_does_not_take_is_refused(mini: Miniature, good: Path) -> None:
    assert refusal(mini, good, seed=2**64) == (
        "training.seed=18446744073709551616 is too large for torch. Choose an integer from 0 to"
        " 18,446,744,073,709,551,615, for example: --set training.seed=1337"
    )
    assert len(refusal(mini, good, seed=10**4000)) < 600
    read_configuration(mini.course, capstone(seed=2**64 - 1), TrainingRequest(str(good)))


@pytest.mark.parametrize("size", ["block_size", "d_model", "num_layers", "batch_size", "d_ff"])
def test_a_size_that_no_memory_holds_is_refused_with_the_sizes(
    mini: Miniature, good: Path, size: str
) -> None:
    message = refusal(mini, good, **{size: 10**12})
    assert message.startswith("This model needs at least ")
    assert size == "d_ff" or f"{size}=1000000000000\n" in message
    assert message.endswith("for example: --set model.block_size=64")
    assert "at least 1,000,000,000,000 GB" in refusal(mini, good, **{size: 10**400})


def test_where_the_system_does_not_tell_its_memory_nothing_is_refused(
    mini: Miniature, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(configuration.os, "sysconf", raising=False)
    read_configuration(mini.course, capstone(block_size=10**12), TrainingRequest(str(good)))
