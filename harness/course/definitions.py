"""Functions and classes in Python source: where they are, and their lines."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def split_lines(source: str) -> list[str]:
    """Return the lines as `ast` counts them: a form feed or a line separator does not end one."""
    return re.split(r"\r\n|\r|\n", source)


def first_line(node: ast.stmt) -> int:
    """Return the number of the first line of a statement, including its decorators."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def last_line(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def find_definition(body: Sequence[ast.stmt], name: str) -> Definition | None:
    """Return the function, class or method ("Linear.forward") of this name."""
    owner, _, rest = name.partition(".")
    for node in body:
        if isinstance(node, Definition) and node.name == owner:
            return find_definition(node.body, rest) if rest else node
    return None


def docstring_lines(node: Definition) -> range:
    """Return the numbers of the lines of a docstring; empty if there is none."""
    if ast.get_docstring(node, clean=False) is None:
        return range(0)
    return range(node.body[0].lineno, last_line(node.body[0]) + 1)
