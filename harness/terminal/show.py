"""Lines on the terminal: as wide as it is, with colour where it has any."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from typing import Any

from harness.terminal.lines import Line, encodable, wrap_lines

_STYLES: dict[str, dict[str, Any]] = {
    "": {},
    "title": {"bold": True},
    "good": {"fg": "green"},
    "bad": {"fg": "red"},
    "dim": {"dim": True},
    "command": {"bold": True},
}


def show(lines: Iterable[Line]) -> None:
    """Print lines, and see that they are there before anything else is."""
    import click

    colour = False if os.environ.get("NO_COLOR") else None  # None: colour on a terminal only
    for line in wrap_lines(lines, shutil.get_terminal_size().columns):
        click.secho(encodable(line.text, sys.stdout.encoding), color=colour, **_STYLES[line.style])
