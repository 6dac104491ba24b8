"""What a learner reads from `harness hint`, `reset` and `solution`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from harness.course.katas import Kata
from harness.progress.standing import KataProgress
from harness.progress.words import lock_reason
from harness.terminal.lines import WIDTH, Line, paragraph

STATUS_HEADINGS = ("kata", "passed", "state")


def was_reset(kata: Kata, backup: str) -> list[Line]:
    return [
        Line(f"katas/{kata.name}/{kata.topic}.py is the shipped stub again."),
        Line(f"What you had is kept in {backup}"),
        Line(f"Next: {kata.command}   (harness reset {kata.number} --undo puts yours back)"),
    ]


def is_shipped_already(kata: Kata) -> list[Line]:
    return [Line(f"katas/{kata.name}/{kata.topic}.py is the shipped stub already; nothing was changed.")]


def was_put_back(kata: Kata, backup: str) -> list[Line]:
    return [
        Line(f"katas/{kata.name}/{kata.topic}.py is again what you had (from {backup})."),
        Line(f"Next: {kata.command}"),
    ]


def nothing_to_undo(kata: Kata) -> str:
    return (
        f"There is no backup of kata {kata.title} that differs from the file as it is; nothing was changed."
    )


def not_changed(kata: Kata, problem: str) -> str:
    return f"katas/{kata.name}/{kata.topic}.py was not changed, as no backup could be written: {problem}"


def solution_refused(progress: KataProgress) -> str:
    kata, done = progress.kata, f"{len(progress.passed)}/{len(progress.tests)}"
    return (
        f"Kata {kata.title} is not complete ({done}); its solution waits until it is. "
        f"Next: harness hint {kata.number}   (harness solution {kata.number} --give-up shows it now)"
    )


def hint_block(
    kata: Kata, test: str, requirement: str, levels: Sequence[tuple[str, str]], left: int
) -> list[Line]:
    """The hints shown so far for a test, the newest last."""
    lines = [Line(f"kata {kata.title} · {test}", "title"), *paragraph(requirement, "  ", "")]
    for name, text in levels:
        lines += [Line(), Line(f"{name}:", "title")]
        lines += [Line(f"  {line}".rstrip()) for line in _paragraph(text)]
    more = (
        f"harness hint {kata.number} again shows the next of {left} more."
        if left
        else "That was the last hint."
    )
    return [*lines, Line(), Line(more, "dim")]


def _paragraph(text: str) -> list[str]:
    stripped = textwrap.dedent(text).strip("\n")
    if "\n" in stripped:
        return stripped.splitlines()
    return textwrap.wrap(stripped, WIDTH - 2)


def no_hint(kata: Kata, test: str) -> str:
    return f"katas/{kata.name}/hints.toml has no hint for {test}. Its idea is in katas/{kata.name}/theory.md."


def nothing_to_hint(kata: Kata) -> str:
    return f"Kata {kata.title} is complete: there is no failing test to hint at. Next: harness status"


def hint_locked(progress: KataProgress, blocker: KataProgress) -> str:
    reason = lock_reason(blocker)
    return f"Kata {progress.kata.title} is locked: {reason}. Type: harness hint {blocker.kata.number}"
