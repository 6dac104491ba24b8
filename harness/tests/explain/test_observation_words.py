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
from harness.explain import observation_words
from harness.explain.failures import Failure, Raised, ValuesDiffer
from harness.explain.findings import Finding
from harness.explain.observation_words import seen_lines
from harness.explain.shown import ComparisonShown
from harness.run.words import failure_block
from harness.shapes import Step
from harness.terminal.pytest_writer import write_lines

NAMES = ["batch", "heads", "queries", "keys"]
SHAPE = [2, 3, 5, 7]


def fact(kind: str, **facts: Any) -> dict[str, Any]:
    return {"kind": kind, **facts}


def at(axis: int, *which: int) -> dict[str, Any]:
    return {"axis": axis, "size": SHAPE[axis], "which": list(which)}


NAMED = [
    (fact("exchanged", axes=[2, 3]), "With queries and keys exchanged (a transpose) it is what is expected."),
    (fact("negated"), "Every value has the wrong sign, and is right otherwise."),
    (
        fact("scaled", factor=2.8284271, form="√{}", size=8, name="d_k"),
        "Every value is 2.83 = √8 times what is expected (d_k is 8).",
    ),
    (fact("scaled", factor=8.0, form="{}", size=8, name=""), "Every value is 8 times what is expected."),
    (
        fact("scaled", factor=-1.14285, form="{}/({} - 1)", size=8, name=""),
        "Every value is -1.14 = -8/(8 - 1) times what is expected.",
    ),
    (fact("scaled", factor=0.3), "Every value is 0.3 times what is expected."),
    (
        fact("sharpened", factor=3.3166, form="√{}", size=11, name="d_k"),
        "It is the softmax of the right scores times 3.32 = √11 (d_k is 11).",
    ),
    (fact("offset", by=-0.25), "Every value is 0.25 less than what is expected."),
    (fact("offset", by=1.0), "Every value is 1 more than what is expected."),
    (
        fact("shifted", axis=2, by=1),
        "All is one place too late along queries: index i holds what belongs at i -\n1.",
    ),
    (
        fact("shifted", axis=3, by=-1),
        "All is one place too early along keys: index i holds what belongs at i + 1.",
    ),
    (fact("reordered", axis=1, order=[1, 0, 2]), "Heads 0 and 1 are exchanged; all else is right."),
    (fact("reordered", axis=2, order=[4, 3, 2, 1, 0]), "The queries are right, but stand in reverse order."),
    (fact("reordered", axis=1, order=[1, 2, 0]), "The heads are right, but stand in the order 1 2 0."),
    (fact("reordered", axis=3, order=[*range(1, 9), 0]), "The keys are right, but stand in another order."),
    (
        fact("regrouped", shape=[2, 5, 3, 7], axes=[1, 2]),
        "The right numbers, in wrong places: reshaped to (2, 5, 3, 7) and then with\n"
        "axes 1 and 2 exchanged, all are where they belong.",
    ),
    (fact("shuffled"), "It holds exactly the expected numbers, but in other places."),
    (fact("laid_out"), "It holds the expected numbers in the expected order, in another shape."),
    (fact("only_dtype"), "The values are right; only the dtype is another."),
    (fact("float32"), "Every value is a float32 number, though in a float64 tensor."),
    (
        fact("shape_order", order=[0, 1, 3, 2]),
        "The sizes of queries and keys stand in each other's place.",
    ),
    (fact("shape_order", order=[1, 2, 3, 0]), "The sizes are the expected ones, in another order."),
    (
        fact("ones", more=True, right=True),
        "The result has an axis of size 1 too many; its values are right.",
    ),
    (fact("ones", more=False, right=False), "The result lacks an axis of size 1."),
    (fact("lost_axis", axis=1), "The result lacks an axis: heads, of size 3."),
    (fact("nan", count=1, of=1, first=[], axes=[]), "The result is NaN."),
    (fact("inf", count=4, of=4, first=[0], axes=[]), "Every value is infinite."),
    (
        fact("nan", count=5, of=210, first=[0, 1, 2, 3], axes=[]),
        "5 of 210 values are NaN, the first at batch row 0, head 1, query 2, key 3.",
    ),
    (
        fact("nan", count=14, of=210, first=[0, 1, 2, 3], axes=[at(0, 1), at(2, 1, 4)]),
        "14 of 210 values are NaN, all in batch row 1, queries 1 and 4.",
    ),
    (
        fact("sums", axis=3, along=2, low=0, high=1),
        "The weights sum to 1 along queries; they should along keys.",
    ),
    (
        fact("sums", axis=3, along=None, low=0.431, high=1.9),
        "Along keys the sums are between 0.431 and 1.9; they should be 1.",
    ),
    (fact("sums", axis=3, along=None, low=0.3, high=0.3), "Along keys the sums are 0.3; they should be 1."),
    (
        fact("rows_scaled", axis=3),
        "Along keys the proportions are right: only a factor is wrong, another each\ntime.",
    ),
    (fact("rows_offset", axis=3), "Along keys all is off by one and the same number, another each time."),
    (fact("constant", value=0.0), "Every value is 0."),
    (fact("alike", axis=2), "The result is the same for all queries; it should not be."),
    (
        fact("not_special", value="0", wrong=9, of=12, only=True),
        "Only entries where 0 is expected differ: 9 of 12.",
    ),
    (
        fact("not_special", value="-inf", wrong=9, of=12, only=False),
        "9 of the 12 entries that should be -inf are not.",
    ),
    (
        fact("wrongly_special", value="0", count=3),
        "Only entries that are 0, and should not be, differ: 3 of them.",
    ),
    (fact("diagonal", side="above"), "All that differs lies where the key comes after the query."),
    (fact("diagonal", side="on"), "All that differs lies where a query meets its own key."),
    (fact("diagonal", side="below"), "All that differs lies where the key comes before the query."),
    (fact("where", axes=[at(2, 0, 1, 2, 3)]), "Only query 4 of 5 matches."),
    (fact("where", axes=[at(2, 0, 4)]), "Only queries 0 and 4 of 5 differ."),
    (
        fact("where", axes=[at(0, 1), at(1, 0), at(2, 1, 2, 3)]),
        "All that differs lies in batch row 1, head 0, queries 1 to 3.",
    ),
    (fact("reads", readers=[2], read=5), "Position 2 reads position 5, which comes later."),
    (fact("reads", readers=[0, 1, 2], read=5), "Positions 0 to 2 read position 5, which comes later."),
    (fact("reads_other_row", rows=[0, 2], read=1), "Batch rows 0 and 2 read batch row 1."),
    (fact("deaf", positions=[6], read=5), "Position 6 takes no notice of position 5."),
    (fact("no_gradient", of="key"), "No gradient reaches key: it is zero everywhere."),
    (fact("gradient", of="out_proj.bias"), "This is the gradient of out_proj.bias."),
    (fact("named", of="out_proj.bias"), "This is out_proj.bias."),
]

