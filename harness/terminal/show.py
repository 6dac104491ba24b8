"""Lines printed on a terminal by click."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from typing import Any

from harness.terminal.lines import Line, encodable, wrap_lines
from harness.terminal.styles import STYLES


def show(lines: Iterable[Line]) -> None:
    """Print lines at once, in colour where the terminal has it."""
    import click

    colour = False if os.environ.get("NO_COLOR") else None  # None: colour on a terminal only
    for line in wrap_lines(lines, shutil.get_terminal_size().columns):
        text, style = encodable(line.text, sys.stdout.encoding), STYLES[line.style]
        look: dict[str, Any] = {
            "fg": style.colour or None,
            "bold": style.bold or None,
            "dim": style.dim or None,
        }
        click.secho(text, color=colour, **look)  # None, because click writes a code for False too
