"""Line charts in text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

_MARK, _GAP = "*", " "


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
    labels = [f"{high:.2f}", *[""] * (height - 2), f"{low:.2f}"]
    margin = max(map(len, labels))
    body = [f"{label:>{margin}} |{''.join(row).rstrip()}" for label, row in zip(labels, rows, strict=True)]
    first, last = finite[0][0], finite[-1][0]
    return [
        *body,
        " " * margin + " +" + "-" * width,
        f"{'':{margin}}  {first}{last:>{width - len(str(first))}}",
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
