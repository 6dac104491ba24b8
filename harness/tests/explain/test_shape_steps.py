"""A failing test is run again to show the shapes that led to its error."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.explain import shape_steps
from harness.tests.support.miniature import Miniature
from harness.tests.support.own_code import functions_in_a_file

HEADING = "Shapes that your lines produced (line: call, shape):"
SOURCE = """\
def inner(x):
    return x + 1

def outer(x):
    z = inner(x)
    return z.softmax(dim=-2)

def fails(x):
    return x @ x

def fails_within(x):
    y = x.T
    return [part @ part for part in (y, x)]
"""


@pytest.fixture
def code(tmp_path: Any) -> dict[str, Any]:
    """Functions in a file that counts as the learner's."""
    return functions_in_a_file(SOURCE, tmp_path)


X = torch.ones(2, 3)


def caught(run: Any) -> BaseException:
    with pytest.raises(BaseException) as raised:
        run()
    return raised.value


def test_only_the_steps_of_the_failed_function_are_returned(code: dict[str, Any]) -> None:
    def run() -> None:
        code["outer"](X)
        code["fails"](X)

    steps = shape_steps.steps_to(caught(run), run, {code["__file__"]}, "")
    assert [(step.line, step.failed) for step in steps] == [(9, True)]


def test_the_steps_before_a_comprehension_that_failed_are_returned_too(code: dict[str, Any]) -> None:
    def run() -> None:
        code["fails_within"](X)

    steps = shape_steps.steps_to(caught(run), run, {code["__file__"]}, "")
    assert [(step.line, step.name, step.failed) for step in steps] == [
        (12, "T", False),
        (13, "matmul", True),
    ]


def test_a_function_can_be_chosen_by_name(code: dict[str, Any]) -> None:
    def run() -> None:
        code["outer"](X)
        raise TypeError

    steps = shape_steps.steps_to(caught(run), run, {code["__file__"]}, "outer")
    assert [(step.line, step.name) for step in steps] == [(5, "inner"), (6, "softmax")]


def test_a_different_error_in_the_second_run_gives_no_steps(code: dict[str, Any]) -> None:
    errors = iter([TypeError(), ValueError()])

    def run() -> None:
        code["outer"](X)
        raise next(errors)

    assert shape_steps.steps_to(caught(run), run, {code["__file__"]}, "") == []


def test_the_second_run_prints_nothing_and_leaves_the_random_state_alone(
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
def test_only_a_quick_test_runs_again(took: float, went_by: float, limit: float, quick: bool) -> None:
    assert shape_steps.is_quick(took, went_by, limit) is quick


# --- in a run ------------------------------------------------------------------------------------------


UNHURRIED = ("--time-limit", "0")  # on a busy machine there may be no time for a second run


def test_an_error_about_sizes_shows_the_shapes_before_it(mini: Miniature) -> None:
    mini.write_doubles(double="y = x[:, None]\nreturn y @ x[None, :, None]")
    out = mini.pytest("katas/0", *UNHURRIED).out
    assert f"{HEADING}\n    13: [] (3, 1)\n    14: [] (1, 3, 1)\n" in out
    assert "14: @ (3, 1) and (1, 3, 1) failed\n\n  katas/k00_doubles/doubles.py:14" in out


def test_the_option_shapes_shows_them_for_every_failure(mini: Miniature) -> None:
    mini.write_doubles(double="return 3 * x")
    plain, asked = mini.pytest("katas/0", *UNHURRIED).out, mini.pytest("katas/0", "--shapes", *UNHURRIED).out
    assert "Every value" not in plain  # with three equal numbers, any factor fits
    assert HEADING not in plain
    assert f"{HEADING}\n    13: * (3,) 3\n" in asked


def test_a_comparison_is_described_in_words_and_numbers(mini: Miniature) -> None:
    mini.write_doubles(outer="return y[:, None] * x")
    out = mini.pytest("katas/0", *UNHURRIED).out
    assert "outer returned float32 (3, 2)" in out
    mini.write_doubles(outer="return -(x[:, None] * y)")
    assert (
        "  Every value has the wrong sign, but is otherwise right.\n"
        in mini.pytest("katas/0", *UNHURRIED).out
    )
