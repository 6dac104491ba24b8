"""Shapes are recorded with the line that produced them."""

from __future__ import annotations

import sysconfig
from dataclasses import replace
from types import CodeType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import shapes
from harness.shapes import Step, shape_trace, step_lines, trace
from harness.tests.support.own_code import functions_in_a_file

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
    """Functions in a file that counts as the learner's."""
    return functions_in_a_file(SOURCE, tmp_path)


X = torch.ones(2, 3)


def test_each_step_shows_its_line_shape_and_settings(code: dict[str, Any]) -> None:
    with trace() as shapes_seen:
        code["outer"](X)
    assert repr(shapes_seen).splitlines() == [
        "4: + (2, 3) 1",
        "5: T (3, 2)",
        "5: @ (2, 2)",
        "9: softmax (2, 2) dim=-2",
    ]


def test_repeated_steps_and_several_results_share_a_line(code: dict[str, Any]) -> None:
    with trace() as shapes_seen:
        code["loops"](X)
    assert str(shapes_seen) == "16: * (2, 3) 2   × 3\n17: max (2,) (2,) dim=1"


def test_a_failed_call_is_recorded_with_the_shapes_of_its_arguments(code: dict[str, Any]) -> None:
    shapes_seen = trace()
    with pytest.raises(RuntimeError), shapes_seen:
        code["fails"](X)
    assert repr(shapes_seen) == "12: @ (2, 3) and (2, 3) failed"


def test_nothing_is_recorded_after_the_block(code: dict[str, Any]) -> None:
    with trace() as shapes_seen:
        pass
    code["outer"](X)
    assert repr(shapes_seen) == "None of your lines called torch."


def test_steps_inside_layers_belong_to_the_calling_line(code: dict[str, Any]) -> None:
    exec(compile("def layer(m, x):\n    return m(x)\n", code["__file__"], "exec"), code)
    layer = nn.Linear(3, 5)
    with trace() as shapes_seen:
        code["layer"](layer, X)
    assert repr(shapes_seen) == "2: linear (2, 5)"


def test_inside_one_function_each_call_takes_one_line(code: dict[str, Any]) -> None:
    def in_outer(where: CodeType) -> bool:
        return where.co_name == "outer"

    with trace(in_outer) as shapes_seen:
        code["inner"](X)
        code["outer"](X)
    assert repr(shapes_seen) == "8: inner (2, 2)\n9: softmax (2, 2) dim=-2"


COMPREHENSIONS = """\
import torch

def inner(x):
    return x + 1

class Layer:
    def forward(self, xs):
        ys = [
            inner(x)
            for x in xs
        ]
        zs = torch.stack(tuple(y.exp() for y in ys))
        return {n: [y @ y.T for y in ys] for n in range(1)}, (lambda: zs * 2)()
"""


def test_a_comprehension_is_part_of_its_function(tmp_path: Any) -> None:
    def in_forward(where: CodeType) -> bool:
        return where.co_qualname == "Layer.forward"

    layer = functions_in_a_file(COMPREHENSIONS, tmp_path)["Layer"]()
    with trace(in_forward) as shapes_seen:
        layer.forward([X, X])
    assert repr(shapes_seen).splitlines() == [
        "9: inner (2, 3)",
        "12: exp (2, 3)   × 2",
        "12: stack (2, 2, 3)",
        "13: T (3, 2)",
        "13: @ (2, 2)",
        "13: T (3, 2)",
        "13: @ (2, 2)",
        "13: lambda (2, 2, 3)",
    ]


def test_a_decorated_function_prints_its_shapes(
    code: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    result: Tensor = trace()(code["outer"])(X)
    assert result.shape == (2, 2)
    assert capsys.readouterr().out.splitlines()[-1] == "9: softmax (2, 2) dim=-2"


def test_a_decorated_function_prints_its_shapes_even_if_it_fails(
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
def test_installed_and_generated_files_are_not_the_learners(filename: str, own: bool) -> None:
    assert shapes.is_own(filename) is own


SOFTMAX = Step("/course/attention.py", 18, "softmax", ((2, 4, 8, 8),), "dim=-2")


def test_only_the_last_of_many_steps_are_shown() -> None:
    steps = [Step("/course/attention.py", line, f"op{line}", ((line,) * 20,)) for line in range(30)]
    lines = shape_trace(steps)
    assert len(lines) == 10
    assert lines[2] == "  …"
    assert lines[-1].startswith("  29: op29 (29, 29, ")
    assert max(map(len, lines)) <= 78


def test_steps_in_several_files_name_the_file() -> None:
    steps = [SOFTMAX, replace(SOFTMAX, file=r"C:\course\shapes.py", line=3)]
    assert step_lines(steps, 8) == [
        "attention.py:18: softmax (2, 4, 8, 8) dim=-2",
        "shapes.py:3: softmax (2, 4, 8, 8) dim=-2",
    ]


def test_without_steps_nothing_is_shown() -> None:
    assert shape_trace([]) == []
