"""What two runs saw is alike only where the same computation may have given both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from harness.course.slips import Slip
from harness.diagnosis.reference import patched_source
from harness.diagnosis.snapshots import (
    closer_than,
    distinct_wrong_values,
    equivalent,
    message_snapshot,
    snapshot,
)

NAN, INF = float("nan"), float("inf")
X = torch.tensor([1.0, -2.5, 3.25])

ALIKE = [
    (X, X.clone()),
    (X, X * (1 + 1e-7)),
    (torch.tensor([NAN, INF, 1.0]), torch.tensor([NAN, INF, 1.0])),
    (X.double(), X.double() + 1e-14),
    (torch.tensor([1, 2]), torch.tensor([1, 2])),
    (X.to("meta"), X.to("meta")),
    (np.array([1.0, 2.0]), np.array([1.0, 2.0])),
    (0.1 + 0.2, 0.3),
    (NAN, NAN),
    ([1, "a", None], (1, "a", None)),
    ({"a": X}, {"a": X}),
    (object(), 3),
]
DIFFERENT = [
    (X, X + 1e-3),
    (X, X.double()),
    (X, X[None]),
    (X, X.to("meta")),
    (X.double(), X.double() + 1e-8),
    (torch.tensor([NAN, 1.0]), torch.tensor([1.0, NAN])),
    (torch.tensor([INF]), torch.tensor([-INF])),
    (torch.tensor([1, 2]), torch.tensor([1, 3])),
    (np.array([1.0]), np.array([1.1])),
    (np.array([1], dtype=np.uint16), np.array([1], dtype=np.int64)),
    (1.0, 1.00001),
    (True, 1),
    ("a", "b"),
    ([1], [1, 2]),
    ({"a": 1}, {"b": 1}),
    ("1", 1),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_the_same_up_to_rounding_is_alike(one: Any, other: Any) -> None:
    assert equivalent(snapshot(one), snapshot(other))
    assert equivalent(snapshot(other), snapshot(one))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_anything_else_is_not(one: Any, other: Any) -> None:
    assert not equivalent(snapshot(one), snapshot(other))
    assert not equivalent(snapshot(other), snapshot(one))


def test_what_was_seen_stays_as_it_was() -> None:
    x = X.clone()
    before = snapshot(x)
    x += 1
    assert equivalent(before, snapshot(X))


def test_a_message_of_pythons_is_compared_word_by_word_and_ones_own_by_what_it_names() -> None:
    one, other = "size 3 is not 4", "3 and 4 do not fit"
    assert equivalent(message_snapshot(one, written=True), message_snapshot(other, written=True))
    assert not equivalent(message_snapshot(one, written=False), message_snapshot(other, written=False))
    assert not equivalent(
        message_snapshot(one, written=True), message_snapshot("3 and 5 do not fit", written=True)
    )
    assert equivalent(
        message_snapshot("off by 0.1000001", written=False), message_snapshot("off by 0.1", written=False)
    )


def test_numbers_that_come_of_themselves_tell_little() -> None:
    expected = snapshot(torch.tensor([0.2, 0.3, 0.5, 0.7]))
    assert distinct_wrong_values(snapshot(torch.tensor([0.2, NAN, 0.0, 1.0])), expected) == 0
    assert distinct_wrong_values(snapshot(torch.tensor([0.2, 0.9, 0.8, 0.1])), expected) == 3
    assert distinct_wrong_values(snapshot(X.to("meta")), snapshot(X.to("meta"))) == 0


def test_a_mistake_is_nearer_than_what_is_right() -> None:
    mine, slip, right = snapshot(X + 1e-6), snapshot(X), snapshot(X + 1e-5)
    assert not closer_than(mine, slip, right)
    assert closer_than(mine, slip, snapshot(X + 1))


# --- what a slip touches ---

SOURCE = '''\
"""A module."""

import math

SIZE = 3


class Part:
    def of(self) -> "Part":
        return self


class Whole(Part):
    def part(self) -> Part:
        return Part()


def double(x):
    return 2 * x


def half(x):
    return double(x) / 4
'''


@pytest.mark.parametrize(
    ("find", "kept", "left_out"),
    [
        ("2 * x", ["def double"], ["class", "def half"]),
        ("return self\n", ["class Part", "class Whole"], ["def double"]),
        ("SIZE = 3\n", ["SIZE = 4"], ["class Part", "def double"]),
        ("    return 2 * x\n\n\ndef half(x):", ["def double", "def half"], ["class"]),
    ],
)
def test_only_what_a_slip_touches_is_executed_again(find: str, kept: list[str], left_out: list[str]) -> None:
    replace = find.replace("2", "3").replace("= 3", "= 4").replace("self\n", "Part()\n")
    text = patched_source(SOURCE, Slip("x", find, replace, "", ""))
    compile(text, "touched", "exec")
    assert [part for part in (*kept, *left_out) if part in text] == kept
