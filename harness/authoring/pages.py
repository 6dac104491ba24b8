"""The generated pages in docs/."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.commands import review_words
from harness.course.katas import Course
from harness.course.questions import BadReview, cards

QUESTIONS = "docs/review_questions.md"


def generated(course: Course) -> Iterator[tuple[Path, str]]:
    """Yield each page and its text, except pages with unreadable sources."""
    questions = _questions(course)
    if questions is not None:
        yield course.root / QUESTIONS, questions


def _questions(course: Course) -> str | None:
    try:
        return review_words.page(cards(course.katas))
    except BadReview:
        return None
