"""The statement of a test that failed, as it is written."""

from __future__ import annotations

import ast
import linecache
import textwrap
from collections.abc import Sequence
from types import CodeType, TracebackType

from harness.explain.places import Step, frames_of


def statement_at_fault(steps: Sequence[Step], *, in_itself: bool) -> tuple[str, str]:
    """The statement of the test's file that failed, and the error that a `pytest.raises` around it wants."""
    read = [read_statement(code.co_filename, line) for code, line in steps]
    statement = read[0][0] if in_itself and read[0][0] else read[-1][0]
    return statement, next((wanted for _, wanted in read if wanted), "")


def value_in_test(traceback: TracebackType | None, test_code: CodeType, name: str) -> str:
    """The class that a test calls by this name, as in `pytest.raises(error)` of one with several cases."""
    for frame, _ in frames_of(traceback):
        value = frame.f_locals.get(name) if frame.f_code is test_code else None
        if isinstance(value, type):
            return value.__name__
    return name


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
