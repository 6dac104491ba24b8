"""Each style looks the same however it is printed."""

from __future__ import annotations

import io
import subprocess
import sys

import click
import click.testing
import pytest
from _pytest._io import TerminalWriter

from harness.terminal import pytest_writer, show
from harness.terminal.lines import Line
from harness.terminal.styles import STYLES

CODES = {
    "": "",
    "title": "\x1b[1m",
    "good": "\x1b[32m",
    "bad": "\x1b[31m",
    "dim": "\x1b[2m",
    "command": "\x1b[1m",
}


def printed_by_pytest(line: Line) -> str:
    file = io.StringIO()
    writer = TerminalWriter(file)
    writer.hasmarkup = True
    pytest_writer.write_lines(writer, [line])
    return file.getvalue()


def printed_by_click(line: Line, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    with click.testing.CliRunner().isolation(color=True) as (out, *_):
        show.show([line])
        return out.getvalue().decode()


@pytest.mark.parametrize("style", STYLES)
def test_both_writers_print_a_style_alike(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line("text", style)
    for text in (printed_by_pytest(line), printed_by_click(line, monkeypatch)):
        assert text.removesuffix("\n").removesuffix("\x1b[0m") == f"{CODES[style]}text"


@pytest.mark.parametrize("module", ["lines", "styles", "show", "pytest_writer", "table", "chart", "keys"])
def test_the_terminal_needs_nothing_else_of_the_harness(module: str) -> None:
    code = (
        f"import sys, harness.terminal.{module}\n"
        "others = [name for name in sys.modules if name.startswith('harness.')]\n"
        "sys.exit(any(not name.startswith('harness.terminal') for name in others))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
