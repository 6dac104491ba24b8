"""The observations of a failed test."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from types import CodeType

import pytest

from harness.diagnosis.case import Case
from harness.diagnosis.snapshots import OPAQUE, Snapshot, message_snapshot, reproducible, snapshot
from harness.explain.comparisons import refused_by_assert_close
from harness.explain.places import frames_of
from harness.explain.type_errors import checking_frame, read_type_error
from harness.isolation.causes import causes_of
from harness.isolation.standins import text_of

_RAISE = "RAISE_VARARGS"


@dataclass(frozen=True)
class ObservedFailure:
    """Where and how a test failed, and the values of its variables."""

    kind: str
    place: tuple[tuple[str, int], ...]  # the lines of the test's file that led there
    values: dict[str, Snapshot]
    compared: tuple[Snapshot, Snapshot] | None = None  # actual and expected of assert_close


def observe_failure(error: BaseException, case: Case) -> ObservedFailure:
    """Return what can be compared of a failure of the case."""
    frames = frames_of(error.__traceback__, str(case.tests))
    values = {
        f"{depth} {name}": snapshot(value)
        for depth, (frame, _) in enumerate(frames)
        for name, value in frame.f_locals.items()
    }
    refused = refused_by_assert_close(error)
    compared = (snapshot(refused["actual"]), snapshot(refused["expected"])) if refused else None
    if compared:
        values |= {"actual": compared[0], "expected": compared[1]}
    if not isinstance(error, AssertionError | pytest.fail.Exception):
        values["message"] = observe_message(error, case)
    place = tuple((frame.f_code.co_name, line) for frame, line in frames)
    return ObservedFailure(type(error).__name__, place, values, compared)


def reproducible_failure(one: ObservedFailure, other: ObservedFailure) -> ObservedFailure:
    """Return a failure without what is different in another run of the same code."""
    values = {
        name: reproducible(value, other.values[name]) if name in other.values else OPAQUE
        for name, value in one.values.items()
    }
    compared = (values["actual"], values["expected"]) if one.compared and other.compared else None
    return replace(one, values=values, compared=None if compared and OPAQUE in compared else compared)


def observe_message(error: BaseException, case: Case) -> Snapshot:
    """Return what can be compared of an error: message and causes, or the value that a signature refused."""
    if type(error).__name__ == "TypeCheckError":
        problem = read_type_error(error.__traceback__)
        subject = [problem.function, problem.argument, problem.got] if problem else []
        return ("many", [snapshot(subject), *_refused_result(error)])
    # A contract may demand the same error for many causes: only the cause tells them apart.
    message, causes = _own_message(error, case), list(causes_of(error))
    if not causes:
        return message
    return ("many", [message, *(_cause_snapshot(cause, case) for cause in causes)])


def _own_message(error: BaseException, case: Case) -> Snapshot:
    return message_snapshot(text_of(error), by_author=_is_raised_by_kata(error, case))


def _cause_snapshot(cause: BaseException, case: Case) -> Snapshot:
    return ("many", [("text", type(cause).__name__), _own_message(cause, case)])


def _refused_result(error: BaseException) -> list[Snapshot]:
    """Return the result that jaxtyping refused, if it was a result."""
    frame = checking_frame(error.__traceback__)
    return [snapshot(frame.f_locals["out"])] if frame and "out" in frame.f_locals else []


def _is_raised_by_kata(error: BaseException, case: Case) -> bool:
    """True if a `raise` in the kata itself raised the error, so that its author chose the words."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or last.tb_frame.f_code.co_filename not in case.kata_files:
        return False
    instructions = _instructions(last.tb_frame.f_code)
    return instructions.get(last.tb_lasti) == _RAISE


@functools.lru_cache(maxsize=64)
def _instructions(code: CodeType) -> dict[int, str]:
    """Return the name of the instruction at each offset."""
    import dis

    return {each.offset: each.opname for each in dis.get_instructions(code)}
