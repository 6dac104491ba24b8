"""How long each test took, from the times of the receipts."""

from __future__ import annotations

import pytest

from harness.progress.receipts import Receipt
from harness.progress.times import minutes_spent

TESTS = {"k00_a": ("test_one", "test_two"), "k01_b": ("test_three",)}


def at(clock: str, kata: str = "k00_a", *, passed: str = "", failed: str = "") -> Receipt:
    time = f"2026-03-01T{clock}:00+00:00"
    return Receipt(kata, tuple(passed.split()), "tests", "stub", time, tuple(failed.split()))


def test_the_time_between_two_runs_belongs_to_the_test_that_had_not_passed() -> None:
    receipts = [
        at("10:00", failed="test_one"),
        at("10:07", failed="test_one"),
        at("10:10", passed="test_one"),
        at("10:10", failed="test_two"),
        at("10:25", passed="test_two"),
    ]
    assert minutes_spent(receipts, TESTS) == {"k00_a": {"test_one": 10.0, "test_two": 15.0}}


def test_a_longer_pause_does_not_count() -> None:
    receipts = [
        at("10:00", failed="test_one"),
        at("10:31", failed="test_one"),
        at("10:36", passed="test_one"),
    ]
    assert minutes_spent(receipts, TESTS) == {"k00_a": {"test_one": 5.0}}


def test_time_in_one_kata_is_not_that_of_another() -> None:
    receipts = [
        at("10:00", failed="test_one"),
        at("10:04", passed="test_one test_two"),
        at("10:20", "k01_b", failed="test_three"),
        at("10:21", "k01_b", passed="test_three"),
        at("10:40", passed="test_two"),  # an edit of a kata that is complete
    ]
    assert minutes_spent(receipts, TESTS) == {"k00_a": {"test_one": 4.0}, "k01_b": {"test_three": 17.0}}


@pytest.mark.parametrize("time", ["yesterday", "", "2026-03-01T10:05:00"])
def test_a_receipt_without_a_time_that_can_be_placed_is_left_out(time: str) -> None:
    odd = Receipt("k00_a", ("test_one",), "tests", "stub", time)
    receipts = [at("10:00", failed="test_one"), odd, at("10:02", passed="test_one")]
    assert minutes_spent(receipts, TESTS) == {"k00_a": {"test_one": 2.0}}


def test_receipts_of_unknown_katas_are_left_out() -> None:
    assert minutes_spent([at("10:00", "k77_x"), at("10:05", "k77_x", passed="test_x")], TESTS) == {}
