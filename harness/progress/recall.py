"""Which review questions are due, from what a learner knew and when.

These are Leitner's boxes: a question that was known moves to the next box, which comes round less often; one
that was not known goes back to the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from harness.course.katas import Course
from harness.course.questions import Card
from harness.progress.line_file import append_line, read_lines
from harness.progress.receipts import Receipt, moment

FILE = "recall.jsonl"
DAYS = (1, 3, 7, 21)  # from one box to the next; the first counts from the day the kata was completed


@dataclass(frozen=True)
class Answered:
    """A fact: this question was known, or not, at this time."""

    question: str  # its fingerprint
    known: bool
    time: str  # ISO 8601, UTC


def recall_path(course: Course) -> Path:
    return course.state / FILE


def fingerprint(card: Card) -> str:
    """Return what identifies a question, wherever it stands and whatever its answer says."""
    text = f"{card.kata.name}\n{' '.join(card.question.ask.split())}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_answered(path: Path) -> list[Answered]:
    """Return the answers in the file; empty if it cannot be read."""
    found = []
    for fact in read_lines(path):
        match fact:
            case {"question": str(question), "known": bool(known), "time": str(time)} if moment(time):
                found.append(Answered(question, known, time))
    return found


def save_answered(path: Path, answered: Answered) -> None:
    """Append an answer. Raises OSError (read-only folder, full disk)."""
    append_line(path, asdict(answered))


def completed_at(tests: Iterable[str], receipts: Iterable[Receipt]) -> datetime | None:
    """Return when the last of these tests passed for the first time; None if one never has.

    `receipts` are those of the kata.
    """
    first: dict[str, datetime] = {}
    for receipt in receipts:
        if time := moment(receipt.time):
            for name in receipt.passed:
                first[name] = min(time, first.get(name, time))
    times = [first.get(name) for name in tests]
    known = [time for time in times if time is not None]
    return max(known) if known and len(known) == len(times) else None


def next_due(completed: datetime, answered: Iterable[Answered]) -> datetime | None:
    """Return when a question comes next; None if it has been known after the longest interval."""
    box, since = 0, completed
    for each in answered:
        time = moment(each.time)
        if time is None or (each.known and time < since + timedelta(days=DAYS[box])):
            continue  # knowing it before it is due proves nothing
        box, since = (box + 1 if each.known else 0), time
        if box == len(DAYS):
            return None
    return since + timedelta(days=DAYS[box])


def due(
    cards: Iterable[Card], completed: Mapping[str, datetime], answered: Sequence[Answered], now: datetime
) -> list[Card]:
    """Return the questions that are due, the longest overdue first. `completed` is by kata."""
    waiting = [(when, card) for card, when in coming(cards, completed, answered) if when <= now]
    return [card for _, card in sorted(waiting, key=lambda pair: pair[0])]


def coming(
    cards: Iterable[Card], completed: Mapping[str, datetime], answered: Sequence[Answered]
) -> list[tuple[Card, datetime]]:
    """Return the questions of completed katas that come again, and when."""
    by_question: dict[str, list[Answered]] = {}
    for each in answered:
        by_question.setdefault(each.question, []).append(each)
    found = []
    for card in cards:
        if card.kata.name in completed:
            when = next_due(completed[card.kata.name], by_question.get(fingerprint(card), ()))
            if when:
                found.append((card, when))
    return found
