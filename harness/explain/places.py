"""Lines of a learner's file that a failure points to."""

from __future__ import annotations

import ast
import dis
import inspect
import linecache
import textwrap
import traceback as tracebacks
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

from harness.course.katas import Course, Kata
from harness.course.stubs import definition_line, is_given, read_contract


@dataclass(frozen=True)
class Place:
    """A line of a learner's file."""

    path: str  # relative to the repository's root
    line: int
    text: str = ""


def frames_of(traceback: TracebackType | None, file: str | None = None) -> list[tuple[FrameType, int]]:
    """Return the frames of a traceback and their lines, the outermost first; with `file`, only its own."""
    frames = tracebacks.walk_tb(traceback)
    return [(frame, line) for frame, line in frames if file in (None, frame.f_code.co_filename)]


TestLine = tuple[CodeType, int]  # a function of the test's file, and the line at which it failed


def failing_calls(traceback: TracebackType | None, test_code: CodeType | None) -> list[TestLine]:
    """Return where the test, and each function of its file that it called, failed; innermost first."""
    if test_code is None:
        return []
    return [(frame.f_code, line) for frame, line in reversed(frames_of(traceback, test_code.co_filename))]


def place_called_from(course: Course, kata: Kata, calls: Sequence[TestLine]) -> Place | None:
    """Return where the function under test is defined, if the test leaves calling it to another function."""
    places = (place_under_test(course, kata, code, line) for code, line in calls)
    return next(filter(None, places), None)


def learner_place(course: Course, traceback: TracebackType | None, kata: Kata | None = None) -> Place | None:
    """Return a traceback's innermost line in a learner's file or a solution; with `kata`, in its own."""
    found = None
    for frame, line in frames_of(traceback):
        file = frame.f_code.co_filename
        if is_learners(course, file) and kata in (None, course.kata_of(Path(file).resolve())):
            found = (file, line)
    return place_at(course, *found) if found else None


def is_learners(course: Course, filename: str) -> bool:
    """True if a learner writes the file: it is in a kata's folder and does not contain tests."""
    path = Path(filename)
    if path.suffix != ".py" or path.name.startswith("test_"):
        return False
    return course.kata_of(path.resolve()) is not None


def place_at(course: Course, filename: str, line: int) -> Place:
    """Return a line with its text."""
    linecache.checkcache(filename)
    return Place(course.relative(Path(filename).resolve()), line, linecache.getline(filename, line).strip())


def failing_line(traceback: TracebackType | None, test_code: CodeType | None) -> int | None:
    """Return the line at which the test failed."""
    lines = [line for frame, line in frames_of(traceback) if frame.f_code is test_code]
    return lines[-1] if lines else None


def place_under_test(
    course: Course,
    kata: Kata,
    test_code: CodeType | None,
    line: int | None = None,
    called: Sequence[str] = (),
) -> Place | None:
    """Return where the function under test is defined.

    That is the function of the contract that the test names last before it fails. If it names a class, it is
    the last method that was `called`; if it names none (as a parameter may hold it), the last function.
    """
    name = _name_under_test(kata, test_code, line)
    last = called[-1] if called else None
    if last and name in (None, last.split(".")[0]):
        return definition_place(course, kata, last) or definition_place(course, kata, last.split(".")[0])
    return definition_place(course, kata, name) if name else None


def definition_place(course: Course, kata: Kata, name: str) -> Place | None:
    """Return where the learner's file defines a name; None if it does not, or does not exist."""
    try:
        source = kata.stub.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    line = definition_line(source, name)
    return place_at(course, str(kata.stub), line) if line else None


def _name_under_test(kata: Kata, test_code: CodeType | None, line: int | None) -> str | None:
    if test_code is None:
        return None
    order = [each.name for each in read_contract(kata.solution).values() if not is_given(each.declaration)]
    used = [(at, name) for at, name in globals_used(test_code) if name in order]
    last = _last_line(test_code, line) if line else None
    before = [(at, order.index(name), name) for at, name in used if last is None or at <= last]
    return max(before)[2] if before else None


def _last_line(code: CodeType, line: int) -> int:
    """Return the last line of the expression that starts at a line: a call may span several."""
    ends = [end for start, end, _, _ in code.co_positions() if start == line and end]
    return max(ends, default=line)


def globals_used(code: CodeType) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of every global that a function and the functions inside it read."""
    line = code.co_firstlineno
    for instruction in dis.get_instructions(code):
        position = instruction.positions
        line = position.lineno if position and position.lineno else line
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield line, instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from globals_used(constant)


def import_place(course: Course, path: Path, cause: BaseException) -> Place | None:
    """Return the line at which the import of a learner's file failed; by default its first."""
    if isinstance(cause, SyntaxError) and cause.filename and cause.lineno:
        return place_at(course, cause.filename, cause.lineno)
    return learner_place(course, cause.__traceback__) or Place(course.relative(path), 1)


def return_place(course: Course, code: CodeType, *, missing: bool) -> Place | None:
    """Return the line of the function's only `return`, else of its definition.

    If a `return` is `missing`, return the line of its last statement.
    """
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
    """Yield the `return` statements of a function, but not of functions inside it."""
    for child in ast.iter_child_nodes(function):
        if isinstance(child, ast.Return):
            yield child
        elif not isinstance(child, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            yield from _returns(child)
