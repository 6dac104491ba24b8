"""The course on the page: the model's parts, the katas that build them, the next test, the pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.course.graph import entries_of
from harness.course.kata_tests import requirement_named
from harness.course.katas import Course
from harness.pairing.session import Session
from harness.play import words
from harness.progress.standing import KataProgress, current_kata, next_kata
from harness.progress.words import state_of


@dataclass(frozen=True)
class DiagramPart:
    """A box of the diagram, and the kata that builds it."""

    kata: str
    place: str  # where the page draws it
    title: str


PARTS = (
    DiagramPart("k04_embeddings", "tokens", words.TOKENS),
    DiagramPart("k04_embeddings", "positions", words.POSITIONS),
    DiagramPart("k03_transformer_blocks", "norm-attention", words.NORM),
    DiagramPart("k02_multi_head", "heads", words.HEADS),
    DiagramPart("k01_attention", "attention", words.ATTENTION),
    DiagramPart("k03_transformer_blocks", "norm-network", words.NORM),
    DiagramPart("k03_transformer_blocks", "network", words.NETWORK),
    DiagramPart("k05_model", "head", words.HEAD),
    DiagramPart("k07_sampling", "sampling", words.SAMPLING),
    DiagramPart("k00_shapes", "linear", words.LINEAR),
    DiagramPart("k06_training", "training", words.TRAINING),
    DiagramPart("k08_engineering", "engineering", words.ENGINEERING),
    DiagramPart("k09_capstone", "capstone", words.CAPSTONE),
)


def course_view(course: Course, progress: Sequence[KataProgress]) -> dict[str, Any]:
    """Return the diagram's parts, the katas and the next test."""
    by_name = {each.kata.name: each for each in progress}
    current, following = current_kata(progress), next_kata(progress)
    builds = entries_of(course.root, list(by_name))
    return {
        "parts": [
            {"place": part.place, "title": part.title, "kata": part.kata}
            for part in PARTS
            if part.kata in by_name
        ],
        "katas": [_kata(each, current, builds[each.kata.name].builds) for each in progress],
        "next": _next(following),
        "passed": sum(len(each.passed) for each in progress),
        "tests": sum(len(each.tests) for each in progress),
    }


def pair_view(session: Session | None, now: float) -> dict[str, Any] | None:
    """Return whose turn it is and for how many more seconds; None without a session."""
    if session is None:
        return None
    return {
        "driver": session.driver.name,
        "navigator": session.navigator.name,
        "left": round(session.left(now), 1),
        "turn": session.minutes * 60,
        "swaps": session.all_swaps,
        "tests": session.tests,
    }


def _kata(each: KataProgress, current: KataProgress | None, builds: str) -> dict[str, Any]:
    return {
        "name": each.kata.name,
        "number": each.kata.number,
        "title": each.kata.title,
        "track": each.kata.track,
        "state": state_of(each, current),
        "complete": each.complete,
        "locked": each.locked,
        "passed": len(each.passed),
        "tests": len(each.tests),
        "builds": builds,
    }


def _next(following: KataProgress | None) -> dict[str, Any] | None:
    if following is None or following.next_test is None:
        return None
    return {
        "kata": following.kata.title,
        "test": following.next_test,
        "requirement": requirement_named(following.kata, following.next_test),
        "command": following.kata.command,
    }
