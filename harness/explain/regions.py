"""Where two tensors differ: rows, heads, positions, a diagonal, zeros."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.explain.axis_names import AxisNames
from harness.explain.observation import Observation

_MOST_NAMED = 4  # scattered indices along an axis that are worth listing
_FEW = 3  # entries of one kind that differ by chance too rarely to matter


@dataclass(frozen=True)
class Part:
    """Some of the indices along an axis."""

    axis: int
    size: int
    which: tuple[int, ...]

    def rest(self) -> list[int]:
        """Return the other indices."""
        which = set(self.which)  # once: the axis may be long
        return [index for index in range(self.size) if index not in which]


def _region(parts: Sequence[Part], axes: AxisNames) -> str:
    return ", ".join(axes.indices(part.axis, part.which) for part in parts)


@dataclass(frozen=True)
class Where(Observation):
    """The differences are at some indices only."""

    parts: tuple[Part, ...]
    one: tuple[int, ...] = ()  # the entry, if it is only one

    def sentence(self, axes: AxisNames) -> str:
        if len(self.one) > 1:
            return f"The only difference is at {axes.place(self.one)}."
        if len(self.parts) > 1:
            return f"All differences are in {_region(self.parts, axes)}."
        (part,) = self.parts
        rest = part.rest()
        named, verb = (rest, "match") if len(rest) < len(part.which) else (part.which, "differ")
        ending = ("es" if verb == "match" else "s") if len(named) == 1 else ""
        return f"Only {axes.indices(part.axis, named)} of {part.size} {verb}{ending}."


@dataclass(frozen=True)
class Diagonal(Observation):
    """The differences are on one side of the diagonal, or on it."""

    side: str  # above, on, below

    def sentence(self, axes: AxisNames) -> str:
        if axes.names[-2:] != ["queries", "keys"]:
            return f"All differences are {self.side} the diagonal."
        if self.side == "on":
            return "All differences are where a query meets its own key."
        order = "after" if self.side == "above" else "before"
        return f"All differences are where the key comes {order} the query."


@dataclass(frozen=True)
class NotSpecial(Observation):
    """Entries that should be exactly 0, or -inf, are not."""

    value: str
    wrong: int
    of: int
    only: bool  # True if all other entries are right

    def sentence(self, axes: AxisNames) -> str:
        if self.only:
            many = f"all {self.of}" if self.wrong == self.of else f"{self.wrong} of {self.of}"
            return f"Only entries where {self.value} is expected differ: {many}."
        many = "All" if self.wrong == self.of else str(self.wrong)
        return f"{many} of the {self.of} entries that should be {self.value} are not."


@dataclass(frozen=True)
class WronglySpecial(Observation):
    """Entries are 0, or -inf, that should not be."""

    value: str
    count: int

    def sentence(self, axes: AxisNames) -> str:
        return f"Only entries that are {self.value} but should not be differ: {self.count} of them."


@dataclass(frozen=True)
class NotFinite(Observation):
    """NaN or infinities that are not expected."""

    what: str  # "NaN", "inf", "-inf"
    count: int
    of: int
    first: tuple[int, ...]
    parts: tuple[Part, ...] = ()  # where they all are

    def sentence(self, axes: AxisNames) -> str:
        if self.of == 1:
            return f"The result is {self.what}."
        if self.count == self.of:
            return f"Every value is {self.what}."
        many = f"{self.count} of {self.of} values are" if self.count > 1 else "One value is"
        if self.parts:
            return f"{many} {self.what}, all in {_region(self.parts, axes)}."
        return f"{many} {self.what}{', the first' if self.count > 1 else ''} at {axes.place(self.first)}."


def where(differs: Any) -> Where | None:
    """Return the axes along which only some indices differ; None if there is no such axis.

    If they are many and scattered, the few others can be named instead, along one axis only.
    """
    parts = []
    for axis in range(differs.dim()):
        others = [other for other in range(differs.dim()) if other != axis]
        flags = differs.any(dim=others) if others else differs
        which = flags.nonzero().flatten().tolist()
        if 0 < len(which) < differs.shape[axis]:
            parts.append(Part(axis, differs.shape[axis], tuple(which)))
    direct = [part for part in parts if _can_be_named(part.which)]
    by_the_rest = [part for part in parts if _can_be_named(part.rest())]
    found = direct[:3] or by_the_rest[:1]
    one = tuple(differs.nonzero()[0].tolist()) if int(differs.sum()) == 1 else ()
    return Where(tuple(found), one) if found else None


def _can_be_named(indices: Sequence[int]) -> bool:
    """True if indices are few, or consecutive."""
    return len(indices) <= _MOST_NAMED or indices[-1] - indices[0] + 1 == len(indices)


def diagonal(differs: Any) -> Diagonal | None:
    """Find that only one side of the diagonal of the last two axes differs, their ends lined up."""
    if differs.dim() < 2:
        return None
    rows, columns = differs.shape[-2:]
    if min(rows, columns) < 3:
        return None
    import torch

    ahead = torch.arange(columns) - torch.arange(rows)[:, None] - (columns - rows)
    found = differs.flatten(0, -3).any(0) if differs.dim() > 2 else differs
    for side, inside in (("above", ahead > 0), ("on", ahead == 0), ("below", ahead < 0)):
        if found[inside].sum() >= _FEW and not found[~inside].any():
            return Diagonal(side)
    return None


def special(expected: Any, actual: Any, differs: Any, *, masked: bool) -> NotSpecial | WronglySpecial | None:
    """Find that the places are wrong where exactly 0, or -inf, is expected.

    If other places are wrong too, a zero may be there by chance, unless the values are `masked`.
    """
    for value in (float("-inf"), 0.0):
        meant, found = expected == value, actual == value
        wanting, rest = int((meant & differs).sum()), int((differs & ~meant).sum())
        of = int(meant.sum())
        if 1 < of < meant.numel() and wanting and (rest == 0 or (2 * wanting >= of and (masked or value))):
            return NotSpecial(_text(value), wanting, of, only=rest == 0)
        extra = int((found & differs).sum())
        if extra >= 2 and extra == int(differs.sum()) and 0 < extra < found.numel():
            return WronglySpecial(_text(value), extra)
    return None


def _text(value: float) -> str:
    return "0" if value == 0 else "-inf"


def not_finite(expected: Any, actual: Any) -> NotFinite | None:
    """Find NaN or infinities where none are expected: how many, and the first one."""
    for what, found, meant in (
        ("NaN", actual.isnan(), expected.isnan()),
        ("inf", actual == float("inf"), expected == float("inf")),
        ("-inf", actual == -float("inf"), expected == -float("inf")),
    ):
        wrong = found & ~meant
        count = int(wrong.sum())
        if count and not meant.any():
            first = tuple(wrong.nonzero()[0].tolist())
            place = where(wrong) if count > 1 else None
            parts = [part for part in place.parts if _can_be_named(part.which)] if place else []
            return NotFinite(what, count, wrong.numel(), first, tuple(parts))
    return None
