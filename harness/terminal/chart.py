"""Line charts in text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

_MARK, _GAP = "*", " "
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def line_chart(points: Sequence[tuple[int, float]], width: int = 60, height: int = 10) -> list[str]:
    """Draw points (step, value) as rows of text with the ends of the axes.

    Points that share a column are averaged. Without a finite value there are no rows.
    """
    finite = [(x, y) for x, y in points if abs(y) < float("inf")]  # NaN fails this too
    if not finite:
        return []
    columns = _columns(finite, width)
    values = [value for value in columns if value is not None]
    low, high = min(values), max(values)
    rows = [[_GAP] * width for _ in range(height)]
    for column, value in enumerate(columns):
        if value is not None:
            rows[_row(value, low, high, height)][column] = _MARK
    return _framed(rows, low, high, str(finite[0][0]), str(finite[-1][0]))


def curves(
    named: Mapping[str, Sequence[tuple[float, float]]], width: int = 60, height: int = 12
) -> list[str]:
    """Draw named curves of points (x > 0, y) over one logarithmic axis, each with a letter of its own.

    Where curves meet, the letter of the later one shows. Without a point there are no rows.
    """
    points = [point for curve in named.values() for point in curve]
    if not points:
        return []
    xs, ys = [math.log(x) for x, _ in points], [y for _, y in points]
    rows = [[_GAP] * width for _ in range(height)]
    for letter, curve in zip(_LETTERS, named.values(), strict=False):
        for x, y in curve:
            column = _place(math.log(x), min(xs), max(xs), width)
            rows[_row(y, min(ys), max(ys), height)][column] = letter
    legend = [f"  {letter} {name}" for letter, name in zip(_LETTERS, named, strict=False)]
    ends = f"{math.exp(min(xs)):.3g}", f"{math.exp(max(xs)):.3g}"
    return [*_framed(rows, min(ys), max(ys), *ends), *legend]


def _place(value: float, low: float, high: float, width: int) -> int:
    return round((value - low) / (high - low) * (width - 1)) if high > low else 0


def _framed(rows: Sequence[Sequence[str]], low: float, high: float, first: str, last: str) -> list[str]:
    """Return rows of cells with the axes and their ends."""
    width = len(rows[0])
    labels = [f"{high:.2f}", *[""] * (len(rows) - 2), f"{low:.2f}"]
    margin = max(map(len, labels))
    body = [f"{label:>{margin}} |{''.join(row).rstrip()}" for label, row in zip(labels, rows, strict=True)]
    return [
        *body,
        " " * margin + " +" + "-" * width,
        f"{'':{margin}}  {first}{last:>{width - len(first)}}",
    ]


def _columns(points: Sequence[tuple[int, float]], width: int) -> list[float | None]:
    first, last = points[0][0], points[-1][0]
    cells: list[list[float]] = [[] for _ in range(width)]
    for x, y in points:
        cells[round((x - first) / max(1, last - first) * (width - 1))].append(y)
    return [sum(cell) / len(cell) if cell else None for cell in cells]


def _row(value: float, low: float, high: float, height: int) -> int:
    """Return the row of a value, counted from the top."""
    return round((high - value) / (high - low) * (height - 1)) if high > low else height - 1
