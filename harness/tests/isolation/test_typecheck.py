"""Checking signatures."""

from __future__ import annotations

import random
from typing import ClassVar

import pytest
import torch
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor

from harness.isolation.typecheck import checked


def test_checking_a_list_leaves_the_global_generator_as_it_is() -> None:
    @checked
    def longest(texts: list[str], *, others: list[str]) -> list[str]:
        return max(texts, others, key=len)

    before = random.getstate()
    assert longest(["a", "b", "c"], others=["d"]) == ["a", "b", "c"]
    assert random.getstate() == before
    with pytest.raises(Exception, match="texts"):
        longest([1, 2], others=[])  # type: ignore[list-item]


_Matrix = Float[Tensor, "seq d"]


class _Noting(type):
    """The type of classes that note which values are checked."""

    checked: ClassVar[list[object]] = []

    def __instancecheck__(cls, value: object) -> bool:
        cls.checked.append(value)
        return True


class _Number(metaclass=_Noting):
    """What every value is an instance of."""


def test_parameters_are_checked_once() -> None:
    @jaxtyped(typechecker=checked)
    def doubled(x: _Number) -> int:
        return 2 * x  # type: ignore[operator, no-any-return]  # it is an int here

    _Noting.checked.clear()  # beartype has asked about None
    assert doubled(3) == 6  # type: ignore[arg-type]  # see above
    assert _Noting.checked == [3]


def test_result_is_checked_against_the_axes_of_the_parameters() -> None:
    @jaxtyped(typechecker=checked)
    def shortened(x: _Matrix) -> _Matrix:  # type: ignore[valid-type]  # checked at run time only
        return x[1:]  # type: ignore[index, no-any-return]  # see above

    with pytest.raises(TypeCheckError, match="return value"):
        shortened(torch.zeros(3, 2))
