"""Other numbers in the same places: a sign, a factor, a constant."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from harness.explain.axis_names import AxisNames
from harness.explain.observation import Observation, short
from harness.explain.pair import CLEARLY, MOST_WORK, Pair


@dataclass(frozen=True)
class Factor:
    """A number that values are multiplied by, and the size that explains it, if one does."""

    value: float
    form: str = ""  # "√{}", to be filled with the size
    size: int = 0
    name: str = ""  # of the size, in the signature

    def __str__(self) -> str:
        exact = self.form.format(self.size, self.size)
        sign = "-" if self.value < 0 and exact else ""
        number = short(self.value)
        return f"{number} = {sign}{exact}" if exact and exact != number.lstrip("-") else number

    def reason(self) -> str:
        """Return " (d_k is 8)" if the size has a name."""
        return f" ({self.name} is {self.size})" if self.name else ""


@dataclass(frozen=True)
class Negated(Observation):
    """Every sign is wrong."""

    def sentence(self, axes: AxisNames) -> str:
        return "Every value has the wrong sign, but is otherwise right."


@dataclass(frozen=True)
class Scaled(Observation):
    """Every value is the expected one times one number."""

    factor: Factor

    def sentence(self, axes: AxisNames) -> str:
        return f"Every value is {self.factor} times the expected one{self.factor.reason()}."


@dataclass(frozen=True)
class Offset(Observation):
    """Every value is the expected one plus one number."""

    by: float

    def sentence(self, axes: AxisNames) -> str:
        return f"Every value is {short(abs(self.by))} {'more' if self.by > 0 else 'less'} than expected."


@dataclass(frozen=True)
class SlicesScaled(Observation):
    """Each slice along an axis is the expected one times its own number."""

    axis: int

    def sentence(self, axes: AxisNames) -> str:
        return f"Along {axes.called(self.axis)} each slice is off by its own constant factor."


@dataclass(frozen=True)
class SlicesOffset(Observation):
    """Each slice along an axis is the expected one plus its own number."""

    axis: int

    def sentence(self, axes: AxisNames) -> str:
        return f"Along {axes.called(self.axis)} each slice is off by its own constant."


def negated(pair: Pair) -> Negated | None:
    """Find that every sign is wrong."""
    return Negated() if pair.corrects(pair.expected, pair.actual, -pair.actual) else None


def scaled(pair: Pair, sizes: Mapping[str, int]) -> Scaled | None:
    """Find one factor of all values."""
    if not _may_be_fitted(pair):
        return None
    finite = pair.finite()
    expected, actual = pair.expected[finite], pair.actual[finite]
    if not pair.is_evidence(expected[expected.abs() > CLEARLY * pair.allowed(0.0)]):
        return None  # some factor always fits one number, and zeros fit every factor
    for factor in _rounded(float((expected * actual).sum() / (expected * expected).sum())):
        if math.isfinite(factor) and factor and _explains(pair, pair.actual / factor):
            return Scaled(named_factor(factor, sizes, _factor_fits(pair)))
    return None


def offset(pair: Pair) -> Offset | None:
    """Find one constant that is added to all values."""
    if not _may_be_fitted(pair):
        return None
    finite = pair.finite()
    for constant in _rounded(float((pair.actual - pair.expected)[finite].mean())):
        if _explains(pair, pair.actual - constant):
            return Offset(constant)
    return None


def _rounded(value: float) -> tuple[float, float]:
    """Return a number, and the number before it was rounded: 0.25, not 0.24999999."""
    return value, float(f"{value:.6g}")


def _may_be_fitted(pair: Pair) -> bool:
    """True if all non-finite entries agree, and the rest varies enough."""
    finite = pair.finite()
    expected = pair.expected[finite]
    if not pair.is_evidence(expected) or pair.is_constant(expected):
        return False
    return pair.agree(pair.expected[~finite], pair.actual[~finite])


def _explains(pair: Pair, corrected: Any) -> bool:
    """True if a correction makes all entries agree, clearly better than before."""
    finite = pair.finite()
    before = float((pair.actual - pair.expected)[finite].abs().max())
    after = float((corrected - pair.expected)[finite].abs().max())
    return pair.agree(pair.expected, corrected) and after * CLEARLY <= before


def _factor_fits(pair: Pair) -> Callable[[float], bool]:
    return lambda exact: pair.agree(pair.expected, pair.actual / exact)


def named_factor(
    factor: float, sizes: Mapping[str, int], fits: Callable[[float], bool], *, counts: bool = True
) -> Factor:
    """Return a factor with its form (d, √d, 1/d, …) for the size d that explains it; `fits` decides.

    Without a form if no size does, or several do, or if the factor is as common as 2 or 1/3: then a size
    need not be the reason. Forms with d - 1 (`counts`) are for standard deviations.
    """
    found = (
        []
        if _is_common(factor)
        else [
            (form, size)
            for form, value_of in (*_POWERS, *(_COUNTS if counts else ()))
            for size in dict.fromkeys(sizes.values())
            if size > 1 and _is(math.copysign(value_of(size), factor), factor, fits)
        ]
    )
    if len(found) != 1:
        return Factor(factor)
    form, size = found[0]
    names = [name for name, other in sizes.items() if other == size and name.isidentifier()]
    return Factor(factor, form, size, names[0] if len(names) == 1 else "")


def _is_common(factor: float) -> bool:
    """True for 2, 3, 4 and their inverses, which have more reasons than sizes."""
    size = max(abs(factor), 1 / abs(factor))
    return size < _LEAST_UNCOMMON and math.isclose(size, round(size), rel_tol=1e-3)


def _is(exact: float, factor: float, fits: Callable[[float], bool]) -> bool:
    return math.isclose(exact, factor, rel_tol=1e-3) and bool(fits(exact))


_POWERS = (
    ("√{}", lambda d: math.sqrt(d)),
    ("1/√{}", lambda d: 1 / math.sqrt(d)),
    ("{}", lambda d: float(d)),
    ("1/{}", lambda d: 1 / d),
)
_COUNTS = (  # under a root: 2/3 itself is also the share of 2 things in 3
    ("√({}/({} - 1))", lambda d: math.sqrt(d / (d - 1))),
    ("√(({} - 1)/{})", lambda d: math.sqrt((d - 1) / d)),
)
_LEAST_UNCOMMON = 4.5
_MOST_SLICES = 256


def along_one_axis(pair: Pair) -> SlicesScaled | SlicesOffset | None:
    """Find an axis along which each slice has its own factor, or its own constant."""
    if not (pair.finite().all() and _may_be_fitted(pair)) or pair.expected.numel() > MOST_WORK:
        return None
    if pair.expected.dim() < 2:
        return None
    for axis in reversed(range(pair.expected.dim())):
        if pair.expected.shape[axis] < 3 or _is_flat(pair, axis):
            continue
        for observation, fitted in _fits_along(pair, axis):
            if _explains(pair, fitted) and _several_slices_tell(pair, axis):
                return observation(axis)
    return None


def _several_slices_tell(pair: Pair, axis: int) -> bool:
    """True if at least two slices are wrong and vary too much for any factor or constant to fit them."""
    expected, actual = (each.movedim(axis, -1).flatten(0, -2) for each in (pair.expected, pair.actual))
    pairs = islice(zip(expected, actual, strict=True), _MOST_SLICES)
    wrong = (one for one, other in pairs if not pair.agree(one, other))
    return len(list(islice((one for one in wrong if pair.is_evidence(one[one != 0])), 2))) == 2


def _is_flat(pair: Pair, axis: int) -> bool:
    """True if the expected values are constant along an axis: any constant fits there."""
    return pair.agree(pair.expected, pair.expected.narrow(axis, 0, 1).expand_as(pair.expected))


def _fits_along(pair: Pair, axis: int) -> Sequence[tuple[type[SlicesScaled | SlicesOffset], Any]]:
    expected, actual = pair.expected, pair.actual
    constant = (actual - expected).mean(axis, keepdim=True)
    factor = (expected * actual).sum(axis, keepdim=True) / (expected * expected).sum(axis, keepdim=True)
    corrected = actual / factor
    corrected = corrected.masked_fill((expected == 0) & (actual == 0), 0.0)  # rows of zeros: 0/0
    return [(SlicesScaled, corrected), (SlicesOffset, actual - constant)]
