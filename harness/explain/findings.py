"""What went wrong in a test, as facts: read from an exception and its traceback.

No sentence is written here (harness/run/words.py does that) and no value is changed. A finding is
plain JSON, so that it travels from a worker process with the test's report.
"""

from __future__ import annotations

import ast
import dis
import inspect
import linecache
import re
import textwrap
import traceback as tracebacks
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

from harness.course.katas import Course, Kata
from harness.course.stubs import Signature, declaration, definition_line, is_given, read_contract
from harness.explain import comparisons
from harness.explain.type_errors import read_type_error
from harness.isolation.calls import Call
from harness.isolation.importer import CannotImport, MissingName, text_of

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

    kind: str  # unwritten | unimportable | missing | type | signature | compared | refused | slow | raised
    facts: dict[str, Any] = field(default_factory=dict)
    place: Place | None = None
    changed: tuple[str, str] | None = None  # a function that wrote into an argument: (function, argument)
    printed: str = ""  # what the learner's code wrote to stdout and stderr
    diagnosis: str = ""  # of the one known mistake with which the test sees the same

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def from_json(data: Mapping[str, Any]) -> Finding:
    """The finding that `as_json` made."""
    place = Place(**data["place"]) if data["place"] else None
    changed = tuple(data["changed"]) if data["changed"] else None
    return Finding(data["kind"], dict(data["facts"]), place, changed, data["printed"], data["diagnosis"])


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
    comparison: Comparison | None,
    called: Sequence[str],
    calls: Sequence[Call],
) -> Finding:
    """A comparison that failed, or an error like any other."""
    line = failing_line(error.__traceback__, test_code)
    steps = _steps_of_test(error.__traceback__, test_code)
    place = (
        learner_place(course, error.__traceback__, kata)
        or learner_place(course, error.__traceback__)
        or _place_of_a_step(course, kata, steps[:-1])
        or tested_place(course, kata, test_code, line, called)
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
        facts["statement"], wanted = _statement_at_fault(steps, in_itself=in_test)
        facts["wanted"] = _value_in_test(error.__traceback__, test_code, wanted)
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
    course: Course, refusal: BaseException, comparison: Comparison | None, place: Place | None
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


_Step = tuple[CodeType, int]  # a function of the test's file, and the line at which it failed


def _steps_of_test(traceback: TracebackType | None, test_code: CodeType | None) -> list[_Step]:
    """The test and the functions of its file that it called, as far as they failed, the innermost first."""
    if test_code is None:
        return []
    steps = [(frame.f_code, line) for frame, line in tracebacks.walk_tb(traceback)]
    return [step for step in reversed(steps) if step[0].co_filename == test_code.co_filename]


def _place_of_a_step(course: Course, kata: Kata, steps: Sequence[_Step]) -> Place | None:
    """Where the function is defined that failed: a test may leave it to another function to call it."""
    places = (tested_place(course, kata, code, line) for code, line in steps)
    return next(filter(None, places), None)


def _statement_at_fault(steps: Sequence[_Step], *, in_itself: bool) -> tuple[str, str]:
    """The statement of the test's file that failed, and the error that a `pytest.raises` around it wants."""
    read = [read_statement(code.co_filename, line) for code, line in steps]
    statement = read[0][0] if in_itself and read[0][0] else read[-1][0]
    return statement, next((wanted for _, wanted in read if wanted), "")


def _value_in_test(traceback: TracebackType | None, test_code: CodeType, name: str) -> str:
    """The class that a test calls by this name, as in `pytest.raises(error)` of one with several cases."""
    for frame, _ in tracebacks.walk_tb(traceback):
        value = frame.f_locals.get(name) if frame.f_code is test_code else None
        if isinstance(value, type):
            return value.__name__
    return name


def learner_place(course: Course, traceback: TracebackType | None, kata: Kata | None = None) -> Place | None:
    """The innermost line of a learner's file (or of a solution) in a traceback; with `kata`, of its own."""
    found = None
    for frame, line in tracebacks.walk_tb(traceback):
        file = frame.f_code.co_filename
        if is_learners(course, file) and kata in (None, course.kata_of(Path(file).resolve())):
            found = (file, line)
    return place_at(course, *found) if found else None


def is_learners(course: Course, filename: str) -> bool:
    """Whether a file is one that a learner writes: in a kata's folder and not its tests."""
    path = Path(filename)
    if path.suffix != ".py" or path.name.startswith("test_"):
        return False
    return course.kata_of(path.resolve()) is not None


def place_at(course: Course, filename: str, line: int) -> Place:
    """A line with its text, as it stands in the file."""
    linecache.checkcache(filename)
    return Place(course.relative(Path(filename).resolve()), line, linecache.getline(filename, line).strip())


def failing_line(traceback: TracebackType | None, test_code: CodeType | None) -> int | None:
    """The line of the test at which it failed."""
    lines = [line for frame, line in tracebacks.walk_tb(traceback) if frame.f_code is test_code]
    return lines[-1] if lines else None


def tested_place(
    course: Course,
    kata: Kata,
    test_code: CodeType | None,
    line: int | None = None,
    called: Sequence[str] = (),
) -> Place | None:
    """Where the function is defined that a test is about.

    That is the one of the contract that the test names last before it fails. If it names a class, or none,
    as when a function beside it makes the layer, it is about the last method that it has `called`.
    """
    name = _tested_name(kata, test_code, line)
    method = called[-1] if called and "." in called[-1] else None
    if method and name in (None, method.split(".")[0]):
        return _definition(course, kata, method) or _definition(course, kata, method.split(".")[0])
    return _definition(course, kata, name) if name else None


def _definition(course: Course, kata: Kata, name: str) -> Place | None:
    """Where the learner's file defines a name; None if it does not, or is gone."""
    try:
        source = kata.stub.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    line = definition_line(source, name)
    return place_at(course, str(kata.stub), line) if line else None


def _tested_name(kata: Kata, test_code: CodeType | None, line: int | None) -> str | None:
    if test_code is None:
        return None
    order = [each.name for each in read_contract(kata.solution).values() if not is_given(each.declaration)]
    used = [(at, name) for at, name in _globals_used(test_code) if name in order]
    last = _last_line(test_code, line) if line else None
    before = [(at, order.index(name), name) for at, name in used if last is None or at <= last]
    return max(before)[2] if before else None


def _last_line(code: CodeType, line: int) -> int:
    """The last line of what starts at a line: the arguments of a call may stand below it."""
    ends = [end for start, end, _, _ in code.co_positions() if start == line and end]
    return max(ends, default=line)


def _globals_used(code: CodeType) -> Iterator[tuple[int, str]]:
    """(line, name) of every global that a function reads, also in the functions inside it."""
    line = code.co_firstlineno
    for instruction in dis.get_instructions(code):
        position = instruction.positions
        line = position.lineno if position and position.lineno else line
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield line, instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals_used(constant)


def read_statement(filename: str, line: int) -> tuple[str, str]:
    """The statement at a line of a test, and the error that a `pytest.raises` around it wants (or "")."""
    source = "".join(linecache.getlines(filename))
    try:
        nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    except SyntaxError:
        return "", ""
    around = [node for node in nodes if node.lineno <= line <= (node.end_lineno or node.lineno)]
    innermost = max(around, key=lambda node: node.lineno, default=None)
    wanted = [
        ast.unparse(item.context_expr.args[0])
        for node in around
        if isinstance(node, ast.With)
        for item in node.items
        if isinstance(item.context_expr, ast.Call)
        and ast.unparse(item.context_expr.func) == "pytest.raises"
        and item.context_expr.args
    ]
    return _text_of(source, innermost), wanted[-1] if wanted else ""


def _text_of(source: str, statement: ast.stmt | None) -> str:
    """A statement as it is written; of an assertion with a message only what it asserts."""
    if statement is None:
        return ""
    text = ast.get_source_segment(source, statement, padded=True) or ""
    if isinstance(statement, ast.Assert) and statement.msg:
        message = ast.get_source_segment(source, statement.msg) or ""
        text = text[: text.rindex(message)].rstrip(" \n,(")
    return textwrap.dedent(text)


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
    return Finding("unimportable", facts, _import_place(course, error.path, cause))


def _message(cause: BaseException) -> str:
    return (cause.msg or "") if isinstance(cause, SyntaxError) else text_of(cause)


def _import_place(course: Course, path: Path, cause: BaseException) -> Place | None:
    if isinstance(cause, SyntaxError) and cause.filename and cause.lineno:
        return place_at(course, cause.filename, cause.lineno)
    return learner_place(course, cause.__traceback__) or Place(course.relative(path), 1)


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
        caller = _return_place(course, problem.code, missing=problem.returned_none)
    return Finding("type", described, caller)


def _return_place(course: Course, code: CodeType, *, missing: bool) -> Place | None:
    """The function's only `return`, or the line that defines it; its last statement if one is `missing`."""
    if not is_learners(course, code.co_filename):
        return None
    try:
        lines, first = inspect.getsourcelines(code)
        function: Any = ast.parse(textwrap.dedent("".join(lines))).body[0]
    except (OSError, SyntaxError):  # the file has changed since it was imported
        return place_at(course, code.co_filename, code.co_firstlineno)
    if missing and isinstance(function, ast.FunctionDef):
        return place_at(course, code.co_filename, first + function.body[-1].lineno - 1)
    returns = [first + node.lineno - 1 for node in _returns(function)]
    definition = first + function.lineno - 1
    return place_at(course, code.co_filename, returns[0] if len(returns) == 1 else definition)


def _returns(function: ast.AST) -> Iterator[ast.Return]:
    """The `return` statements of a function, not those of functions inside it."""
    for child in ast.iter_child_nodes(function):
        if isinstance(child, ast.Return):
            yield child
        elif not isinstance(child, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            yield from _returns(child)


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
