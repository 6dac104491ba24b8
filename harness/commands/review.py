"""`harness review`: questions, and answers on a key press."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from harness.commands import review_words as words
from harness.course.questions import Card
from harness.terminal.lines import Line

QUIT = ("q", "Q", "\x1b", "\x04")  # q, Escape, Ctrl-D
Show = Callable[[Iterable[Line]], None]


def ask(cards: Sequence[Card], show: Show, read_key: Callable[[str], str], columns: int) -> None:
    """Show each question, its answer at the next key, and so on until a key that quits.

    `read_key` shows a prompt and returns the key that was pressed.
    """
    for left, card in zip(reversed(range(len(cards))), cards, strict=True):
        show(words.question(card, columns))
        if read_key(words.FOR_THE_ANSWER) in QUIT:
            return
        show(words.answer(card, columns))
        if left and read_key(words.FOR_THE_NEXT) in QUIT:
            return
    show([words.END])


def show_all(cards: Iterable[Card], show: Show, columns: int) -> None:
    """Show every question with its answer, for a pipe or a file."""
    for card in cards:
        show(words.question(card, columns))
        show(words.answer(card, columns))
