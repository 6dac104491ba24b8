"""Review questions are read from review.toml."""

from __future__ import annotations

import pytest

from harness.course.katas import load_course
from harness.course.questions import BadReview, paragraphs, read_questions
from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature


def test_paragraphs_are_wrapped_except_indented_ones() -> None:
    text = "one\ntwo three\n\n    1  0\n    1  1\n\nfour"
    assert paragraphs(text, 9) == ["one two", "three", "", "    1  0", "    1  1", "", "four"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "No such file or directory"),
        ("[[question]", "Expected ']]'"),
        ("x = 1\n", "it must contain only [[question]] tables"),
        (
            '[[question]]\nask = "Why?"\n',
            "question 1 needs ask and answer, may have number, and nothing else",
        ),
        (
            '[[question]]\nask = "How many?"\nanswer = "Two."\nnumber = "two"\n',
            "question 1 has number = 'two', which is not how Python writes that number",
        ),
        ('[[question]]\nask = "Why?"\nanswer = " "\n', "question 1 has an empty ask or answer"),
    ],
)
def test_an_unusable_file_is_explained(mini: Miniature, text: str | None, problem: str) -> None:
    if text is not None:
        (mini.doubles.folder / "review.toml").write_text(text)
    with pytest.raises(BadReview) as caught:
        read_questions(mini.doubles)
    assert problem in caught.value.problem


def test_every_kata_has_five_to_eight_questions() -> None:
    for kata in load_course(REPOSITORY).katas:
        assert 5 <= len(read_questions(kata)) <= 8, kata.name
