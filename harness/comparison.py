"""Expected beside actual: two values as text in two columns, with what differs marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

ROWS, COLUMNS = 6, 4  # what fits beside its twin in 80 columns, indented
SIDE = 36  # characters for either twin
MARK = "*"


def side_by_side(expected: Any, actual: Any) -> list[str]:
    """Lines that show `expected` and `actual` in two columns; entries that differ carry a `*`.

    Of a large tensor only the last two axes are shown, where the difference is greatest.
    """
    if _is_tensor(expected) and _is_tensor(actual) and expected.shape == actual.shape:
        return _tensors(expected, actual)
    left, right = summary(expected), summary(actual)
    return [f"expected  {left}", f"actual    {right}"]


def summary(value: Any) -> str:
    """A value on one line: a small one in full, a tensor by dtype and shape otherwise."""
    if not _is_tensor(value):
        text = " ".join(repr(value).split())
        return text if len(text) <= 66 else text[:63] + "..."
    head = f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if value.numel() > COLUMNS or value.device.type == "meta":
        return head
    text = f"{_entries(value.reshape(-1).tolist()).strip()}  {head}"
    return text if len(text) <= 66 else head


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "detach") and hasattr(value, "shape")


def _tensors(expected: Any, actual: Any) -> list[str]:
    if expected.device.type == "meta" or actual.device.type == "meta" or expected.numel() == 0:
        return [f"expected  {summary(expected)}", f"actual    {summary(actual)}"]
    index, left, right = _worst_matrix(expected.detach().cpu(), actual.detach().cpu())
    note = [f"at index [{', '.join(map(str, index))}] of shape {tuple(expected.shape)}:"] if index else []
    if expected.dtype != actual.dtype:
        note.insert(0, f"expected {expected.dtype}, actual {actual.dtype}")
    return note + _columns(*_window(left, right))


def _worst_matrix(expected: Any, actual: Any) -> tuple[list[int], Any, Any]:
    """The last two axes of both tensors at the leading index where they differ most."""
    while expected.dim() < 2:
        expected, actual = expected.unsqueeze(0), actual.unsqueeze(0)
    difference = (expected.double() - actual.double()).abs().nan_to_num(nan=math.inf, posinf=math.inf)
    # Infinities that agree differ by NaN; they are no difference.
    difference = difference.masked_fill(~_differs(expected, actual), 0.0)
    per_matrix = difference.flatten(-2).amax(-1).reshape(-1)
    worst = int(per_matrix.argmax())
    index: list[int] = []
    for size in reversed(expected.shape[:-2]):
        index.insert(0, worst % size)
        worst //= size
    where = tuple(index)
    return index, expected[where], actual[where]


def _agree(expected: Any, actual: Any) -> Any:
    return (expected == actual) | (expected.isnan() & actual.isnan())


def _differs(expected: Any, actual: Any) -> Any:
    """Where a mark goes; where only less than that differs, every difference."""
    left, right = expected.double(), actual.double()
    larger = left.abs().maximum(right.abs())
    floats = expected.is_floating_point() and actual.is_floating_point()
    near = (left - right).abs() <= (larger * 1e-4).clamp(min=1e-6)
    unequal = ~_agree(expected, actual)
    marked = unequal & ~(near & larger.isfinite() & floats)  # as `_close` decides for one entry
    return marked if marked.any() else unequal


def _window(left: Any, right: Any) -> tuple[list[list[Any]], list[list[Any]], bool]:
    """A part of both matrices small enough to show, moved to the first difference."""
    rows, columns = left.shape
    differing = _differs(left, right).nonzero()
    row, column = differing[0].tolist() if len(differing) else (0, 0)
    top = min(max(0, row - 1), max(0, rows - ROWS))
    for shown in range(COLUMNS, 0, -1):  # fewer columns for integers of many digits
        start = min(max(0, column - (shown > 1)), max(0, columns - shown))
        part = (slice(top, top + ROWS), slice(start, start + shown))
        parts = left[part].tolist(), right[part].tolist()
        if max(len(_entries(row)) for row in (*parts[0], *parts[1])) <= SIDE:
            break
    return *parts, rows > ROWS or columns > shown


def _columns(left: Sequence[Sequence[Any]], right: Sequence[Sequence[Any]], cut: bool) -> list[str]:
    left_rows = [_entries(row) for row in left]
    right_rows = [_entries(row, against) for row, against in zip(right, left, strict=True)]
    width = max(len(text.rstrip()) for text in (*left_rows, "expected"))
    lines = [f"{'expected':<{width}}   actual ({MARK} differs)"]
    lines += [f"{a.rstrip():<{width}}   {b.rstrip()}" for a, b in zip(left_rows, right_rows, strict=True)]
    return [*lines, "…"] if cut else lines


def _entries(values: Sequence[Any], against: Sequence[Any] | None = None) -> str:
    twins = values if against is None else against
    return "".join(_entry(value, twin) for value, twin in zip(values, twins, strict=True))


def _entry(value: Any, twin: Any) -> str:
    same = value is twin or value == twin or (value != value and twin != twin) or _close(value, twin)
    return _number(value) + (" " if same else MARK)


def _close(value: Any, twin: Any) -> bool:
    both_floats = isinstance(value, float) and isinstance(twin, float)
    return both_floats and math.isclose(value, twin, rel_tol=1e-4, abs_tol=1e-6)  # marks, not verdicts


def _number(value: Any) -> str:
    if not isinstance(value, float):
        return f"{value!s:>5}"
    if not math.isfinite(value):
        return f"{value!s:>7} "
    if value and not 1e-3 <= abs(value) < 1e4:
        return f"{value:8.1e}"
    return f"{value:7.4f} "[:8]
