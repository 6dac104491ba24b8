"""`harness status`: the progress as a table for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.course.katas import Course
from harness.progress.receipts import Receipts
from harness.progress.standing import KataProgress, current_kata, next_kata
from harness.progress.words import state_of, status_next, tests_differ, unreadable_file, unreadable_lines
from harness.terminal.lines import Line, encodable

SCHEMA_VERSION = 1


def as_json(progress: Sequence[KataProgress]) -> dict[str, Any]:
    """What harness/commands/status.schema.json describes."""
    current = current_kata(progress)
    return {
        "version": SCHEMA_VERSION,
        "current": current.kata.name if current else None,
        "complete": all_done(progress),
        "katas": [_row(each, current) for each in progress],
    }


def all_done(progress: Sequence[KataProgress]) -> bool:
    """Whether every kata is complete with its stub as it is now."""
    return all(each.complete and not each.edited_since_pass for each in progress)


def closing_lines(progress: Sequence[KataProgress], stored: Receipts, course: Course) -> list[Line]:
    """What to type next, and what is odd about the files."""
    path = course.relative(stored.path)
    differ = [tests_differ(course.relative(each.kata.tests)) for each in progress if each.tests_differ]
    unreadable = [unreadable_lines(path, stored.unreadable)] if stored.unreadable else []
    unreadable += [unreadable_file(path, stored.problem)] if stored.problem else []
    return [Line(), *status_next(next_kata(progress)), *differ, *unreadable]


def show_table(progress: Sequence[KataProgress]) -> None:
    """Print the katas, one a row, as wide as the terminal allows."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    encoding = console.encoding
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("kata", "passed", "state"):
        table.add_column(heading)
    current = current_kata(progress)
    for each in progress:
        cells = (
            each.kata.title,
            f"{len(each.passed)}/{len(each.tests)}",
            state_of(each, current),
        )
        style = {"complete": "green", "locked": "dim"}.get(cells[2], "bold")
        table.add_row(*(Text(encodable(cell, encoding), style=style) for cell in cells))
    console.print(table)


def _row(each: KataProgress, current: KataProgress | None) -> dict[str, Any]:
    return {
        "kata": each.kata.name,
        "number": int(each.kata.number),
        "state": state_of(each, current),
        "tests": list(each.tests),
        "passed": list(each.passed),
        "next_test": each.next_test,
        "complete": each.complete,
        "edited_since_pass": each.edited_since_pass,
        "tests_differ": each.tests_differ,
        "locked": each.locked,
        "blocked_by": each.blocked_by.name if each.blocked_by else None,
    }
