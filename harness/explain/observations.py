"""What is true of expected and actual values when a test fails.

An observation was checked on all entries, within the assertion's tolerance. Nothing is guessed: if nothing of
note is true, there is none. What holds for any two tensors (a factor between constants, say) is not one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.explain import attention, regions
from harness.explain.axis_names import AxisNames
from harness.explain.factors import along_one_axis, negated, offset, scaled
from harness.explain.observation import Observation, short
from harness.explain.pair import Pair
from harness.explain.rearrangements import exchanged, laid_out, regrouped, reordered, shifted, shuffled
from harness.explain.side_by_side import Tolerance

MOST = 3  # observations that are shown
_MOST_ENTRIES = 2**18  # a larger tensor is not examined: that would take seconds
_EXACT_INTEGERS = 2**53  # beyond, a double does not hold every integer
_MOST_SEARCHED = 2**15  # entries of a tensor that is searched for other orders
_DIGITS_OF_FLOAT32 = 9  # more than it has: a step in float32 is not seen in every digit of the result
_OF_FLOAT32 = 1e-6  # relative: some ten steps of float32's rounding
_FEW = 4  # entries of a mask


@dataclass(frozen=True)
class AxisOfOne(Observation):
    """An axis of size 1 is missing, or superfluous."""

    more: bool
    right: bool  # True if the values are

    def sentence(self, axes: AxisNames) -> str:
        what = "has an extra axis of size 1" if self.more else "lacks an axis of size 1"
        return f"The result {what}{'; its values are right' if self.right else ''}."


@dataclass(frozen=True)
class ShapeOrder(Observation):
    """The sizes are right, but size order[i] is at place i."""

    order: tuple[int, ...]

    def sentence(self, axes: AxisNames) -> str:
        swapped = [axis for axis, place in enumerate(self.order) if axis != place]
        if len(swapped) == 2:
            return f"The sizes of {axes.both(*swapped)} are swapped."
        return "The sizes are right, but in a different order."


@dataclass(frozen=True)
class LostAxis(Observation):
    """An axis is missing."""

    axis: int

    def sentence(self, axes: AxisNames) -> str:
        return f"The result lacks an axis: {axes.called(self.axis)}, of size {axes.shape[self.axis]}."


@dataclass(frozen=True)
class OnlyDtype(Observation):
    """The values are right."""

    def sentence(self, axes: AxisNames) -> str:
        return "The values are right; only the dtype differs."


@dataclass(frozen=True)
class ThroughFloat32(Observation):
    """Numbers in float64 that were computed in float32."""

    def sentence(self, axes: AxisNames) -> str:
        return "Every value is a float32 number, although the tensor is float64."


@dataclass(frozen=True)
class Rounding(Observation):
    """All differences are of the size of float32's rounding, or smaller."""

    digits: int  # to which the values agree
    single: bool = False  # True if they are float32

    def sentence(self, axes: AxisNames) -> str:
        agree = f"The values agree to {self.digits} digits"
        if self.single:
            return f"{agree}: the differences are of the size of float32's rounding."
        if self.digits > _DIGITS_OF_FLOAT32:
            return f"{agree}. Is a constant cut short?"
        size = "the differences are of the size of float32's rounding"
        return f"{agree}: {size}. Is a step computed in float32, or a constant cut short?"


@dataclass(frozen=True)
class RightUntil(Observation):
    """The first numbers of a list are right."""

    index: int  # of the first wrong one: what follows may be derived from it

    def sentence(self, axes: AxisNames) -> str:
        right = "Index 0 is right" if self.index == 1 else f"Indices 0 to {self.index - 1} are right"
        return f"{right}; the first difference is at index {self.index}."


@dataclass(frozen=True)
class Opposite(Observation):
    """Two values only, as in a mask, each in the place of the other."""

    one: str
    other: str

    def sentence(self, axes: AxisNames) -> str:
        both = f"{self.one} where {self.other} is expected, and {self.other} where {self.one} is"
        return f"It is exactly the opposite: {both}."


