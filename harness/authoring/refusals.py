"""The gate's rules about refusals: they end a kata, are promised, and a test proves each one.

A refusal is an error that a learner's function raises itself. Its tests are those whose names end in
`_is_refused` or `_are_refused`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from harness.authoring.slip_trials import Problem
from harness.course.kata_tests import read_tests
from harness.course.katas import Course, Kata
from harness.course.slips import BadSlip, Slip, read_slips
from harness.course.stubs import make_stub

_ENDINGS = ("_is_refused", "_are_refused")
_NAMED = "a test whose name ends in _is_refused or _are_refused"


def refusals_come_last(course: Course, kata: Kata) -> Iterator[Problem]:
    """Report every other test that stands after a refusal: a learner meets the ideas first."""
    seen = ""
    for test in read_tests(kata):
        if test.name.endswith(_ENDINGS):
            seen = seen or test.name
        elif seen:
            found = f"{test.name} stands after {seen}"
            yield Problem(course.relative(kata.tests), found, "move the refusals to the end of the file")


def refusals_are_proven(course: Course, kata: Kata) -> Iterator[Problem]:
    """Report every error of the reference that no docstring promises, or that no slip and test guard."""
    try:
        source, slips = kata.solution.read_text(encoding="utf-8"), read_slips(kata)
    except (OSError, BadSlip, UnicodeDecodeError):
        return  # another rule reports it
    promises = _docstrings(source)
    guarded = [slip for slip in slips if slip.caught_by.endswith(_ENDINGS)]
    for refusal in _refusals(source):
        place = f"{course.relative(kata.solution)}:{refusal.last}"
        error = refusal.error
        if f"Raises {error}" not in promises and f"and {error}" not in promises:
            yield Problem(place, f"raises {error}, which no docstring promises", f"write: Raises {error} …")
        if not any(refusal.is_omitted_by(slip, source) for slip in guarded):
            found = f"raises {error}, and no slip shows that a test needs it"
            yield Problem(place, found, f"add a slip that omits it, caught by {_NAMED}")


@dataclass(frozen=True)
class _Refusal:
    """An error that a learner raises, from the line of its condition to its last."""

    error: str
    function: str  # the function that raises it
    first: int
    last: int

    def is_omitted_by(self, slip: Slip, source: str) -> bool:
        """True if the slip changes these lines, or a call of the private function that has them."""
        start = source.count("\n", 0, source.find(slip.find)) + 1
        touches = start <= self.last and start + slip.find.strip("\n").count("\n") >= self.first
        return touches or (self.function.startswith("_") and f"{self.function}(" in slip.find)


def _refusals(source: str) -> Iterator[_Refusal]:
    kept = set(make_stub(source).splitlines())  # what is given refuses what it likes
    lines = source.splitlines()
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        for node, guard in _raises(function):
            if lines[node.lineno - 1] not in kept and isinstance(node.exc, ast.Call):
                last = node.end_lineno or node.lineno
                yield _Refusal(ast.unparse(node.exc.func), function.name, guard.lineno, last)


def _raises(function: ast.FunctionDef) -> Iterator[tuple[ast.Raise, ast.stmt | ast.ExceptHandler]]:
    """Yield each `raise` of a function with the condition or the handler that it stands in, if any."""
    for parent in ast.walk(function):
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.Raise):
                yield node, (parent if isinstance(parent, ast.If | ast.ExceptHandler) else node)


def _docstrings(source: str) -> str:
    """Return what the docstrings of the contract say, in one line."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    public = [node for node in nodes if node.name == "__init__" or not node.name.startswith("_")]
    return " ".join(" ".join((ast.get_docstring(node) or "").split()) for node in public)
