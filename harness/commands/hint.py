"""`harness hint`: three levels per test, one more at each call."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence

from harness.commands.words import hint_block, hint_locked, no_hint, nothing_to_hint
from harness.course.hints import LEVELS, read_hints
from harness.course.kata_tests import requirement_named
from harness.course.katas import Course, Kata
from harness.progress.line_file import append_line, read_lines
from harness.progress.standing import KataProgress, bare_run
from harness.progress.words import not_saved
from harness.terminal.lines import Line

FILE = "hints.jsonl"


class NoHint(Exception):
    """No hint can be shown; the message says why and what to type."""


def next_hint(course: Course, progress: Sequence[KataProgress], kata: Kata | None) -> list[Line]:
    """Return the hints shown so far for the next failing test, and one more. Raises NoHint."""
    standing = _kata_to_hint(progress, kata)
    test = standing.next_test or standing.tests[0]
    hints = _read(standing.kata, test)
    level = min(_levels_shown(course, standing.kata, test) + 1, len(LEVELS))
    notice = _remember(course, standing.kata, test, level)
    texts = [(title, hints[key]) for key, title in list(LEVELS.items())[:level]]
    requirement = requirement_named(standing.kata, test)
    return hint_block(standing.kata, test, requirement, texts, len(LEVELS) - level) + notice


def _kata_to_hint(progress: Sequence[KataProgress], kata: Kata | None) -> KataProgress:
    by_kata = {each.kata: each for each in progress}
    standing = by_kata[kata or bare_run(progress)[0]]  # by default the one `pytest` runs first
    if standing.complete and not standing.edited_since_pass:
        raise NoHint(nothing_to_hint(standing.kata))
    if standing.blocked_by and not standing.complete:
        raise NoHint(hint_locked(standing, by_kata[standing.blocked_by]))
    return standing


def _read(kata: Kata, test: str) -> dict[str, str]:
    try:
        hints = read_hints(kata).get(test, {})
    except (OSError, tomllib.TOMLDecodeError):
        hints = {}
    if not set(LEVELS) <= hints.keys():
        raise NoHint(no_hint(kata, test))
    return hints


def _levels_shown(course: Course, kata: Kata, test: str) -> int:
    """Return how many levels earlier calls have shown."""
    notes = read_lines(course.state / FILE)
    return sum(1 for note in notes if note.get("kata") == kata.name and note.get("test") == test)


def _remember(course: Course, kata: Kata, test: str, level: int) -> list[Line]:
    path = course.state / FILE
    try:
        append_line(path, {"kata": kata.name, "test": test, "level": level})
    except OSError as error:
        return [not_saved(course.relative(path), error.strerror or str(error))]
    return []
