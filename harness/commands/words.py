"""Messages of `harness status`, `hint`, `reset` and `solution`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from harness.course.katas import Kata
from harness.progress.standing import KataProgress
from harness.progress.times import PAUSE
from harness.progress.words import lock_reason
from harness.terminal.lines import WIDTH, Line, paragraph, plural

STATUS_HEADINGS = ("kata", "passed", "state")
TIMES_HEADINGS = ("kata and tests", "your minutes", "expected")
YOURS, REFERENCE = "yours", "reference"
NOT_IN_YOUR_FILE = "# not in your file"


def minutes(number: float) -> str:
    """Return whole minutes, "<1" for a part of one, nothing for none."""
    return "" if not number else "<1" if number < 1 else f"{number:.0f}"


def track_heading(track: str, on_track: Sequence[KataProgress]) -> tuple[str, str, str]:
    """Return the row above the katas of a track."""
    done = sum(each.complete for each in on_track)
    return f"{track} track", "", f"{done} of {len(on_track)} complete"


def times_explained() -> Line:
    pause = PAUSE.total_seconds() / 60
    return Line(
        f"Your minutes: from one run to the next, pauses of more than {pause:.0f} minutes left out."
        " Expected: a newcomer's, without reading theory.md.",
        "dim",
    )


def was_reset(kata: Kata, backup: str) -> list[Line]:
    """Say that the file is the stub. `backup` is empty if there was nothing to back up."""
    undo = f"   (harness reset {kata.number} --undo restores your code)" if backup else ""
    kept = f"Your code is backed up in {backup}" if backup else "The file was missing or empty: no backup."
    return [
        Line(f"katas/{kata.name}/{kata.topic}.py is the original stub again."),
        Line(kept),
        Line(f"Next: {kata.command}{undo}"),
    ]


def already_original(kata: Kata) -> list[Line]:
    return [Line(f"katas/{kata.name}/{kata.topic}.py is already the original stub; nothing was changed.")]


def was_restored(kata: Kata, restored: str, backup: str) -> list[Line]:
    """Say which backup the file is now. `backup` is that of the code before, if there was any."""
    kept = [Line(f"What it held before is backed up in {backup}")] if backup else []
    return [
        Line(f"katas/{kata.name}/{kata.topic}.py was restored from {restored}."),
        *kept,
        Line(f"Next: {kata.command}"),
    ]


def nothing_to_undo(kata: Kata) -> str:
    return f"Kata {kata.title} has no backup that differs from the current file, so there is nothing to undo."


def not_changed(kata: Kata, problem: str, path: str, *, undo: bool) -> str:
    """Say that nothing was lost, with the path that could not be written and what to do."""
    again = f"harness reset {kata.number}{' --undo' if undo else ''}"
    return (
        f"katas/{kata.name}/{kata.topic}.py was not changed: {path} cannot be used ({problem}).\n"
        f"Free some space or make it writable. Next: {again}"
    )


def solution_refused(progress: KataProgress) -> str:
    kata, done = progress.kata, f"{len(progress.passed)}/{len(progress.tests)}"
    return (
        f"Kata {kata.title} is not complete ({done}); its solution is shown once it is. "
        f"Next: harness hint {kata.number}   (harness solution {kata.number} --give-up shows it now)"
    )


def hint_block(
    kata: Kata, test: str, requirement: str, levels: Sequence[tuple[str, str]], left: int
) -> list[Line]:
    """Return the hints shown so far for a test, the newest last."""
    lines = [Line(f"kata {kata.title} · {test}", "title"), *paragraph(requirement, "  ", "")]
    for name, text in levels:
        lines += [Line(), Line(f"{name}:", "title")]
        lines += [Line(f"  {line}".rstrip()) for line in _paragraph(text)]
    return [*lines, Line(), Line(_hints_left(kata, left), "dim")]


def _hints_left(kata: Kata, left: int) -> str:
    if not left:
        return "That was the last hint."
    return f"{plural(left, 'more hint')}: harness hint {kata.number} shows the next one."


def _paragraph(text: str) -> list[str]:
    stripped = textwrap.dedent(text).strip("\n")
    if "\n" in stripped:
        return stripped.splitlines()
    return textwrap.wrap(stripped, WIDTH - 2)


def no_hint(kata: Kata, test: str) -> str:
    return f"katas/{kata.name}/hints.toml has no hint for {test}. Read katas/{kata.name}/theory.md instead."


def nothing_to_hint(kata: Kata) -> str:
    return f"Kata {kata.title} is complete, so none of its tests needs a hint. Next: harness status"


def hint_locked(progress: KataProgress, blocker: KataProgress) -> str:
    reason = lock_reason(blocker)
    return f"Kata {progress.kata.title} is locked: {reason}. Type: harness hint {blocker.kata.number}"
