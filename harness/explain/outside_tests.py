"""Errors of katas that are used outside the tests."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.course.katas import Course, Kata
from harness.isolation.standins import text_of
from harness.terminal.lines import shortened


@dataclass(frozen=True)
class KataFrame:
    """A line of a kata that was being executed."""

    place: str  # "katas/k01_attention/attention.py:18"
    function: str
    code: str


@dataclass(frozen=True)
class KataError:
    """An error that a kata raised."""

    kind: str  # the exception's name
    message: str
    calls: Sequence[KataFrame]  # the katas' lines that led to it, the innermost last
    kata: Kata | None  # of the innermost line
    unwritten: bool  # True if that line is a stub's NotImplementedError

    @property
    def refuses_a_value(self) -> bool:
        """True if a kata refused a value, rather than failed."""
        return self.kind in ("ValueError", "FileNotFoundError")


def read_kata_error(course: Course, error: BaseException) -> KataError:
    """Return the facts of an error that a kata raised."""
    frames = traceback.extract_tb(error.__traceback__)
    found = [(frame, kata) for frame in frames if (kata := course.kata_of(Path(frame.filename)))]
    calls = [
        KataFrame(f"{course.relative(Path(f.filename))}:{f.lineno}", f.name, f.line or "") for f, _ in found
    ]
    return KataError(
        type(error).__name__,
        shortened(text_of(error)),
        calls,
        found[-1][1] if found else None,
        isinstance(error, NotImplementedError),
    )
