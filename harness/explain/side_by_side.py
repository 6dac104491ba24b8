"""Two values as text in two columns, with their differences marked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ROWS, COLUMNS = 6, 4  # the most that is shown of a matrix
WHOLE_COLUMNS = 12  # of whole numbers, as in a mask: they are short
SIDE = 36  # characters for either value: both fit in 80 columns, indented
MARK = "*"


@dataclass(frozen=True)
class Tolerance:
    """How far actual may be from expected: atol + rtol · |expected|. None: unknown."""

    rtol: float | None = None
    atol: float | None = None

    def accepts(self, expected: Any, actual: Any) -> Any:
        """Return where two float64 tensors agree; NaN agrees with NaN."""
        rtol = 1e-5 if self.rtol is None else self.rtol
        atol = 1e-6 if self.atol is None else self.atol
        near = (actual - expected).abs() <= atol + rtol * expected.abs()
        return near & expected.isfinite() | (expected == actual) | (expected.isnan() & actual.isnan())


def side_by_side(expected: Any, actual: Any, tolerance: Tolerance = Tolerance()) -> list[str]:
    """Return `expected` and `actual` in two columns; entries that differ carry a `*`.

    A large tensor is reduced to the last two axes, where the difference is greatest.
    """
    if is_tensor(expected) and is_tensor(actual) and expected.shape == actual.shape:
        return _tensors(expected, actual, tolerance)
    within = _allowed(expected)
    expected = expected.expected if within else expected  # the repr of an approx is mostly tolerances
    if _are_numbers(expected) and _are_numbers(actual) and len(expected) == len(actual):
        return _numbers(expected, actual, within or (0.0, 0.0))
    return [f"expected  {summary(expected)}", f"actual    {summary(actual)}"]


def beyond_a_table(shape: Sequence[int]) -> bool:
    """True if a table cannot show a matrix of this shape in full."""
    return len(shape) >= 2 and (shape[-2] > ROWS or shape[-1] > COLUMNS)


def summary(value: Any) -> str:
    """Return a value on one line: a small one in full, other tensors by dtype and shape."""
    if not is_tensor(value):
        text = " ".join(repr(value).split())
        return text if len(text) <= 66 else text[:63] + "..."
    head = f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if not 0 < value.numel() <= COLUMNS or value.device.type == "meta":
        return head
    text = f"{' '.join(_number(entry).strip() for entry in value.reshape(-1).tolist())}  {head}"
    return text if len(text) <= 66 else head


def _allowed(value: Any) -> tuple[float, float] | None:
    """Return the relative and absolute tolerance of a `pytest.approx` of several numbers, else None."""
    if not hasattr(value, "nan_ok") or not isinstance(getattr(value, "expected", None), Sequence | Mapping):
        return None
    if value.rel is None and value.abs is None:
        return 1e-6, 1e-12  # pytest's own
    return value.rel or 0.0, value.abs or 0.0


def _are_numbers(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(isinstance(each, int | float) for each in value)
    )


def are_numbers(value: Any) -> bool:
    """True for a number, and for a list of numbers."""
    return type(value) in (int, float) or _are_numbers(value)


def first_wrong(expected: Any, actual: Any) -> Any:
    """Return the first wrong number of a list of numbers; any other actual value as it is."""
    index = first_wrong_index(expected, actual)
    return actual if index is None else actual[index]


def first_wrong_index(expected: Any, actual: Any) -> int | None:
    """Return the index of the first wrong number of a list of numbers; None for any other value."""
    within = _allowed(expected)
    expected = expected.expected if within else expected
    if not (_are_numbers(expected) and _are_numbers(actual) and len(expected) == len(actual)):
        return None
    pairs = enumerate(zip(expected, actual, strict=True))
    return next((index for index, pair in pairs if not _near(*pair, *(within or (0.0, 0.0)))), None)


def _numbers(expected: Sequence[float], actual: Sequence[float], within: tuple[float, float]) -> list[str]:
    """Return as much of two lists as fits side by side, from just before the first difference."""
    marks = [not _near(*pair, *within) for pair in zip(expected, actual, strict=True)]
    first = marks.index(True) if True in marks else 0
    for shown in range(min(COLUMNS, len(marks)), 0, -1):
        start = min(max(0, first - (shown > 1)), len(marks) - shown)
        part = slice(start, start + shown)
        left, right = _cells([expected[part]], [actual[part]], [marks[part]])
        if max(map(len, (*left, *right))) <= SIDE:
            break
    width = max(len(left[0]), len("expected"))
    lines = [f"{'expected':<{width}}   actual ({MARK} differs)", f"{left[0]:<{width}}   {right[0]}"]
    where = [f"from index {start} on:"] if start else []
    return [*where, *lines, *(["…"] if start + shown < len(marks) else [])]


def _near(expected: float, actual: float, rel: float, abs_: float) -> bool:
    both_nan = expected != expected and actual != actual
    return both_nan or expected == actual or abs(expected - actual) <= max(rel * abs(expected), abs_)


def is_tensor(value: Any) -> bool:
    """True if a value has the numbers and the shape of a tensor; does not import torch."""
    return hasattr(value, "detach") and hasattr(value, "shape")


def _tensors(expected: Any, actual: Any, tolerance: Tolerance) -> list[str]:
    notes = [
        f"{what}: expected {getattr(expected, what)}, actual {getattr(actual, what)}"
        for what in ("dtype", "device")
        if getattr(expected, what) != getattr(actual, what)
    ]
    if "meta" in (expected.device.type, actual.device.type) or expected.numel() == 0:
        return [*notes, f"expected  {summary(expected)}", f"actual    {summary(actual)}"]
    left, right = expected.detach().cpu(), actual.detach().cpu()
    index, *matrices = _worst_matrix(left, right, _marks(left, right, tolerance))
    if index:
        notes.append(f"at index [{', '.join(map(str, index))}] of shape {tuple(expected.shape)}:")
    return notes + _columns(*matrices)


def _marks(expected: Any, actual: Any, tolerance: Tolerance) -> Any:
    """Return where two tensors differ by more than the tolerance, or at all if they are within it.

    Integers are not converted for this: a double cannot hold all of them.
    """
    if not (expected.is_floating_point() or actual.is_floating_point()):
        return expected != actual
    left, right = expected.double(), actual.double()
    beyond = ~tolerance.accepts(left, right)
    return beyond if beyond.any() else ~Tolerance(0, 0).accepts(left, right)


def _worst_matrix(expected: Any, actual: Any, marks: Any) -> tuple[tuple[int, ...], Any, Any, Any]:
    """Return the leading index with the greatest marked difference, and all three matrices there."""
    import torch

    while expected.dim() < 2:
        expected, actual, marks = expected.unsqueeze(0), actual.unsqueeze(0), marks.unsqueeze(0)
    difference = (expected.double() - actual.double()).abs().nan_to_num(nan=math.inf, posinf=math.inf)
    difference = difference.clamp(min=1e-300)  # different integers may be the same double
    per_matrix = difference.masked_fill(~marks, 0.0).flatten(-2).amax(-1).reshape(-1)
    worst = torch.unravel_index(per_matrix.argmax(), expected.shape[:-2])
    index = tuple(int(place) for place in worst)
    return index, expected[index], actual[index], marks[index]


def _columns(left: Any, right: Any, marks: Any) -> list[str]:
    """Return as much of two matrices as fits side by side, around the first mark."""
    rows, columns = left.shape
    first = marks.nonzero()
    row, column = first[0].tolist() if len(first) else (0, 0)
    top = min(max(0, row - 1), max(0, rows - ROWS))
    most = COLUMNS if left.is_floating_point() or right.is_floating_point() else WHOLE_COLUMNS
    for shown in range(min(most, columns), 0, -1):  # fewer columns if numbers are long
        start = min(max(0, column - (shown > 1)), max(0, columns - shown))
        part = (slice(top, top + ROWS), slice(start, start + shown))
        expected, actual = _cells(left[part].tolist(), right[part].tolist(), marks[part].tolist())
        if max(map(len, (*expected, *actual))) <= SIDE:
            break
    width = max(map(len, (*expected, "expected")))
    lines = [f"{'expected':<{width}}   actual ({MARK} differs)"]
    lines += [f"{one:<{width}}   {other}".rstrip() for one, other in zip(expected, actual, strict=True)]
    return [*lines, "…"] if rows > ROWS or columns > shown else lines


def _cells(
    left: Sequence[Sequence[Any]], right: Sequence[Sequence[Any]], marks: Sequence[Sequence[bool]]
) -> tuple[list[str], list[str]]:
    """Return the rows of both matrices as text, in columns of equal width, the right one with marks."""
    marked = [
        (value, twin)
        for values, twins, row in zip(left, right, marks, strict=True)
        for value, twin, mark in zip(values, twins, row, strict=True)
        if mark
    ]
    digits = next((few for few in (4, 9) if _tells_apart(marked, few)), 17)
    texts = [[[_number(value, digits) for value in row] for row in side] for side in (left, right)]
    width = max(len(text) for side in texts for row in side for text in row)
    expected = [" ".join(text.rjust(width) for text in row) for row in texts[0]]
    actual = [
        " ".join(text.rjust(width) + (MARK if mark else " ") for text, mark in zip(row, flags, strict=True))
        for row, flags in zip(texts[1], marks, strict=True)
    ]
    return expected, [line.rstrip() for line in actual]


def _tells_apart(pairs: Sequence[tuple[Any, Any]], digits: int) -> bool:
    """True if so many digits show the difference in every pair."""
    return all(_number(value, digits) != _number(twin, digits) for value, twin in pairs)


def _number(value: Any, digits: int = 4) -> str:
    if not isinstance(value, float) or not math.isfinite(value):
        return str(value)
    if digits > 4:
        return f"{value:.{digits}g}"
    if value and not 1e-3 <= abs(value) < 1e4:
        return f"{value:.1e}"
    return f"{value:.{digits}f}"
