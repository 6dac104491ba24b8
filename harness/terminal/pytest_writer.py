"""Lines printed on pytest's terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

import pytest
from _pytest._io import TerminalWriter
from _pytest.config import create_terminal_writer

from harness.terminal.lines import Line, encodable, wrap_lines
from harness.terminal.styles import STYLES, is_shade, shade


def write(config: pytest.Config, lines: Sequence[Line]) -> None:
    """Print lines on pytest's terminal."""
    write_lines(_terminal_writer(config), lines)


def write_lines(writer: TerminalWriter, lines: Sequence[Line]) -> None:
    """Print lines in the width, colours and encoding of the terminal."""
    encoding = getattr(getattr(writer, "_file", None), "encoding", None)
    with contextlib.suppress(BrokenPipeError):  # `pytest | head` has read enough
        for line in wrap_lines(lines, writer.fullwidth):
            if line.parts and writer.hasmarkup:
                parts = ((encodable(text, encoding), style) for text, style in line.parts)
                writer.line("".join(_paint(writer, *part) for part in parts))
            else:
                writer.line(encodable(line.text, encoding), **_markup(line.style))
        writer.flush()


def _terminal_writer(config: pytest.Config) -> TerminalWriter:
    """Return pytest's writer, or one like it in the supervising process, which is never configured."""
    has_own = config.pluginmanager.hasplugin("terminalreporter")
    return config.get_terminal_writer() if has_own else create_terminal_writer(config, sys.stdout)


def _paint(writer: TerminalWriter, text: str, style: str) -> str:
    return shade(text, style) if is_shade(style) else writer.markup(text, **_markup(style))


def _markup(name: str) -> dict[str, bool]:
    """Return a style in pytest's names."""
    style = STYLES[name]
    colour = {style.colour: True} if style.colour else {}
    return {**colour, "bold": style.bold, "light": style.dim}
