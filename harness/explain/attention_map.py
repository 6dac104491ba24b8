"""A map of attention in the terminal: expected and actual weights, a digit each."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from harness.explain.axis_names import AxisNames, capitalised

Fact = Mapping[str, Any]
_WIDTH = 76  # characters for a sentence: it stands indented, in 80 columns

Part = tuple[str, str]  # a piece of a line, and its style


def heat_lines(heat: Fact, names: Sequence[str]) -> list[list[Part]]:
    """Expected beside actual weights, a digit for each: the tenth in which the share lies.

    The styles "heat0" to "heat9" colour them; without colour the digits say the same.
    """
    shape, index = heat["shape"], heat["index"]
    axes = AxisNames(names, shape)
    where = ", ".join(axes.indices(axis, [number]) for axis, number in enumerate(index))
    cut = [
        axes.indices(axis, range(start, start + count))
        for axis, start, count in (
            (len(shape) - 2, heat["top"], len(heat["expected"])),
            (len(shape) - 1, heat["left"], len(heat["expected"][0])),
        )
        if count < shape[axis]
    ]
    title = ", ".join([*([where] if where else []), *cut])
    about = "a row is a query, a digit tenths of 1 (. is 0)"
    first = max(len("expected"), 2 * len(heat["expected"][0]) - 1)
    heading = capitalised(f"{title}: {about}" if title else about)
    lines = [[(line, "")] for line in textwrap.wrap(heading, _WIDTH)]
    lines.append([(f"    {'expected':<{first}}   actual (* differs)", "")])
    rows = zip(heat["expected"], heat["actual"], heat["marks"], strict=True)
    for number, (expected, actual, marks) in enumerate(rows, heat["top"]):
        lines.append([(f"{number:>3} ", ""), *_cells(expected, " " * len(expected), first)])
        lines[-1] += [("   ", ""), *_cells(actual, marks, 0)]
    return lines


def _cells(digits: str, marks: str, width: int) -> list[Part]:
    """A row of a map, each digit with what stands behind it."""
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
