"""`harness review`: questions, answers on a key press, and what was known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from harness.commands import review_words as words
from harness.course.katas import Course
from harness.course.numbers import is_right, read_number
from harness.course.questions import Card
from harness.progress.ledger import Ledger
from harness.progress.recall import (
    Answered,
    coming,
    completed_at,
    due,
    fingerprint,
    read_answered,
    recall_path,
    save_answered,
)
from harness.terminal.lines import Line

QUIT = ("q", "Q", "\x1b", "\x04")  # q, Escape, Ctrl-D
Show = Callable[[Iterable[Line]], None]


@dataclass(frozen=True)
class Dialogue:
    """How the questions reach a person, and where what was known is noted."""

    show: Show
    read_key: Callable[[str], str]  # shows a prompt and returns the key that was pressed
    read_line: Callable[[str], str]  # shows a prompt and returns what was typed before Enter
    note: Callable[[Card, bool], None]
    columns: int

    def ask(self, cards: Sequence[Card]) -> None:
        """Show each question, then its answer, until a key that quits."""
        for card in cards:
            self.show(words.question(card, self.columns))
            if not (self._number(card) if card.question.number else self._answer(card)):
                return
        if cards:
            self.show([words.END])

    def _answer(self, card: Card) -> bool:
        """Show the answer at the next key, and ask whether it was known. False to quit."""
        if self.read_key(words.FOR_THE_ANSWER) in QUIT:
            return False
        self.show(words.answer(card, self.columns))
        return self._known(card)

    def _known(self, card: Card) -> bool:
        key = self.read_key(words.WAS_IT_KNOWN)
        if key.lower() in ("y", "n"):
            self.note(card, key.lower() == "y")
        return key not in QUIT

    def _number(self, card: Card) -> bool:
        """Compare a number that is typed, then show the answer. False to quit."""
        typed = self.read_line(words.FOR_THE_NUMBER).strip()
        if typed in QUIT:
            return False
        number = read_number(typed)
        if number is None:
            self.show([*([words.not_a_number(typed)] if typed else []), *words.answer(card, self.columns)])
            return self._known(card)
        right = is_right(number, card.question.number)
        verdict = words.compared(typed, card.question.number, right=right)
        self.show([verdict, Line(), *words.answer(card, self.columns)])
        self.note(card, right)
        return self.read_key(words.FOR_THE_NEXT) not in QUIT


def due_now(course: Course, cards: Sequence[Card], show: Show) -> list[Card]:
    """Return the questions that are due; if there is none, say when the next ones come."""
    ledger, now = Ledger(course), datetime.now(UTC)
    receipts = ledger.stored.entries
    completed = {
        each.kata.name: time
        for each in ledger.progress()
        if each.complete
        and (time := completed_at(each.tests, [one for one in receipts if one.kata == each.kata.name]))
    }
    answered = read_answered(recall_path(course))
    found = due(cards, completed, answered, now)
    if not found:
        times = [when.astimezone().date() for _, when in coming(cards, completed, answered)]
        show(words.nothing_due(min(times, default=None), times.count(min(times, default=now.date()))))
    return found


def note(course: Course, show: Show, card: Card, known: bool) -> None:
    """Save whether a question was known."""
    path = recall_path(course)
    answered = Answered(fingerprint(card), known, datetime.now(UTC).isoformat(timespec="seconds"))
    try:
        save_answered(path, answered)
    except OSError as error:
        show([words.not_saved(course.relative(path), error.strerror or str(error))])


def show_all(cards: Iterable[Card], show: Show, columns: int) -> None:
    """Show every question with its answer, for a pipe or a file."""
    for card in cards:
        show(words.question(card, columns))
        show(words.answer(card, columns))
