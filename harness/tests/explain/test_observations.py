"""Observations hold for every entry, and what holds for any two tensors is not one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from harness.explain.attention import Sharpened, Sums
from harness.explain.factors import Negated, Offset, Scaled, SlicesOffset, SlicesScaled
from harness.explain.observation import Observation
from harness.explain.observations import (
    MOST,
    Alike,
    AxisOfOne,
    Constant,
    LostAxis,
    OnlyDtype,
    Opposite,
    RightUntil,
    Rounding,
    ShapeOrder,
    ThroughFloat32,
)
from harness.explain.rearrangements import Exchanged, LaidOut, Regrouped, Reordered, Shifted, Shuffled
from harness.explain.regions import Diagonal, NotFinite, NotSpecial, Where, WronglySpecial
from harness.explain.side_by_side import Tolerance
from harness.explain.variables import GradientOf, Ignores, NamedTensor, NoGradient, Reads, ReadsOtherRow
from harness.tests.support.tensors import SQUARE, WEIGHTS, X, changed, kinds, seen


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


def test_a_dtype_that_alone_is_wrong_is_all_that_is_said() -> None:
    assert kinds(SQUARE.float(), SQUARE.float().double()) == [OnlyDtype]


def test_a_detour_through_float32_is_seen() -> None:
    assert kinds(SQUARE, SQUARE.float().double()) == [ThroughFloat32]
    assert kinds(SQUARE, changed(SQUARE.float().double(), 0, 0, 0, by=1e-9)) != [ThroughFloat32]


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


@pytest.mark.parametrize(
    ("actual", "fact"),
    [
        (torch.zeros_like(X), Constant(value=0.0)),
        (X[:, :1].expand_as(X), Alike(axis=1)),
    ],
)
def test_values_that_do_not_vary_are_told(actual: Tensor, fact: Observation) -> None:
    assert seen(X, actual) == [fact]


_ENTRIES = st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, 1e-13, math.nan, math.inf, -math.inf])
INF = math.inf
BLOCKS = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
MASK = torch.ones(4, 4).tril()
# For each kind two values, expected and actual, of which it must not be said: the evidence could not have
# refuted it, as values repeat, or are too few, or are expected.
NOT_SAID: dict[type[Observation], list[tuple[Any, Any]]] = {
    Shifted: [([3.0, -INF, -INF], [3, 3, -INF]), ([0.0, 1, 2], [9, 0, 1]), ([5.0, 5, 5, 1], [5, 5, 5, 5])],
    Exchanged: [(BLOCKS.flip(1) * 2, [[0.0, 1], [3, 0]]), ([[1.0, 2], [2, 1]], [[1, 2], [2, 2]])],
    Reordered: [([0.0, 1], [1, 0]), ([[1.0, 1], [0, 0]], [[0, 0], [1, 1]])],
    Regrouped: [(BLOCKS.flatten(), [1.0, 0, 1, 0]), ([0.0, 0, 0, 0, 1, 1], [0, 0, 1, 0, 0, 1])],
    Shuffled: [([0.0, 1, 1, 2], [1.0, 0, 2, 1])],
    LaidOut: [(torch.zeros(2, 3), torch.zeros(6))],
    Negated: [([0.0, 1], [0, -1]), ([2.0, 0, 2], [-2, 0, -2])],
    Scaled: [([2.0, 40], [4 / 3, 80 / 3]), ([0.0, 1, 0, 1], [0, 0.5, 0, 0.5]), ([7.0, 7, 7], [2, 2, 2])],
    Offset: [([0.0, 1], [1, 2]), ([1.0, 0, 0, 1], [2, 1, 1, 2])],
    SlicesScaled: [
        ([[1.0, 2, 3], [4, 5, 6]], [[2, 4, 6], [4, 5, 6]]),
        ([[1.0, 0, 0], [2, 0, 0]], [[3, 0, 0], [4, 0, 0]]),
    ],
    SlicesOffset: [([[1.0, 2, 3], [4, 5, 6]], [[2, 3, 4], [4, 5, 6]])],
    Sharpened: [([[0.5, 0.5, 0], [0.25, 0.75, 0]], [[0.5, 0.5, 0], [0.1, 0.9, 0]])],
    Sums: [
        ([[0.5, 0.25, 0.25]] * 2, [[1.5, -0.25, -0.25]] * 2),  # they do sum to one
        ([[0.5, 0.25, 0.25], [0, 0, 0]], [[0.5, 0.25, 0.25], [0.5, 0, 0]]),
        ([0.5, 0.25, 0.25], [1, 1, 1]),
    ],
    OnlyDtype: [(torch.tensor([1, 2]), torch.tensor([1.0, 2.5]))],
    ThroughFloat32: [([0.5, 2, 0.1], [0.5, 2, 0.25]), ([0.1, 0.1, 0.1], [0.5, 0.5, 0.5])],
    Rounding: [
        ([1.0, 2], [1.0, 2.00001]),
        ([0.0, 1], [1e-9, 1]),  # exactly 0 is expected
        (torch.tensor([10**7, 1]), torch.tensor([10**7 + 1, 1])),
        ([INF, 1], [-INF, 1 + 1e-9]),
    ],
    Opposite: [(MASK, MASK.T), (MASK, 2 * (1 - MASK)), ([0.0, 1], [1, 0]), (1 - MASK, torch.ones(4, 4))],
    Constant: [([1.0, 1, 1], [2, 2, 2]), ([1.0, 2], [3, 3])],
    Alike: [([[1.0, 0], [0, 1]], [[1, 0], [1, 0]]), ([[1.0, 2, 3]] * 2, [[3, 2, 1]] * 2)],
    AxisOfOne: [(torch.ones(2, 3), torch.ones(2, 2, 3))],
    ShapeOrder: [(torch.ones(2, 3, 3), torch.ones(3, 3, 2))],
    LostAxis: [(torch.ones(2, 2, 3), torch.ones(2, 3))],
    NotFinite: [([3.0, -INF, 1], [3, -INF, -INF]), ([math.nan, 1], [math.nan, math.nan])],
    NotSpecial: [([0.0, 1, 2], [1, 1, 2]), ([0.0, 0, 2], [0, 0, 3])],
    WronglySpecial: [([1.0, 1, 2], [1, 0, 2]), ([1.0, 1, 2], [0, 0, 3])],
    Diagonal: [(torch.ones(3, 3), torch.ones(3, 3) + torch.ones(3, 3).triu(2))],
    Where: [([[1.0, 2], [3, 4]], [[1 + 1e-9, 2], [3, 4]]), ([1.0, 2], [2, 5])],
}
TOLD_ELSEWHERE = {Reads, ReadsOtherRow, Ignores, NoGradient, GradientOf, NamedTensor, RightUntil}


def as_tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)


@pytest.mark.parametrize(
    ("kind", "expected", "actual"),
    [
        pytest.param(kind, *pair, id=f"{kind.__name__} {number}")
        for kind, pairs in NOT_SAID.items()
        for number, pair in enumerate(pairs)
    ],
)
def test_nothing_is_claimed_on_evidence_that_could_not_refute_it(
    kind: type[Observation], expected: Any, actual: Any
) -> None:
    assert kind not in kinds(as_tensor(expected), as_tensor(actual))


def test_every_kind_of_observation_has_a_case_that_it_must_not_claim() -> None:
    assert NOT_SAID.keys() | TOLD_ELSEWHERE == set(Observation.__subclasses__())


PATTERNS = {Shifted, Exchanged, Reordered, Regrouped, Shuffled, LaidOut, Negated, Scaled, Offset}
PATTERNS |= {SlicesScaled, SlicesOffset, Sharpened, Alike}


@settings(deadline=None, max_examples=300)
@given(
    st.data(), st.lists(st.integers(1, 3), min_size=1, max_size=3).filter(lambda shape: math.prod(shape) < 8)
)
def test_no_pattern_is_claimed_of_two_different_numbers(data: st.DataObject, shape: list[int]) -> None:
    two = data.draw(st.lists(_ENTRIES, min_size=2, max_size=2))
    size = math.prod(shape)
    values = st.lists(st.sampled_from(two), min_size=size, max_size=size)
    expected = torch.tensor(data.draw(values), dtype=torch.float64).reshape(shape)
    own = st.lists(_ENTRIES, min_size=size, max_size=size)
    actual = torch.tensor(data.draw(own), dtype=torch.float64).reshape(shape)
    assert not PATTERNS & set(kinds(expected, actual))


def test_a_mask_that_is_exactly_the_opposite_is_said_so() -> None:
    assert seen(MASK.bool(), ~MASK.bool()) == [Opposite("False", "True")]
    assert seen(MASK.log(), (1 - MASK).log()) == [Opposite("-inf", "0")]


@pytest.mark.parametrize(
    ("actual", "fact"),
    [
        (SQUARE * (1 + 3e-8), Rounding(7)),
        (SQUARE + 3e-11 * SQUARE.abs().max(), Rounding(10)),
    ],
    ids=["float32", "few digits"],
)
def test_differences_of_rounding_are_called_that_and_get_no_region(actual: Tensor, fact: Observation) -> None:
    assert seen(SQUARE, actual) == [fact]


def test_a_float32_result_that_is_off_by_rounding_is_told_so() -> None:
    single = SQUARE.float()
    assert seen(single, single + 1e-7 * single.abs().max(), Tolerance(0, 0)) == [Rounding(6, single=True)]


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
