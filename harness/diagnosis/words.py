"""Messages about a diagnosis."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence

from harness.terminal.lines import WIDTH

_ONE = "A known mistake produces exactly this result. Is it the one you made?"
_TWO = "Two known mistakes together produce exactly this result. Did you make both?"


def diagnosis_lines(diagnoses: Sequence[str]) -> list[str]:
    """Return the diagnoses for the failure block, numbered if there are two; nothing without any."""
    if not diagnoses:
        return []
    if len(diagnoses) == 1:
        return ["", f"  {_ONE}", *_wrapped(diagnoses[0], "    ")]
    numbered = (_wrapped(each, f"    {number}. ") for number, each in enumerate(diagnoses, 1))
    return ["", f"  {_TWO}", *itertools.chain(*numbered)]


def _wrapped(diagnosis: str, start: str) -> list[str]:
    text = " ".join(diagnosis.split())
    return textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start))
