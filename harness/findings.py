"""What went wrong in a test, as facts: read from an exception and its traceback.

No sentence is written here (harness/words.py does that) and no value is changed. A finding is
plain JSON, so that it travels from a worker process with the test's report.
"""

from __future__ import annotations

import inspect
import linecache
import re
import traceback as tracebacks
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

from harness.comparison import side_by_side
from harness.course import Course, Kata
from harness.shape_errors import read_type_error
from harness.standins import CannotImport, MissingName
from harness.stubs import definition_line, read_contract

_TIMEOUT = re.compile(r"Timeout \(>([\d.]+)s\) from pytest-timeout")


@dataclass(frozen=True)
class Place:
    """A line of a learner's file."""

    path: str  # relative to the repository's root
    line: int
    text: str = ""


@dataclass(frozen=True)
class Finding:
    """One failure: its kind, the facts that the kind has, and the learner's own line."""

    kind: str  # unwritten | unimportable | missing | type | signature | compared | slow | raised
    facts: dict[str, Any] = field(default_factory=dict)
    place: Place | None = None
    printed: str = ""  # what the learner's code wrote to stdout and stderr

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def from_json(data: Mapping[str, Any]) -> Finding:
    """The finding that `as_json` made."""
    place = Place(**data["place"]) if data["place"] else None
    return Finding(data["kind"], dict(data["facts"]), place, data["printed"])


@dataclass(frozen=True)
class Comparison:
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
    comparison: Comparison | None = None,
) -> Finding:
    """The facts of a failed test of `kata`."""
    for reader in (_stand_in, _unwritten, _type_error, _signature, _slow):
        finding = reader(course, kata, error, test_code)
        if finding:
            return finding
    place = learner_place(course, error.__traceback__) or tested_place(course, kata, test_code)
    shown = _compared(error, comparison)
    facts = {"type": type(error).__name__, "message": str(error), "in_test": _raised_by_test(course, error)}
    return Finding("compared", {**facts, **shown}, place) if shown else Finding("raised", facts, place)


def learner_place(course: Course, traceback: TracebackType | None) -> Place | None:
    """The innermost line of a learner's file (or of a solution) in a traceback."""
    found = None
    for frame, line in tracebacks.walk_tb(traceback):
        if is_learners(course, frame.f_code.co_filename):
            found = (frame.f_code.co_filename, line)
    return place_at(course, *found) if found else None


def is_learners(course: Course, filename: str) -> bool:
    """Whether a file is one that a learner writes: in a kata's folder and not its tests."""
    path = Path(filename)
    return course.kata_of(path) is not None and path.suffix == ".py" and not path.name.startswith("test_")


def place_at(course: Course, filename: str, line: int) -> Place:
    """A line with its text, as it stands in the file."""
    linecache.checkcache(filename)
    return Place(course.relative(Path(filename)), line, linecache.getline(filename, line).strip())


def tested_place(course: Course, kata: Kata, test_code: CodeType | None) -> Place | None:
    """Where the function that a test is about is defined: the latest of the contract that it names."""
    name = _tested_name(kata, test_code)
    if name is None:
        return None
    source = kata.stub.read_text(encoding="utf-8", errors="replace")
    line = definition_line(source, name)
    return place_at(course, str(kata.stub), line) if line else None


def _tested_name(kata: Kata, test_code: CodeType | None) -> str | None:
    used = _names(test_code) if test_code else set()
    return next((name for name in reversed(list(read_contract(kata.solution))) if name in used), None)


def _names(code: CodeType) -> set[str]:
    nested = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*(_names(inner) for inner in nested))


def _stand_in(course: Course, kata: Kata, error: BaseException, _: CodeType | None) -> Finding | None:
    if isinstance(error, MissingName):
        promised = {"name": error.missing, "file": course.relative(error.path)}
        return Finding(
            "missing", {**promised, "present": list(error.present)}, Place(course.relative(error.path), 1)
        )
    if not isinstance(error, CannotImport) or error.__cause__ is None:
        return None
    cause = error.__cause__
    facts: dict[str, Any] = {
        "file": course.relative(error.path),
        "type": type(cause).__name__,
        "message": _message(cause),
    }
    if isinstance(cause, ModuleNotFoundError):
        facts["module"] = cause.name
    return Finding("unimportable", facts, _import_place(course, error.path, cause))


def _message(cause: BaseException) -> str:
    return (cause.msg or "") if isinstance(cause, SyntaxError) else str(cause)


