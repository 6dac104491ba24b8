"""Lines of text, wrapped and encoded for a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

WIDTH = 80


@dataclass(frozen=True)
class Line:
    """One line of output. Its meaning never depends on its style."""

    text: str = ""
    style: str = ""  # "", title, good, bad, dim, command (to be copied: never wrapped)
    parts: tuple[tuple[str, str], ...] = ()  # the same text in pieces, each with a style


_WITHOUT_GLYPHS = str.maketrans(
    {
        "·": "-",
        "✓": "+",
        "✗": "x",
        "…": "...",
        "→": "->",
        "—": "-",
        "√": "sqrt ",
        "×": "x",
        "ᵀ": "^T",
        "–": "-",
        "←": "<-",
        "Σ": "sum",
        "θ": "theta",
        "μ": "mu",
        "π": "pi",
    }
)
_DIGITS_ABOVE = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_POWER = re.compile(f"[{_DIGITS_ABOVE}]+")
_AS_DIGITS = str.maketrans(_DIGITS_ABOVE, "0123456789")


def wrap_lines(lines: Iterable[Line], columns: int) -> list[Line]:
    """Wrap lines to a width, each under its own indentation."""
    fit: list[Line] = []
    for line in lines:
        indent = line.text[: len(line.text) - len(line.text.lstrip())] + "  "
        parts = textwrap.wrap(line.text, max(columns, 20), subsequent_indent=indent) if line.text else [""]
        whole = len(line.text) <= columns or line.style == "command"
        fit += [line] if whole else [Line(part, line.style) for part in parts]
    return fit


# Characters that a terminal or an editor obeys instead of showing: control characters except tab and newline,
# separators of lines, directions of writing, and halves of pairs.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # the code by which a program colours what follows


def printable(text: str) -> str:
    r"""Return `text` with the characters that a terminal would obey as Python writes them, such as \x1b."""
    return _OBEYED.sub(lambda found: repr(found[0])[1:-1], text)


def encodable(text: str, encoding: str | None) -> str:
    """Return `text` in characters that a terminal of this encoding can show."""
    text = printable(text)
    try:
        text.encode(encoding or "ascii")
        return text
    except (UnicodeEncodeError, LookupError):
        powers = _POWER.sub(lambda found: f"^{found[0].translate(_AS_DIGITS)}", text)
        return powers.translate(_WITHOUT_GLYPHS).encode("ascii", "replace").decode()


def paragraph(text: str, start: str, style: str) -> list[Line]:
    """Wrap a text that begins with `start`, and indent the other lines by its length."""
    after = " " * len(start)
    wrapped = textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=after, break_on_hyphens=False
    )  # 1e-12 stays whole
    return [Line(line, style) for line in wrapped]


def message_lines(message: str, most: int = 4) -> list[str]:
    """Return the first lines of an exception's message, wrapped."""
    lines = [
        part
        for line in message[:4000].splitlines()
        for part in textwrap.wrap(line, WIDTH - 4, break_on_hyphens=False)  # a path stays in one piece
    ]
    return lines[:most] + (["…"] if len(lines) > most else [])


def shortened(text: str, most: int = 300) -> str:
    """Return a text without its middle if it is longer than `most` characters."""
    if len(text) <= most:
        return text
    left_out = f" … ({len(text) - most:,} more characters) … "
    return f"{text[: most - most // 3]}{left_out}{text[-(most // 3) :]}"


def plural(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
