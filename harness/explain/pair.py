"""Two tensors that should agree, and their tolerance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.explain.side_by_side import Tolerance

CLEARLY = 10.0  # how much better than before a factor or a constant has to make it
MOST_WORK = 2**20  # comparisons of entries that one search may cost: some ten milliseconds
_FEW = 3  # different numbers that fit a pattern by chance too rarely to matter
_MANY = 8  # entries that do, if they are only two different numbers, as in a mask


@dataclass(frozen=True)
class Pair:
    """Two tensors of float64, and how far one may be from the other."""

    expected: Any
    actual: Any
    tolerance: Tolerance

    def agree(self, expected: Any, actual: Any) -> bool:
        """True if every entry of two tensors of one shape agrees."""
        return bool(self.tolerance.accepts(expected, actual).all())

    def is_constant(self, values: Any) -> bool:
        """True if all entries are one number, up to differences that the tolerance would accept."""
        low, high = values.min(), values.max()
        return bool((high - low) <= CLEARLY * self.allowed(max(abs(float(low)), abs(float(high)))))

    def allowed(self, size: float) -> float:
        """Return how far a value may be from an expected one of this size."""
        rtol, atol = self.tolerance.rtol, self.tolerance.atol
        return (1e-6 if atol is None else atol) + (1e-5 if rtol is None else rtol) * size

    def distinct(self, values: Any) -> int:
        """Return how many different numbers there are, beyond what the tolerance accepts."""
        ordered = values[~values.isnan()].flatten().sort().values
        if not ordered.numel():
            return 0
        finite = ordered[ordered.isfinite()].abs()
        least = 2 * self.allowed(float(finite.max()) if finite.numel() else 0.0)
        return 1 + int((ordered.diff() > least).sum())

    def is_evidence(self, values: Any) -> bool:
        """True if a pattern that these values fit could have failed on them: they differ enough."""
        distinct = self.distinct(values)
        return distinct >= _FEW or (distinct == 2 and values.numel() >= _MANY)

    def corrects(self, expected: Any, before: Any, after: Any) -> bool:
        """True if a correction makes every entry agree, on enough evidence that this is no coincidence."""
        if not self.agree(expected, after):
            return False
        return self.is_evidence(expected[~self.tolerance.accepts(expected, before)])

    def finite(self) -> Any:
        """Return where both tensors are finite."""
        return self.expected.isfinite() & self.actual.isfinite()
