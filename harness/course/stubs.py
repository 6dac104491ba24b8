"""Stubs made from solutions, and the contract (names and signatures) that both share.

A stub is the solution's text with every body replaced by `raise NotImplementedError`. Docstrings,
imports, constants and whatever is marked with a comment `# given` stay; private names go.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from harness.course.definitions import (
    Definition,
    Function,
    docstring_lines,
    find_definition,
    first_line,
    last_line,
    split_lines,
)

GIVEN = "# given"


@dataclass(frozen=True)
class Signature:
    """One public function or class of a kata as the shipped file declares it."""

    name: str
    text: str  # "softmax(x, dim)": names and defaults, which a caller relies on
    summary: str  # the first paragraph of its docstring
    declaration: str  # the lines of its `def` or `class`, as a learner sees them in the stub


def make_stub(source: str, solved: Collection[str] = ()) -> str:
    """The stub that belongs to a solution's source.

    What is named in `solved` stays as it is in the solution, with the private names that it may use.
    """
    lines = split_lines(source)
    nodes = [node for node in ast.parse(source).body if not _stays(getattr(node, "name", ""), solved)]
    edits = [edit for node in nodes for edit in _edits(node, lines)]
    for first, last, replacement in sorted(edits, reverse=True):
        lines[first - 1 : last] = replacement
    return "\n".join(lines).rstrip() + "\n"


def contract(source: str) -> dict[str, Signature]:
    """The public functions and classes of a module by name, in the order they are written."""
    nodes = [node for node in ast.parse(source).body if isinstance(node, Definition)]
    public = [node for node in nodes if not node.name.startswith("_")]
    return {node.name: _signature(node, split_lines(source)) for node in public}


def read_contract(path: Path) -> dict[str, Signature]:
    """`contract` of a file; empty if it is missing or does not parse."""
    try:
        return contract(path.read_text(encoding="utf-8-sig"))
    except (OSError, SyntaxError, ValueError):
        return {}


def declaration(source: str, name: str) -> Signature | None:
    """The signature of a function, a class, or a method ("Linear.forward") of a module."""
    node = find_definition(ast.parse(source).body, name)
    return _signature(node, split_lines(source)) if node else None


def definition_line(source: str, name: str) -> int | None:
    """The line that defines a function, a class or a method ("Linear.forward")."""
    try:
        body = ast.parse(source.removeprefix("\ufeff")).body
    except (SyntaxError, ValueError):
        return None
    node = find_definition(body, name)
    return node.lineno if node else None


def _stays(name: str, solved: Collection[str]) -> bool:
    return name in solved or (bool(solved) and name.startswith("_"))


def _edits(node: ast.stmt, lines: list[str]) -> list[tuple[int, int, list[str]]]:
    """What to replace for one top-level statement: (first line, last line, new lines)."""
    if not isinstance(node, Definition) or is_given(_header(node, lines)):
        return []
    if node.name.startswith("_"):
        return [_removal(node, lines)]
    if isinstance(node, Function):
        return [_emptied(node, lines)]
    methods = [
        item for item in node.body if isinstance(item, Function) and not is_given(_header(item, lines))
    ]
    return [_removal(m, lines) if _is_private(m.name) else _emptied(m, lines) for m in methods]


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def given(source: str) -> set[str]:
    """The names at top level that are marked as given: they are not the learner's to write."""
    lines = split_lines(source)
    nodes = [node for node in ast.parse(source).body if isinstance(node, Definition)]
    return {node.name for node in nodes if is_given(_header(node, lines))}


def is_given(declaration: str) -> bool:
    """Whether a declaration carries the mark of what is not the learner's to write."""
    return any(line.rstrip().endswith(GIVEN) for line in declaration.splitlines())


def _removal(node: Definition, lines: list[str]) -> tuple[int, int, list[str]]:
    """Take a definition out, with the comment lines and the blank lines above it."""
    first = first_line(node)
    while first > 1 and (not lines[first - 2].strip() or lines[first - 2].lstrip().startswith("#")):
        first -= 1
    return (first, last_line(node), [])


def _emptied(node: Function, lines: list[str]) -> tuple[int, int, list[str]]:
    """Replace what follows the docstring (comments included) by `raise NotImplementedError`."""
    first = node.body[0]
    header = lines[first.lineno - 1].encode()[: first.col_offset].decode()  # ast counts bytes
    if header.strip():  # `def f(): ...`, all on one line
        indent = " " * (node.col_offset + 4)
        replacement = [header.rstrip(), f"{indent}raise NotImplementedError"]
        return (first.lineno, last_line(node), replacement)
    start = docstring_lines(node).stop or first.lineno
    return (start, last_line(node), [f"{' ' * first.col_offset}raise NotImplementedError"])


def _signature(node: Definition, lines: list[str]) -> Signature:
    summary = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ").strip()
    function = _constructor(node) if isinstance(node, ast.ClassDef) else node
    if function is None:
        return Signature(node.name, node.name, summary, lines[node.lineno - 1].strip())
    arguments = _without_self(function.args) if function is not node else function.args
    bare = ast.unparse(_without_annotations(arguments))
    return Signature(node.name, f"{node.name}({bare})", summary, _header(node, lines))


def _header(node: Definition, lines: list[str]) -> str:
    """The lines from `def` or `class` to the colon, as they are written."""
    first = node.body[0]
    return "\n".join(lines[node.lineno - 1 : max(node.lineno, first_line(first) - 1)])


def _constructor(node: ast.ClassDef) -> Function | None:
    for item in node.body:
        if isinstance(item, Function) and item.name == "__init__":
            return item
    return None


def _copy(arguments: ast.arguments) -> ast.arguments:
    function = ast.parse(f"def f({ast.unparse(arguments)}): ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    return function.args


def _without_self(arguments: ast.arguments) -> ast.arguments:
    copied = _copy(arguments)
    positional = copied.posonlyargs or copied.args
    del positional[:1]
    return copied


def _without_annotations(arguments: ast.arguments) -> ast.arguments:
    copied = _copy(arguments)
    starred = [argument for argument in (copied.vararg, copied.kwarg) if argument]
    for argument in (*copied.posonlyargs, *copied.args, *copied.kwonlyargs, *starred):
        argument.annotation = None
    return copied
