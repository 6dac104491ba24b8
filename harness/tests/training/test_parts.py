"""Which parts of later katas a run has, and what the capstone gets of them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.course.katas import Course, Kata
from harness.progress.standing import KataProgress
from harness.training.parts import (
    completed_parts,
    katas_of,
    parse_parts,
    sampling_options,
    training_options,
)
from harness.training.request import CannotTrain

NAMES = ("k09_capstone", "k10_tokens", "k11_accounting", "k12_modern")
COURSE = Course(Path(), tuple(Kata(Path(), name) for name in NAMES))
CONFIG = SimpleNamespace(model=SimpleNamespace(vocab_size=None))


@pytest.mark.parametrize(
    ("typed", "parts"),
    [
        ("tokens", ("tokens",)),
        ("modern, tokens", ("tokens", "modern")),
        ("core", ()),
        ("", ()),
    ],
)
def test_parts_are_typed_in_any_order(typed: str, parts: tuple[str, ...]) -> None:
    assert parse_parts(typed, COURSE) == parts


@pytest.mark.parametrize("typed", ["token", "optimizers", "core,tokens", "10"])
def test_a_part_that_the_course_lacks_is_refused_with_those_that_it_has(typed: str) -> None:
    with pytest.raises(CannotTrain) as refusal:
        parse_parts(typed, COURSE)
    assert str(refusal.value) == (
        f"--parts {typed}: there is no such part. Give some of tokens,modern, or core for none of them."
    )


def progress(name: str, *, complete: bool, edited: bool = False) -> KataProgress:
    return KataProgress(Kata(Path(), name), ("test_a",), (), None, complete, edited, False, None)


def test_the_parts_of_complete_katas_are_used_unless_they_were_edited_since() -> None:
    done = [progress("k10_tokens", complete=True), progress("k11_accounting", complete=True)]
    edited = progress("k12_modern", complete=True, edited=True)
    assert completed_parts([*done, edited]) == ("tokens",)
    assert completed_parts([progress("k10_tokens", complete=False)]) == ()


def test_the_katas_of_the_parts_are_named_in_order() -> None:
    assert [kata.title for kata in katas_of(COURSE, ("modern", "tokens"))] == ["10 tokens", "12 modern"]


class Tokenizer:
    """Notes what it is made of."""

    @classmethod
    def train(cls, text: str, vocab_size: int) -> tuple[str, int]:
        return text, vocab_size

    @classmethod
    def load(cls, folder: Path) -> Path:
        return folder


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "katas.k10_tokens.tokens", SimpleNamespace(BPETokenizer=Tokenizer))


@pytest.mark.usefixtures("tokens")
def test_the_configuration_decides_how_many_tokens_there_are() -> None:
    assert training_options(("tokens",), CONFIG, quiet=True)["make_tokenizer"]("text") == ("text", 1024)
    sized = SimpleNamespace(model=SimpleNamespace(vocab_size=300))
    assert training_options(("tokens",), sized, quiet=True)["make_tokenizer"]("text") == ("text", 300)


@pytest.mark.usefixtures("tokens")
def test_a_run_samples_with_the_tokenizer_that_it_has_saved() -> None:
    assert sampling_options(("tokens",))["load_tokenizer"](Path("there")) == Path("there")


def test_the_optimizer_is_needed_for_training_only_and_gets_both_rates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    optimizers = SimpleNamespace(configure_muon=lambda model, **options: (model, options))
    monkeypatch.setitem(sys.modules, "katas.k13_optimizers.optimizers", optimizers)
    options = training_options(("optimizers",), CONFIG, quiet=True)
    given = {"learning_rate": 0.01, "weight_decay": 0.1, "betas": (0.9, 0.95)}
    assert options["make_optimizer"]("model", **given) == ("model", given | {"muon_learning_rate": 0.02})
    assert sampling_options(("optimizers",)) == {}
