"""What went wrong in a test, as facts: read from an exception and its traceback.

No sentence is written here (words.py does that) and no value is changed.
"""

from __future__ import annotations

import re
import traceback as tracebacks
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import CodeType
from typing import Any

from harness.course.katas import Course, Kata
from harness.course.stubs import Signature, declaration, read_contract
from harness.explain import comparisons
from harness.explain.places import (
    Place,
    _definition,
    _globals_used,
    failing_line,
    import_place,
    is_learners,
    learner_place,
    place_at,
    place_of_a_step,
    place_under_test,
    return_place,
    steps_of_test,
)
from harness.explain.statements import read_statement, statement_at_fault, value_in_test
from harness.explain.type_errors import read_type_error
from harness.isolation.calls import Call
from harness.isolation.standins import CannotImport, MissingName, text_of

_TIMEOUT = re.compile(r"Timeout \(>([\d.]+)s\) from pytest-timeout")


@dataclass(frozen=True)
class Finding:
    """One failure: its kind, the facts that the kind has, and the learner's own line."""

    kind: str  # unwritten | unimportable | missing | type | signature | compared | refused | slow | raised
    facts: dict[str, Any] = field(default_factory=dict)
    place: Place | None = None
    changed: tuple[str, str] | None = None  # a function that wrote into an argument: (function, argument)
    printed: str = ""  # what the learner's code wrote to stdout and stderr
    diagnosis: str = ""  # of the one known mistake with which the test sees the same


@dataclass(frozen=True)
class AssertedComparison:
    """The last comparison of a failing `assert`, as pytest saw it."""

    operator: str
    left: Any
    right: Any


def read_failure(
    course: Course,
    kata: Kata,
    error: BaseException,
    *,
    test_code: CodeType | None = None,
    comparison: AssertedComparison | None = None,
    changed: Sequence[tuple[str, str]] = (),
    called: Sequence[tuple[str, str]] = (),
    calls: Sequence[Call] = (),
) -> Finding:
    """The facts of a failed test of `kata`.

    `changed`: arguments that were written to during it; `called`: (module, function) that it called;
    `calls`: the last ones that returned, with what they gave.
    """
    for reader in (_stand_in, _unwritten, _type_error, _signature, _slow):
        finding = reader(course, kata, error, test_code)
        if finding:
            break
    else:
        own = [function for module, function in called if module == f"{kata.package}.{kata.stub.stem}"]
        finding = _by_its_values(course, kata, error, test_code, comparison, own, calls)
    return replace(finding, changed=changed[0]) if changed else finding


def _by_its_values(
    course: Course,
    kata: Kata,
    error: BaseException,
    test_code: CodeType | None,
    comparison: AssertedComparison | None,
    called: Sequence[str],
    calls: Sequence[Call],
) -> Finding:
    """A comparison that failed, or an error like any other."""
    line = failing_line(error.__traceback__, test_code)
    steps = steps_of_test(error.__traceback__, test_code)
    place = (
        learner_place(course, error.__traceback__, kata)
        or learner_place(course, error.__traceback__)
        or place_of_a_step(course, kata, steps[:-1])
        or place_under_test(course, kata, test_code, line, called)
    )
    facts: dict[str, Any] = {"type": type(error).__name__, "message": text_of(error)}
    in_test = _failed_in(test_code, error)
    refusal = _examined_refusal(error, test_code, line) if in_test else None
    if refusal:
        return _refused(course, refusal, comparison, place)
    own = comparison if in_test else None
    compared = comparisons.by_assert_close(error) or (
        own and comparisons.by_assert(error, own.operator, own.left, own.right)
    )
    if compared:
        names = comparisons.names_in(error.__traceback__, test_code)
        return Finding("compared", {**facts, **comparisons.read(compared, names, calls)}, place)
    if test_code and steps:
        facts["statement"], wanted = statement_at_fault(steps, in_itself=in_test)
        facts["wanted"] = value_in_test(error.__traceback__, test_code, wanted)
    facts["in_test"] = _raised_by_test(course, error)
    return Finding("raised", facts, place)


def _examined_refusal(
    error: BaseException, test_code: CodeType | None, line: int | None
) -> BaseException | None:
    """The error that a test caught with `pytest.raises` and whose text the failing `assert` looks at."""
    if not isinstance(error, AssertionError) or test_code is None or line is None:
        return None
    statement, _ = read_statement(test_code.co_filename, line)
    frame = next(frame for frame, _ in tracebacks.walk_tb(error.__traceback__) if frame.f_code is test_code)
    for name, value in frame.f_locals.items():
        caught = getattr(value, "_excinfo", None) and value.value  # a pytest.ExceptionInfo that is filled
        if isinstance(caught, BaseException) and f"str({name}.value)" in statement:
            return caught
    return None


def _refused(
    course: Course, refusal: BaseException, comparison: AssertedComparison | None, place: Place | None
) -> Finding:
    """A value was refused as it should be, in words that do not name what they should."""
    facts: dict[str, Any] = {"type": type(refusal).__name__, "message": text_of(refusal), "lacks": []}
    if comparison and comparison.operator == "in":
        facts["lacks"] = [str(comparison.left)]
    elif comparison and isinstance(comparison.left, list) and isinstance(comparison.right, list):
        facts["lacks"] = [str(each) for each in comparison.right if each not in comparison.left]
    return Finding("refused", facts, learner_place(course, refusal.__traceback__) or place)


