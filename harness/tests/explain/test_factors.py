"""A factor or a constant is found where it explains everything."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from harness.explain.factors import Factor, Negated, Offset, Scaled, SlicesOffset, SlicesScaled
from harness.explain.side_by_side import Tolerance
from harness.tests.support.tensors import SQUARE, X, changed, kinds, normal, seen


@pytest.mark.parametrize(
    ("factor", "form"),
    [
        (math.sqrt(11), "√{}"),
        (-math.sqrt(11), "√{}"),
        (1 / math.sqrt(11), "1/√{}"),
        (11.0, "{}"),
        (1 / 11, "1/{}"),
        (math.sqrt(1.1), "√({}/({} - 1))"),
        (math.sqrt(10 / 11), "√(({} - 1)/{})"),
        (3.7, ""),
    ],
)
def test_a_factor_is_explained_by_a_known_size(factor: float, form: str) -> None:
    (fact,) = seen(SQUARE, factor * SQUARE, d_k=11)
    assert fact == Scaled(Factor(pytest.approx(factor), form, 11 if form else 0, "d_k" if form else ""))


def test_a_size_that_two_things_have_names_neither() -> None:
    (fact,) = seen(SQUARE, math.sqrt(11) * SQUARE, d_k=11, heads=11)
    assert (fact.factor.size, fact.factor.name) == (11, "")


def test_a_factor_that_two_sizes_explain_is_explained_by_neither() -> None:
    (fact,) = seen(normal(5, 5), normal(5, 5) / 2, num_heads=2, d_head=4)
    assert fact.factor.form == ""


def test_the_size_of_an_axis_without_a_name_explains_a_factor_too() -> None:
    (fact,) = seen(X, math.sqrt(7) * X)
    assert (fact.factor.size, fact.factor.name) == (7, "")


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (torch.ones(3, 3), 2 * torch.ones(3, 3)),
        (torch.ones(2, 2), torch.zeros(2, 2)),
        (torch.tensor([1.0, 1.0]), torch.tensor([3.0, 3.0])),
        (torch.tensor(2.0), torch.tensor(4.0)),
        (torch.tensor([2.0]), torch.tensor([4.0])),
    ],
)
def test_a_relation_of_any_two_constants_is_not_observed(expected: Tensor, actual: Tensor) -> None:
    assert not {Scaled, Offset, Negated} & set(kinds(expected, actual))


def test_within_a_wide_tolerance_a_factor_has_to_be_clear() -> None:
    expected = torch.full((4,), 0.58)
    assert Scaled not in kinds(expected, torch.tensor([0.64, 0.60, 0.59, 0.61]), Tolerance(0.0, 0.045))


def test_infinities_that_agree_do_not_hide_a_factor_nor_does_rounding() -> None:
    expected = X.float().masked_fill(X > 1, -math.inf)
    (fact,) = seen(expected / 0.5, expected * 0.5, Tolerance(0.0, 0.0))
    assert isinstance(fact, Scaled)
    assert fact.factor.value == 0.25


def test_a_factor_that_one_entry_does_not_follow_is_not_observed() -> None:
    assert Scaled not in kinds(X, changed(2 * X, 0, 0, 0, 0, by=1e-9))


def test_one_number_among_zeros_has_no_factor() -> None:
    assert Scaled not in kinds(torch.tensor([0.0, 0.02]), torch.tensor([0.0, 0.03]))


def test_slices_with_their_own_factor_or_constant_are_observed_by_axis() -> None:
    rows = 2 + normal(2, 5, 3, 1, seed=1).abs()
    assert SlicesScaled(axis=3) in seen(X, X * rows)
    assert SlicesOffset(axis=3) in seen(X, X + rows)
