"""What differs between collections that are too long for a line: named, and only that."""

from __future__ import annotations

import pytest
import torch

from harness.explain.containers import LINES, differences

PARTS = ("query_proj", "key_proj", "value_proj", "out_proj")
SHAPES = {f"{part}.{name}": (12, 12) for part in PARTS for name in ("weight", "bias")}
LONG = "the cat that the dog chased slept in the sun until the evening came and it was cold"


def without(*names: str) -> dict[str, tuple[int, int]]:
    return {name: shape for name, shape in SHAPES.items() if name not in names}


@pytest.mark.parametrize(
    ("expected", "actual", "lines"),
    [
        (SHAPES, without("out_proj.bias"), ["out_proj.bias: missing; expected (12, 12)"]),
        (SHAPES, SHAPES | {"mask": (5, 5)}, ["mask: (5, 5); not expected"]),
        (SHAPES, SHAPES | {"key_proj.bias": (3,)}, ["key_proj.bias: (3,); expected (12, 12)"]),
        (
            SHAPES,
            without("key_proj.bias") | {"qkv": 1},
            ["key_proj.bias: missing; expected (12, 12)", "qkv: 1; not expected"],
        ),
        (set(SHAPES), set(without("out_proj.bias")), ["missing: out_proj.bias"]),
        (set(SHAPES), set(SHAPES) | {"mask"}, ["not expected: mask"]),
        (list(range(40)), [*range(20), -1, *range(21, 40)], ["[20]: -1; expected 20"]),
        (list(range(40)), list(range(39)), ["39 entries; expected 40", "[39]: missing; expected 39"]),
        (
            {"x": torch.ones(9)},
            {"x": torch.ones(8)},
            ["x: float32 (8,); expected float32 (9,)"],
        ),
        (
            {"weight": torch.ones(2), "bias": torch.zeros(2)},
            {"weight": torch.zeros(2), "bias": torch.zeros(2)},
            ["weight:", "expected        actual (* differs)", "1.0000 1.0000   0.0000* 0.0000*"],
        ),
        (
            LONG,
            LONG.replace("sun", "sum"),
            [
                "They differ from character 43 on:",
                "expected  …'g chased slept in the sun until the evening came'…",
                "actual    …'g chased slept in the sum until the evening came'…",
            ],
        ),
        (
            [{"step": "0.0", "loss": "0.30000000000000004"}, {"step": "1.0", "loss": "nan", "lr": "0.5"}],
            [{"step": "0.0", "loss": "0.3"}, {"step": "1.0", "loss": None, "lr": "0.5"}],
            ["step 0, loss: '0.3'; expected '0.30000000000000004'", "step 1, loss: None; expected 'nan'"],
        ),
        (
            b"step,loss\n2,0.2857142857142857\n8,1.1428571428571428\n9,1.2857142857142858\n",
            b"step,loss\n2,0.2857142857142857\n8,1.1428571428571428\n",
            [
                "They differ from byte 52 on:",
                r"expected  …b'57\n8,1.1428571428571428\n9,1.2857142857142858\n'",
                r"actual    …b'57\n8,1.1428571428571428\n'",
            ],
        ),
    ],
    ids=[
        "missing",
        "too-much",
        "unlike",
        "renamed",
        "not-in-set",
        "in-set",
        "entry",
        "length",
        "tensor",
        "numbers",
        "text",
        "entries of entries",
        "bytes",
    ],
)
def test_only_what_differs_is_named(expected: object, actual: object, lines: list[str]) -> None:
    assert differences(expected, actual) == lines


@pytest.mark.parametrize(
    ("expected", "actual"),
    [({"a": 1}, {"a": 2}), ([1], [2]), ("a", "b"), (1, 2), (SHAPES, None), (list(SHAPES), tuple(SHAPES))],
    ids=["short dict", "short list", "short text", "numbers", "other kind", "list and tuple"],
)
def test_what_is_shown_better_side_by_side_has_no_lines(expected: object, actual: object) -> None:
    assert differences(expected, actual) == []


def test_many_differences_are_counted_and_long_ones_cut() -> None:
    expected = {f"{'a very long name ' * 3}{i}": "a long value " * 9 for i in range(30)}
    lines = differences(expected, {})
    assert (len(lines), lines[-1]) == (LINES, "… and 23 more")
    assert max(map(len, lines)) <= 78
