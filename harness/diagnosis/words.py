"""How a learner's mistake is named, once it is known which one it is."""

from __future__ import annotations

import textwrap

WIDTH = 80
_OPENING = "This is exactly what one known mistake gives. Is it yours?"


def diagnosis_lines(diagnosis: str) -> list[str]:
    """The diagnosis as it stands in the failure block; nothing without one."""
    if not diagnosis:
        return []
    indent = " " * 4
    told = textwrap.wrap(" ".join(diagnosis.split()), WIDTH, initial_indent=indent, subsequent_indent=indent)
    return ["", f"  {_OPENING}", *told]