UNNAMED = [
    (
        fact("exchanged", axes=[2, 3]),
        SHAPE,
        "With the last two axes exchanged (a transpose) it is what is expected.",
    ),
    (
        fact("exchanged", axes=[0, 2]),
        SHAPE,
        "With axes 0 and 2 exchanged (a transpose) it is what is expected.",
    ),
    (fact("where", axes=[at(1, 2)]), SHAPE, "Only index 2 of axis 1 of 3 differs."),
    (fact("where", axes=[{"axis": 0, "size": 5, "which": [1, 3]}]), [5, 2], "Only rows 1 and 3 of 5 differ."),
    (fact("where", axes=[{"axis": 1, "size": 9, "which": [8]}]), [5, 9], "Only column 8 of 9 differs."),
    (fact("where", axes=[{"axis": 0, "size": 9, "which": [0, 1]}]), [9], "Only entries 0 and 1 of 9 differ."),
    (fact("alike", axis=1), SHAPE, "The result is the same at every index of axis 1; it should not be."),
    (fact("diagonal", side="above"), [5, 5], "All that differs lies above the diagonal."),
    (
        fact("reordered", axis=1, order=[2, 1, 0]),
        SHAPE,
        "Indices 0 and 2 of axis 1 are exchanged; all else is right.",
    ),
    (
        fact("shifted", axis=1, by=-1),
        [2, 5],
        "All is one place too early along the last axis: index i holds what belongs\nat i + 1.",
    ),
]


