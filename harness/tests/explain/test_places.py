"""Tests of finding the learner's line, and the frames of a traceback."""

from __future__ import annotations

import sys
from textwrap import dedent
from types import CodeType
from typing import Any

import pytest

from harness.course.katas import load_course
from harness.explain.places import frames_of, learner_place, place_under_test
from harness.tests.support.miniature import Miniature

# --- the function under test ---


def code_of(source: str, name: str) -> CodeType:
    namespace: dict[str, Any] = {}
    exec(compile(dedent(source), "test_it.py", "exec"), namespace)
    code: CodeType = namespace[name].__code__
    return code


TEST = """
def test_it():
    x = double(1)
    F.outer(x)
    y = outer.attribute
    assert_close(
        double(x),
        [outer(each) for each in y],
    )
    other(x)
"""


@pytest.mark.parametrize(
    ("line", "name"),
    [(3, "double"), (4, "double"), (5, "outer"), (6, "outer"), (7, "double"), (10, "outer"), (None, "outer")],
    ids=[
        "first",
        "an attribute does not count",
        "second",
        "whole call",
        "inside the call",
        "after it",
        "any line",
    ],
)
def test_a_test_is_about_what_it_names_last_before_it_fails(
    mini: Miniature, line: int | None, name: str
) -> None:
    place = place_under_test(load_course(mini.root), mini.doubles, code_of(TEST, "test_it"), line)
    assert place is not None
    assert place.text.startswith(f"def {name}(")


LAYER = """
def double(x):
    return x


class outer:
    def forward(self, x):
        return x
"""


@pytest.mark.parametrize(
    ("test", "called", "line"),
    [
        ("layer = outer(); layer.forward(1)", ["outer.forward"], "def forward(self, x):"),
        ("layer = made()", ["double", "outer.forward"], "def forward(self, x):"),
        ("function(layer)", ["outer.forward", "double"], "def double(x):"),
        ("layer = outer()", [], "class outer:"),
        ("layer = outer()", ["outer.forward", "double"], "class outer:"),
        ("layer = outer()", ["outer.backward"], "class outer:"),
        ("layer = outer()\n    double(layer)", ["outer.forward"], "def double(x):"),
    ],
    ids=[
        "method",
        "made by another function",
        "a parameter holds it",
        "no call",
        "a function",
        "inherited",
        "function last",
    ],
)
def test_a_test_that_names_no_function_is_about_the_last_one_that_it_calls(
    mini: Miniature, test: str, called: list[str], line: str
) -> None:
    mini.doubles.stub.write_text(LAYER)
    code = code_of(f"def test_it():\n    {test}", "test_it")
    place = place_under_test(load_course(mini.root), mini.doubles, code, called=called)
    assert place is not None
    assert place.text == line


def test_no_test_is_about_a_given_definition(mini: Miniature) -> None:
    solution = "def double(x):\n    return x\n\n\nclass outer:  # given\n    field = 1\n"
    mini.doubles.solution.write_text(solution)
    mini.doubles.stub.write_text(solution)
    code = code_of("def test_it():\n    assert double(1) == outer()", "test_it")
    place = place_under_test(load_course(mini.root), mini.doubles, code)
    assert place is not None
    assert place.text == "def double(x):"


def test_a_test_that_names_nothing_of_the_kata_has_no_place(mini: Miniature) -> None:
    code = code_of("def test_it(): F.outer()", "test_it")
    assert place_under_test(load_course(mini.root), mini.doubles, code) is None
    assert place_under_test(load_course(mini.root), mini.doubles, None) is None


# --- tracebacks ---


def test_the_frames_of_a_traceback_are_those_of_one_file_on_request() -> None:
    names: dict[str, Any] = {}
    exec(compile("def outer():\n    inner()\n\ndef inner():\n    1 / 0\n", "katas.py", "exec"), names)
    with pytest.raises(ZeroDivisionError) as raised:
        names["outer"]()
    frames = [(frame.f_code.co_name, line) for frame, line in frames_of(raised.tb, "katas.py")]
    assert frames == [("outer", 2), ("inner", 5)]
    here = sys._getframe().f_code
    assert [frame.f_code for frame, _ in frames_of(raised.tb)][:1] == [here]
    assert len(frames_of(raised.tb)) == 3
    assert frames_of(None) == []


def test_without_a_learners_line_there_is_no_place(mini: Miniature) -> None:
    assert learner_place(load_course(mini.root), None) is None
