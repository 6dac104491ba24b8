"""The gate's rules about refusals: they end a kata, are promised, and a test proves each one.

A refusal is an error that a learner's function raises itself. Its tests are those whose names end in
`_is_refused` or `_are_refused`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

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
    for error, first, last in _raised(source):
        place = f"{course.relative(kata.solution)}:{last}"
        if f"Raises {error}" not in promises and f"and {error}" not in promises:
            yield Problem(place, f"raises {error}, which no docstring promises", f"write: Raises {error} …")
        if not any(
            slip.caught_by.endswith(_ENDINGS) and _touches(slip, source, first, last) for slip in slips
        ):
            found = f"raises {error}, and no slip shows that a test needs it"
            yield Problem(place, found, f"add a slip that omits it, caught by {_NAMED}")


def _raised(source: str) -> Iterator[tuple[str, int, int]]:
    """Yield each error that a learner raises, and the lines from its condition to its end."""
    kept = set(make_stub(source).splitlines())
    lines = source.splitlines()
    parents = {child: node for node in ast.walk(ast.parse(source)) for child in ast.iter_child_nodes(node)}
    for node in parents:
        if (
            isinstance(node, ast.Raise)
            and isinstance(node.exc, ast.Call)
            and lines[node.lineno - 1] not in kept
        ):
            parent = parents[node]
            guard = parent if isinstance(parent, ast.If | ast.ExceptHandler) else node
            yield ast.unparse(node.exc.func), guard.lineno, node.end_lineno or node.lineno


def _touches(slip: Slip, source: str, first: int, last: int) -> bool:
    start = source.count("\n", 0, source.find(slip.find)) + 1
    return start <= last and start + slip.find.strip("\n").count("\n") >= first


def _docstrings(source: str) -> str:
    """Return what the docstrings of the contract say, in one line."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    public = [node for node in nodes if node.name == "__init__" or not node.name.startswith("_")]
    return " ".join(" ".join((ast.get_docstring(node) or "").split()) for node in public)
