"""A kata's review questions, read from `review.toml`."""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.course.katas import Kata
from harness.course.numbers import read_number
from harness.course.words import NOT_QUESTIONS, empty_question, not_a_number, wrong_question_keys

FILE = "review.toml"


@dataclass(frozen=True)
class Question:
    """A question and its answer, in Markdown paragraphs."""

    ask: str
    answer: str
    number: str = ""  # the answer in short, if it is a number: "3.7"


@dataclass(frozen=True)
class Card:
    """A question with its position among those of a kata."""

    kata: Kata
    number: int
    of: int
    question: Question


class BadReview(ValueError):
    """A kata's review.toml cannot be used; `problem` explains why."""

    def __init__(self, kata: Kata, problem: str) -> None:
        super().__init__(problem)
        self.kata, self.problem = kata, problem


def review_path(kata: Kata) -> Path:
    return kata.folder / FILE


def read_questions(kata: Kata) -> tuple[Question, ...]:
    """Return the `[[question]]` tables of the kata, in order. Raises BadReview."""
    try:
        table = tomllib.loads(review_path(kata).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadReview(kata, error.strerror or str(error)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadReview(kata, str(error)) from None
    rows = table.get("question")
    if set(table) != {"question"} or not isinstance(rows, list):
        raise BadReview(kata, NOT_QUESTIONS)
    return tuple(_question(kata, number, row) for number, row in enumerate(rows, start=1))


def cards(katas: Iterable[Kata]) -> Iterator[Card]:
    """Yield the questions of these katas, in order. Raises BadReview."""
    for kata in katas:
        questions = read_questions(kata)
        for number, question in enumerate(questions, start=1):
            yield Card(kata, number, len(questions), question)


def paragraphs(text: str, width: int) -> list[str]:
    """Wrap the paragraphs of a text to `width`, except indented ones."""
    lines: list[str] = []
    for paragraph in textwrap.dedent(text).strip("\n").split("\n\n"):
        verbatim = paragraph.startswith("    ")
        filled = paragraph.rstrip().split("\n") if verbatim else textwrap.wrap(paragraph, width)
        lines += [*([""] if lines else []), *filled]
    return lines


def _question(kata: Kata, number: int, row: object) -> Question:
    if not isinstance(row, dict) or set(row) - {"number"} != {"ask", "answer"}:
        raise BadReview(kata, wrong_question_keys(number))
    question = Question(
        ask=str(row["ask"]).strip("\n"),
        answer=str(row["answer"]).strip("\n"),
        number=str(row.get("number", "")),
    )
    if not (question.ask.strip() and question.answer.strip()):
        raise BadReview(kata, empty_question(number))
    if question.number and str(read_number(question.number)) != question.number:
        raise BadReview(kata, not_a_number(number, question.number))
    return question
