"""A failed comparison: the values inside containers, and what the test's variables add."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from harness.explain import comparisons
from harness.explain.observations import RightUntil, Rounding
from harness.explain.side_by_side import Tolerance
from harness.explain.variables import NamedTensor, variables_of
from harness.isolation.calls import Call


def failed(test: Any) -> tuple[comparisons.ComparedValues, dict[str, Any]]:
    """What was compared when a test failed, and its variables."""
    with pytest.raises(AssertionError) as raised:
        test()
    compared = comparisons.by_assert_close(raised.value)
    assert compared is not None
    return compared, variables_of(raised.value.__traceback__, test.__code__)


def x() -> Tensor:
    return torch.arange(6.0).reshape(2, 3)


# --- containers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actual", "expected", "item"),
    [
        (x(), x() + 1, ()),
        ((x(), x()), (x(), x() + 1), (1,)),
        ([x(), [x()]], [x(), [x() + 1]], (1, 0)),
        ({"a": x(), "b": x()}, {"a": x(), "b": x() + 1}, ("b",)),
    ],
)
def test_the_member_that_differs_is_what_was_compared(
    actual: Any, expected: Any, item: tuple[Any, ...]
) -> None:
    compared, _ = failed(lambda: assert_close(actual, expected, rtol=0, atol=0.5))
    assert compared.item == item
    assert torch.equal(compared.expected, x() + 1)
    assert compared.tolerance.atol == 0.5


def test_an_entry_of_a_mapping_is_named() -> None:
    expected, actual = (
        {name: torch.tensor(value) for name in ("the mean", "the rest")} for value in (0.0, 1.0)
    )
    compared, names = failed(lambda: assert_close(actual, expected, rtol=0, atol=0.5))
    assert comparisons.show(compared, names).observations == (NamedTensor("the mean"),)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("mean", "the mean"),
        ("standard deviation of head.weight", "the standard deviation of head.weight"),
        ("the mean", "the mean"),
        ("head.weight", "head.weight"),
    ],
)
def test_a_number_in_a_mapping_is_named_by_its_key(key: str, name: str) -> None:
    compared, names = failed(lambda: assert_close({key: 1.5}, {key: 0.0}, rtol=0, atol=0.5))
    assert comparisons.show(compared, names).observations == (NamedTensor(name),)


@pytest.mark.parametrize(
    ("expected", "actual", "observed"),
    [
        (2.5, 2.5 + 1e-9, (Rounding(9),)),
        (pytest.approx(2.5, rel=1e-12), 2.5 + 1e-9, (Rounding(9),)),
        (pytest.approx([0.5, 2.5], rel=1e-12), [0.5, 2.5 + 1e-9], (Rounding(9),)),
        (2.5, 2.6, ()),
        (2, 3, ()),
        ([0.0, 1.0], [0.0], ()),
        ([0.0, 1.0, 2.0], [1.0, 1.0, 2.0], ()),
        ([0.5, 1.0, 2.0], [0.5, 1.5, 2.5], (RightUntil(1),)),
        (pytest.approx([0.5, 1.0, 2.0], abs=0.2), [0.6, 1.1, 2.5], (RightUntil(2),)),
        ("a", "b", ()),
    ],
)
def test_numbers_that_differ_by_rounding_or_from_an_index_on_are_told_so(
    expected: Any, actual: Any, observed: Any
) -> None:
    compared = comparisons.ComparedValues(expected, actual, Tolerance(0, 0), "assert")
    assert comparisons.show(compared, {}).observations == observed


# --- the call --------------------------------------------------------------------------------------


def rate(step: int) -> float: ...


def weights(key: Tensor) -> Tensor: ...


def far() -> Tensor:
    return torch.ones(4, 3).index_fill(0, torch.tensor([3]), 1e6)


def test_the_call_that_returned_the_first_wrong_number_is_shown() -> None:
    calls = [Call(rate, (step,), {}, step / 4) for step in range(5)]
    actual, expected = [call.result for call in calls], pytest.approx([0, 0.25, 0.75, 1, 1])
    compared = comparisons.ComparedValues(expected, actual, Tolerance(0, 0), "assert")
    assert comparisons.show(compared, {}, calls).call == ("returned by rate(step=2)",)


def test_of_several_calls_the_one_that_returned_the_tensor_is_shown() -> None:
    calls = [Call(weights, (x() + at,), {}, x() * at) for at in range(3)]
    compared = comparisons.ComparedValues(x() + 1, calls[1].result, Tolerance(0, 0), "assert_close")
    assert comparisons.show(compared, {}, calls).call == ("returned by weights(key (2, 3))",)
    assert comparisons.show(compared, {}, []).call == ()


def test_the_last_call_is_one_that_the_test_made() -> None:
    calls = [Call(rate, (3,), {}, None), Call(rate, (4,), {}, 0.5, nested=True)]
    compared = comparisons.ComparedValues(True, False, Tolerance(0, 0), "assert")
    assert comparisons.show(compared, {}, calls).call == ("last call: rate(step=3)",)


def test_arguments_that_decide_are_shown_though_the_value_is_made_of_the_result() -> None:
    calls = [Call(weights, (far(),), {}, far())]
    compared = comparisons.ComparedValues(0, far().max() / 7, Tolerance(0, 0), "assert")
    shown = comparisons.show(compared, {}, calls)
    assert shown.call == ("last call: weights(key (4, 3) with values up to 1e+06)",)


@pytest.mark.parametrize("value", [torch.ones(2, 2).bool(), torch.zeros(2, 2).int()])
def test_zeros_and_ones_are_a_mask(value: Tensor) -> None:
    compared = comparisons.ComparedValues(value, ~value.bool(), Tolerance(0, 0), "assert_close")
    assert comparisons.show(compared, {}).is_mask