def _failed_in(code: CodeType | None, error: BaseException) -> bool:
    """Whether the error was raised by a line of this function, or of one beside it in its file."""
    frames = [frame for frame, _ in tracebacks.walk_tb(error.__traceback__)]
    return code is not None and bool(frames) and frames[-1].f_code.co_filename == code.co_filename


def _stand_in(course: Course, kata: Kata, error: BaseException, _: CodeType | None) -> Finding | None:
    if isinstance(error, MissingName):
        promised = {"name": error.missing, "file": course.relative(error.path)}
        return Finding(
            "missing", {**promised, "present": list(error.present)}, Place(course.relative(error.path), 1)
        )
    if not isinstance(error, CannotImport) or error.__cause__ is None:
        return None
    cause = error.__cause__
    while isinstance(cause, CannotImport) and cause.__cause__ is not None:
        error, cause = cause, cause.__cause__  # an earlier kata, which this one uses while it is imported
    if isinstance(cause, MissingName):
        return _stand_in(course, kata, cause, None)
    facts: dict[str, Any] = {
        "file": course.relative(error.path),
        "type": type(cause).__name__,
        "message": _message(cause),
    }
    if isinstance(cause, ModuleNotFoundError):
        facts["module"] = cause.name
    return Finding("unimportable", facts, import_place(course, error.path, cause))


def _message(cause: BaseException) -> str:
    return (cause.msg or "") if isinstance(cause, SyntaxError) else text_of(cause)


def _unwritten(course: Course, kata: Kata, error: BaseException, _: CodeType | None) -> Finding | None:
    """A `raise NotImplementedError` in a learner's own file, of this kata or an earlier one."""
    frames = list(tracebacks.walk_tb(error.__traceback__))
    if not isinstance(error, NotImplementedError) or error.args or not frames:
        return None  # torch's own NotImplementedError has a message
    frame, line = frames[-1]
    owner = course.kata_of(Path(frame.f_code.co_filename).resolve())
    if owner is None or not is_learners(course, frame.f_code.co_filename):
        return None
    name = frame.f_code.co_qualname.split(".<locals>")[0]
    signature = _shipped(owner, name)
    facts = {
        "name": name,
        "declaration": signature.declaration if signature else "",
        "summary": signature.summary if signature else "",
        "method": "." in name,
        "elsewhere": owner.title if owner != kata else "",
    }
    return Finding("unwritten", facts, place_at(course, frame.f_code.co_filename, line))


def _shipped(kata: Kata, name: str) -> Signature | None:
    """How the shipped file declares a function or method."""
    try:
        return declaration(kata.solution.read_text(encoding="utf-8"), name)
    except (OSError, SyntaxError):
        return None


def _type_error(course: Course, kata: Kata, error: BaseException, _: CodeType | None) -> Finding | None:
    if type(error).__name__ != "TypeCheckError":
        return None
    problem = read_type_error(error.__traceback__)
    if problem is None:
        facts = {"type": "TypeCheckError", "message": text_of(error).split("\n---")[0]}
        return Finding("raised", facts, learner_place(course, error.__traceback__))
    described = {key: value for key, value in asdict(problem).items() if key != "code"}
    described["axes"] = list(described["axes"])  # as JSON has it
    described["count"] = list(problem.count) if problem.count else None
    caller = learner_place(course, error.__traceback__)
    if problem.argument is None or caller is None:
        caller = return_place(course, problem.code, missing=problem.returned_none)
    return Finding("type", described, caller)


def _signature(
    course: Course, kata: Kata, error: BaseException, test_code: CodeType | None
) -> Finding | None:
    """A call that does not fit: the learner's signature is not the shipped one."""
    frames = [frame for frame, _ in tracebacks.walk_tb(error.__traceback__)]
    if not isinstance(error, TypeError) or not frames:
        return None
    if is_learners(course, frames[-1].f_code.co_filename):
        return None  # not at the call: by what the learner's code does
    own = read_contract(kata.stub)
    used = {name for _, name in _globals_used(test_code)} if test_code else set()
    for name, shipped in read_contract(kata.solution).items():
        if name in used and name in own and own[name].text != shipped.text:
            facts = {"shipped": shipped.text, "own": own[name].text, "message": text_of(error)}
            return Finding("signature", facts, _definition(course, kata, name))
    return None


def _slow(course: Course, kata: Kata, error: BaseException, _: CodeType | None) -> Finding | None:
    """A time limit that pytest-timeout enforced, by raising where the test was."""
    timeout = _TIMEOUT.match(text_of(error))
    if not timeout:
        return None
    place = learner_place(course, error.__traceback__)
    return Finding("slow", {"seconds": float(timeout[1]), "during": "test", "located": bool(place)}, place)


def _raised_by_test(course: Course, error: BaseException) -> bool:
    frames = list(tracebacks.walk_tb(error.__traceback__))
    return not any(is_learners(course, frame.f_code.co_filename) for frame, _ in frames)
