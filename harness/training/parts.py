"""What `--parts` switches on: what katas 10, 12 and 13 build, in the place of the core's parts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from harness.course.katas import Course, Kata
from harness.isolation.importer import kata_module
from harness.progress.standing import KataProgress
from harness.training import words
from harness.training.request import CannotTrain

TOKENS, MODERN, OPTIMIZERS = "tokens", "modern", "optimizers"
KATAS = {TOKENS: "k10_tokens", MODERN: "k12_modern", OPTIMIZERS: "k13_optimizers"}
NONE = "core"  # what to type for no part
VOCABULARY = 1024  # tokens, where the configuration does not say
# Muon's learning rate for each unit of AdamW's, which is the configuration's: 2 was better than 3 and 7
# on the last rung of the ladder.
MUON_RATIO = 2.0


def parse_parts(text: str, course: Course) -> tuple[str, ...]:
    """Return the parts that are typed, in their order in the course. Raises CannotTrain."""
    typed = [name.strip() for name in text.split(",") if name.strip()]
    present = [name for name, kata in KATAS.items() if kata in {each.name for each in course.katas}]
    for name in typed:
        if name not in (*present, NONE) or (name == NONE and len(typed) > 1):
            raise CannotTrain(words.unknown_parts(text, present, NONE))
    return tuple(name for name in present if name in typed)


def completed_parts(progress: Sequence[KataProgress]) -> tuple[str, ...]:
    """Return the parts whose katas are complete, and not edited since."""
    done = {each.kata.name for each in progress if each.finished}
    return tuple(name for name, kata in KATAS.items() if kata in done)


def katas_of(course: Course, parts: Collection[str]) -> list[Kata]:
    """Return the katas that build the parts, in order."""
    names = {KATAS[part] for part in parts}
    return [kata for kata in course.katas if kata.name in names]


def training_options(parts: Collection[str], config: Any, *, quiet: bool) -> dict[str, Callable[..., Any]]:
    """Return the arguments that let the capstone train with the parts."""
    options: dict[str, Callable[..., Any]] = {}
    if TOKENS in parts:
        options["make_tokenizer"] = partial(_learn_merges, config.model.vocab_size or VOCABULARY, quiet)
    if MODERN in parts:
        options["make_model"] = _modern_model
    if OPTIMIZERS in parts:
        options["make_optimizer"] = _muon
    return options


def sampling_options(parts: Collection[str]) -> dict[str, Callable[..., Any]]:
    """Return the arguments that let the capstone sample from a model with the parts."""
    options: dict[str, Callable[..., Any]] = {}
    if TOKENS in parts:
        options["load_tokenizer"] = _module(TOKENS).BPETokenizer.load
    if MODERN in parts:
        options["make_model"] = _modern_model
    return options


def _learn_merges(vocab_size: int, quiet: bool, text: str) -> Any:
    """Return a tokenizer of byte pairs, and say on the terminal that this takes time."""
    from rich.console import Console

    with Console(stderr=True, quiet=quiet).status(words.learning_merges(vocab_size)):
        return _module(TOKENS).BPETokenizer.train(text, vocab_size)


def _muon(model: Any, *, learning_rate: float, **options: Any) -> Any:
    configure = _module(OPTIMIZERS).configure_muon
    rate = MUON_RATIO * learning_rate
    return configure(model, learning_rate=learning_rate, muon_learning_rate=rate, **options)


def _modern_model(config: Any) -> Any:
    modern = _module(MODERN)
    return modern.ModernLM(modern.ModernConfig.like(config, tie_weights=config.tie_weights))


def _module(part: str) -> Any:
    return kata_module(KATAS[part])
