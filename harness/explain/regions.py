"""Where two tensors differ: which batch rows, heads, positions; above a diagonal; where zeros belong."""

from __future__ import annotations

from typing import Any

Fact = dict[str, Any]
_MOST_NAMED = 4  # scattered indices along an axis that are worth listing


def where(differs: Any) -> Fact | None:
    """The axes along which only some indices hold a difference; None if there is no such axis.

    Of indices that are many and scattered only the few others can be named, and of one axis alone.
    """
    axes = []
    for axis in range(differs.dim()):
        others = [other for other in range(differs.dim()) if other != axis]
        flags = differs.any(dim=others) if others else differs
        which = flags.nonzero().flatten().tolist()
        if 0 < len(which) < differs.shape[axis]:
            axes.append({"axis": axis, "size": differs.shape[axis], "which": which})
    direct = [each for each in axes if _can_be_named(each["which"])]
    by_the_rest = [each for each in axes if _can_be_named(_rest(each))]
    found = direct[:3] or by_the_rest[:1]
    return {"kind": "where", "axes": found} if found else None


def _rest(part: Fact) -> list[int]:
    which = set(part["which"])  # once: the axis may be long
    return [index for index in range(part["size"]) if index not in which]


def _can_be_named(indices: list[int]) -> bool:
    """Whether indices are few, or one run."""
    return len(indices) <= _MOST_NAMED or indices[-1] - indices[0] + 1 == len(indices)


def diagonal(differs: Any) -> Fact | None:
    """Whether only one side of the diagonal of the last two axes differs, their ends lined up."""
    if differs.dim() < 2:
        return None
    rows, columns = differs.shape[-2:]
    if min(rows, columns) < 3:
        return None
    import torch

    ahead = torch.arange(columns) - torch.arange(rows)[:, None] - (columns - rows)
    found = differs.flatten(0, -3).any(0) if differs.dim() > 2 else differs
    for side, inside in (("above", ahead > 0), ("on", ahead == 0), ("below", ahead < 0)):
        if found[inside].sum() >= 2 and not found[~inside].any():
            return {"kind": "diagonal", "side": side}
    return None


def special(expected: Any, actual: Any, differs: Any, *, masked: bool) -> Fact | None:
    """What became of the places where exactly 0, or -inf, is expected, if that is what is wrong.

    Where other places are wrong too, a zero may be there by chance, unless the values are `masked`.
    """
    for value in (float("-inf"), 0.0):
        meant, found = expected == value, actual == value
        wanting, rest = int((meant & differs).sum()), int((differs & ~meant).sum())
        of = int(meant.sum())
        if 0 < of < meant.numel() and wanting and (rest == 0 or (2 * wanting >= of and (masked or value))):
            facts = {"value": value, "wrong": wanting, "of": of, "only": rest == 0}
            return {"kind": "not_special", **_as_json(facts)}
        extra = int((found & differs).sum())
        if extra >= 2 and extra == int(differs.sum()) and 0 < extra < found.numel():
            return {"kind": "wrongly_special", **_as_json({"value": value, "count": extra})}
    return None


def _as_json(facts: Fact) -> Fact:
    return {**facts, "value": "0" if facts["value"] == 0 else "-inf"}


def not_finite(expected: Any, actual: Any) -> Fact | None:
    """Where NaN or an infinity has appeared that is not expected: how many, and the first one."""
    for kind, found, meant in (
        ("nan", actual.isnan(), expected.isnan()),
        ("inf", actual.isinf(), expected.isinf()),
    ):
        wrong = found & ~meant
        count = int(wrong.sum())
        if count:
            first = wrong.nonzero()[0].tolist()
            place = where(wrong) if count > 1 else None
            axes = [each for each in place["axes"] if _can_be_named(each["which"])] if place else []
            return {"kind": kind, "count": count, "of": wrong.numel(), "first": first, "axes": axes}
    return None
