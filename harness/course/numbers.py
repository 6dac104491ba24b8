"""Numbers as people type them, compared with the answer of a question."""

from __future__ import annotations

import re
from contextlib import suppress
from decimal import Decimal, InvalidOperation

_NUMBER = re.compile(r"[-+]?\d[\d,_]*(?:\.\d*)?(?:[eE][-+]?\d+)?|[-+]?\.\d+(?:[eE][-+]?\d+)?")
_MINUS = str.maketrans({"−": "-", "–": "-"})
_MOST = 40  # characters; a longer one is no answer, and could have an exponent that takes for ever


def read_number(typed: str) -> Decimal | None:
    """Return the number at the beginning of what was typed, whatever follows it: "3.7 %", "1,024", "2/3"."""
    text = typed.strip().translate(_MINUS)[:_MOST]
    above, slash, below = text.partition("/")
    if slash:
        numerator, denominator = read_number(above), read_number(below)
        return numerator / denominator if numerator is not None and denominator else None
    found = _NUMBER.match(text)
    if not found:
        return None
    with suppress(InvalidOperation):
        return Decimal(re.sub("[,_]", "", found.group()))
    return None


def is_right(given: Decimal, answer: str) -> bool:
    """True if a number, rounded to the digits of the answer, is the answer: 3.68 is, where that says 3.7."""
    wanted = Decimal(answer)
    _, _, exponent = wanted.as_tuple()
    assert isinstance(exponent, int)  # an answer is finite
    return abs(given - wanted) <= Decimal((0, (5,), exponent - 1))
