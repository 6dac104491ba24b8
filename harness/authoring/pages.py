"""The pages in docs/ that are generated, wholly or in part."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.commands import review_words
from harness.course.katas import Course
from harness.course.questions import BadReview, cards

QUESTIONS = "docs/review_questions.md"


def generated(course: Course) -> Iterator[tuple[Path, str]]:
    """Each page with the text that it should have; not a page whose sources cannot be read."""
    questions = _questions(course)
    if questions is not None:
        yield course.root / QUESTIONS, questions


def _questions(course: Course) -> str | None:
    try:
        return review_words.page(cards(course.katas))
    except BadReview:
        return None
