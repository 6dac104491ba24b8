"""Numbers as people type them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from harness.course.numbers import is_right, read_number


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("3.7", "3.7"),
        (" 3.7 % ", "3.7"),
        ("65", "65"),
        ("1,024 tokens", "1024"),
        ("−2", "-2"),
        (".5", "0.5"),
        ("6e5", "600000"),
        ("3/4", "0.75"),
        ("", None),
        ("no idea", None),
        ("1/0", None),
        ("1/", None),
        ("1e999999999999999999999", None),
    ],
)
def test_a_number_is_read_as_it_is_typed(typed: str, number: str | None) -> None:
    assert read_number(typed) == (None if number is None else Decimal(number))


@pytest.mark.parametrize(
    ("typed", "answer", "right"),
    [
        ("3.7", "3.7", True),
        ("3.68", "3.7", True),
        ("3.75", "3.7", True),
        ("3.6", "3.7", False),
        ("4", "3.7", False),
        ("65", "65", True),
        ("65.4", "65", True),
        ("66", "65", False),
        ("590000", "5.9E5", True),
        ("-2", "2", False),
    ],
)
def test_a_number_is_right_if_it_rounds_to_the_answer(typed: str, answer: str, right: bool) -> None:
    number = read_number(typed)
    assert number is not None
    assert is_right(number, answer) == right