@dataclass(frozen=True)
class Constant(Observation):
    """All values are equal."""

    value: float

    def sentence(self, axes: AxisNames) -> str:
        return f"Every value is {short(self.value)}."


@dataclass(frozen=True)
class Alike(Observation):
    """All values along an axis are equal."""

    axis: int

    def sentence(self, axes: AxisNames) -> str:
        noun = axes.noun(self.axis)
        where = f"for all {axes.plural(self.axis)}" if noun else f"at every index of axis {self.axis}"
        return f"The result is the same {where}; it should not be."


def observe(
    expected: Any,
    actual: Any,
    tolerance: Tolerance,
    names: Sequence[str] = (),
    sizes: Mapping[str, int] | None = None,
) -> list[Observation]:
    """Return what is true of two tensors that should agree, the most telling first.

    `names`: the signature's, for the axes of `actual`; `sizes` may explain a factor.
    """
    pair = comparable(expected, actual, tolerance)
    if pair is None:
        return []
    of_axes = {f" {axis}": size for axis, size in enumerate(expected.shape)}
    known = {name: size for name, size in {**(sizes or {}), **of_axes}.items() if size > 1}
    if expected.shape != actual.shape:
        return list(_of_shapes(pair, names, known))
    if rounded := rounding(expected, actual, tolerance):
        return [_of_type(expected, actual, pair) or rounded]
    of_all = _of_type(expected, actual, pair) or _opposite(expected, actual, pair)
    if explained := of_all or _explained(pair, known):
        return [explained]
    return list(_of_values(pair, names))[:MOST]


def comparable(expected: Any, actual: Any, tolerance: Tolerance) -> Pair | None:
    """Return two tensors in float64, if their values can be examined; integers are compared exactly."""
    for each in (expected, actual):
        if each.device.type == "meta" or each.is_complex() or not 0 < each.numel() <= _MOST_ENTRIES:
            return None
    left, right = expected.detach().cpu(), actual.detach().cpu()
    whole = not (left.is_floating_point() or right.is_floating_point())
    if whole and max(float(each.double().abs().max()) for each in (left, right)) >= _EXACT_INTEGERS:
        return None
    return Pair(left.double(), right.double(), Tolerance(0.0, 0.0) if whole else tolerance)


def _of_shapes(pair: Pair, names: Sequence[str], sizes: Mapping[str, int]) -> Iterator[Observation]:
    """Yield what two shapes that differ have in common."""
    shape, own = list(pair.expected.shape), list(pair.actual.shape)
    if len(own) != len(shape) and [size for size in own if size > 1] == [size for size in shape if size > 1]:
        alike = pair.agree(pair.expected, pair.actual.reshape(shape))
        yield AxisOfOne(more=len(own) > len(shape), right=alike)
    elif found := exchanged(pair) or laid_out(pair):
        yield found
    elif sorted(shape) == sorted(own) and len(set(shape)) == len(shape):
        yield ShapeOrder(tuple(own.index(size) for size in shape))
    elif len(own) < len(shape):
        lost = [axis for axis in range(len(shape)) if shape[:axis] + shape[axis + 1 :] == own]
        if len(lost) == 1 and len(own) == len(shape) - 1:
            yield LostAxis(lost[0])


def _of_type(expected: Any, actual: Any, pair: Pair) -> Observation | None:
    """Find that only the dtype is wrong, or that float64 numbers were computed in float32."""
    if expected.dtype != actual.dtype and pair.agree(pair.expected, pair.actual):
        return OnlyDtype()
    if str(actual.dtype) != "torch.float64" or pair.actual.numel() < 2:
        return None
    if not bool((pair.actual == pair.actual.float().double()).all()):
        return None
    if not pair.is_evidence(pair.expected[pair.expected != pair.expected.float().double()]):
        return None  # float32 represents (nearly all) expected values exactly
    near = Tolerance(rtol=1e-5, atol=1e-6)
    return ThroughFloat32() if bool(near.accepts(pair.expected, pair.actual).all()) else None


