"""Which review questions are due: after 1, 3, 7 and 21 days, and from the start again if forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.course.questions import cards
from harness.progress.recall import (
    Answered,
    completed_at,
    due,
    fingerprint,
    next_due,
    read_answered,
    save_answered,
)
from harness.progress.receipts import Receipt
from harness.tests.support.miniature import Miniature

DAY = timedelta(days=1)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
REVIEW = '[[question]]\nask = "Why?"\nanswer = "Because."\n\n[[question]]\nask = "How?"\nanswer = "So."\n'


def answer(day: float, *, known: bool, question: str = "x") -> Answered:
    return Answered(question, known, (START + day * DAY).isoformat())


@pytest.mark.parametrize(
    ("answered", "days"),
    [
        ([], 1),
        ([answer(1, known=True)], 1 + 3),
        ([answer(1, known=True), answer(4, known=True)], 4 + 7),
        ([answer(1, known=True), answer(5, known=True), answer(12, known=True)], 12 + 21),
        ([answer(1, known=True), answer(4, known=False)], 4 + 1),
        ([answer(1, known=False), answer(2, known=True)], 2 + 3),
    ],
    ids=["fresh", "once", "twice", "three times", "forgotten", "known at last"],
)
def test_a_question_comes_later_each_time_it_was_known(answered: list[Answered], days: float) -> None:
    assert next_due(START, answered) == START + days * DAY


def test_a_question_known_after_three_weeks_does_not_come_again() -> None:
    known = [answer(day, known=True) for day in (1, 4, 11, 32)]
    assert next_due(START, known) is None


def test_knowing_it_before_it_is_due_proves_nothing_but_forgetting_it_does() -> None:
    assert next_due(START, [answer(0.1, known=True)]) == START + DAY
    assert next_due(START, [answer(1, known=True), answer(2, known=False)]) == START + 3 * DAY


@pytest.fixture
def asked(mini: Miniature) -> Miniature:
    for kata in (mini.doubles, mini.layers):
        (kata.folder / "review.toml").write_text(REVIEW)
    return mini


def test_only_katas_that_are_complete_are_asked_about_the_longest_overdue_first(asked: Miniature) -> None:
    why, how = cards([asked.doubles])
    every = list(cards([asked.doubles, asked.layers]))
    answered = [answer(1, known=True, question=fingerprint(why))]
    completed = {asked.doubles.name: START}
    assert due(every, completed, answered, START + 5 * DAY) == [how, why]
    assert due(every, completed, answered, START + 2 * DAY) == [how]
    assert due(every, completed, answered, START + DAY / 2) == []


def test_a_kata_is_complete_when_the_last_of_its_tests_has_passed(asked: Miniature) -> None:
    tests = ("test_one", "test_two")

    def passed(day: float, *names: str) -> Receipt:
        return Receipt("k00_doubles", names, "t", "s", (START + day * DAY).isoformat())

    receipts = [passed(0, "test_one"), passed(2, "test_two"), passed(9, "test_one", "test_two")]
    assert completed_at(tests, receipts) == START + 2 * DAY
    assert completed_at(tests, receipts[:1]) is None


def test_what_was_known_is_saved_line_by_line_and_foreign_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "state" / "recall.jsonl"
    assert read_answered(path) == []
    for known in (True, False):
        save_answered(path, Answered("x", known, START.isoformat()))
    with path.open("a") as file:
        file.write('torn {\n{"question": "x"}\n{"question": "x", "known": 1, "time": "2026-03-01"}\n')
    assert [each.known for each in read_answered(path)] == [True, False]
