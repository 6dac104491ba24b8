"""Shades for maps of numbers on a terminal: "heat0" the darkest, "heat9" the brightest."""

from __future__ import annotations

_FIRST_GREY, _STEP = 233, 2  # of the 24 greys that terminals of 256 colours number from 232 to 255
_DARK_TEXT_FROM = 6


def is_shade(style: str) -> bool:
    return style.startswith("heat")


def shaded(text: str, style: str) -> str:
    """Text on a background of this shade, in black or white, whichever can be read there."""
    level = int(style.removeprefix("heat"))
    ink = 16 if level >= _DARK_TEXT_FROM else 231
    return f"\x1b[48;5;{_FIRST_GREY + _STEP * level};38;5;{ink}m{text}\x1b[0m"