def _import_place(course: Course, path: Path, cause: BaseException) -> Place | None:
    if isinstance(cause, SyntaxError) and cause.filename and cause.lineno:
        return place_at(course, cause.filename, cause.lineno)
    return learner_place(course, cause.__traceback__) or Place(course.relative(path), 1)


def _unwritten(course: Course, kata: Kata, error: BaseException, _: CodeType | None) -> Finding | None:
    """A `raise NotImplementedError` in a learner's own file, of this kata or an earlier one."""
    frames = list(tracebacks.walk_tb(error.__traceback__))
    if not isinstance(error, NotImplementedError) or not frames:
        return None
    frame, line = frames[-1]
    owner = course.kata_of(Path(frame.f_code.co_filename))
    if owner is None or not is_learners(course, frame.f_code.co_filename):
        return None
    name = frame.f_code.co_qualname if hasattr(frame.f_code, "co_qualname") else frame.f_code.co_name
    signature = read_contract(owner.solution).get(name.split(".")[0])
    facts = {
        "name": name,
        "declaration": signature.declaration if signature else "",
        "summary": signature.summary if signature else "",
        "method": "." in name,
        "elsewhere": owner.title if owner != kata else "",
    }
    return Finding("unwritten", facts, place_at(course, frame.f_code.co_filename, line))


def _type_error(course: Course, kata: Kata, error: BaseException, _: CodeType | None) -> Finding | None:
    if type(error).__name__ != "TypeCheckError":
        return None
    problem = read_type_error(error.__traceback__)
    if problem is None:
        return Finding("raised", {"type": "TypeCheckError", "message": str(error).split("\n---")[0]})
    facts = {key: value for key, value in asdict(problem).items() if key != "code"}
    caller = learner_place(course, error.__traceback__)
    if problem.argument is None or caller is None:
        caller = _return_place(course, problem.code)
    return Finding("type", facts, caller)


def _return_place(course: Course, code: CodeType) -> Place | None:
    """The function's only `return`, or the line that defines it."""
    if not is_learners(course, code.co_filename):
        return None
    lines, first = inspect.getsourcelines(code)
    returns = [first + i for i, line in enumerate(lines) if line.strip().startswith("return")]
    definition = next((first + i for i, line in enumerate(lines) if line.strip().startswith("def ")), first)
    return place_at(course, code.co_filename, returns[0] if len(returns) == 1 else definition)


def _signature(
    course: Course, kata: Kata, error: BaseException, test_code: CodeType | None
) -> Finding | None:
    """A call that does not fit: the learner's signature is not the shipped one."""
    if not isinstance(error, TypeError):
        return None
    own = read_contract(kata.stub)
    used = _names(test_code) if test_code else set()
    for name, shipped in read_contract(kata.solution).items():
        if name in used and name in own and own[name].text != shipped.text:
            source = kata.stub.read_text(encoding="utf-8", errors="replace")
            line = definition_line(source, name) or 1
            facts = {"shipped": shipped.text, "own": own[name].text, "message": str(error)}
            return Finding("signature", facts, place_at(course, str(kata.stub), line))
    return None


def _slow(course: Course, kata: Kata, error: BaseException, _: CodeType | None) -> Finding | None:
    """A time limit that pytest-timeout enforced, by raising where the test was."""
    timeout = _TIMEOUT.match(str(error))
    if not timeout:
        return None
    place = learner_place(course, error.__traceback__)
    return Finding("slow", {"seconds": float(timeout[1]), "during": "test", "located": bool(place)}, place)


def _compared(error: BaseException, comparison: Comparison | None) -> dict[str, Any]:
    """Expected and actual, from torch.testing.assert_close or from the failing `assert`."""
    if not isinstance(error, AssertionError):
        return {}
    for frame, _ in tracebacks.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "assert_close" and {"actual", "expected"} <= frame.f_locals.keys():
            values = frame.f_locals
            return {"table": _table(values["expected"], values["actual"]), "by": "assert_close"}
    if comparison is not None and comparison.operator in ("==", "is"):
        return {"table": _table(comparison.right, comparison.left), "by": "assert"}
    return {}


def _table(expected: Any, actual: Any) -> Sequence[str]:
    try:
        return side_by_side(expected, actual)
    except Exception as error:  # A value whose own methods fail must not hide the failure itself.
        return [f"(the values cannot be shown: {type(error).__name__}: {error})"]


def _raised_by_test(course: Course, error: BaseException) -> bool:
    frames = list(tracebacks.walk_tb(error.__traceback__))
    return not any(is_learners(course, frame.f_code.co_filename) for frame, _ in frames)
