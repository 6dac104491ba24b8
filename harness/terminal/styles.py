"""Styles of text on a terminal, and shades for maps of numbers."""

from __future__ import annotations

from dataclasses import dataclass

_FIRST_GREY, _STEP = 233, 2  # of the 24 greys that terminals of 256 colours number from 232 to 255
_DARK_TEXT_FROM = 6
_BLACK, _WHITE = 16, 231


@dataclass(frozen=True)
class Style:
    """The appearance of a piece of text."""

    colour: str = ""  # a name that click and pytest know, or the terminal's own
    bold: bool = False
    dim: bool = False


STYLES = {
    "": Style(),
    "title": Style(bold=True),
    "good": Style(colour="green"),
    "bad": Style(colour="red"),
    "dim": Style(dim=True),
    "command": Style(bold=True),
}


def is_shade(style: str) -> bool:
    """True if the style is one of "heat0", the darkest, to "heat9", the brightest."""
    return style.startswith("heat")


def shade(text: str, style: str) -> str:
    """Return text on a background of this shade, in black or white, whichever is readable."""
    level = int(style.removeprefix("heat"))
    ink = _BLACK if level >= _DARK_TEXT_FROM else _WHITE
    return f"\x1b[48;5;{_FIRST_GREY + _STEP * level};38;5;{ink}m{text}\x1b[0m"
