"""Lines fit the width and the encoding of a terminal."""

from __future__ import annotations

import pytest

from harness.terminal.lines import Line, encodable, shortened, wrap_lines


def test_lines_fit_a_narrow_terminal() -> None:
    lines = [Line(), Line("short"), Line("  " + "word " * 20, "bad"), Line(" " * 30 + "deep " * 9)]
    fit = wrap_lines(lines, 40)
    assert max(len(line.text) for line in fit) <= 40
    assert fit[:2] == lines[:2]
    assert fit[3] == Line("    " + "word " * 6 + "word", "bad")
    assert sum(line.text.count("word") for line in fit) == 20
    assert wrap_lines(lines, 200) == lines


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "✓ √2 · x → …"),
        ("ascii", "+ sqrt 2 - x -> ..."),
        (None, "+ sqrt 2 - x -> ..."),
        ("no", None),
    ],
)
def test_text_is_printable_in_any_encoding(encoding: str | None, text: str | None) -> None:
    assert encodable("✓ √2 · x → …", encoding) == (text or "+ sqrt 2 - x -> ...")
    assert encodable("é…", "ascii") == "?..."


def test_a_long_text_keeps_its_start_and_its_end() -> None:
    assert shortened("x" * 300) == "x" * 300
    text = shortened("a" * 1000 + "b" * 1000)
    assert text == "a" * 200 + " … (1,700 more characters) … " + "b" * 100


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[?1049h\x1b[2J", r"\x1b[?1049h\x1b[2J"),
        ("a\rb\x07\x9b1m", r"a\rb\x07\x9b1m"),
        ("\u202eabc", r"\u202eabc"),
        ("\ud800", r"\ud800"),
        ("tab\tand é ✓ 漢 ½", "tab\tand é ✓ 漢 ½"),
    ],
)
def test_characters_that_a_terminal_obeys_are_shown_as_python_writes_them(text: str, shown: str) -> None:
    assert encodable(text, "utf-8") == shown


def test_powers_are_written_in_digits_where_there_are_none_above_the_line() -> None:
    assert encodable("10²³ · x⁵ ← μ", "ascii") == "10^23 - x^5 <- mu"
    assert encodable("10²³", "utf-8") == "10²³"
