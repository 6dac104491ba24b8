"""Reads a failed test: its exception and traceback become a failure and the learner's own line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

from harness.course.katas import Course, Kata
from harness.course.stubs import Signature, declaration, read_contract
from harness.explain import comparisons
from harness.explain.call_text import batch_axes, call_lines, failed_call
from harness.explain.causes import causes_in_katas
from harness.explain.failures import (
    Failure,
    NameMissing,
    Raised,
    Slow,
    Unimportable,
    Unwritten,
    ValuesDiffer,
    WrongMessage,
    WrongSignature,
)
from harness.explain.origin import last_call
from harness.explain.places import (
    Place,
    definition_place,
    failing_calls,
    failing_line,
    frames_of,
    globals_used,
    import_place,
    is_learners,
    learner_place,
    place_at,
    place_called_from,
    place_under_test,
    return_place,
)
from harness.explain.side_by_side import summary
from harness.explain.statements import class_named, failed_statement, read_statement, subject_of
from harness.explain.type_errors import checked_code, read_type_error
from harness.explain.variables import variables_of
from harness.explain.words import LAST_CALL
from harness.isolation.calls import Call
from harness.isolation.standins import CannotImport, MissingName, text_of
from harness.shapes import Step

_LONGEST_VALUES = 64  # characters
_TIMEOUT = re.compile(r"Timeout \(>([\d.]+)s\) from pytest-timeout")


@dataclass(frozen=True)
class Finding:
    """A failure, the learner's own line, and what else is known about it."""

    failure: Failure
    place: Place | None = None
    changed: tuple[str, str] | None = None  # a function that modified an argument: (function, argument)
    printed: str = ""  # what the learner's code wrote to stdout and stderr
    diagnoses: tuple[str, ...] = ()  # of the one or two known mistakes with which the test sees the same
    steps: tuple[Step, ...] = ()  # the shapes that led to it


@dataclass(frozen=True)
class AssertedComparison:
    """The last comparison of a failing `assert`, as pytest saw it."""

    operator: str
    left: Any
    right: Any


@dataclass(frozen=True)
class FailedTest:
    """The test that failed, and what was recorded while it ran."""

    course: Course
    kata: Kata
    error: BaseException
    code: CodeType | None = None  # of the test
    comparison: AssertedComparison | None = None
    changed: Sequence[tuple[str, str]] = ()  # (function, argument) of arguments that were modified
    called: Sequence[tuple[str, str]] = ()  # (module, function) of the calls
    calls: Sequence[Call] = field(default=())  # the last ones that ended, with their results

    @property
    def traceback(self) -> TracebackType | None:
        return self.error.__traceback__

    @property
    def own_calls(self) -> list[str]:
        """The functions of this kata that the test called."""
        module = f"{self.kata.package}.{self.kata.stub.stem}"
        return [function for called_in, function in self.called if called_in == module]


def read_failure(test: FailedTest) -> Finding:
    """Return the facts of a failed test."""
    readers = (_import_failure, _unwritten, _type_error, _signature, _slow)
    finding = next((found for reader in readers if (found := reader(test))), None) or _by_its_values(test)
    return replace(finding, changed=test.changed[0]) if test.changed else finding


def _by_its_values(test: FailedTest) -> Finding:
    """A comparison that failed, or an error like any other."""
    line = failing_line(test.traceback, test.code)
    place = _place(test, line)
    in_test = _failed_in(test.code, test.error)
    refusal = _examined_refusal(test, line) if in_test else None
    if refusal:
        return _wrong_message(test, refusal, place)
    compared = _compared(test, in_test=in_test)
    if compared:
        names = variables_of(test.traceback, test.code)
        subject = _subject(test)
        shown = replace(comparisons.show(compared, names, test.calls), subject=subject)
        return Finding(ValuesDiffer(text_of(test.error), shown), place)
    return Finding(_raised(test, in_test=in_test), place)


def _subject(test: FailedTest) -> str:
    """The test's expression for the value that it compares."""
    calls = failing_calls(test.traceback, test.code)
    return subject_of(calls[0][0].co_filename, calls[0][1]) if calls else ""


