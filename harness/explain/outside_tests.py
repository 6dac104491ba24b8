"""Where in the katas an error came from, when they are used outside of the tests."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.course.katas import Course, Kata
from harness.isolation.standins import text_of


@dataclass(frozen=True)
class KataFrame:
    """A line of a kata that was being executed."""

    place: str  # "katas/k01_attention/attention.py:18"
    function: str
    code: str


@dataclass(frozen=True)
class KataError:
    """An error that came out of the katas."""

    kind: str  # the exception's name
    message: str
    calls: Sequence[KataFrame]  # the katas' lines that led to it, the innermost last
    kata: Kata | None  # the one of the innermost line
    unwritten: bool  # whether that line is what a stub raises

    @property
    def is_of_the_request(self) -> bool:
        """Whether a value was refused by a kata, rather than something going wrong in it."""
        return self.kind in ("ValueError", "FileNotFoundError")


def in_katas(course: Course, error: BaseException) -> KataError:
    """What is to be told of an error that came out of the katas."""
    frames = traceback.extract_tb(error.__traceback__)
    found = [(frame, kata) for frame in frames if (kata := course.kata_of(Path(frame.filename)))]
    calls = [
        KataFrame(f"{course.relative(Path(f.filename))}:{f.lineno}", f.name, f.line or "") for f, _ in found
    ]
    return KataError(
        type(error).__name__,
        text_of(error),
        calls,
        found[-1][1] if found else None,
        isinstance(error, NotImplementedError),
    )
