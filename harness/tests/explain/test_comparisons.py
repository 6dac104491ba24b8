"""A failed comparison: the values inside containers, and what the test's variables add."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from harness.explain import comparisons
from harness.explain.variables import (
    variables_of,
)


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
