"""Tests of errors of katas that are used outside the tests."""

from __future__ import annotations

from typing import Any

import pytest

from harness.course.katas import load_course
from harness.explain.outside_tests import KataError, KataFrame, read_kata_error
from harness.explain.words import failed_in_katas
from harness.tests.support.miniature import Miniature


def raised_by(mini: Miniature, body: str) -> KataError:
    """Return the error of a stub with this body."""
    mini.write_doubles(double=body)
    names: dict[str, Any] = {}
    exec(compile(mini.doubles.stub.read_text(), str(mini.doubles.stub), "exec"), names)
    with pytest.raises(Exception) as raised:
        names["double"](1)
    return read_kata_error(load_course(mini.root), raised.value)


def test_an_error_is_located_in_its_kata(mini: Miniature) -> None:
    error = raised_by(mini, "return x / 0")
    assert (error.kind, error.message, error.kata) == ("ZeroDivisionError", "division by zero", mini.doubles)
    assert not error.unwritten
    assert not error.refuses_a_value
    place, line = error.calls[-1].place.split(":")
    assert place == "katas/k00_doubles/doubles.py"
    assert mini.doubles.stub.read_text().splitlines()[int(line) - 1].strip() == "return x / 0"
    assert error.calls[-1] == KataFrame(f"{place}:{line}", "double", "return x / 0")


def test_a_stub_is_unwritten_and_a_value_error_refuses_a_value(mini: Miniature) -> None:
    assert raised_by(mini, "raise NotImplementedError").unwritten
    assert raised_by(mini, "raise ValueError(x)").refuses_a_value


def test_an_error_from_elsewhere_has_no_kata(mini: Miniature) -> None:
    error = read_kata_error(load_course(mini.root), KeyError("x"))
    assert error.kata is None
    assert list(error.calls) == []


def test_a_long_message_is_shown_short(mini: Miniature) -> None:
    assert len(raised_by(mini, "raise ValueError('x' * 10**6)").message) < 400


def test_the_reference_is_not_suggested_to_those_who_use_it(mini: Miniature) -> None:
    error = raised_by(mini, "return x / 0")
    assert "--solutions" in failed_in_katas(error)[-1].text
    assert failed_in_katas(error, solutions=True)[-1].text == "Next: harness verify"
