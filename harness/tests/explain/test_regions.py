"""Where two tensors differ is found along every axis."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from harness.explain import regions
from harness.explain.observations import (
    observe,
)
from harness.explain.regions import Diagonal, NotFinite, NotSpecial, Part, Where, WronglySpecial
from harness.tests.support.tensors import CLOSE, SQUARE, WEIGHTS, X, kinds, normal, seen


def where(parts: Sequence[Part]) -> list[tuple[int, list[int]]]:
    return [(part.axis, list(part.which)) for part in parts]


def found_in(differs: Tensor) -> tuple[Part, ...]:
    found = regions.where(differs)
    return found.parts if found else ()


def test_the_indices_that_differ_are_found_along_every_axis() -> None:
    noisy = X.clone()
    noisy[1, 2:4] += normal(2, 3, 7, seed=1)
    (fact,) = seen(X, noisy)
    assert where(fact.parts) == [(0, [1]), (1, [2, 3])]


def test_with_infinities_the_other_observations_still_hold_for_all_entries() -> None:
    expected = torch.tensor([1.0, -math.inf, 2.0, -math.inf, 4.0])
    actual = torch.tensor([1.0, 5.0, math.inf, -math.inf, 4.0])
    facts = seen(expected, actual)
    assert [type(fact) for fact in facts] == [NotFinite, NotSpecial, Where]
    assert (facts[0].what, facts[1].only, where(facts[2].parts)) == ("inf", False, [(0, [1, 2])])


@pytest.mark.parametrize(
    ("shape", "names", "claimed"),
    [
        ((5, 5), ("", ""), True),
        ((3, 5), ("queries", "keys"), True),
        ((3, 5), ("", ""), False),
        ((5, 5), ("batch", "seq"), False),
    ],
)
def test_a_diagonal_is_one_of_positions_that_read_positions(
    shape: tuple[int, int], names: tuple[str, str], claimed: bool
) -> None:
    noise = normal(*shape, seed=1).triu(1 + shape[1] - shape[0])
    facts = observe(normal(*shape), normal(*shape) + noise, CLOSE, names)
    assert (Diagonal in [type(fact) for fact in facts]) is claimed


def test_many_scattered_indices_are_named_by_the_few_others() -> None:
    expected, wrong = normal(30, 6), torch.ones(30, 6, dtype=torch.bool)
    wrong[[3, 17]] = False
    assert where(found_in(wrong)) == [(0, [*range(3), *range(4, 17), *range(18, 30)])]
    wrong[:, :2] = False
    assert where(found_in(wrong)) == [(1, [2, 3, 4, 5])]
    broken = seen(expected, expected.masked_fill(wrong, math.nan))[0]
    assert where(broken.parts) == [(1, [2, 3, 4, 5])]


def test_a_long_axis_takes_no_time() -> None:
    wrong = torch.ones(2**16, dtype=torch.bool)
    wrong[-3:] = False
    began = time.perf_counter()
    assert where(found_in(wrong)) == [(0, [*range(2**16 - 3)])]
    assert time.perf_counter() - began < 2, "the time grows with the square of the length"


def test_one_side_of_the_diagonal_is_all_that_is_observed() -> None:
    noisy = SQUARE + normal(2, 5, 5, seed=1).triu(1)
    assert seen(SQUARE, noisy) == [Diagonal(side="above")]


def test_entries_that_should_be_zero_are_counted() -> None:
    masked = X.clone()
    masked[..., 3:] = 0
    (first, *_) = seen(masked, masked + (masked == 0) * normal(2, 5, 3, 7, seed=1))
    assert first == NotSpecial(value="0", wrong=120, of=120, only=True)


def test_zeros_are_not_mentioned_if_other_entries_are_wrong_too_unless_they_are_masked() -> None:
    rounded = X.round()
    assert NotSpecial not in kinds(rounded, rounded + normal(2, 5, 3, 7, seed=1))
    masked = (3 * normal(2, 5, 7)).masked_fill(torch.arange(7) > 4, -math.inf).softmax(-1)
    assert NotSpecial in kinds(masked, WEIGHTS)


def test_entries_that_should_not_be_zero_are_counted() -> None:
    spoilt = X.clone()
    spoilt[0, 0, 0, :2] = spoilt[1, 4, 2, 5] = 0
    assert seen(X, spoilt)[0] == WronglySpecial(value="0", count=3)


def test_minus_infinity_that_is_finite_is_counted() -> None:
    expected = X.masked_fill(X < 0, -math.inf)
    (first, *_) = seen(expected, X)
    assert isinstance(first, NotSpecial)
    assert (first.value, first.only) == ("-inf", True)


@pytest.mark.parametrize(("bad", "what"), [(math.nan, "NaN"), (math.inf, "inf"), (-math.inf, "-inf")])
def test_values_that_are_not_finite_come_first_with_their_place(bad: float, what: str) -> None:
    first, *_ = seen(X, X.masked_fill(torch.arange(210).reshape(X.shape) % 100 == 37, bad))
    assert isinstance(first, NotFinite)
    assert (first.what, first.count, first.first) == (what, 2, (0, 1, 2, 2))


def test_expected_nan_is_not_mentioned() -> None:
    expected = X.masked_fill(X > 1, math.nan)
    assert NotFinite not in kinds(expected, expected + 1)
