"""`harness status`: progress as a table or as JSON, and the time that it took."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.commands.words import (
    STATUS_HEADINGS,
    TIMES_HEADINGS,
    minutes,
    times_explained,
    track_heading,
)
from harness.course.graph import TRACKS
from harness.course.hints import read_minutes
from harness.course.katas import Course, Kata
from harness.progress.receipts import Receipts
from harness.progress.standing import KataProgress, current_kata, next_kata
from harness.progress.times import minutes_spent
from harness.progress.words import notices, state_of, status_next
from harness.terminal import table
from harness.terminal.lines import Line
from harness.terminal.show import show
from harness.terminal.table import Row

SCHEMA_VERSION = 1


def as_json(progress: Sequence[KataProgress]) -> dict[str, Any]:
    """Return the progress as harness/commands/status.schema.json describes it."""
    current = current_kata(progress)
    return {
        "version": SCHEMA_VERSION,
        "current": current.kata.name if current else None,
        "complete": all_done(progress),
        "katas": [_row(each, current) for each in progress],
    }


def all_done(progress: Sequence[KataProgress]) -> bool:
    """True if every kata has passed its original tests and no stub has been edited since."""
    return all(each.proven and not each.edited_since_pass for each in progress)


def closing_lines(progress: Sequence[KataProgress], stored: Receipts, course: Course) -> list[Line]:
    """Return the next command to type, and the notices."""
    return [Line(), *status_next(next_kata(progress), all_done(progress)), *notices(course, progress, stored)]


def show_table(progress: Sequence[KataProgress]) -> None:
    """Print a table of the katas, track by track, as wide as the terminal allows."""
    current = current_kata(progress)
    tracks = [track for track in TRACKS if any(each.kata.track == track for each in progress)]
    rows: list[Row] = []
    for track in tracks:
        on_track = [each for each in progress if each.kata.track == track]
        rows += [Row(track_heading(track, on_track), "bold")] if len(tracks) > 1 else []
        rows += [_table_row(each, state_of(each, current)) for each in on_track]
    table.show_table(STATUS_HEADINGS, rows)


def show_times(progress: Sequence[KataProgress], stored: Receipts) -> None:
    """Print the minutes that each test took, test by test for the katas that were begun."""
    spent = minutes_spent(stored.entries, {each.kata.name: each.tests for each in progress})
    rows = [row for each in progress for row in _time_rows(each, spent.get(each.kata.name, {}))]
    table.show_table(TIMES_HEADINGS, rows, right=TIMES_HEADINGS[1:])
    show([Line(), times_explained()])


def _time_rows(each: KataProgress, spent: Mapping[str, float]) -> Iterator[Row]:
    expected = _expected(each.kata)
    total = Row(
        (each.kata.title, minutes(sum(spent.values())), minutes(sum(expected.values()))),
        "bold" if spent else "dim",
    )
    yield total
    if spent:
        for test in each.tests:
            yield Row((f"  {test}", minutes(spent.get(test, 0)), minutes(expected.get(test, 0))))


def _expected(kata: Kata) -> dict[str, int]:
    try:
        return read_minutes(kata)
    except (OSError, tomllib.TOMLDecodeError):
        return {}  # a hints.toml that was edited: the learner's own times are still there


def _table_row(each: KataProgress, state: str) -> Row:
    style = {"complete": "green", "locked": "dim"}.get(state, "bold")
    return Row((each.kata.title, f"{len(each.passed)}/{len(each.tests)}", state), style)


def _row(each: KataProgress, current: KataProgress | None) -> dict[str, Any]:
    return {
        "kata": each.kata.name,
        "number": int(each.kata.number),
        "track": each.kata.track,
        "needs": list(each.kata.needs),
        "state": state_of(each, current),
        "tests": list(each.tests),
        "passed": list(each.passed),
        "next_test": each.next_test,
        "complete": each.proven,
        "edited_since_pass": each.edited_since_pass,
        "tests_differ": each.tests_differ,
        "locked": each.locked,
        "blocked_by": each.blocked_by.name if each.blocked_by else None,
    }