def rounding(expected: Any, actual: Any, tolerance: Tolerance) -> Rounding | None:
    """Find that two tensors differ by rounding alone; where exactly 0 is expected, nothing is."""
    pair = comparable(expected, actual, tolerance)
    if pair is None or not (expected.is_floating_point() and actual.is_floating_point()):
        return None
    finite = pair.finite()
    if expected.shape != actual.shape or not pair.agree(pair.expected[~finite], pair.actual[~finite]):
        return None
    differs = (pair.expected != pair.actual) & finite
    if not differs.any() or bool((pair.expected[differs] == 0).all()):
        return None
    size = float((pair.actual - pair.expected)[finite].abs().max() / pair.expected[finite].abs().max())
    if not size <= _OF_FLOAT32:
        return None
    single = "torch.float32" in (str(expected.dtype), str(actual.dtype))
    return Rounding(math.floor(-math.log10(size)), single)


def _opposite(expected: Any, actual: Any, pair: Pair) -> Opposite | None:
    """Find that two values, as in a mask, are exchanged everywhere."""
    values = pair.expected.unique().tolist()
    if len(values) != 2 or pair.expected.numel() < _FEW:
        return None
    low, high = values
    exchanged_ = pair.expected.masked_fill(pair.expected == low, high)
    exchanged_[pair.expected == high] = low
    if not bool((exchanged_ == pair.actual).all()):
        return None
    as_bool = "torch.bool" in (str(expected.dtype), str(actual.dtype))
    return Opposite(*(str(bool(each)) if as_bool else short(each) for each in values))


def _explained(pair: Pair, sizes: Mapping[str, int]) -> Observation | None:
    """Find one relation that explains everything: then nothing else needs to be said."""
    return _relation(pair, sizes) or attention.sharpened(pair, sizes)


def _relation(pair: Pair, sizes: Mapping[str, int]) -> Observation | None:
    if not (pair.actual.isfinite().any() and pair.expected.isfinite().any()):
        return None
    found = exchanged(pair) or negated(pair) or scaled(pair, sizes) or offset(pair) or shifted(pair)
    if found or pair.expected.numel() > _MOST_SEARCHED:
        return found
    return reordered(pair) or regrouped(pair) or shuffled(pair)


def _has_diagonal(differs: Any, names: Sequence[str]) -> bool:
    """True if the last two axes count the same things: positions that read positions."""
    square = differs.dim() >= 2 and differs.shape[-1] == differs.shape[-2]
    return attention.have_queries_and_keys(names) or (square and not any(names[-2:]))


def _of_values(pair: Pair, names: Sequence[str]) -> Iterator[Observation]:
    """Yield what is true of parts, where nothing explains all of it."""
    differs = ~pair.tolerance.accepts(pair.expected, pair.actual)
    if lost := regions.not_finite(pair.expected, pair.actual):
        yield lost
    if pair.expected.numel() < 2:
        return
    if flat := _flat(pair):
        yield flat
        return
    if summed := attention.sums(pair):
        yield summed
        if summed.along is not None:
            return
    if rows := along_one_axis(pair):
        yield rows
    if differs.any():
        masked = attention.are_meant_as_weights(pair.expected)
        special = regions.special(pair.expected, pair.actual, differs, masked=masked)
        diagonal = regions.diagonal(differs) if _has_diagonal(differs, names) else None
        place = None if diagonal else regions.where(differs)
        yield from (found for found in (special, diagonal, place) if found)


def _flat(pair: Pair) -> Constant | Alike | None:
    """Find that all values are equal, or equal along an axis, where the expected ones are not."""
    if not pair.actual.isfinite().all() or pair.is_constant(pair.expected) or pair.expected.numel() < 3:
        return None
    first = pair.actual.reshape(-1)[0]
    if bool((pair.actual == first).all()):
        return Constant(float(first))
    for axis in range(pair.actual.dim()):
        if pair.actual.shape[axis] < 2:
            continue
        alike, meant = (each == each.narrow(axis, 0, 1) for each in (pair.actual, pair.expected))
        if bool(alike.all()) and pair.is_evidence(pair.expected[~meant]):
            return Alike(axis)
    return None