def _place(test: FailedTest, line: int | None) -> Place | None:
    """The learner's line nearest to the failure."""
    course, kata = test.course, test.kata
    calls = failing_calls(test.traceback, test.code)
    return (
        learner_place(course, test.traceback, kata)
        or learner_place(course, test.traceback)
        or place_called_from(course, kata, calls[:-1])
        or place_under_test(course, kata, test.code, line, test.own_calls)
    )


def _compared(test: FailedTest, *, in_test: bool) -> comparisons.ComparedValues | None:
    """The values that a failing assertion compared."""
    own = test.comparison if in_test else None
    return comparisons.by_assert_close(test.error) or (
        comparisons.by_assert(test.error, own.operator, own.left, own.right) if own else None
    )


def _raised(test: FailedTest, *, in_test: bool) -> Raised:
    calls = failing_calls(test.traceback, test.code)
    statement = wanted = ""
    if test.code and calls:
        statement, name = failed_statement(calls, raised_in_test=in_test)
        wanted = class_named(name, test.traceback, test.code)
    by_test = _raised_by_test(test.course, test.error)
    call = failed_call(test.course, test.traceback)
    return Raised(
        type(test.error).__name__,
        text_of(test.error),
        by_test,
        wanted,
        statement,
        tuple(call_lines(call)) if call else _last_call(test) if by_test else (),
        batch_axes(call) if call else None,
        causes_in_katas(test.course, test.error),
        _values_compared(test.comparison) if in_test and test.comparison else (),
    )


def _last_call(test: FailedTest) -> tuple[str, ...]:
    """The test's last call, for an assertion that does not say what it is about."""
    call = last_call(test.calls)
    return tuple(call_lines(call, LAST_CALL)) if call else ()


def _values_compared(comparison: AssertedComparison) -> tuple[str, ...]:
    """Return the two values of an assertion that asks for something else than equality, if they are short.

    They take one line, or two.
    """
    try:
        left, right = summary(comparison.left), f"{comparison.operator} {summary(comparison.right)}"
    except Exception:  # a value whose own methods fail must not hide the failure itself
        return ()
    lines = (f"{left} {right}",) if len(left) + len(right) < _LONGEST_VALUES else (left, right)
    return lines if max(map(len, lines)) <= _LONGEST_VALUES else ()


def _examined_refusal(test: FailedTest, line: int | None) -> BaseException | None:
    """The error that a test caught with `pytest.raises` and whose text the failing `assert` looks at."""
    if not isinstance(test.error, AssertionError) or test.code is None or line is None:
        return None
    statement, _ = read_statement(test.code.co_filename, line)
    frame = next(frame for frame, _ in frames_of(test.traceback) if frame.f_code is test.code)
    for name, value in frame.f_locals.items():
        caught = getattr(value, "_excinfo", None) and value.value  # a pytest.ExceptionInfo that is filled
        if isinstance(caught, BaseException) and f"str({name}.value)" in statement:
            return caught
    return None


def _wrong_message(test: FailedTest, refusal: BaseException, place: Place | None) -> Finding:
    """A value was refused as it should be, with a message that does not mention what it must."""
    comparison = test.comparison
    lacks: tuple[str, ...] = ()
    if comparison and comparison.operator == "in":
        lacks = (str(comparison.left),)
    elif comparison and isinstance(comparison.left, list) and isinstance(comparison.right, list):
        lacks = tuple(str(each) for each in comparison.right if each not in comparison.left)
    call = failed_call(test.course, refusal.__traceback__)
    failure = WrongMessage(
        type(refusal).__name__,
        text_of(refusal),
        lacks,
        tuple(call_lines(call)) if call else (),
        causes_in_katas(test.course, refusal),
    )
    return Finding(failure, learner_place(test.course, refusal.__traceback__) or place)


