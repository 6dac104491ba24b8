"""The error behind an error is shown with the learner's line."""

from __future__ import annotations

import pytest

from harness.explain.causes import Cause, causes_in_katas
from harness.tests.support.miniature import Miniature

SOURCE = """
def load(how):
    try:
        {}["modle"]
    except KeyError as error:
        if how == "from":
            raise ValueError("damaged") from error
        if how == "from None":
            raise ValueError("damaged") from None
        raise ValueError("damaged")

def outside(how):
    try:
        int("x")
    except ValueError as error:
        raise TypeError("no") from error

def twice(how):
    try:
        load(how)
    except ValueError as error:
        raise OSError("again") from error
"""


def error_of(mini: Miniature, function: str, how: str = "from", file: str = "") -> BaseException:
    names: dict[str, object] = {}
    exec(compile(SOURCE, file or str(mini.doubles.stub), "exec"), names)
    with pytest.raises(Exception) as raised:
        names[function](how)  # type: ignore[operator]
    return raised.value


@pytest.mark.parametrize("how", ["from", "from None", "in the except block"])
def test_a_cause_is_found_however_the_error_was_raised(mini: Miniature, how: str) -> None:
    assert causes_in_katas(mini.course, error_of(mini, "load", how)) == (Cause("KeyError", "'modle'", 4),)


def test_every_cause_is_found_the_nearest_first(mini: Miniature) -> None:
    found = causes_in_katas(mini.course, error_of(mini, "twice"))
    assert found == (Cause("ValueError", "damaged", 7), Cause("KeyError", "'modle'", 4))


def test_causes_outside_the_learners_code_are_left_out(mini: Miniature) -> None:
    assert causes_in_katas(mini.course, error_of(mini, "load", file="elsewhere.py")) == ()
    assert causes_in_katas(mini.course, ValueError("no")) == ()


def test_causes_that_are_a_circle_come_to_an_end(mini: Miniature) -> None:
    error = error_of(mini, "load")
    assert error.__cause__ is not None
    error.__cause__.__context__ = error
    assert len(causes_in_katas(mini.course, error)) == 1
