"""The pages in docs/ that are generated, wholly or in part."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness import diagram, words_review
from harness.course import Course
from harness.questions import BadReview, cards
from harness.structure import LAYERS

QUESTIONS = "docs/review_questions.md"
ARCHITECTURE = "docs/architecture.md"


def generated(course: Course) -> Iterator[tuple[Path, str]]:
    """Each page with the text that it should have; not a page whose sources cannot be read."""
    questions = _questions(course)
    if questions is not None:
        yield course.root / QUESTIONS, questions
    path = course.root / ARCHITECTURE
    architecture = _architecture(path, course.root / "harness")
    if architecture is not None:
        yield path, architecture


def lacks_diagram(course: Course) -> bool:
    """Whether there is a harness, and no page with a place for its diagram."""
    package = course.root / "harness"
    return (package / LAYERS).is_file() and _architecture(course.root / ARCHITECTURE, package) is None


def _questions(course: Course) -> str | None:
    try:
        return words_review.page(cards(course.katas))
    except BadReview:
        return None


def _architecture(page: Path, package: Path) -> str | None:
    if not page.is_file() or not (package / LAYERS).is_file():
        return None
    return diagram.drawn_into(page.read_text(encoding="utf-8"), package)
