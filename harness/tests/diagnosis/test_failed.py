"""Tests of the observations of a failed test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.diagnosis.case import Case
from harness.diagnosis.failed import ObservedFailure, observe_failure
from harness.diagnosis.snapshots import equivalent, snapshot

CASE = Case("katas.k00.a", Path("/k/test_a.py"), "test_it", (), (), {}, frozenset({"/k/a.py"}))
TEST = """
def compare(y):
    limit = 3
    assert y < limit

def test_it(x):
    compare(2 * x)
"""
KATA = """
def refuse(x):
    raise ValueError(f"not {x}")

def convert(x):
    return int(x)
"""

READ = """
def read(entries):
    try:
        return find(entries)
    except Exception as error:
        raise ValueError("unreadable") {origin}

def find(entries):
    return entries[{key!r}]
"""


def observe(function: Callable[..., object], *args: object) -> ObservedFailure:
    with pytest.raises(BaseException) as raised:
        function(*args)
    return observe_failure(raised.value, CASE)


def define(source: str, file: str, **names: object) -> dict[str, Any]:
    exec(compile(source, file, "exec"), names)
    return names


def test_the_lines_and_the_variables_of_the_tests_file_are_kept() -> None:
    failure = observe(define(TEST, str(CASE.tests))["test_it"], 5)
    assert failure.kind == "AssertionError"
    assert failure.place == (("test_it", 7), ("compare", 4))
    assert failure.values == {"0 x": snapshot(5), "1 y": snapshot(10), "1 limit": snapshot(3)}
    assert failure.compared is None


def test_the_values_of_assert_close_are_kept() -> None:
    failure = observe(torch.testing.assert_close, torch.tensor(1.0), torch.tensor(2.0))
    assert failure.compared is not None
    actual, expected = failure.compared
    assert equivalent(actual, snapshot(torch.tensor(1.0)))
    assert equivalent(expected, snapshot(torch.tensor(2.0)))


def test_the_katas_own_words_count_less_than_pythons() -> None:
    names = define(KATA, "/k/a.py")
    assert observe(names["refuse"], 7).values["message"] == ("words", {"7"})
    assert observe(names["convert"], "x").values["message"][0] == "many"
    elsewhere = define(KATA, "/k/b.py")
    assert observe(elsewhere["refuse"], 7).values["message"][0] == "many"


@pytest.mark.parametrize("origin", ["from error", "from None", ""])
def test_of_one_error_for_many_causes_the_cause_is_kept(origin: str) -> None:
    """`from None` hides the cause from the traceback, not from the comparison."""
    message = observe(define(READ.format(origin=origin, key="model"), "/k/a.py")["read"], {}).values[
        "message"
    ]
    typo = observe(define(READ.format(origin=origin, key="modle"), "/k/a.py")["read"], {}).values["message"]
    assert equivalent(message, message)
    assert not equivalent(message, typo)


def test_an_error_without_a_cause_differs_from_the_same_error_with_one() -> None:
    refuse = define('def refuse(x):\n    raise ValueError("unreadable")\n', "/k/a.py")["refuse"]
    read = define(READ.format(origin="from error", key="model"), "/k/a.py")["read"]
    assert not equivalent(observe(refuse, {}).values["message"], observe(read, {}).values["message"])
