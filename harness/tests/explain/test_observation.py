"""What a learner reads about what can be seen, word for word, plain and in colour, in 80 columns."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from _pytest._io import TerminalWriter

from harness.course.katas import Kata
from harness.course.test_case import TestCase
from harness.explain.attention import Sharpened, Sums
from harness.explain.attention_map import AttentionMap
from harness.explain.axis_names import AxisNames
from harness.explain.factors import Factor, Negated, Offset, Scaled, SlicesOffset, SlicesScaled
from harness.explain.failures import Failure, Raised, ValuesDiffer
from harness.explain.findings import Finding
from harness.explain.observation import Observation, sentences
from harness.explain.observations import (
    Alike,
    AxisOfOne,
    Constant,
    LostAxis,
    OnlyDtype,
    Opposite,
    RightUntil,
    Rounding,
    ShapeOrder,
    ThroughFloat32,
)
from harness.explain.rearrangements import Exchanged, LaidOut, Regrouped, Reordered, Shifted, Shuffled
from harness.explain.regions import Diagonal, NotFinite, NotSpecial, Part, Where, WronglySpecial
from harness.explain.shown import Shown
from harness.explain.variables import GradientOf, Ignores, NamedTensor, NoGradient, Reads, ReadsOtherRow
from harness.run.words import failure_block
from harness.shapes import Step
from harness.terminal.pytest_writer import write_lines

NAMES = ["batch", "heads", "queries", "keys"]
SHAPE = [2, 3, 5, 7]


def at(axis: int, *which: int) -> Part:
    return Part(axis, SHAPE[axis], which)


NAMED = [
    (
        Exchanged(
            axes=(
                2,
                3,
            )
        ),
        "Swap queries and keys (a transpose) and it matches.",
    ),
    (Negated(), "Every value has the wrong sign, but is otherwise right."),
    (
        Scaled(Factor(2.8284271, "√{}", 8, "d_k")),
        "Every value is 2.83 = √8 times the expected one (d_k is 8).",
    ),
    (Scaled(Factor(8.0, "{}", 8, "")), "Every value is 8 times the expected one."),
    (
        Scaled(Factor(-1.14285, "{}/({} - 1)", 8, "")),
        "Every value is -1.14 = -8/(8 - 1) times the expected one.",
    ),
    (Scaled(Factor(0.3)), "Every value is 0.3 times the expected one."),
    (
        Sharpened(Factor(3.3166, "√{}", 11, "d_k")),
        "It is the softmax of the right scores times 3.32 = √11 (d_k is 11).",
    ),
    (Offset(by=-0.25), "Every value is 0.25 less than expected."),
    (Offset(by=1.0), "Every value is 1 more than expected."),
    (
        Shifted(axis=2, by=1),
        "Everything is one place too late along queries: index i holds what belongs\nat i - 1.",
    ),
    (
        Shifted(axis=3, by=-1),
        "Everything is one place too early along keys: index i holds what belongs at\ni + 1.",
    ),
    (
        Reordered(
            axis=1,
            order=(
                1,
                0,
                2,
            ),
        ),
        "Heads 0 and 1 are swapped; everything else is right.",
    ),
    (
        Reordered(
            axis=2,
            order=(
                4,
                3,
                2,
                1,
                0,
            ),
        ),
        "The queries are right, but in reverse order.",
    ),
    (
        Reordered(
            axis=1,
            order=(
                1,
                2,
                0,
            ),
        ),
        "The heads are right, but in the order 1 2 0.",
    ),
    (
        Reordered(
            axis=3,
            order=(
                *range(1, 9),
                0,
            ),
        ),
        "The keys are right, but in a different order.",
    ),
    (
        Regrouped(
            shape=(
                2,
                5,
                3,
                7,
            ),
            axes=(
                1,
                2,
            ),
        ),
        "The numbers are right but in the wrong positions: reshape to (2, 5, 3, 7),\n"
        "then swap axes 1 and 2, and they match.",
    ),
    (Shuffled(), "The numbers are right but in the wrong positions."),
    (LaidOut(), "The numbers and their order are right, but the shape differs."),
    (OnlyDtype(), "The values are right; only the dtype differs."),
    (ThroughFloat32(), "Every value is a float32 number, although the tensor is float64."),
    (
        ShapeOrder(
            order=(
                0,
                1,
                3,
                2,
            )
        ),
        "The sizes of queries and keys are swapped.",
    ),
    (
        ShapeOrder(
            order=(
                1,
                2,
                3,
                0,
            )
        ),
        "The sizes are right, but in a different order.",
    ),
    (
        AxisOfOne(more=True, right=True),
        "The result has an extra axis of size 1; its values are right.",
    ),
    (AxisOfOne(more=False, right=False), "The result lacks an axis of size 1."),
    (LostAxis(axis=1), "The result lacks an axis: heads, of size 3."),
    (NotFinite("NaN", count=1, of=1, first=(), parts=()), "The result is NaN."),
    (NotFinite("-inf", count=4, of=4, first=(0,), parts=()), "Every value is -inf."),
    (
        NotFinite(
            "NaN",
            count=5,
            of=210,
            first=(
                0,
                1,
                2,
                3,
            ),
            parts=(),
        ),
        "5 of 210 values are NaN, the first at batch row 0, head 1, query 2, key 3.",
    ),
    (
        NotFinite(
            "NaN",
            count=14,
            of=210,
            first=(
                0,
                1,
                2,
                3,
            ),
            parts=(
                at(0, 1),
                at(2, 1, 4),
            ),
        ),
        "14 of 210 values are NaN, all in batch row 1, queries 1 and 4.",
    ),
    (
        Sums(axis=3, along=2, low=0, high=1),
        "The weights sum to 1 along queries; they should along keys.",
    ),
    (
        Sums(axis=3, along=None, low=0.431, high=1.9),
        "Along keys the sums are between 0.431 and 1.9; they should be 1.",
    ),
    (Sums(axis=3, along=None, low=0.3, high=0.3), "Along keys the sums are 0.3; they should be 1."),
    (
        SlicesScaled(axis=3),
        "Along keys each slice is off by its own constant factor.",
    ),
    (SlicesOffset(axis=3), "Along keys each slice is off by its own constant."),
    (Constant(value=0.0), "Every value is 0."),
    (
        Rounding(digits=8),
        "The values agree to 8 digits: the differences are of the size of float32's\n"
        "rounding. Is a step computed in float32, or a constant cut short?",
    ),
    (RightUntil(1), "Index 0 is right; the first difference is at index 1."),
    (RightUntil(4), "Indices 0 to 3 are right; the first difference is at index 4."),
    (Rounding(digits=11), "The values agree to 11 digits. Is a constant cut short?"),
    (
        Rounding(digits=6, single=True),
        "The values agree to 6 digits: the differences are of the size of float32's\nrounding.",
    ),
    (
        Opposite("False", "True"),
        "It is exactly the opposite: False where True is expected, and True where\nFalse is.",
    ),
    (
        Where(parts=(at(0, 1), at(1, 0), at(2, 2), at(3, 6)), one=(1, 0, 2, 6)),
        "The only difference is at batch row 1, head 0, query 2, key 6.",
    ),
    (Alike(axis=2), "The result is the same for all queries; it should not be."),
    (
        NotSpecial(value="0", wrong=9, of=12, only=True),
        "Only entries where 0 is expected differ: 9 of 12.",
    ),
    (
        NotSpecial(value="-inf", wrong=9, of=12, only=False),
        "9 of the 12 entries that should be -inf are not.",
    ),
    (
        WronglySpecial(value="0", count=3),
        "Only entries that are 0 but should not be differ: 3 of them.",
    ),
    (Diagonal(side="above"), "All differences are where the key comes after the query."),
    (Diagonal(side="on"), "All differences are where a query meets its own key."),
    (Diagonal(side="below"), "All differences are where the key comes before the query."),
    (Where(parts=(at(2, 0, 1, 2, 3),)), "Only query 4 of 5 matches."),
    (Where(parts=(at(2, 0, 4),)), "Only queries 0 and 4 of 5 differ."),
    (
        Where(
            parts=(
                at(0, 1),
                at(1, 0),
                at(2, 1, 2, 3),
            )
        ),
        "All differences are in batch row 1, head 0, queries 1 to 3.",
    ),
    (Reads(readers=(2,), read=5), "Position 2 depends on position 5, which comes later."),
    (
        Reads(
            readers=(
                0,
                1,
                2,
            ),
            read=5,
        ),
        "Positions 0 to 2 depend on position 5, which comes later.",
    ),
    (
        ReadsOtherRow(
            readers=(
                0,
                2,
            ),
            read=1,
        ),
        "Batch rows 0 and 2 depend on batch row 1, but should not.",
    ),
    (Ignores(readers=(6,), read=5), "Position 6 does not depend on position 5, but should."),
    (NoGradient(of="key"), "The gradient of key is zero everywhere, but should not be."),
    (GradientOf(of="out_proj.bias"), "This is the gradient of out_proj.bias."),
    (NamedTensor(of="out_proj.bias"), "This is out_proj.bias."),
    (NamedTensor(of="the bias"), "This is the bias."),
    (NamedTensor(of="the loss of both runs"), "This is the loss of both runs."),
    (NamedTensor(of="the scores"), "These are the scores."),
    (NamedTensor(of="the means of head.weight"), "These are the means of head.weight."),
]

UNNAMED = [
    (
        Exchanged(
            axes=(
                2,
                3,
            )
        ),
        SHAPE,
        "Swap the last two axes (a transpose) and it matches.",
    ),
    (
        Exchanged(
            axes=(
                0,
                2,
            )
        ),
        SHAPE,
        "Swap axes 0 and 2 (a transpose) and it matches.",
    ),
    (Where(parts=(at(1, 2),)), SHAPE, "Only index 2 of axis 1 of 3 differs."),
    (
        Where(
            parts=(
                Part(
                    0,
                    5,
                    (
                        1,
                        3,
                    ),
                ),
            )
        ),
        [5, 2],
        "Only rows 1 and 3 of 5 differ.",
    ),
    (Where(parts=(Part(1, 9, (8,)),)), [5, 9], "Only column 8 of 9 differs."),
    (
        Where(
            parts=(
                Part(
                    0,
                    9,
                    (
                        0,
                        1,
                    ),
                ),
            )
        ),
        [9],
        "Only entries 0 and 1 of 9 differ.",
    ),
    (Alike(axis=1), SHAPE, "The result is the same at every index of axis 1; it should not be."),
    (Diagonal(side="above"), [5, 5], "All differences are above the diagonal."),
    (
        Reordered(
            axis=1,
            order=(
                2,
                1,
                0,
            ),
        ),
        SHAPE,
        "Indices 0 and 2 of axis 1 are swapped; everything else is right.",
    ),
    (
        Shifted(axis=1, by=-1),
        [2, 5],
        "Everything is one place too early along the last axis: index i holds what\nbelongs at i + 1.",
    ),
]


@pytest.mark.parametrize(
    ("what", "text"), NAMED, ids=lambda value: type(value).__name__ if isinstance(value, Observation) else ""
)
def test_an_observation_is_a_sentence(what: Observation, text: str) -> None:
    assert "\n".join(sentences([what], AxisNames(NAMES, SHAPE))) == text


@pytest.mark.parametrize(("what", "shape", "text"), UNNAMED)
def test_axes_without_names_are_told_by_number(what: Observation, shape: list[int], text: str) -> None:
    assert "\n".join(sentences([what], AxisNames([], shape))) == text


def test_every_kind_of_observation_has_its_text_here() -> None:
    assert {type(what) for what, _ in NAMED} == set(Observation.__subclasses__())


# --- in the block ------------------------------------------------------------------------------------

MAP = AttentionMap(
    index=(1, 0),
    shape=(2, 3, 2, 6),
    top=0,
    left=0,
    expected=("9.....", "45...."),
    actual=("213210", "?+3-10"),
    marks=("*** * ", "******"),
)
CLOSE = (
    "Tensor-likes are not close!\n\nMismatched elements: 11 / 72 (15.3%)\nGreatest absolute difference: 0.7"
)
COMPARED = ValuesDiffer(
    CLOSE,
    Shown(
        "assert_close",
        ("a table",),
        (Reads((2,), 5), Where((at(0, 1),))),
        tuple(NAMES),
        (2, 3, 2, 6),
        MAP,
    ),
)


def showing(**changes: Any) -> ValuesDiffer:
    return replace(COMPARED, shown=replace(COMPARED.shown, **changes))


def step(name: str, *shapes: tuple[int, ...], line: int = 18, **more: Any) -> Step:
    return Step("/c/attention.py", line, name, shapes, **more)


STEPS = [
    step("transpose", (2, 4, 3, 8), settings="-2, -1"),
    step("matmul", (2, 4, 8, 8)),
    step("softmax", (2, 4, 8, 8), settings="dim=-2"),
    step("max", (2,), (2,), line=20),
    step("rmul", (), line=21),
    step("rmul", (), line=21),
    step("matmul", (2, 8), (3, 8), line=22, failed=True),
]


def printed(failure: Failure, *, colour: bool, steps: Sequence[Step] = ()) -> str:
    """The block's part between the test's name and what to do next, as a terminal of 80 columns shows it."""
    kata = Kata(Path("/course"), "k00_doubles")
    case = TestCase(kata.name, "test_f", "test_f", requirement="It works.")
    finding = Finding(failure, steps=tuple(steps))
    lines = failure_block(kata, case, finding, passed=1, total=4)[5:-3]
    screen = io.BytesIO()
    writer = TerminalWriter(io.TextIOWrapper(screen, encoding="utf-8", newline="\n"))
    writer.hasmarkup, writer.fullwidth = colour, 80
    write_lines(writer, lines)
    return screen.getvalue().decode()


PLAIN = """\
  11 of 72 entries differ, by up to 0.7:
  Position 2 depends on position 5, which comes later.
  Only batch row 1 of 2 differs.

  Batch row 1, head 0: a row is a query, a digit tenths of 1 (. is 0)
      expected      actual (* differs)
    0 9 . . . . .   2*1*3*2 1*0
    1 4 5 . . . .   ?*+*3*-*1*0*
