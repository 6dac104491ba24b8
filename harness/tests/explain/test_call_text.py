"""Tests of a call in words: its function, and what decides in its arguments."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float, jaxtyped
from torch import Tensor, nn

from harness.explain.call_text import batch_axes, call_lines, call_text, failed_call
from harness.isolation.calls import Call, CallLog, log_calls
from harness.tests.support.miniature import Miniature


def split_heads(x: Float[Tensor, "*batch seq d_model"], num_heads: int) -> Tensor: ...  # noqa: F722


class Layer(nn.Module):
    def __init__(self, width: int) -> None: ...

    def forward(self, x: Tensor) -> Tensor: ...


def far(value: float) -> Tensor:
    return torch.ones(5, 7).index_fill(0, torch.tensor([4]), value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (torch.ones(2, 6), "x (2, 6)"),
        (torch.ones(2, 6).long(), "x int64 (2, 6)"),
        (torch.tensor([3, -math.inf, 0.25]), "x [3, -inf, 0.25]"),
        (torch.tensor([True, False]), "x bool [True, False]"),
        (torch.tensor(2.5), "x 2.5"),
        (torch.ones(2, 3, device="meta"), "x (2, 3) on meta"),
        (far(1e6), "x (5, 7) with values up to 1e+06"),
        (far(math.nan), "x (5, 7) with NaN"),
        (far(-math.inf), "x (5, 7) with -inf"),
        (np.zeros(33, dtype=np.uint16), "x uint16 (33,)"),
        (None, "x=None"),
        ("tanh", "x='tanh'"),
        ([0.7, 0.8], "x=[0.7, 0.8]"),
        (list(range(99)), "x=list of 99"),
        ([torch.ones(2)], "x=list of 1"),
        (Path("/tmp/of/last.pt"), "x='last.pt'"),
        (f"/{'folder/' * 9}last.pt", "x='…er/folder/folder/last.pt'"),
        ("to be or not to be, " * 9, "x='to be or not to be, to b…'"),
        (math.sqrt, "x=sqrt"),
        (lambda v: v, "x=function"),
        (nn.ReLU(), "x=ReLU"),
    ],
)
def test_an_argument_is_told_by_its_shape_or_by_its_value(value: Any, text: str) -> None:
    assert (
        call_text(Call(split_heads, (value,), {"num_heads": 3}, None)) == f"split_heads({text}, num_heads=3)"
    )


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (Call(Layer.forward, (Layer.__new__(Layer), torch.ones(2, 3)), {}, None), "Layer.forward(x (2, 3))"),
        (Call(Layer.__init__, (), {"self": 0, "width": 7}, None), "Layer(width=7)"),
    ],
)
def test_a_method_is_told_with_its_class_and_without_self(call: Call, text: str) -> None:
    assert call_text(call) == text


def test_a_long_call_takes_no_more_than_four_lines() -> None:
    many = {f"argument_{number}": "x" * 30 for number in range(20)}
    lines = call_lines(Call(split_heads, (torch.ones(2, 6),), many, None))
    assert lines[0].startswith("in split_heads(x (2, 6),")
    assert (len(lines), lines[-1]) == (4, "  …")


def test_a_call_that_cannot_be_shown_is_not() -> None:
    assert call_lines(Call(object(), (), {}, None)) == []  # type: ignore[arg-type]


def test_only_numbers_far_larger_than_the_others_are_remarked() -> None:
    assert call_lines(Call(split_heads, (1e6 * torch.ones(5, 7),), {}, None)) == ["in split_heads(x (5, 7))"]
    shown = call_lines(Call(split_heads, (far(1e6),), {}, None))
    assert shown[0].endswith("with values up to 1e+06)")


@pytest.mark.parametrize(("shape", "sizes"), [((5, 6), ()), ((2, 5, 6), (2,)), ((2, 3, 5, 6), (2, 3))])
def test_the_axes_in_front_are_counted(shape: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    call = Call(split_heads, (torch.ones(shape), 3), {}, None)
    assert batch_axes(call) == ("x", "*batch", sizes)


def test_a_call_without_such_axes_has_none() -> None:
    assert batch_axes(Call(Layer.forward, (None, torch.ones(2)), {}, None)) is None


# --- the call that raised ----------------------------------------------------------------------------

SOURCE = """
def double(x, by=2):
    x = x + helper(x, by)
    return x

def helper(y, by):
    y = y / by
    return y
"""


def raised(mini: Miniature, *args: Any, logged: bool, source: str = SOURCE) -> Call | None:
    path = mini.doubles.stub
    module = ModuleType("doubles")
    exec(compile(source, str(path), "exec"), vars(module))
    if logged:
        module.double = jaxtyped(module.double, typechecker=None)
        log_calls(module, ["double"], CallLog())
    with pytest.raises(ZeroDivisionError) as error:
        module.double(*args)
    return failed_call(mini.course, error.value.__traceback__)


def test_the_call_that_raised_has_the_arguments_that_were_given(mini: Miniature) -> None:
    call = raised(mini, 1.0, 0, logged=True)
    assert call is not None
    assert call_text(call) == "double(x=1.0, by=0)"


def test_a_function_that_is_not_logged_is_told_where_its_arguments_are_still_known(mini: Miniature) -> None:
    call = raised(mini, 1.0, 0, logged=False, source=SOURCE.replace("y = y / by", "z = y / by"))
    assert call is not None
    assert call_text(call) == "helper(y=1.0, by=0)"
    assert raised(mini, 1.0, 0, logged=False) is None


def test_nothing_is_said_of_an_error_outside_the_learners_code(mini: Miniature) -> None:
    with pytest.raises(ZeroDivisionError) as error:
        _ = 1 / 0
    assert failed_call(mini.course, error.value.__traceback__) is None
