"""What is said of two tensors is true of every entry, and what is true of any two is not said."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from harness.explain import regions
from harness.explain.attention import Sharpened, Sums
from harness.explain.attention_map import AttentionMap, attention_map
from harness.explain.factors import Factor, Negated, Offset, Scaled, SlicesOffset, SlicesScaled
from harness.explain.observation import Observation
from harness.explain.observations import (
    MOST,
    Alike,
    AxisOfOne,
    Constant,
    LostAxis,
    OnlyDtype,
    ShapeOrder,
    ThroughFloat32,
    observe,
)
from harness.explain.rearrangements import Exchanged, LaidOut, Regrouped, Reordered, Shifted, Shuffled
from harness.explain.regions import Diagonal, NotFinite, NotSpecial, Part, Where, WronglySpecial
from harness.explain.side_by_side import Tolerance

CLOSE = Tolerance(rtol=0.0, atol=1e-12)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seen(expected: Tensor, actual: Tensor, tolerance: Tolerance = CLOSE, **sizes: int) -> list[Any]:
    return observe(expected, actual, tolerance, (), sizes)


def kinds(expected: Tensor, actual: Tensor, tolerance: Tolerance = CLOSE) -> list[type[Observation]]:
    return [type(each) for each in seen(expected, actual, tolerance)]


X = normal(2, 5, 3, 7)
SQUARE = normal(2, 5, 5)
WEIGHTS = (3 * normal(2, 5, 7)).softmax(-1)


def changed(tensor: Tensor, *index: Any, by: float = 1.0) -> Tensor:
    copy = tensor.clone()
    copy[index] += by
    return copy


# --- one relation that explains everything ---------------------------------------------------------


@pytest.mark.parametrize(
    ("actual", "fact"),
    [
        (SQUARE.transpose(1, 2), Exchanged(axes=(1, 2))),
        (-SQUARE, Negated()),
        (SQUARE + 0.25, Offset(by=0.25)),
        (SQUARE.roll(1, 1), Shifted(axis=1, by=1)),
        (SQUARE.roll(-1, 2), Shifted(axis=2, by=-1)),
        (SQUARE.flip(1), Reordered(axis=1, order=(4, 3, 2, 1, 0))),
        (SQUARE[:, :, [0, 3, 2, 1, 4]], Reordered(axis=2, order=(0, 3, 2, 1, 4))),
        (SQUARE[[1, 0]], Reordered(axis=0, order=(1, 0))),
        (SQUARE.flatten()[torch.randperm(50)].reshape(2, 5, 5), Shuffled()),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Observation) else "",
)
def test_one_relation_explains_everything(actual: Tensor, fact: Observation) -> None:
    (only,) = seen(SQUARE, actual)
    assert only == (Offset(pytest.approx(0.25)) if isinstance(fact, Offset) else fact)


def test_what_left_its_place_at_one_end_does_not_hide_a_shift() -> None:
    actual = SQUARE.roll(1, 1)
    actual[:, 0] = 0
    assert seen(SQUARE, actual) == [Shifted(axis=1, by=1)]


def test_a_reshape_in_place_of_a_transpose_is_told_by_the_shape_to_see_it_in() -> None:
    heads = X.transpose(1, 2)  # (2, 3, 5, 7)
    fact = Regrouped(shape=(2, 5, 3, 7), axes=(1, 2))
    assert seen(heads, X.reshape(2, 3, 5, 7)) == [fact]


def test_features_that_were_joined_in_another_order_are_told_by_their_groups() -> None:
    heads = X.transpose(1, 2)
    fact = Regrouped(shape=(2, 3, 5, 7), axes=(1, 2))
    assert seen(X.flatten(2), heads.reshape(2, 5, 21)) == [fact]


@pytest.mark.parametrize(
    ("factor", "form"),
    [
        (math.sqrt(11), "√{}"),
        (-math.sqrt(11), "√{}"),
        (1 / math.sqrt(11), "1/√{}"),
        (11.0, "{}"),
        (1 / 11, "1/{}"),
        (1.1, "{}/({} - 1)"),
        (math.sqrt(10 / 11), "√(({} - 1)/{})"),
        (3.0, ""),
    ],
)
def test_a_factor_is_named_by_a_size_at_hand(factor: float, form: str) -> None:
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


def test_weights_of_scores_that_were_not_scaled_are_known_by_their_logarithms() -> None:
    scores = normal(2, 5, 7)
    (fact,) = seen(scores.softmax(-1), (scores * math.sqrt(11)).softmax(-1), d_k=11)
    assert isinstance(fact, Sharpened)
    assert (fact.factor.form, fact.factor.name) == ("√{}", "d_k")


def test_weights_of_other_scores_are_not() -> None:
    assert Sharpened not in kinds(WEIGHTS, (3 * normal(2, 5, 7, seed=1)).softmax(-1))


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
def test_what_fits_any_two_constants_is_not_said(expected: Tensor, actual: Tensor) -> None:
    assert not {Scaled, Offset, Negated} & set(kinds(expected, actual))


def test_within_a_wide_tolerance_a_factor_has_to_be_clear() -> None:
    expected = torch.full((4,), 0.58)
    assert Scaled not in kinds(expected, torch.tensor([0.64, 0.60, 0.59, 0.61]), Tolerance(0.0, 0.045))


def test_infinities_that_agree_do_not_hide_a_factor_nor_does_rounding() -> None:
    expected = X.float().masked_fill(X > 1, -math.inf)
    (fact,) = seen(expected / 0.5, expected * 0.5, Tolerance(0.0, 0.0))
    assert isinstance(fact, Scaled)
    assert fact.factor.value == 0.25


def test_a_factor_that_one_entry_does_not_follow_is_not_said() -> None:
    assert Scaled not in kinds(X, changed(2 * X, 0, 0, 0, 0, by=1e-9))


def test_integers_are_compared_exactly() -> None:
    ids = torch.arange(20).reshape(4, 5) ** 2
    assert seen(ids, ids.roll(-1, 1)) == [Shifted(axis=1, by=-1)]
    assert kinds(ids, changed(ids.roll(-1, 1), 0, 0, by=1)) != [Shifted]


def test_a_dtype_that_alone_is_wrong_is_all_that_is_said() -> None:
    assert kinds(SQUARE.float(), SQUARE.float().double()) == [OnlyDtype]


def test_a_detour_through_float32_is_seen() -> None:
    assert kinds(SQUARE, SQUARE.float().double()) == [ThroughFloat32]
    assert kinds(SQUARE, changed(SQUARE.float().double(), 0, 0, 0, by=1e-9)) != [ThroughFloat32]


# --- shapes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actual", "fact"),
    [
        (X.transpose(-1, -2), Exchanged(axes=(2, 3))),
        (X.transpose(-1, -2) + 1, ShapeOrder(order=(0, 1, 3, 2))),
        (X.flatten(2), LaidOut()),
        (X[..., None], AxisOfOne(more=True, right=True)),
        (X[..., None] + 1, AxisOfOne(more=True, right=False)),
        (X.sum(1), LostAxis(axis=1)),
    ],
    ids=["exchanged", "sizes exchanged", "joined", "one more", "one more, other values", "lost"],
)
def test_shapes_that_differ_are_told_by_what_they_share(actual: Tensor, fact: Observation) -> None:
    assert seen(X, actual) == [fact]


# --- what is true of parts -------------------------------------------------------------------------


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


def test_a_few_numbers_that_sum_to_one_by_chance_are_no_weights() -> None:
    assert kinds(torch.tensor([[1.0, 0.0]] * 3), torch.tensor([[0.0, 0.2]] * 3)) == []
    assert Sums not in kinds(torch.tensor([0.5, 0.25, 0.25]), torch.tensor([0.5, 0.5, 0.5]))


def test_one_number_beside_nothing_has_no_factor() -> None:
    assert Scaled not in kinds(torch.tensor([0.0, 0.02]), torch.tensor([0.0, 0.03]))


def test_where_something_is_not_finite_what_is_said_of_the_rest_holds_of_all() -> None:
    expected = torch.tensor([1.0, -math.inf, 2.0, 3.0, 4.0])
    actual = torch.tensor([1.0, 5.0, -math.inf, 3.0, 4.0])
    facts = seen(expected, actual)
    assert [type(fact) for fact in facts] == [NotFinite, NotSpecial, Where]
    assert (facts[1].only, where(facts[2].parts)) == (False, [(0, [1, 2])])


@pytest.mark.parametrize(
    ("shape", "names", "told"),
    [
        ((5, 5), ("", ""), True),
        ((3, 5), ("queries", "keys"), True),
        ((3, 5), ("", ""), False),
        ((5, 5), ("batch", "seq"), False),
    ],
)
def test_a_diagonal_is_one_of_positions_that_read_positions(
    shape: tuple[int, int], names: tuple[str, str], told: bool
) -> None:
    noise = normal(*shape, seed=1).triu(1 + shape[1] - shape[0])
    facts = observe(normal(*shape), normal(*shape) + noise, CLOSE, names)
    assert (Diagonal in [type(fact) for fact in facts]) is told


def test_many_scattered_indices_are_told_by_the_few_others_if_by_any() -> None:
    expected, wrong = normal(30, 6), torch.ones(30, 6, dtype=torch.bool)
    wrong[[3, 17]] = False
    assert where(found_in(wrong)) == [(0, [*range(3), *range(4, 17), *range(18, 30)])]
    wrong[:, :2] = False
    assert where(found_in(wrong)) == [(1, [2, 3, 4, 5])]
    broken = seen(expected, expected.masked_fill(wrong, math.nan))[0]
    assert where(broken.parts) == [(1, [2, 3, 4, 5])]


def test_a_long_axis_is_looked_at_in_a_moment() -> None:
    wrong = torch.ones(2**16, dtype=torch.bool)
    wrong[-3:] = False
    began = time.perf_counter()
    assert where(found_in(wrong)) == [(0, [*range(2**16 - 3)])]
    assert time.perf_counter() - began < 2, "the time grows with the square of the length"


def test_where_only_one_side_of_the_diagonal_differs_no_more_is_said() -> None:
    noisy = SQUARE + normal(2, 5, 5, seed=1).triu(1)
    assert seen(SQUARE, noisy) == [Diagonal(side="above")]


def test_zeros_that_are_none_are_counted() -> None:
    masked = X.clone()
    masked[..., 3:] = 0
    (first, *_) = seen(masked, masked + (masked == 0) * normal(2, 5, 3, 7, seed=1))
    assert first == NotSpecial(value="0", wrong=120, of=120, only=True)


def test_zeros_are_not_told_where_all_kinds_of_entries_are_wrong_unless_they_are_masked() -> None:
    rounded = X.round()
    assert NotSpecial not in kinds(rounded, rounded + normal(2, 5, 3, 7, seed=1))
    masked = (3 * normal(2, 5, 7)).masked_fill(torch.arange(7) > 4, -math.inf).softmax(-1)
    assert NotSpecial in kinds(masked, WEIGHTS)


def test_zeros_where_none_belong_are_counted() -> None:
    spoilt = X.clone()
    spoilt[0, 0, 0, :2] = spoilt[1, 4, 2, 5] = 0
    assert seen(X, spoilt)[0] == WronglySpecial(value="0", count=3)


def test_minus_infinity_that_is_finite_is_counted() -> None:
    expected = X.masked_fill(X < 0, -math.inf)
    (first, *_) = seen(expected, X)
    assert isinstance(first, NotSpecial)
    assert (first.value, first.only) == ("-inf", True)


@pytest.mark.parametrize(
    ("bad", "what"), [(math.nan, "NaN"), (math.inf, "infinite"), (-math.inf, "infinite")]
)
def test_what_is_not_finite_comes_first_with_its_place(bad: float, what: str) -> None:
    first, *_ = seen(X, X.masked_fill(torch.arange(210).reshape(X.shape) % 100 == 37, bad))
    assert isinstance(first, NotFinite)
    assert (first.what, first.count, first.first) == (what, 2, (0, 1, 2, 2))


def test_nan_that_is_expected_is_not_told() -> None:
    expected = X.masked_fill(X > 1, math.nan)
    assert NotFinite not in kinds(expected, expected + 1)


def test_sums_along_the_wrong_axis_are_told_with_it() -> None:
    (fact, *_) = seen(WEIGHTS, normal(2, 5, 7, seed=3).softmax(-2))
    assert isinstance(fact, Sums)
    assert (fact.axis, fact.along) == (2, 1)


def test_sums_that_are_not_one_are_told_with_their_range() -> None:
    (fact, *_) = seen(WEIGHTS, WEIGHTS * torch.linspace(0.5, 1, 5)[:, None])
    assert (fact.along, fact.low, fact.high) == (None, pytest.approx(0.5), pytest.approx(1.0))


def test_rows_with_a_factor_or_a_constant_of_their_own_are_told_by_the_axis() -> None:
    rows = 2 + normal(2, 5, 3, 1, seed=1).abs()
    assert SlicesScaled(axis=3) in seen(X, X * rows)
    assert SlicesOffset(axis=3) in seen(X, X + rows)


@pytest.mark.parametrize(
    ("actual", "fact"),
    [
        (torch.zeros_like(X), Constant(value=0.0)),
        (X[:, :1].expand_as(X), Alike(axis=1)),
    ],
)
def test_values_that_do_not_vary_are_told(actual: Tensor, fact: Observation) -> None:
    assert seen(X, actual) == [fact]


# --- bounds ----------------------------------------------------------------------------------------


def test_no_more_than_three_are_told() -> None:
    broken = (WEIGHTS * 0.9).masked_fill(WEIGHTS > 0.5, math.nan)
    broken[0, 0] = 0
    assert len(seen(WEIGHTS, broken)) <= MOST


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (torch.zeros(2, device="meta"), torch.zeros(2)),
        (torch.zeros(0), torch.zeros(0, 3)),
        (torch.zeros(2**21), torch.ones(2**21)),
        (torch.tensor([2**62, 1]), torch.tensor([2**62 + 1, 1])),
        (torch.tensor([1j]), torch.tensor([2j])),
    ],
    ids=["no numbers", "empty", "large", "integers that no double holds", "complex"],
)
def test_of_what_cannot_be_looked_at_nothing_is_said(expected: Tensor, actual: Tensor) -> None:
    assert seen(expected, actual) == []


_ENTRIES = st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, 1e-13, math.nan, math.inf, -math.inf])
_HOLDS: dict[type[Observation], Callable[[Tensor, Tensor, Any], bool]] = {
    Negated: lambda e, a, _: near(e, -a),
    Scaled: lambda e, a, f: near(e, a / f.factor.value),
    Offset: lambda e, a, f: near(e, a - f.by),
    Exchanged: lambda e, a, f: near(e, a.transpose(*f.axes)),
    Reordered: lambda e, a, f: near(e.index_select(f.axis, torch.tensor(f.order)), a),
    "constant": lambda e, a, f: bool((a == f.value).all()),
    "alike": lambda e, a, f: bool((a == a.narrow(f.axis, 0, 1)).all()),
    Shuffled: lambda e, a, _: near(e.flatten().sort().values, a.flatten().sort().values),
}


def near(expected: Tensor, actual: Tensor) -> bool:
    return torch.allclose(actual, expected, rtol=1e-9, atol=1e-9, equal_nan=True)


@settings(deadline=None, max_examples=300)
@given(st.data(), st.lists(st.integers(1, 4), max_size=3))
def test_whatever_is_said_holds(data: st.DataObject, shape: list[int]) -> None:
    size = math.prod(shape)
    values = st.lists(_ENTRIES, min_size=size, max_size=size)
    expected, actual = (torch.tensor(data.draw(values), dtype=torch.float64).reshape(shape) for _ in "ab")
    for fact in seen(expected, actual):
        assert _HOLDS.get(type(fact), lambda *_: True)(expected, actual, fact), fact


# --- the map of attention --------------------------------------------------------------------------


def mapped(expected: Tensor, actual: Tensor) -> AttentionMap | None:
    from harness.explain.observations import comparable

    pair = comparable(expected, actual, CLOSE)
    assert pair is not None
    return attention_map(pair)


def test_the_map_shows_the_first_matrix_that_differs() -> None:
    heat = mapped(WEIGHTS, torch.cat([WEIGHTS[:1], WEIGHTS[1:].flip(-1)]))
    assert heat is not None
    assert heat.index == (1,)
    assert heat.actual == tuple(row[::-1] for row in heat.expected)


def test_a_large_matrix_is_shown_around_what_differs() -> None:
    large = normal(40, 50).softmax(-1)
    heat = mapped(large, changed(large, 30, 45, by=0.5))
    assert heat is not None
    assert (heat.top, heat.left) == (29, 34)
    assert (len(heat.actual), len(heat.actual[0])) == (8, 16)
    assert heat.marks[1][11] == "*"


def test_without_a_difference_to_be_seen_there_is_no_map() -> None:
    assert mapped(WEIGHTS, changed(WEIGHTS, 0, 0, 0, by=1e-9)) is None


def test_what_is_no_share_has_a_sign_of_its_own() -> None:
    expected = torch.eye(6)
    actual = torch.tensor([math.nan, 0.0, 1e-9, -0.1, 1.2, 0.95]).expand(6, 6)
    heat = mapped(expected, actual)
    assert heat is not None
    assert heat.actual[0] == "?.0-+9"