@pytest.mark.parametrize(
    ("what", "text"), NAMED, ids=lambda value: value["kind"] if isinstance(value, dict) else ""
)
def test_an_observation_is_a_sentence(what: dict[str, Any], text: str) -> None:
    assert "\n".join(seen_lines([what], NAMES, SHAPE)) == text


@pytest.mark.parametrize(("what", "shape", "text"), UNNAMED)
def test_axes_without_names_are_told_by_number(what: dict[str, Any], shape: list[int], text: str) -> None:
    assert "\n".join(seen_lines([what], [], shape)) == text


def test_every_kind_of_observation_has_its_text_here() -> None:
    assert {what["kind"] for what, _ in NAMED} == observation_words._SAY.keys()


# --- in the block ------------------------------------------------------------------------------------

HEAT = {
    "index": [1, 0],
    "shape": [2, 3, 2, 6],
    "top": 0,
    "left": 0,
    "expected": ["9.....", "45...."],
    "actual": ["213210", "?+3-10"],
    "marks": ["*** * ", "******"],
}
CLOSE = (
    "Tensor-likes are not close!\n\nMismatched elements: 11 / 72 (15.3%)\nGreatest absolute difference: 0.7"
)
COMPARED = ValuesDiffer(
    CLOSE,
    ComparisonShown(
        "assert_close",
        ["a table"],
        {
            "seen": [fact("reads", readers=[2], read=5), fact("where", axes=[at(0, 1)])],
            "axes": NAMES,
            "shape": [2, 3, 2, 6],
            "heat": HEAT,
        },
    ),
)


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
  Position 2 reads position 5, which comes later.
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
    ("what", "text"), NAMED, ids=lambda value: value["kind"] if isinstance(value, dict) else ""
)
def test_every_observation_stands_between_the_message_and_the_numbers(
    what: dict[str, Any], text: str, colour: bool
) -> None:
    facts = {**COMPARED.shown.facts, "seen": [what], "shape": SHAPE}
    del facts["heat"]
    shown = printed(replace(COMPARED, shown=replace(COMPARED.shown, facts=facts)), colour=colour)
    sentence = "".join(f"  {line}\n" for line in text.splitlines())
    assert shown == f"  11 of 72 entries differ, by up to 0.7:\n{sentence}\n  a table\n"


def test_a_map_on_a_terminal_without_unicode_is_the_same() -> None:
    assert PLAIN.isascii()


def test_a_map_of_many_queries_and_keys_says_which_it_shows() -> None:
    wide = {"expected": ["0" * 16] * 8, "actual": ["1" * 16] * 8, "marks": ["*" * 16] * 8}
    heat = {**HEAT, **wide, "index": [], "shape": [40, 50], "top": 29, "left": 34}
    facts = {**COMPARED.shown.facts, "axes": ["queries", "keys"], "shape": [40, 50], "heat": heat, "seen": []}
    lines = printed(replace(COMPARED, shown=replace(COMPARED.shown, facts=facts)), colour=False).splitlines()
    assert lines[2:4] == [
        "  Queries 29 to 36, keys 34 to 49: a row is a query, a digit tenths of 1 (. is",
        "  0)",
    ]
    assert lines[-1] == "   36 " + "0 " * 15 + "0   " + "1*" * 16
    assert len(lines) == 13
    assert max(map(len, lines)) <= 80


def test_a_small_matrix_is_told_in_numbers_not_as_a_map() -> None:
    facts = {**COMPARED.shown.facts, "shape": [2, 3, 2, 4]}
    assert printed(replace(COMPARED, shown=replace(COMPARED.shown, facts=facts)), colour=False).endswith(
        "differs.\n\n  a table\n"
    )


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
