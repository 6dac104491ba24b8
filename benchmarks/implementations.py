"""Implementations in other styles, read from other_styles/ and put into a learner's file.

A file holds the implementations of one kata. Each starts with a line `# %% id`, followed by comments with
facts in TOML:

    # %% textbook-softmax
    # idiom = "d2l"
    # slips = ["softmax-of-nothing-is-nan"]
    # wrong = "A row of nothing but -inf becomes NaN."
    def softmax(x, dim): ...

Without `wrong` the implementation is right. `slips` are the ids of all slips whose diagnosis is true of it.
What it defines replaces the same definitions in the reference. Signatures and docstrings remain those of the
reference, as a learner finds them in the stub and only writes bodies. With `whole = true` it replaces the
whole file, in its own order.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.course.definitions import (
    Definition,
    Function,
    docstring_lines,
    first_line,
    last_line,
    split_lines,
)

_CELL = re.compile(r"^# %% (\S+)\n((?:# .*\n)*)", re.MULTILINE)


@dataclass(frozen=True)
class Implementation:
    """What somebody could have written for some definitions of a kata."""

    id: str
    source: str
    idiom: str
    wrong: str = ""  # what is truly wrong with it; "" if it is right
    slips: frozenset[str] = frozenset()  # those whose diagnosis is true of it
    whole: bool = False  # True if it replaces the whole file

    def file(self, reference: str) -> str:
        """Return the learner's file. Raises ValueError if its parameters are not those of the reference."""
        merge = _Merge(reference, self.source)
        return merge.whole() if self.whole else merge.replaced()


def read_implementations(path: Path) -> list[Implementation]:
    """Return the implementations in a file. Raises TypeError or TOMLDecodeError if its facts are wrong."""
    text = path.read_text(encoding="utf-8")
    cells = list(_CELL.finditer(text))
    ends = [*(cell.start() for cell in cells[1:]), len(text)]
    return [_implementation(cell, text[cell.end() : end]) for cell, end in zip(cells, ends, strict=True)]


def _implementation(cell: re.Match[str], source: str) -> Implementation:
    facts = tomllib.loads(re.sub(r"^# ", "", cell[2], flags=re.MULTILINE))
    slips = frozenset(facts.pop("slips", ()))
    return Implementation(cell[1], source, slips=slips, **facts)


class _Merge:
    """An implementation and the reference, to be made one file."""

    def __init__(self, reference: str, source: str) -> None:
        self.reference, self.lines = ast.parse(reference).body, split_lines(reference)
        self.own, self.own_lines = ast.parse(source).body, split_lines(source)
        self.originals = {node.name: node for node in self.reference if isinstance(node, Definition)}
        self.definitions = {node.name: node for node in self.own if isinstance(node, Definition)}

    def replaced(self) -> str:
        """The reference's file, with the own definitions in place; what is new comes before all of them."""
        parts, is_start = [], True
        for node in self.reference:
            if is_start and isinstance(node, Definition):
                parts += self._new()
                is_start = False
            own = self.definitions.get(getattr(node, "name", ""))
            parts.append(self._text(own) if own else _lines(self.lines, first_line(node), last_line(node)))
        return "\n\n\n".join(parts) + "\n"

    def whole(self) -> str:
        """The own file, with the reference's imports and docstrings."""
        imports = [node for node in self.reference if not isinstance(node, Definition)]
        kept = [_lines(self.lines, node.lineno, last_line(node)) for node in imports]
        return "\n\n\n".join(["\n".join(kept), *map(self._text, self.own)]) + "\n"

    def _new(self) -> Iterator[str]:
        yield from (self._text(node) for node in self.own if getattr(node, "name", "") not in self.originals)

    def _text(self, node: ast.stmt) -> str:
        """An own statement, with the reference's signature and docstring if the reference defines it."""
        original = self.originals.get(node.name) if isinstance(node, Definition) else None
        if original is None:
            return _lines(self.own_lines, first_line(node), last_line(node))
        if isinstance(node, ast.ClassDef) and isinstance(original, ast.ClassDef):
            return self._class(node, original)
        return self._function(node, original)

    def _class(self, own: ast.ClassDef, original: ast.ClassDef) -> str:
        methods = {node.name: node for node in own.body if isinstance(node, Function)}
        parts = [self._header(original)]
        start = 1 if docstring_lines(original) else 0
        for node in original.body[start:]:
            method = methods.pop(getattr(node, "name", ""), None)
            first, last = first_line(node), last_line(node)
            parts.append(self._function(method, node) if method else _lines(self.lines, first, last))
        others = [node for node in own.body if not isinstance(node, Function) or node.name in methods]
        new = [_lines(self.own_lines, first_line(node), last_line(node)) for node in others]
        return "\n\n".join([*parts, *new])

    def _function(self, own: ast.stmt, original: ast.stmt) -> str:
        if not isinstance(own, Function) or not isinstance(original, Function):
            raise ValueError(f"line {own.lineno} is no function, or replaces none")
        if _names(own) != _names(original):
            raise ValueError(f"{own.name} takes {_names(own)}, not {_names(original)}")
        known = {ast.unparse(each) for each in original.decorator_list}
        added = [each for each in own.decorator_list if ast.unparse(each) not in known]
        decorators = [f"{' ' * own.col_offset}@{ast.unparse(each)}" for each in added]
        body = _lines(self.own_lines, _body_start(own, self.own_lines), last_line(own))
        return "\n".join([*decorators, self._header(original), body])

    def _header(self, node: Definition) -> str:
        """The reference's lines up to the end of the docstring."""
        last = docstring_lines(node).stop - 1 if docstring_lines(node) else first_line(node.body[0]) - 1
        return _lines(self.lines, first_line(node), last)


def _body_start(node: Definition, lines: Sequence[str]) -> int:
    """The first line of a body, comments included."""
    start = first_line(node.body[0])
    while lines[start - 2].lstrip().startswith("#"):
        start -= 1
    return start


def _names(node: Function) -> list[str]:
    arguments = node.args
    return [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def _lines(lines: Sequence[str], first: int, last: int | None) -> str:
    return "\n".join(lines[first - 1 : last])
