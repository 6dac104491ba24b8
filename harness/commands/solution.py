"""`harness solution`: the learner's code and the reference, side by side."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.commands.words import NOT_IN_YOUR_FILE, REFERENCE, YOURS
from harness.course.definitions import (
    Definition,
    docstring_lines,
    find_definition,
    first_line,
    last_line,
    split_lines,
)
from harness.course.katas import Course, Kata
from harness.course.stubs import contract
from harness.progress.line_file import append_line, read_lines

FILE = "given_up.jsonl"
NARROWEST = 80  # columns; a narrower terminal shows one version below the other


@dataclass(frozen=True)
class Passage:
    """A function or class without docstrings: the learner's version and the reference."""

    name: str
    yours: str
    reference: str


def gave_up(course: Course, kata: Kata) -> bool:
    """True if the solution was shown before the kata was complete."""
    notes = read_lines(course.state / FILE)
    return any(note.get("kata") == kata.name for note in notes)


def give_up(course: Course, kata: Kata, time: str) -> None:
    """Record that the learner gave up on a kata. Raises OSError."""
    append_line(course.state / FILE, {"kata": kata.name, "time": time})


def pairs(yours: str, reference: str) -> Iterator[Passage]:
    """Yield both versions of each name in the contract; empty where the learner's file lacks it."""
    for name in contract(reference):
        yield Passage(name, _definition(yours, name), _definition(reference, name))


def show(kata: Kata) -> None:
    """Print both versions side by side, the reference with its comments."""
    from rich.console import Console

    console = Console(highlight=False)
    yours = kata.stub.read_text(encoding="utf-8", errors="replace") if kata.stub.is_file() else ""
    for pair in pairs(yours, kata.solution.read_text(encoding="utf-8")):
        console.rule(pair.name, style="dim")
        console.print(_side_by_side(pair, console.width))


def _side_by_side(pair: Passage, width: int) -> object:
    from rich.console import Group
    from rich.syntax import Syntax
    from rich.table import Table
    from rich.text import Text

    left, right = (
        Syntax(code or NOT_IN_YOUR_FILE, "python", word_wrap=True, background_color="default")
        for code in (pair.yours, pair.reference)
    )
    if width < NARROWEST:
        return Group(Text(YOURS, style="bold"), left, Text(REFERENCE, style="bold"), right)
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0))
    table.add_column(YOURS, ratio=1)
    table.add_column(REFERENCE, ratio=1)
    table.add_row(left, right)
    return table


def _definition(source: str, name: str) -> str:
    """Return the source of a top-level function or class without docstrings; empty if it is missing."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return source if name in source else ""
    node = find_definition(body, name)
    return _without_docstrings(node, split_lines(source)) if node else ""


def _without_docstrings(node: Definition, lines: Sequence[str]) -> str:
    inside = [each for each in ast.walk(node) if isinstance(each, Definition)]
    dropped = {number for each in inside for number in docstring_lines(each)}
    kept = (number for number in range(first_line(node), last_line(node) + 1) if number not in dropped)
    return "\n".join(lines[number - 1] for number in kept)
