"""Messages about a diagnosis."""

from __future__ import annotations

import textwrap

from harness.terminal.lines import WIDTH

_OPENING = "A known mistake produces exactly this result. Is it the one you made?"


def diagnosis_lines(diagnosis: str) -> list[str]:
    """Return the diagnosis for the failure block; nothing without one."""
    if not diagnosis:
        return []
    indent = " " * 4
    lines = textwrap.wrap(" ".join(diagnosis.split()), WIDTH, initial_indent=indent, subsequent_indent=indent)
    return ["", f"  {_OPENING}", *lines]
