"""Shades for maps of numbers on a terminal: "heat0" the darkest, "heat9" the brightest."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

import pytest
from _pytest._io import TerminalWriter
from _pytest.config import create_terminal_writer

from harness.terminal.lines import Line, encodable, wrap_lines

_FIRST_GREY, _STEP = 233, 2  # of the 24 greys that terminals of 256 colours number from 232 to 255
_DARK_TEXT_FROM = 6


def is_shade(style: str) -> bool:
    return style.startswith("heat")


def shaded(text: str, style: str) -> str:
    """Text on a background of this shade, in black or white, whichever can be read there."""
    level = int(style.removeprefix("heat"))
    ink = 16 if level >= _DARK_TEXT_FROM else 231
    return f"\x1b[48;5;{_FIRST_GREY + _STEP * level};38;5;{ink}m{text}\x1b[0m"


_MARKUP: dict[str, dict[str, bool]] = {
    "": {},
    "title": {"bold": True},
    "good": {"green": True},
    "bad": {"red": True},
    "dim": {"light": True},
    "command": {"bold": True},
}


def _terminal_writer(config: pytest.Config) -> TerminalWriter:
    """Pytest's own; the supervising process, which is never configured, makes one like it."""
    has_own = config.pluginmanager.hasplugin("terminalreporter")
    return config.get_terminal_writer() if has_own else create_terminal_writer(config, sys.stdout)


def write(config: pytest.Config, lines: Sequence[Line]) -> None:
    """Print lines on pytest's terminal."""
    put(_terminal_writer(config), lines)


def put(writer: TerminalWriter, lines: Sequence[Line]) -> None:
    """Print lines as wide, as colourful and in such letters as the terminal can show."""
    encoding = getattr(getattr(writer, "_file", None), "encoding", None)
    with contextlib.suppress(BrokenPipeError):  # `pytest | head` has read enough
        for line in wrap_lines(lines, writer.fullwidth):
            if line.parts and writer.hasmarkup:
                line = Line("".join(_painted(writer, part) for part in line.parts))
            writer.line(encodable(line.text, encoding), **_MARKUP[line.style])
        writer.flush()


def _painted(writer: TerminalWriter, part: tuple[str, str]) -> str:
    """A piece of a line in its colours; for the shades of a map pytest has no names."""
    text, style = part
    return shaded(text, style) if is_shade(style) else writer.markup(text, **_MARKUP[style])
