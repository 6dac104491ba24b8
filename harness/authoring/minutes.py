"""The gate's rules about times: hints.toml has the minutes of each test, and the README adds them up."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

from harness.authoring.slip_trials import Problem
from harness.course.hints import MINUTES, read_minutes
from harness.course.kata_tests import read_tests
from harness.course.katas import Course, Kata

_TEST = re.compile(r"`(test_\w+)`")


@dataclass(frozen=True)
class _Row:
    """A row of the README's table: tests, and the minutes that they take together."""

    tests: tuple[str, ...]
    minutes: str


def minutes_are_given(course: Course, kata: Kata) -> Iterator[Problem]:
    """Report a test without minutes, a test that the README's table lacks, and a sum that is wrong."""
    try:
        minutes = read_minutes(kata)
    except (OSError, tomllib.TOMLDecodeError):
        return  # another rule reports it
    names = [test.name for test in read_tests(kata)]
    for name in names:
        if not isinstance(minutes.get(name), int) or minutes[name] < 1:
            yield Problem(
                course.relative(kata.hints), f"has no minutes for {name}", f"add {MINUTES} = … to [{name}]"
            )
            minutes[name] = 0
    yield from _table(course, kata, names, minutes)


def _table(course: Course, kata: Kata, names: list[str], minutes: dict[str, int]) -> Iterator[Problem]:
    readme = kata.folder / "README.md"
    if not readme.is_file():
        return  # another rule reports it
    path, rows = course.relative(readme), _rows(readme.read_text(encoding="utf-8"))
    listed = [name for row in rows for name in row.tests]
    if listed != names:
        wrong = next((name for name in [*names, *listed] if names.count(name) != listed.count(name)), "")
        found = f"lists {wrong} {listed.count(wrong)} times" if wrong else "lists the tests in another order"
        yield Problem(path, found, "give its table one row per function, with the tests in order")
        return
    for row in rows:
        total = sum(minutes[name] for name in row.tests)
        if row.minutes != str(total):
            found = f"says {row.minutes} minutes for {row.tests[0]}, hints.toml {total} for its row"
            yield Problem(path, found, "add them up again")


def _rows(readme: str) -> list[_Row]:
    cells = [line.strip().strip("|").split("|") for line in readme.splitlines() if line.startswith("|")]
    return [
        _Row(tuple(_TEST.findall(" ".join(row))), row[-1].strip())
        for row in cells
        if _TEST.search(" ".join(row))
    ]
