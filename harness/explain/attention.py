"""What is wrong with attention weights: rows of shares that sum to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.explain.axis_names import AxisNames
from harness.explain.factors import Factor, named_factor
from harness.explain.observation import Observation, short
from harness.explain.pair import Pair

ROUNDING = 1e-3  # how far from one a sum of shares may be, by rounding; a wrong one is further off
_KEYS, _QUERIES = ("keys", "key"), ("queries", "query")


@dataclass(frozen=True)
class Sums(Observation):
    """Weights do not sum to one."""

    axis: int
    along: int | None  # the axis along which they do
    low: float
    high: float

    def sentence(self, axes: AxisNames) -> str:
        should = axes.called(self.axis)
        if self.along is not None:
            return f"The weights sum to 1 along {axes.called(self.along)}; they should along {should}."
        low, high = short(self.low), short(self.high)
        span = low if low == high else f"between {low} and {high}"
        return f"Along {should} the sums are {span}; they should be 1."


@dataclass(frozen=True)
class Sharpened(Observation):
    """Weights of the right scores times one number."""

    factor: Factor

    def sentence(self, axes: AxisNames) -> str:
        return f"It is the softmax of the right scores times {self.factor}{self.factor.reason()}."


def are_weights(values: Any, axis: int = -1) -> bool:
    """True if `values` are shares that sum to one along an axis, or to zero for a masked query."""
    if values.dim() == 0 or not values.isfinite().all() or values.min() < 0:
        return False
    sums = values.sum(axis)
    ones = (sums - 1).abs() < ROUNDING
    return bool(ones.any() and (ones | (sums == 0)).all())


def are_meant_as_weights(expected: Any) -> bool:
    """True if expected values are weights and not a few numbers that sum to one by chance."""
    several = expected.dim() >= 2 and expected.shape[-1] >= 3 and expected.numel() > expected.shape[-1]
    return several and are_weights(expected)


def sums(pair: Pair) -> Sums | None:
    """Find rows that should sum to one and do not, and the axis along which they do."""
    expected, actual = pair.expected, pair.actual
    if not are_meant_as_weights(expected):
        return None
    if are_weights(actual) or not actual.isfinite().all():
        return None
    others = [
        axis for axis in range(actual.dim() - 1) if actual.shape[axis] > 1 and are_weights(actual, axis)
    ]
    found = actual.sum(-1)[expected.sum(-1) > 0]
    along = others[0] if len(others) == 1 else None
    if along is None and bool(((found - 1).abs() < ROUNDING).all()):
        return None  # they do; what is wrong are negative weights, or those of a masked query
    return Sums(actual.dim() - 1, along, float(found.min()), float(found.max()))


def sharpened(pair: Pair, sizes: Mapping[str, int]) -> Sharpened | None:
    """Find that the weights are those of the right scores times one number.

    softmax(c · s) has the logarithms of softmax(s), less a number for each row, times c.
    """
    expected, actual = pair.expected, pair.actual
    if not (are_meant_as_weights(expected) and are_weights(actual)):
        return None
    seen = expected > 0
    if bool(((actual > 0) != seen).any()) or not pair.is_evidence(_differing(pair)):
        return None
    right = _centred(expected, seen)
    factor = float((right * _centred(actual, seen)).sum() / (right * right).sum().clamp(min=1e-30))

    def fits(factor: float) -> bool:
        again = (right * factor).masked_fill(~seen, -float("inf")).softmax(-1).nan_to_num(0.0)
        return bool(factor) and pair.agree(again, actual)

    if not abs(factor - 1) > 1e-3 or not fits(factor):
        return None
    return Sharpened(named_factor(factor, sizes, fits, counts=False))


def _differing(pair: Pair) -> Any:
    return pair.expected[~pair.tolerance.accepts(pair.expected, pair.actual)]


def _centred(weights: Any, seen: Any) -> Any:
    """Return the logarithms of the weights that are not zero, minus their mean in each row."""
    logs = weights.clamp(min=1e-300).log().masked_fill(~seen, 0.0)
    means = logs.sum(-1, keepdim=True) / seen.sum(-1, keepdim=True).clamp(min=1)
    return (logs - means).masked_fill(~seen, 0.0)


def have_queries_and_keys(names: Sequence[str]) -> bool:
    """True if the signature calls the last two axes queries and keys."""
    return len(names) >= 2 and names[-2] in _QUERIES and names[-1] in _KEYS
