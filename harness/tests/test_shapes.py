"""Shapes are noted by the line that made them, and cost nothing where nobody asks."""

from __future__ import annotations

import sysconfig
from types import CodeType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import shapes
from harness.explain import shape_steps
from harness.shapes import trace
from harness.tests.support.miniature import Miniature

SOURCE = """\
import torch

def inner(x):
    y = x + 1
    return y @ x.T

def outer(x):
    z = inner(x)
    return z.softmax(dim=-2)

def fails(x):
    return x @ x

def loops(x):
    for _ in range(3):
        x = x * 2
    return x.max(dim=1)
"""


@pytest.fixture
def code(tmp_path: Any) -> dict[str, Any]:
    """Functions in a file of a learner's own."""
    path = tmp_path / "own.py"
    names: dict[str, Any] = {"__file__": str(path)}
    exec(compile(SOURCE, str(path), "exec"), names)
    return names


X = torch.ones(2, 3)


def test_each_step_stands_with_its_line_shape_and_settings(code: dict[str, Any]) -> None:
    with trace() as noted:
        code["outer"](X)
    assert repr(noted).splitlines() == [
        "4: + (2, 3) 1",
        "5: T (3, 2)",
        "5: @ (2, 2)",
        "9: softmax (2, 2) dim=-2",
    ]


def test_repeated_steps_and_several_results_take_one_line(code: dict[str, Any]) -> None:
    with trace() as noted:
        code["loops"](X)
    assert str(noted) == "16: * (2, 3) 2   × 3\n17: max (2,) (2,) dim=1"


def test_a_call_that_fails_is_noted_with_what_it_was_given(code: dict[str, Any]) -> None:
    noted = trace()
    with pytest.raises(RuntimeError), noted:
        code["fails"](X)
    assert repr(noted) == "12: @ (2, 3) and (2, 3) failed"


def test_after_the_block_nothing_is_noted_any_more(code: dict[str, Any]) -> None:
    with trace() as noted:
        pass
    code["outer"](X)
    assert repr(noted) == "No torch call was made by a line of yours."


def test_steps_inside_of_layers_belong_to_the_line_that_calls_them(code: dict[str, Any]) -> None:
    exec(compile("def layer(m, x):\n    return m(x)\n", code["__file__"], "exec"), code)
    layer = nn.Linear(3, 5)
    with trace() as noted:
        code["layer"](layer, X)
    assert repr(noted) == "2: linear (2, 5)"


def test_inside_one_function_what_it_calls_takes_one_line(code: dict[str, Any]) -> None:
    def in_outer(where: CodeType) -> bool:
        return where.co_name == "outer"

    with trace(in_outer) as noted:
        code["inner"](X)
        code["outer"](X)
    assert repr(noted) == "8: inner (2, 2)\n9: softmax (2, 2) dim=-2"


def test_a_decorated_function_prints_its_shapes(
    code: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    result: Tensor = trace()(code["outer"])(X)
    assert result.shape == (2, 2)
    assert capsys.readouterr().out.splitlines()[-1] == "9: softmax (2, 2) dim=-2"


def test_a_decorated_function_that_fails_prints_them_too(
    code: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RuntimeError):
        trace()(code["fails"])(X)
    assert capsys.readouterr().out == "12: @ (2, 3) and (2, 3) failed\n"


@pytest.mark.parametrize(
    ("filename", "own"),
    [
        ("/home/ana/katas/k01_attention/attention.py", True),
        ("<ipython-input-3-abc>", True),
        (torch.__file__, False),
        (shapes.__file__, False),
        (pytest.__file__, False),
        (sysconfig.__file__, False),
        ("<@beartype(f)>", False),
        ("<frozen importlib>", False),
    ],
)
def test_lines_of_ones_own_are_those_that_nobody_installed(filename: str, own: bool) -> None:
    assert shapes.is_own(filename) is own


# --- a failing test once more ------------------------------------------------------------------------


def caught(run: Any) -> BaseException:
    with pytest.raises(BaseException) as raised:
        run()
    return raised.value


def test_the_steps_to_an_error_are_those_of_the_function_that_failed(code: dict[str, Any]) -> None:
    def run() -> None:
        code["outer"](X)
        code["fails"](X)

    steps = shape_steps.steps_to(caught(run), run, {code["__file__"]}, "")
    assert [(step.line, step.failed) for step in steps] == [(12, True)]


def test_the_steps_of_a_function_by_name(code: dict[str, Any]) -> None:
    def run() -> None:
        code["outer"](X)
        raise TypeError

    steps = shape_steps.steps_to(caught(run), run, {code["__file__"]}, "outer")
    assert [(step.line, step.name) for step in steps] == [(8, "inner"), (9, "softmax")]


def test_where_another_error_comes_the_second_time_nothing_is_said(code: dict[str, Any]) -> None:
    errors = iter([TypeError(), ValueError()])

    def run() -> None:
        code["outer"](X)
        raise next(errors)

    assert shape_steps.steps_to(caught(run), run, {code["__file__"]}, "") == []


def test_a_second_run_prints_nothing_and_draws_nothing(
    code: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> None:
        print("loud")
        torch.rand(3)
        code["fails"](X)

    error = caught(run)
    capsys.readouterr()
    state = torch.get_rng_state()
    assert shape_steps.steps_to(error, run, {code["__file__"]}, "")
    assert capsys.readouterr().out == ""
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("took", "went_by", "limit", "quick"),
    [
        (0.1, 0.1, 10.0, True),
        (0.1, 4.0, 10.0, False),
        (0.1, 4.0, 0.0, True),
        (2.1, 2.1, 10.0, False),
        (2.1, 2.1, 0.0, False),
    ],
    ids=["quick", "no time left", "no limit", "long", "long, no limit"],
)
def test_only_a_quick_test_is_run_again(took: float, went_by: float, limit: float, quick: bool) -> None:
    assert shape_steps.is_quick(took, went_by, limit) is quick


# --- in a run ------------------------------------------------------------------------------------------


UNHURRIED = ("--time-limit", "0")  # on a busy machine there may be no time for a second run


def test_an_error_about_sizes_shows_the_shapes_that_led_to_it(mini: Miniature) -> None:
    mini.write_doubles(double="y = x[:, None]\nreturn y @ x[None, :, None]")
    out = mini.pytest("katas/0", *UNHURRIED).out
    assert "What your lines made (line: call, shape):\n    13: [] (3, 1)\n    14: [] (1, 3, 1)\n" in out
    assert "14: @ (3, 1) and (1, 3, 1) failed\n\n  katas/k00_doubles/doubles.py:14" in out


def test_shapes_are_shown_of_any_failure_where_asked_for(mini: Miniature) -> None:
    mini.write_doubles(double="return 3 * x")
    plain, asked = mini.pytest("katas/0", *UNHURRIED).out, mini.pytest("katas/0", "--shapes", *UNHURRIED).out
    assert "Every value" not in plain  # of three equal numbers each is the other's times something
    assert "What your lines made" not in plain
    assert "What your lines made (line: call, shape):\n    13: * (3,) 3\n" in asked


def test_a_comparison_is_told_in_words_as_well_as_in_numbers(mini: Miniature) -> None:
    mini.write_doubles(outer="return y[:, None] * x")
    out = mini.pytest("katas/0", *UNHURRIED).out
    assert "outer returned float32 (3, 2)" in out
    mini.write_doubles(outer="return -(x[:, None] * y)")
    assert (
        "  Every value has the wrong sign, and is right otherwise.\n"
        in mini.pytest("katas/0", *UNHURRIED).out
    )
