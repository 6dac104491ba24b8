"""What a run that completes a kata announces."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.course.graph import ADVANCED, CORE
from harness.course.katas import Course, Kata
from harness.progress.standing import KataProgress
from harness.run.closing import closing_lines
from harness.run.report import RunReport

ROOT = Path("/course")
KATAS = (
    Kata(ROOT, "k00_shapes", (), CORE),
    Kata(ROOT, "k01_attention", ("k00_shapes",), CORE),
    Kata(ROOT, "k10_tokens", ("k01_attention",), ADVANCED),
    Kata(ROOT, "k15_flash", ("k00_shapes",), ADVANCED),
)


def after_completing(name: str, *before: str) -> list[str]:
    """The lines that end a run which has completed a kata, when those `before` were complete."""
    course = Course(ROOT, KATAS)
    done = {*before, name}

    def progress(kata: Kata) -> KataProgress:
        complete = kata.name in done
        blocker = next((each for each in course.needed(kata) if each.name not in done), None)
        return KataProgress(kata, ("test_a",), (), None, complete, False, False, blocker)

    ledger: Any = SimpleNamespace(
        progress=lambda: [progress(kata) for kata in KATAS],
        complete_before=set(before),
        newly_passed={},
        partial=[],
        problem="",
        stored=SimpleNamespace(path=ROOT / ".harness" / "progress.jsonl", unreadable=(), problem=""),
    )
    return [line.text for line in closing_lines(RunReport(course, ledger, (), ran=[name]))]


def test_until_the_core_is_complete_only_its_katas_are_announced() -> None:
    lines = after_completing("k00_shapes")
    assert "Unlocked: kata 01 attention" in lines
    assert not [line for line in lines if "core is complete" in line]


def test_when_the_core_is_complete_all_katas_that_are_open_are_announced() -> None:
    lines = after_completing("k01_attention", "k00_shapes")
    assert "The core is complete. You have built a language model!" in lines
    assert "Unlocked: katas 10 tokens, 15 flash" in lines, "15 was open before, and nobody has said so"
    assert lines[-1] == "Next: read katas/k10_tokens/README.md, then run  pytest katas/10"


@pytest.mark.parametrize("name", ["k10_tokens", "k15_flash"])
def test_an_advanced_kata_does_not_complete_the_core_again(name: str) -> None:
    lines = after_completing(name, "k00_shapes", "k01_attention")
    assert not [line for line in lines if "core is complete" in line or "Unlocked" in line]
