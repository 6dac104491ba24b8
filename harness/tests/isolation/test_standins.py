"""Tests of an exception's message."""

from __future__ import annotations

from harness.isolation.standins import text_of


class Broken(Exception):
    def __str__(self) -> str:
        raise ValueError


def test_a_message_is_plain_text() -> None:
    assert text_of(ValueError("\x1b[1mtrust\x1b[0m it, größer")) == "trust it, größer"
    assert text_of(ValueError("\ud800")) == "\\ud800"
    assert text_of(Broken()) == ""
