"""The block that ends a run, word for word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.course.katas import Kata
from harness.course.test_case import TestCase
from harness.explain.failures import HardExit
from harness.explain.findings import Finding
from harness.explain.places import Place
from harness.progress.standing import KataProgress
from harness.run import words
from harness.run.words import failure_block

KATA = Kata(Path("/course"), "k00_doubles")
FILE = "katas/k00_doubles/doubles.py"
LEFT = Finding(HardExit(0))


def block(finding: Finding, arguments: str = "a-1") -> list[str]:
    case = TestCase(KATA.name, "test_f", "test_f", arguments, requirement="It works.")
    return [line.text for line in failure_block(KATA, case, finding, passed=1, total=4)]


def test_a_long_case_stands_on_lines_of_its_own() -> None:
    case = "mask_shape=(2, 5, 5), bias=True, dtype=torch.float64, atol=1e-12, num_heads=3"
    assert block(LEFT, case)[3:6] == [
        "  test_f",
        "  (case mask_shape=(2, 5, 5), bias=True, dtype=torch.float64, atol=1e-12,",
        "  num_heads=3)",
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("y = x", [f"  {FILE}:3   y = x"]),
        (f"y = {'x' * 60}", [f"  {FILE}:3", f"    y = {'x' * 60}"]),
        (f"y = {'x' * 90}", [f"  {FILE}:3", f"    y = {'x' * 71}…"]),
    ],
    ids=["short", "long", "too long"],
)
def test_a_line_of_code_stands_beside_its_place_or_below(text: str, lines: list[str]) -> None:
    shown = block(replace(LEFT, place=Place(FILE, 3, text)))
    assert shown[7 : 7 + len(lines)] == lines


def test_the_block_says_where_what_and_what_next() -> None:
    finding = replace(LEFT, place=Place(FILE, 3, "os._exit(0)"), printed="hello\n")
    assert block(finding) == [
        "kata 00 doubles · 1/4",
        "",
        "✗ It works.",
        "  test_f  (case a-1)",
        "",
        "  Your code ended the whole Python process: os._exit(0).",
        "",
        "  Your code printed:",
        "    hello",
        "",
        f"  {FILE}:3   os._exit(0)",
        "",
        "Next: change it, save, and run  pytest katas/00",
        "Stuck? harness hint 00",
    ]


def test_a_flood_of_output_is_cut() -> None:
    lines = block(replace(LEFT, printed="".join(f"{i} {'x' * 200}\n" for i in range(9000))))
    start = next(i for i, line in enumerate(lines) if "Your code printed" in line)
    assert lines[start] == "  Your code printed, the last of 1,852,890 characters:"
    assert [line.split()[0] for line in lines[start + 1 : start + 6]] == [f"{i}" for i in range(8995, 9000)]
    assert max(map(len, lines)) <= 80
    assert len(lines) == start + 9


def test_katas_that_a_run_unlocks_are_listed_before_the_one_to_go_on_with() -> None:
    katas = [Kata(Path("/course"), name) for name in ("k01_layers", "k02_models")]
    following = KataProgress(katas[0], ("test_doubler",), (), "test_doubler", False, False, False, None)
    lines = words.after_completion(following, "k00_doubles", news=True, unlocked=katas)
    assert [line.text for line in lines] == [
        "",
        "Unlocked: katas 01 layers, 02 models",
        "See your functions at work: katas/k00_doubles/notebook.ipynb",
        "Next: read katas/k01_layers/README.md, then run  pytest katas/01",
    ]


def test_a_kata_that_was_complete_before_unlocks_nothing() -> None:
    following = KataProgress(KATA, ("test_a",), ("test_a",), None, True, True, False, None)
    lines = words.after_completion(following, "k00_doubles", news=False)
    assert [line.text for line in lines] == ["", "Next: pytest katas/00"]
