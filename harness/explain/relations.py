"""What turns the actual values into the expected ones: a swap of axes, a factor, a shift, another order.

Each function says what holds for all entries, within the assertion's tolerance, or nothing. What holds
of any two tensors (a factor between constants, say) is not worth saying and is not said. Facts only:
harness/explain/observation_words.py has the sentences.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from harness.explain.side_by_side import Tolerance

Fact = dict[str, Any]
_MOST_WORK = 2**20  # comparisons of entries that one search may cost: some ten milliseconds
_MOST_SEARCHED = 2**15  # entries of a tensor that is searched for other orders
_MOST_SLICES = 64
_CLEARLY = 10.0  # how much better than before a factor or a constant has to make it


@dataclass(frozen=True)
class Pair:
    """Two tensors of float64, and how far one may be from the other."""

    expected: Any
    actual: Any
    tolerance: Tolerance

    def agree(self, expected: Any, actual: Any) -> bool:
        """Whether every entry of two tensors of one shape agrees."""
        return bool(self.tolerance.accepts(expected, actual).all())

    def is_constant(self, values: Any) -> bool:
        """Whether all entries are one number, give or take what the tolerance would not notice."""
        low, high = values.min(), values.max()
        return bool((high - low) <= _CLEARLY * self.allowed(max(abs(float(low)), abs(float(high)))))

    def allowed(self, size: float) -> float:
        """How far a value may be from an expected one of this size."""
        rtol, atol = self.tolerance.rtol, self.tolerance.atol
        return (1e-6 if atol is None else atol) + (1e-5 if rtol is None else rtol) * size


def relation(pair: Pair, sizes: Mapping[str, int]) -> Fact | None:
    """The first relation that explains all of the actual values; `sizes` may explain a factor."""
    if pair.expected.shape != pair.actual.shape:
        return _exchanged(pair) or _laid_out(pair)
    if not (pair.actual.isfinite().any() and pair.expected.isfinite().any()):
        return None
    found = _exchanged(pair) or _negated(pair) or _scaled(pair, sizes) or _offset(pair) or _shifted(pair)
    if found or pair.expected.numel() > _MOST_SEARCHED:
        return found
    return _reordered(pair) or _regrouped(pair) or _shuffled(pair)


# --- the same numbers in other places ------------------------------------------------------------


def _exchanged(pair: Pair) -> Fact | None:
    """Two axes are exchanged."""
    shape = list(pair.expected.shape)
    for one, other in combinations(range(pair.actual.dim()), 2):
        turned = pair.actual.transpose(one, other)
        fits = min(turned.shape[one], turned.shape[other]) > 1 and list(turned.shape) == shape
        if fits and pair.agree(pair.expected, turned):
            return {"kind": "exchanged", "axes": [one, other]}
    return None


def _laid_out(pair: Pair) -> Fact | None:
    """The right numbers in the right order, in another shape."""
    if pair.actual.numel() != pair.expected.numel() or pair.actual.numel() < 2:
        return None
    same = pair.agree(pair.expected, pair.actual.reshape(pair.expected.shape))
    return {"kind": "laid_out"} if same else None


def _shifted(pair: Pair) -> Fact | None:
    """Everything is one place too far along an axis, or one too few."""
    for axis in range(pair.expected.dim()):
        size = pair.expected.shape[axis]
        if size < 3:
            continue
        head, tail = (pair.expected.narrow(axis, start, size - 1) for start in (0, 1))
        if pair.agree(head, tail):
            continue  # all is alike along this axis: shifting it tells nothing
        forward = pair.agree(head, pair.actual.narrow(axis, 1, size - 1))
        backward = pair.agree(tail, pair.actual.narrow(axis, 0, size - 1))
        if forward != backward:
            return {"kind": "shifted", "axis": axis, "by": 1 if forward else -1}
    return None


def _reordered(pair: Pair) -> Fact | None:
    """The slices along an axis are right, in another order: entry i of "order" stands at place i."""
    for axis in range(pair.expected.dim()):
        order = _order(pair, axis)
        if order:
            return {"kind": "reordered", "axis": axis, "order": order}
    return None


def _order(pair: Pair, axis: int) -> list[int] | None:
    size = pair.expected.shape[axis]
    if not 2 <= size <= _MOST_SLICES or size * pair.expected.numel() > _MOST_WORK:
        return None
    expected = pair.expected.movedim(axis, 0).reshape(size, 1, -1)
    actual = pair.actual.movedim(axis, 0).reshape(1, size, -1)
    same = pair.tolerance.accepts(expected.expand(-1, size, -1), actual.expand(size, -1, -1)).all(-1)
    if not ((same.sum(0) == 1).all() and (same.sum(1) == 1).all()):
        return None  # slices that are missing, or alike
    order: list[int] = same.int().argmax(0).tolist()
    return order


def _regrouped(pair: Pair) -> Fact | None:
    """A reshape stands where axes had to be exchanged, or had to be exchanged first."""
    for shape, axes in _groupings(list(pair.expected.shape)):
        turned = pair.actual.reshape(shape).transpose(*axes).reshape(pair.expected.shape)
        if pair.agree(pair.expected, turned):
            return {"kind": "regrouped", "shape": shape, "axes": list(axes)}
    return None


def _groupings(shape: list[int]) -> Iterator[tuple[list[int], tuple[int, int]]]:
    """(shape to see the values in, axes to exchange then), of which the result has `shape` or its size."""
    for one, other in combinations(range(len(shape)), 2):
        if min(shape[one], shape[other]) > 1:
            swapped = list(shape)
            swapped[one], swapped[other] = shape[other], shape[one]
            yield swapped, (one, other)
    if len(shape) >= 2:  # the last axis as it is made of groups, which stand before the second last
        *lead, rows, columns = shape
        for groups in (number for number in range(2, min(columns, _MOST_SLICES)) if columns % number == 0):
            yield [*lead, groups, rows, columns // groups], (len(lead), len(lead) + 1)


def _shuffled(pair: Pair) -> Fact | None:
    """The same numbers, each in some other place."""
    if pair.expected.numel() > _MOST_WORK or pair.is_constant(pair.expected):
        return None
    ordered = pair.expected.flatten().sort().values
    if (ordered.diff() > 0).sum() < 3:  # zeros and ones in other places are hardly the same numbers
        return None
    return {"kind": "shuffled"} if pair.agree(ordered, pair.actual.flatten().sort().values) else None


# --- other numbers in the same places ------------------------------------------------------------


def _negated(pair: Pair) -> Fact | None:
    return {"kind": "negated"} if pair.agree(pair.expected, -pair.actual) else None


def _scaled(pair: Pair, sizes: Mapping[str, int]) -> Fact | None:
    """Every value is the expected one times one number."""
    if not _may_be_fitted(pair):
        return None
    finite = _finite(pair)
    expected, actual = pair.expected[finite], pair.actual[finite]
    if (expected.abs() > _CLEARLY * pair.allowed(0.0)).sum() < 2:
        return None  # beside nothing, any one number is another times something
    for factor in _rounded(float((expected * actual).sum() / (expected * expected).sum())):
        if math.isfinite(factor) and factor and _explains(pair, pair.actual / factor):
            return {"kind": "scaled", "factor": factor, **_explained(pair, factor, sizes)}
    return None


def _offset(pair: Pair) -> Fact | None:
    """Every value is the expected one plus one number."""
    if not _may_be_fitted(pair):
        return None
    finite = _finite(pair)
    for constant in _rounded(float((pair.actual - pair.expected)[finite].mean())):
        if _explains(pair, pair.actual - constant):
            return {"kind": "offset", "by": constant}
    return None


def _rounded(value: float) -> tuple[float, float]:
    """A number, and what it was before its digits were rounded away: 0.25, not 0.24999999."""
    return value, float(f"{value:.6g}")


def _finite(pair: Pair) -> Any:
    return pair.expected.isfinite() & pair.actual.isfinite()


def _may_be_fitted(pair: Pair) -> bool:
    """Whether all that is not finite agrees, and the rest varies."""
    finite = _finite(pair)
    expected = pair.expected[finite]
    if expected.numel() < 2 or pair.is_constant(expected):
        return False
    return pair.agree(pair.expected[~finite], pair.actual[~finite])


def _explains(pair: Pair, corrected: Any) -> bool:
    """Whether a correction makes all entries agree, and clearly better than they did before."""
    finite = _finite(pair)
    before = float((pair.actual - pair.expected)[finite].abs().max())
    after = float((corrected - pair.expected)[finite].abs().max())
    return pair.agree(pair.expected, corrected) and after * _CLEARLY <= before


def _explained(pair: Pair, factor: float, sizes: Mapping[str, int]) -> Fact:
    """What a factor may come from: "√8", with the name of the size that is 8 if only one is."""
    return named_factor(factor, sizes, lambda exact: pair.agree(pair.expected, pair.actual / exact))


def named_factor(factor: float, sizes: Mapping[str, int], fits: Any, *, counts: bool = True) -> Fact:
    """Which of d, √d, 1/d, … a factor is, for a size d at hand; `fits` decides.

    {} if none is, and if several are: then none of them need be the reason. Forms with d - 1 are for
    where something is counted: a mean, a variance.
    """
    found = [
        (form, size)
        for form, value_of in (*_POWERS, *(_COUNTS if counts else ()))
        for size in dict.fromkeys(sizes.values())
        if size > 1 and _is(math.copysign(value_of(size), factor), factor, fits)
    ]
    if len(found) != 1:
        return {}
    form, size = found[0]
    names = [name for name, other in sizes.items() if other == size and name.isidentifier()]
    return {"form": form, "size": size, "name": names[0] if len(names) == 1 else ""}


def _is(exact: float, factor: float, fits: Any) -> bool:
    return math.isclose(exact, factor, rel_tol=1e-3) and bool(fits(exact))


_POWERS = (
    ("√{}", lambda d: math.sqrt(d)),
    ("1/√{}", lambda d: 1 / math.sqrt(d)),
    ("{}", lambda d: float(d)),
    ("1/{}", lambda d: 1 / d),
)
_COUNTS = (
    ("{}/({} - 1)", lambda d: d / (d - 1)),
    ("√({}/({} - 1))", lambda d: math.sqrt(d / (d - 1))),
    ("({} - 1)/{}", lambda d: (d - 1) / d),
    ("√(({} - 1)/{})", lambda d: math.sqrt((d - 1) / d)),
)


def along_one_axis(pair: Pair) -> Fact | None:
    """Every row along an axis is the expected one times, or plus, a number of its own."""
    if not (_finite(pair).all() and _may_be_fitted(pair)) or pair.expected.numel() > _MOST_WORK:
        return None
    if pair.expected.dim() < 2:
        return None
    for axis in reversed(range(pair.expected.dim())):
        if pair.expected.shape[axis] < 3 or _is_flat(pair, axis):
            continue
        for kind, fitted in _fits_along(pair, axis):
            if _explains(pair, fitted):
                return {"kind": kind, "axis": axis}
    return None


def _is_flat(pair: Pair, axis: int) -> bool:
    """Whether the expected values are alike along an axis: any constant fits there."""
    return pair.agree(pair.expected, pair.expected.narrow(axis, 0, 1).expand_as(pair.expected))


def _fits_along(pair: Pair, axis: int) -> Sequence[tuple[str, Any]]:
    expected, actual = pair.expected, pair.actual
    offset = (actual - expected).mean(axis, keepdim=True)
    factor = (expected * actual).sum(axis, keepdim=True) / (expected * expected).sum(axis, keepdim=True)
    corrected = actual / factor
    corrected = corrected.masked_fill((expected == 0) & (actual == 0), 0.0)  # rows of zeros: 0/0
    return [("rows_scaled", corrected), ("rows_offset", actual - offset)]