def _failed_in(code: CodeType | None, error: BaseException) -> bool:
    """True if the error was raised by a line of this function, or of another one in its file."""
    frames = frames_of(error.__traceback__)
    return code is not None and bool(frames) and frames[-1][0].f_code.co_filename == code.co_filename


def _import_failure(test: FailedTest) -> Finding | None:
    error = test.error
    if isinstance(error, CannotImport) and error.__cause__ is not None:
        while isinstance(error.__cause__, CannotImport) and error.__cause__.__cause__ is not None:
            error = error.__cause__  # an earlier kata, which this one uses while it is imported
        if not isinstance(error.__cause__, MissingName):
            return _unimportable(test.course, error)
        error = error.__cause__
    if not isinstance(error, MissingName):
        return None
    file = test.course.relative(error.path)
    return Finding(NameMissing(error.missing, file, tuple(error.present)), Place(file, 1))


def _unimportable(course: Course, error: CannotImport) -> Finding:
    cause = error.__cause__
    assert cause is not None  # the caller has looked
    module = cause.name or "" if isinstance(cause, ModuleNotFoundError) else ""
    message = (cause.msg or "") if isinstance(cause, SyntaxError) else text_of(cause)
    failure = Unimportable(course.relative(error.path), type(cause).__name__, message, module)
    return Finding(failure, import_place(course, error.path, cause))


def _unwritten(test: FailedTest) -> Finding | None:
    """A `raise NotImplementedError` in a learner's own file, of this kata or an earlier one."""
    frames = frames_of(test.traceback)
    if not isinstance(test.error, NotImplementedError) or test.error.args or not frames:
        return None  # torch's own NotImplementedError has a message
    frame, line = frames[-1]
    file = frame.f_code.co_filename
    owner = test.course.kata_of(Path(file).resolve())
    if owner is None or not is_learners(test.course, file):
        return None
    name = frame.f_code.co_qualname.split(".<locals>")[0]
    original = _original(owner, name)
    failure = Unwritten(
        name,
        original.declaration if original else "",
        original.summary if original else "",
        owner.title if owner != test.kata else "",
    )
    return Finding(failure, place_at(test.course, file, line))


def _original(kata: Kata, name: str) -> Signature | None:
    """How the original file declares a function or method."""
    try:
        return declaration(kata.solution.read_text(encoding="utf-8"), name)
    except (OSError, SyntaxError):
        return None


def _type_error(test: FailedTest) -> Finding | None:
    if type(test.error).__name__ != "TypeCheckError":
        return None
    place = learner_place(test.course, test.traceback)
    problem = read_type_error(test.traceback)
    if problem is None:
        return Finding(Raised("TypeCheckError", text_of(test.error).split("\n---")[0]), place)
    code = checked_code(test.traceback)
    if code and (problem.argument is None or place is None):
        place = return_place(test.course, code, missing=problem.returned_none)
    return Finding(problem, place)


def _signature(test: FailedTest) -> Finding | None:
    """A call that does not fit: the learner's signature is not the original."""
    frames = frames_of(test.traceback)
    if not isinstance(test.error, TypeError) or not frames:
        return None
    if is_learners(test.course, frames[-1][0].f_code.co_filename):
        return None  # the error came later, from the learner's own code
    own = read_contract(test.kata.stub)
    used = {name for _, name in globals_used(test.code)} if test.code else set()
    for name, original in read_contract(test.kata.solution).items():
        if name in used and name in own and own[name].text != original.text:
            failure = WrongSignature(original.text, own[name].text)
            return Finding(failure, definition_place(test.course, test.kata, name))
    return None


def _slow(test: FailedTest) -> Finding | None:
    """A time limit that pytest-timeout enforced, by raising where the test was."""
    timeout = _TIMEOUT.match(text_of(test.error))
    if not timeout:
        return None
    place = learner_place(test.course, test.traceback)
    return Finding(Slow(float(timeout[1]), located=bool(place)), place)


def _raised_by_test(course: Course, error: BaseException) -> bool:
    files = (frame.f_code.co_filename for frame, _ in frames_of(error.__traceback__))
    return not any(is_learners(course, file) for file in files)
