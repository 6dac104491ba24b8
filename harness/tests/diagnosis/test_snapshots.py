"""Tests of snapshots and their equivalence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from harness.diagnosis.snapshots import (
    OPAQUE,
    AuthorsText,
    closer_than,
    distinct_wrong_values,
    equivalent,
    message_snapshot,
    reproducible,
    snapshot,
)

NAN, INF = float("nan"), float("inf")
X = torch.tensor([1.0, -2.5, 3.25])

EQUIVALENT = [
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
    (np.broadcast_to(np.zeros(1), (1 << 50,)), 3),  # nothing that can be copied
    (b"PK\x03\x04model", b"PK\x03\x04optimizer, model"),
    ([AuthorsText("20261025-run")], [AuthorsText("run of 25 October 2026")]),
    ({AuthorsText("a"), AuthorsText("b")}, {AuthorsText("c"), AuthorsText("d")}),
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
    (b"one", b"two"),
    ({AuthorsText("a"), AuthorsText("b")}, {AuthorsText("c")}),
    (b"PK\x03\x04model", b"model"),
]


@pytest.mark.parametrize(("one", "other"), EQUIVALENT)
def test_values_equal_up_to_rounding_are_equivalent(one: Any, other: Any) -> None:
    assert equivalent(snapshot(one), snapshot(other))
    assert equivalent(snapshot(other), snapshot(one))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_values_are_not_equivalent(one: Any, other: Any) -> None:
    assert not equivalent(snapshot(one), snapshot(other))
    assert not equivalent(snapshot(other), snapshot(one))


def test_a_snapshot_does_not_change_with_its_value() -> None:
    x = X.clone()
    before = snapshot(x)
    x += 1
    assert equivalent(before, snapshot(X))


def test_an_authors_message_is_compared_by_what_it_names_any_other_word_by_word() -> None:
    one, other = "size 3 is not 4", "3 and 4 do not fit"
    assert equivalent(message_snapshot(one, by_author=True), message_snapshot(other, by_author=True))
    assert not equivalent(message_snapshot(one, by_author=False), message_snapshot(other, by_author=False))
    assert not equivalent(
        message_snapshot(one, by_author=True), message_snapshot("3 and 5 do not fit", by_author=True)
    )
    assert equivalent(
        message_snapshot("off by 0.1000001", by_author=False), message_snapshot("off by 0.1", by_author=False)
    )


@pytest.mark.parametrize("text", ["float division by zero", "integer modulo by zero", "division by zero"])
def test_a_division_by_zero_is_the_same_whatever_the_types_of_its_numbers(text: str) -> None:
    one, other = (message_snapshot(each, by_author=False) for each in (text, "division by zero"))
    assert equivalent(one, other)
    assert not equivalent(one, message_snapshot("zero", by_author=False))


def test_trivial_numbers_do_not_count_as_distinct_wrong_values() -> None:
    expected = snapshot(torch.tensor([0.2, 0.3, 0.5, 0.7]))
    assert distinct_wrong_values(snapshot(torch.tensor([0.2, NAN, 0.0, 1.0])), expected) == 0
    assert distinct_wrong_values(snapshot(torch.tensor([0.2, 0.9, 0.8, 0.1])), expected) == 3
    assert distinct_wrong_values(snapshot(X.to("meta")), snapshot(X.to("meta"))) == 0


def test_of_several_values_the_right_ones_may_differ_by_rounding() -> None:
    right, mine = [X, X], [X * (1 + 1e-7), X + 1]
    assert closer_than(snapshot(mine), snapshot([X, X + 1]), snapshot(right))
    assert not closer_than(snapshot(mine), snapshot([X, X + 1.1]), snapshot(right))
    assert not closer_than(snapshot([X, X + 1e-7]), snapshot([X, X - 1e-7]), snapshot(right)), "none is wrong"


def test_a_wrong_value_must_be_much_closer_than_the_expected_one() -> None:
    mine, slip, right = snapshot(X + 1e-6), snapshot(X), snapshot(X + 1e-5)
    assert not closer_than(mine, slip, right)
    assert closer_than(mine, slip, snapshot(X + 1))


def test_nan_where_the_expected_value_has_none_is_far_from_it_whatever_the_rest_rounds_to() -> None:
    rows, hidden = X.expand(2, *X.shape).clone(), torch.full_like(X, NAN)
    mine, slip, right = rows * (1 + 1e-6), rows.clone(), rows.clone()
    mine[1], slip[1], right[1] = hidden, hidden, torch.zeros_like(X)
    assert closer_than(snapshot(mine), snapshot(slip), snapshot(right))


def test_infinities_that_the_expected_value_has_too_are_no_evidence() -> None:
    rest = torch.tensor([1.0, float("-inf")])
    mine, slip, right = rest + 1e-6, rest, rest + 1e-5
    assert not closer_than(snapshot(mine), snapshot(slip), snapshot(right))


def test_what_differs_between_two_runs_of_the_same_code_is_no_evidence() -> None:
    one = snapshot({"loss": 2.5, "seconds": 0.08, "rates": [1.0, 0.07]})
    other = snapshot({"loss": 2.5, "seconds": 0.09, "rates": [1.0, 0.08]})
    kept = reproducible(one, other)
    assert equivalent(kept, snapshot({"loss": 2.5, "seconds": 70.0, "rates": [1.0, 70.0]}))
    assert not equivalent(kept, snapshot({"loss": 2.6, "seconds": 0.08, "rates": [1.0, 0.07]}))


def test_nothing_is_left_of_values_of_different_kinds() -> None:
    assert reproducible(snapshot([1]), snapshot([1, 2])) == OPAQUE
    assert reproducible(snapshot({"a": 1}), snapshot({"b": 1})) == OPAQUE
