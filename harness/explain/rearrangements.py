"""The expected numbers in other places: swapped, shifted, reordered, reshaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from harness.explain.axis_names import AxisNames, capitalised
from harness.explain.observation import Observation
from harness.explain.pair import MOST_WORK, Pair

_MOST_SLICES = 64


@dataclass(frozen=True)
class Exchanged(Observation):
    """Two axes are swapped."""

    axes: tuple[int, int]

    def sentence(self, axes: AxisNames) -> str:
        return f"Swap {axes.both(*self.axes)} (a transpose) and it matches."


@dataclass(frozen=True)
class LaidOut(Observation):
    """The right numbers in the right order, in another shape."""

    def sentence(self, axes: AxisNames) -> str:
        return "The numbers and their order are right, but the shape differs."


@dataclass(frozen=True)
class Shifted(Observation):
    """Everything is one place too late along an axis (by = 1), or too early (-1)."""

    axis: int
    by: int

    def sentence(self, axes: AxisNames) -> str:
        when, belongs = ("late", "i - 1") if self.by > 0 else ("early", "i + 1")
        along = axes.called(self.axis)
        return f"Everything is one place too {when} along {along}: index i holds what belongs at {belongs}."


@dataclass(frozen=True)
class Reordered(Observation):
    """The slices along an axis are right, but slice order[i] is at place i."""

    axis: int
    order: tuple[int, ...]

    def sentence(self, axes: AxisNames) -> str:
        moved = [index for index, place in enumerate(self.order) if index != place]
        if len(moved) == 2:
            return f"{capitalised(axes.indices(self.axis, moved))} are swapped; everything else is right."
        things = axes.plural(self.axis) if axes.noun(self.axis) else f"slices along axis {self.axis}"
        return f"The {things} are right, but in {self._order_in_words()}."

    def _order_in_words(self) -> str:
        if self.order == tuple(reversed(range(len(self.order)))):
            return "reverse order"
        return f"the order {' '.join(map(str, self.order))}" if len(self.order) <= 8 else "a different order"


@dataclass(frozen=True)
class Regrouped(Observation):
    """A reshape where axes had to be swapped, or had to be swapped first."""

    shape: tuple[int, ...]
    axes: tuple[int, int]

    def sentence(self, axes: AxisNames) -> str:
        shape, (one, other) = ", ".join(map(str, self.shape)), self.axes
        fix = f"reshape to ({shape}), then swap axes {one} and {other}, and they match"
        return f"The numbers are right but in the wrong positions: {fix}."


@dataclass(frozen=True)
class Shuffled(Observation):
    """The same numbers, in other places."""

    def sentence(self, axes: AxisNames) -> str:
        return "The numbers are right but in the wrong positions."


def _is_fixed_by(pair: Pair, moved: Any) -> bool:
    """True if the actual values, moved, are right, and enough of them differ to know that from it."""
    if pair.actual.shape == pair.expected.shape:
        return pair.corrects(pair.expected, pair.actual, moved)
    return pair.agree(pair.expected, moved) and pair.is_evidence(pair.expected)


def exchanged(pair: Pair) -> Exchanged | None:
    """Find two axes that are swapped."""
    shape = list(pair.expected.shape)
    for one, other in combinations(range(pair.actual.dim()), 2):
        turned = pair.actual.transpose(one, other)
        fits = min(turned.shape[one], turned.shape[other]) > 1 and list(turned.shape) == shape
        if fits and _is_fixed_by(pair, turned):
            return Exchanged((one, other))
    return None


def laid_out(pair: Pair) -> LaidOut | None:
    """Find the right numbers in the right order, in another shape."""
    if pair.actual.numel() != pair.expected.numel():
        return None
    return LaidOut() if _is_fixed_by(pair, pair.actual.reshape(pair.expected.shape)) else None


def shifted(pair: Pair) -> Shifted | None:
    """Find an axis along which everything is one place too late, or too early."""
    for axis in range(pair.expected.dim()):
        size = pair.expected.shape[axis]
        if size < 3:
            continue
        head, tail = (pair.expected.narrow(axis, start, size - 1) for start in (0, 1))
        own_head, own_tail = (pair.actual.narrow(axis, start, size - 1) for start in (0, 1))
        forward = pair.corrects(head, tail, own_tail)
        backward = pair.corrects(tail, head, own_head)
        if forward != backward:
            return Shifted(axis, 1 if forward else -1)
    return None


def reordered(pair: Pair) -> Reordered | None:
    """Find an axis along which the slices are right, in another order: slice order[i] is at place i."""
    for axis in range(pair.expected.dim()):
        order = _order(pair, axis)
        if order and _is_fixed_by(pair, _put_back(pair.actual, axis, order)):
            return Reordered(axis, tuple(order))
    return None


def _put_back(values: Any, axis: int, order: Sequence[int]) -> Any:
    """Return the slices along an axis in their right places, if slice order[i] is at place i."""
    places = sorted(range(len(order)), key=lambda place: order[place])
    return values.movedim(axis, 0)[places].movedim(0, axis)


def _order(pair: Pair, axis: int) -> list[int] | None:
    size = pair.expected.shape[axis]
    if not 2 <= size <= _MOST_SLICES or size * pair.expected.numel() > MOST_WORK:
        return None
    expected = pair.expected.movedim(axis, 0).reshape(size, 1, -1)
    actual = pair.actual.movedim(axis, 0).reshape(1, size, -1)
    same = pair.tolerance.accepts(expected.expand(-1, size, -1), actual.expand(size, -1, -1)).all(-1)
    if not ((same.sum(0) == 1).all() and (same.sum(1) == 1).all()):
        return None  # slices that are missing, or alike
    order: list[int] = same.int().argmax(0).tolist()
    return order


def regrouped(pair: Pair) -> Regrouped | None:
    """Find a reshape in place of a transpose, or without the transpose before it."""
    for shape, axes in _groupings(list(pair.expected.shape)):
        turned = pair.actual.reshape(shape).transpose(*axes).reshape(pair.expected.shape)
        if _is_fixed_by(pair, turned):
            return Regrouped(tuple(shape), axes)
    return None


def _groupings(shape: list[int]) -> Iterator[tuple[list[int], tuple[int, int]]]:
    """Yield (shape to view the values in, axes to swap then), whose result has `shape` or its size."""
    for one, other in combinations(range(len(shape)), 2):
        if min(shape[one], shape[other]) > 1:
            swapped = list(shape)
            swapped[one], swapped[other] = shape[other], shape[one]
            yield swapped, (one, other)
    if len(shape) >= 2:  # the last axis in groups, which move before the second-last
        *lead, rows, columns = shape
        for groups in (number for number in range(2, min(columns, _MOST_SLICES)) if columns % number == 0):
            yield [*lead, groups, rows, columns // groups], (len(lead), len(lead) + 1)


def shuffled(pair: Pair) -> Shuffled | None:
    """Find the same numbers in other places."""
    if pair.expected.numel() > MOST_WORK:
        return None
    ordered = pair.expected.flatten().sort().values
    if pair.distinct(ordered) < 4:  # zeros and ones are hardly the same numbers
        return None
    return Shuffled() if pair.agree(ordered, pair.actual.flatten().sort().values) else None
