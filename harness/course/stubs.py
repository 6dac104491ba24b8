"""Stubs generated from solutions, and the contract that both share.

The contract is the public names and signatures. A stub is the solution's text with every body replaced by
`raise NotImplementedError`. Docstrings, imports, constants and definitions marked `# given` are kept;
private names are removed.
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
    """A public function or class of a kata as the original stub declares it."""

    name: str
    text: str  # "softmax(x, dim)": the names and defaults that callers rely on
    summary: str  # the first paragraph of its docstring
    declaration: str  # the lines of its `def` or `class` in the stub


def make_stub(source: str, solved: Collection[str] = ()) -> str:
    """Return the stub of a solution's source.

    The definitions named in `solved` keep their bodies; then private names are kept too, as they may need
    them.
    """
    lines = split_lines(source)
    nodes = [node for node in ast.parse(source).body if not _is_kept(getattr(node, "name", ""), solved)]
    edits = [edit for node in nodes for edit in _edits(node, lines)]
    for first, last, replacement in sorted(edits, reverse=True):
        lines[first - 1 : last] = replacement
    return "\n".join(lines).rstrip() + "\n"


def contract(source: str) -> dict[str, Signature]:
    """Return the public functions and classes of a module by name, in the order of the source."""
    nodes = [node for node in ast.parse(source).body if isinstance(node, Definition)]
    public = [node for node in nodes if not node.name.startswith("_")]
    return {node.name: _signature(node, split_lines(source)) for node in public}


def read_contract(path: Path) -> dict[str, Signature]:
    """Return the `contract` of a file; empty if it is missing or cannot be parsed."""
    try:
        return contract(path.read_text(encoding="utf-8-sig"))
    except (OSError, SyntaxError, ValueError):
        return {}


def declaration(source: str, name: str) -> Signature | None:
    """Return the signature of a function, class or method ("Linear.forward") of a module."""
    node = find_definition(ast.parse(source).body, name)
    return _signature(node, split_lines(source)) if node else None


def definition_line(source: str, name: str) -> int | None:
    """Return the line that defines a function, class or method ("Linear.forward")."""
    try:
        body = ast.parse(source.removeprefix("\ufeff")).body
    except (SyntaxError, ValueError):
        return None
    node = find_definition(body, name)
    return node.lineno if node else None


def _is_kept(name: str, solved: Collection[str]) -> bool:
    return name in solved or (bool(solved) and name.startswith("_"))


def _edits(node: ast.stmt, lines: list[str]) -> list[tuple[int, int, list[str]]]:
    """Return the edits of a top-level statement: (first line, last line, new lines)."""
    if not isinstance(node, Definition) or is_given(_header(node, lines)):
        return []
    if node.name.startswith("_"):
        return [_remove(node, lines)]
    if isinstance(node, Function):
        return [_empty_body(node, lines)]
    methods = [
        item for item in node.body if isinstance(item, Function) and not is_given(_header(item, lines))
    ]
    return [_remove(m, lines) if _is_private(m.name) else _empty_body(m, lines) for m in methods]


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def given(source: str) -> set[str]:
    """Return the top-level names marked as given, which the learner does not write."""
    lines = split_lines(source)
    nodes = [node for node in ast.parse(source).body if isinstance(node, Definition)]
    return {node.name for node in nodes if is_given(_header(node, lines))}


def is_given(declaration: str) -> bool:
    """True if a declaration is marked as given."""
    return any(line.rstrip().endswith(GIVEN) for line in declaration.splitlines())


def _remove(node: Definition, lines: list[str]) -> tuple[int, int, list[str]]:
    """Remove a definition with the comments and blank lines above it."""
    first = first_line(node)
    while first > 1 and (not lines[first - 2].strip() or lines[first - 2].lstrip().startswith("#")):
        first -= 1
    return (first, last_line(node), [])


def _empty_body(node: Function, lines: list[str]) -> tuple[int, int, list[str]]:
    """Replace everything after the docstring by `raise NotImplementedError`."""
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
    """Return the lines from `def` or `class` to the colon."""
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
