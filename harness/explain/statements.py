"""The statement of a test that failed."""

from __future__ import annotations

import ast
import linecache
import textwrap
from collections.abc import Sequence
from types import CodeType, TracebackType

from harness.explain.places import TestLine, frames_of

_SAYS_NOTHING = ("actual", "found", "result", "x", "y")  # names that do not say what a value is
_LONGEST_SUBJECT = 100  # characters


def failed_statement(calls: Sequence[TestLine], *, raised_in_test: bool) -> tuple[str, str]:
    """Return the statement that failed, and the error that a `pytest.raises` around it expects (or "").

    It is the innermost one if the test's own file raised the error, else the test's.
    """
    statements = [read_statement(code.co_filename, line) for code, line in calls]
    innermost, outermost = statements[0][0], statements[-1][0]
    expected = next((error for _, error in statements if error), "")
    return innermost if raised_in_test and innermost else outermost, expected


def class_named(name: str, traceback: TracebackType | None, test_code: CodeType) -> str:
    """Return the name of the class that a variable of the test holds, as in `pytest.raises(error)`."""
    for frame, _ in frames_of(traceback):
        value = frame.f_locals.get(name) if frame.f_code is test_code else None
        if isinstance(value, type):
            return value.__name__
    return name


def read_statement(filename: str, line: int) -> tuple[str, str]:
    """Return the statement at a line of a test, and the error that a `pytest.raises` around it expects."""
    source = "".join(linecache.getlines(filename))
    try:
        nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    except SyntaxError:
        return "", ""
    around = [node for node in nodes if node.lineno <= line <= (node.end_lineno or node.lineno)]
    innermost = max(around, key=lambda node: node.lineno, default=None)
    expected = [
        ast.unparse(item.context_expr.args[0])
        for node in around
        if isinstance(node, ast.With)
        for item in node.items
        if isinstance(item.context_expr, ast.Call)
        and ast.unparse(item.context_expr.func) == "pytest.raises"
        and item.context_expr.args
    ]
    return _text_of(source, innermost), expected[-1] if expected else ""


def subject_of(filename: str, line: int) -> str:
    """Return the expression whose value the assertion at a line compares; "" if it is not known.

    If that is a variable whose name says nothing, what the test has assigned to it.
    """
    statement = read_statement(filename, line)[0]
    try:
        (node,) = ast.parse(statement).body
    except (SyntaxError, ValueError):
        return ""
    value = _compared(node)
    if isinstance(value, ast.Name) and value.id in _SAYS_NOTHING:
        value = _assigned(filename, line, value.id)
    text = ast.unparse(value) if value else ""
    if len(text) > _LONGEST_SUBJECT and isinstance(value, ast.Call):
        text = f"{ast.unparse(value.func)}(…)"
    return text if len(text) <= _LONGEST_SUBJECT else ""


def _assigned(filename: str, line: int, name: str) -> ast.expr | None:
    """Return what is assigned to a variable in the function around a line, if that is clear."""
    tree = ast.parse("".join(linecache.getlines(filename)))
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    found = [
        node
        for node in (ast.walk(max(around, key=lambda each: each.lineno)) if around else ())
        if isinstance(node, ast.Assign) and node.lineno < line
        if any(isinstance(each, ast.Name) and each.id == name for each in node.targets)
    ]
    return max(found, key=lambda each: each.lineno).value if found else None


def _compared(node: ast.stmt) -> ast.expr | None:
    """Return the actual value of an `assert actual == …` or an `assert_close(actual, …)`."""
    if isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare):
        return node.test.left
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return None
    call = node.value
    if not ast.unparse(call.func).endswith("assert_close"):
        return None
    named = [each.value for each in call.keywords if each.arg == "actual"]
    return [*call.args[:1], *named, None][0]


def _text_of(source: str, statement: ast.stmt | None) -> str:
    """Return a statement's source; of an assertion, without its message."""
    if statement is None:
        return ""
    text = ast.get_source_segment(source, statement, padded=True) or ""
    if isinstance(statement, ast.Assert) and statement.msg:
        message = ast.get_source_segment(source, statement.msg) or ""
        text = text[: text.rindex(message)].rstrip(" \n,(")
    return textwrap.dedent(text)
