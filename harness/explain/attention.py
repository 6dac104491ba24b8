"""Attention weights: rows of shares that sum to one. What is wrong with them, and a map of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.explain.relations import Fact, Pair, named_factor

_SUMS = 1e-3  # how far from one a sum of shares may be, by rounding; a wrong one is further off
_KEYS, _QUERIES = ("keys", "key"), ("queries", "query")
ROWS, COLUMNS = 8, 16  # the most that a map shows: two of them and their labels fit in 80 columns


def are_weights(values: Any, axis: int = -1) -> bool:
    """Whether `values` are shares that sum to one along an axis; where nothing may be seen, to zero."""
    if values.dim() == 0 or not values.isfinite().all() or values.min() < 0:
        return False
    sums = values.sum(axis)
    ones = (sums - 1).abs() < _SUMS
    return bool(ones.any() and (ones | (sums == 0)).all())


def are_meant_as_weights(expected: Any) -> bool:
    """Whether expected values are weights and not a few numbers that sum to one by chance."""
    several = expected.dim() >= 2 and expected.shape[-1] >= 3 and expected.numel() > expected.shape[-1]
    return several and are_weights(expected)


def sums(pair: Pair) -> Fact | None:
    """Whether rows that are to sum to one do not; and whether they do so along another axis."""
    expected, actual = pair.expected, pair.actual
    if not are_meant_as_weights(expected):
        return None
    if are_weights(actual) or not actual.isfinite().all():
        return None
    others = [
        axis for axis in range(actual.dim() - 1) if actual.shape[axis] > 1 and are_weights(actual, axis)
    ]
    found = actual.sum(-1)[expected.sum(-1) > 0]
    facts = {"low": float(found.min()), "high": float(found.max())}
    return {
        "kind": "sums",
        "axis": actual.dim() - 1,
        "along": others[0] if len(others) == 1 else None,
        **facts,
    }


def sharpened(pair: Pair, sizes: Mapping[str, int]) -> Fact | None:
    """Whether the weights are those of scores that are all one number times the right ones.

    softmax(c · s) has the logarithms of softmax(s), less a number for each row, times c.
    """
    expected, actual = pair.expected, pair.actual
    if not (are_meant_as_weights(expected) and are_weights(actual)):
        return None
    seen = expected > 0
    if bool(((actual > 0) != seen).any()):
        return None
    right = _centred(expected, seen)
    factor = float((right * _centred(actual, seen)).sum() / (right * right).sum().clamp(min=1e-30))

    def fits(factor: float) -> bool:
        again = (right * factor).masked_fill(~seen, -float("inf")).softmax(-1).nan_to_num(0.0)
        return bool(factor) and pair.agree(again, actual)

    if not abs(factor - 1) > 1e-3 or not fits(factor):
        return None
    return {"kind": "sharpened", "factor": factor, **named_factor(factor, sizes, fits, counts=False)}


def _centred(weights: Any, seen: Any) -> Any:
    """The logarithms of what is seen, less their mean in each row; 0 where nothing is seen."""
    logs = weights.clamp(min=1e-300).log().masked_fill(~seen, 0.0)
    means = logs.sum(-1, keepdim=True) / seen.sum(-1, keepdim=True).clamp(min=1)
    return (logs - means).masked_fill(~seen, 0.0)


def have_queries_and_keys(names: Sequence[str]) -> bool:
    """Whether the last two axes are those of queries and keys, by the signature's names for them."""
    return len(names) >= 2 and names[-2] in _QUERIES and names[-1] in _KEYS


def heatmap(pair: Pair) -> Fact | None:
    """The first matrix of weights that differs, expected and actual, as far as a map can show it.

    Each entry is the tenth in which the share lies: "." exactly 0, "0" to "9", "+" above 1, "-" below 0,
    "?" NaN. None if the map would show no difference.
    """
    wrong = ~pair.tolerance.accepts(pair.expected, pair.actual)
    matrices = wrong.flatten(-2).any(-1).reshape(-1)
    number = int(matrices.int().argmax())
    shape = pair.expected.shape
    expected, actual, marks = (
        each.reshape(-1, *shape[-2:])[number] for each in (pair.expected, pair.actual, wrong)
    )
    row, column = marks.nonzero()[0].tolist() if marks.any() else (0, 0)
    top, left = _window(row, shape[-2], ROWS), _window(column, shape[-1], COLUMNS)
    part = (slice(top, top + ROWS), slice(left, left + COLUMNS))
    cells = [_digits(each[part].tolist()) for each in (expected, actual)]
    if cells[0] == cells[1]:
        return None
    index: list[int] = []
    for size in reversed(shape[:-2]):
        index.insert(0, number % size)
        number //= size
    return {
        "index": index,
        "shape": list(shape),
        "top": top,
        "left": left,
        "expected": cells[0],
        "actual": cells[1],
        "marks": ["".join("*" if mark else " " for mark in row) for row in marks[part].tolist()],
    }


def _window(first: int, size: int, most: int) -> int:
    """Where to start so that `first` is in sight."""
    return 0 if first < most else min(first - 1, size - most)


def _digits(rows: Sequence[Sequence[float]]) -> list[str]:
    return ["".join(map(_digit, row)) for row in rows]


def _digit(share: float) -> str:
    if share != share:
        return "?"
    if share == 0:
        return "."
    if share < 0:
        return "-"
    return "+" if share > 1 + _SUMS else str(min(9, int(share * 10 + 1e-9)))