"""


def test_a_map_of_attention_can_be_read_without_colour() -> None:
    assert printed(COMPARED, colour=False) == PLAIN


def test_a_map_of_attention_has_shades_and_red_marks_in_colour() -> None:
    last = printed(COMPARED, colour=True).splitlines()[-1]

    def shade(digit: str) -> str:
        ink = 16 if digit >= "6" else 231
        return f"\x1b[48;5;{233 + 2 * int(digit)};38;5;{ink}m{digit}\x1b[0m"

    def red(text: str) -> str:
        return f"\x1b[31m{text}\x1b[0m"

    dot, mark = "\x1b[2m.\x1b[0m ", red("*")
    right = [red("?"), red("+"), shade("3"), red("-"), shade("1"), shade("0")]
    left = f"{shade('4')} {shade('5')} {dot}{dot}{dot}\x1b[2m.\x1b[0m "
    assert last == f"    1 {left}  {''.join(digit + mark for digit in right)}"


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(
    ("what", "text"), NAMED, ids=lambda value: type(value).__name__ if isinstance(value, Observation) else ""
)
def test_every_observation_stands_between_the_message_and_the_numbers(
    what: Observation, text: str, colour: bool
) -> None:
    failure = showing(observations=(what,), shape=tuple(SHAPE), map=None)
    shown = printed(failure, colour=colour)
    sentence = "".join(f"  {line}\n" for line in text.splitlines())
    assert shown == f"  11 of 72 entries differ, by up to 0.7:\n{sentence}\n  a table\n"


def test_a_map_on_a_terminal_without_unicode_is_the_same() -> None:
    assert PLAIN.isascii()


def test_a_map_of_many_queries_and_keys_says_which_it_shows() -> None:
    wide = {"expected": ("0" * 16,) * 8, "actual": ("1" * 16,) * 8, "marks": ("*" * 16,) * 8}
    whole = replace(MAP, index=(), shape=(40, 50), top=29, left=34, **wide)
    failure = showing(axes=("queries", "keys"), shape=(40, 50), map=whole, observations=())
    lines = printed(failure, colour=False).splitlines()
    assert lines[2:4] == [
        "  Queries 29 to 36, keys 34 to 49: a row is a query, a digit tenths of 1 (. is",
        "  0)",
    ]
    assert lines[-1] == "   36 " + "0 " * 15 + "0   " + "1*" * 16
    assert len(lines) == 13
    assert max(map(len, lines)) <= 80


def test_a_small_matrix_is_told_in_numbers_not_as_a_map() -> None:
    failure = showing(shape=(2, 3, 2, 4))
    assert printed(failure, colour=False).endswith("differs.\n\n  a table\n")


TRACE = """\

  Shapes that your lines produced (line: call, shape):
    18: transpose (2, 4, 3, 8) -2, -1
    18: @ (2, 4, 8, 8)
    18: softmax (2, 4, 8, 8) dim=-2
    20: max (2,) (2,)
    21: * ()   × 2
    22: @ (2, 8) and (3, 8) failed
"""


@pytest.mark.parametrize("colour", [False, True])
def test_shapes_stand_line_by_line_under_what_happened(colour: bool) -> None:
    shown = printed(Raised("RuntimeError", "sizes"), colour=colour, steps=STEPS)
    assert shown == f"  RuntimeError: sizes\n{TRACE}"
