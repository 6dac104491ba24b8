"""A map of attention in the terminal: expected and actual weights, a digit each."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from harness.explain.attention import ROUNDING
from harness.explain.axis_names import AxisNames, capitalised
from harness.explain.observation import SENTENCE_WIDTH
from harness.explain.pair import Pair
from harness.terminal.lines import Line

_ROWS, _COLUMNS = 8, 16  # the most that a map shows: two of them and their labels fit in 80 columns
Part = tuple[str, str]  # a piece of a line, and its style


@dataclass(frozen=True)
class AttentionMap:
    """One matrix of weights, expected and actual, as far as the terminal can show it.

    Each entry is the tenth in which the share lies: "." exactly 0, "0" to "9", "+" above 1, "-" below 0,
    "?" NaN. The styles "heat0" to "heat9" colour them; without colour the digits say the same.
    """

    index: tuple[int, ...]  # of the matrix
    shape: tuple[int, ...]  # of the whole tensor
    top: int  # the first query and key that are shown
    left: int
    expected: tuple[str, ...]
    actual: tuple[str, ...]
    marks: tuple[str, ...]  # "*" where they differ

    def lines(self, axes: AxisNames) -> list[Line]:
        """Return expected and actual side by side, under a heading."""
        first = max(len("expected"), 2 * len(self.expected[0]) - 1)
        heading = textwrap.wrap(capitalised(self._heading(axes)), SENTENCE_WIDTH)
        lines: list[list[Part]] = [[(line, "")] for line in heading]
        lines.append([(f"    {'expected':<{first}}   actual (* differs)", "")])
        rows = zip(self.expected, self.actual, self.marks, strict=True)
        for number, (expected, actual, marks) in enumerate(rows, self.top):
            left = [(f"{number:>3} ", ""), *_cells(expected, " " * len(expected), first)]
            lines.append([*left, ("   ", ""), *_cells(actual, marks, 0)])
        return [Line("".join(text for text, _ in line), "", tuple(line)) for line in lines]

    def _heading(self, axes: AxisNames) -> str:
        where = [axes.indices(axis, [number]) for axis, number in enumerate(self.index)]
        title = ", ".join([*where, *self._cut(axes)])
        about = "a row is a query, a digit tenths of 1 (. is 0)"
        return f"{title}: {about}" if title else about

    def _cut(self, axes: AxisNames) -> list[str]:
        """The queries and keys that are shown, if not all are."""
        last = len(self.shape) - 1
        windows = ((last - 1, self.top, len(self.expected)), (last, self.left, len(self.expected[0])))
        return [
            axes.indices(axis, range(start, start + count))
            for axis, start, count in windows
            if count < self.shape[axis]
        ]


def attention_map(pair: Pair) -> AttentionMap | None:
    """Return the first matrix of weights that differs; None if the map would show no difference."""
    wrong = ~pair.tolerance.accepts(pair.expected, pair.actual)
    matrices = wrong.flatten(-2).any(-1).reshape(-1)
    number = int(matrices.int().argmax())
    shape = pair.expected.shape
    expected, actual, marks = (
        each.reshape(-1, *shape[-2:])[number] for each in (pair.expected, pair.actual, wrong)
    )
    row, column = marks.nonzero()[0].tolist() if marks.any() else (0, 0)
    top, left = _window(row, shape[-2], _ROWS), _window(column, shape[-1], _COLUMNS)
    part = (slice(top, top + _ROWS), slice(left, left + _COLUMNS))
    cells = [_digits(each[part].tolist()) for each in (expected, actual)]
    if cells[0] == cells[1]:
        return None
    import torch

    index = torch.unravel_index(torch.tensor(number), shape[:-2])
    shown = ["".join("*" if mark else " " for mark in row) for row in marks[part].tolist()]
    return AttentionMap(
        tuple(int(each) for each in index), tuple(shape), top, left, cells[0], cells[1], tuple(shown)
    )


def _window(first: int, size: int, most: int) -> int:
    """Return where to start so that `first` is shown."""
    return 0 if first < most else min(first - 1, size - most)


def _digits(rows: Sequence[Sequence[float]]) -> tuple[str, ...]:
    return tuple("".join(map(_digit, row)) for row in rows)


def _digit(share: float) -> str:
    if share != share:
        return "?"
    if share == 0:
        return "."
    if share < 0:
        return "-"
    return "+" if share > 1 + ROUNDING else str(min(9, int(share * 10 + 1e-9)))


def _cells(digits: str, marks: str, width: int) -> list[Part]:
    """Return a row of a map, each digit followed by its mark."""
    parts = [
        part
        for digit, mark in zip(digits, marks, strict=True)
        for part in ((digit, _heat(digit)), (mark, "bad" if mark == "*" else ""))
    ]
    parts[-1] = (parts[-1][0].rstrip(), parts[-1][1])
    missing = width - sum(len(text) for text, _ in parts)
    return [*parts, (" " * max(0, missing), "")]


def _heat(digit: str) -> str:
    return f"heat{digit}" if digit.isdigit() else "dim" if digit == "." else "bad"
