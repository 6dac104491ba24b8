"""The errors behind an error that the learner's code turned into another one."""

from __future__ import annotations

from dataclasses import dataclass

from harness.course.katas import Course
from harness.explain.places import learner_place
from harness.isolation.causes import causes_of
from harness.isolation.standins import text_of

_MOST = 3


@dataclass(frozen=True)
class Cause:
    """An error that was being handled when another one was raised, and the learner's line in it."""

    error: str
    message: str
    line: int


def causes_in_katas(course: Course, error: BaseException) -> tuple[Cause, ...]:
    """Return the causes of an error in which the learner's code was running, the nearest first."""
    found = []
    for cause in causes_of(error):
        if place := learner_place(course, cause.__traceback__):
            found.append(Cause(type(cause).__name__, text_of(cause), place.line))
    return tuple(found[:_MOST])
