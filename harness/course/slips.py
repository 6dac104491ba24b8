"""Known mistakes (`slips.toml`) and correct variants (`alternatives.py`) of a solution."""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from harness.course.definitions import first_line, split_lines
from harness.course.katas import Kata
from harness.course.stubs import contract
from harness.course.words import (
    slip_fields_not_text,
    slip_not_found_once,
    slips_not_toml,
    wrong_slip_fields,
)

SLIPS = "slips.toml"
ALTERNATIVES = "alternatives.py"
_SEPARATOR = "__"  # softmax__einsum is an alternative to softmax


class BadSlip(ValueError):
    """A slip does not fit its solution; the message explains which and why."""


@dataclass(frozen=True)
class Slip:
    """A common mistake, as an edit of the reference."""

    id: str
    find: str  # occurs exactly once in the solution
    replace: str
    diagnosis: str
    caught_by: str  # the first test that fails

    def apply(self, source: str) -> str:
        """Return the solution's source with this mistake. Raises BadSlip."""
        count = source.count(self.find)
        if count != 1:
            raise BadSlip(slip_not_found_once(self.id, count))
        return source.replace(self.find, self.replace)


def slips_path(kata: Kata) -> Path:
    return kata.solution_folder / SLIPS


def alternatives_path(kata: Kata) -> Path:
    return kata.solution_folder / ALTERNATIVES


def read_slips(kata: Kata) -> list[Slip]:
    """Read the kata's slips. Raises OSError or BadSlip."""
    try:
        rows = tomllib.loads(slips_path(kata).read_text(encoding="utf-8")).get("slip", [])
    except tomllib.TOMLDecodeError as error:
        raise BadSlip(slips_not_toml(str(error))) from None
    return [_slip(row) for row in rows]


def read_worded_by_author(kata: Kata) -> frozenset[str]:
    """Return the functions whose text each author words differently. Raises OSError or TOMLDecodeError."""
    names = tomllib.loads(slips_path(kata).read_text(encoding="utf-8")).get("worded_by_author", [])
    return frozenset(names)


def _slip(row: dict[str, str]) -> Slip:
    wanted = {field.name for field in fields(Slip)}
    if not all(isinstance(value, str) for value in row.values()):
        raise BadSlip(slip_fields_not_text(row.get("id")))
    if row.keys() != wanted:
        wrong = ", ".join(sorted(row.keys() ^ wanted))
        raise BadSlip(wrong_slip_fields(row.get("id"), wrong))
    return Slip(**row)


def alternative_names(alternatives: str) -> list[str]:
    """Return the names of the alternatives in a file of them."""
    return [node.name for node in _alternatives(ast.parse(alternatives))]


def alternative_sources(solution: str, alternatives: str) -> dict[str, str]:
    """Return, by the name of each alternative, the solution's source with that alternative in use.

    The alternative and its imports are appended under the name it replaces, so the rest of the solution
    uses it too.
    """
    tree = ast.parse(alternatives)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    header = "\n".join(ast.unparse(node) for node in imports if not _imports_only_from(node, solution))
    return {
        node.name: f"{solution}\n{header}\n\n{_rename(node, alternatives)}\n" for node in _alternatives(tree)
    }


def _alternatives(tree: ast.Module) -> list[ast.FunctionDef | ast.ClassDef]:
    return [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and _SEPARATOR in node.name.strip("_")
    ]


def replaced_name(alternative: str) -> str:
    """Return the public name that an alternative replaces."""
    name, separator, _ = alternative.rpartition(
        _SEPARATOR
    )  # the last separator, because a name may end in "_"
    return name if separator else alternative


def _imports_only_from(node: ast.stmt, solution: str) -> bool:
    """True if an import only takes names that the solution itself defines."""
    defined = contract(solution).keys()
    return isinstance(node, ast.ImportFrom) and {alias.name for alias in node.names} <= defined


def _rename(node: ast.FunctionDef | ast.ClassDef, source: str) -> str:
    text = "\n".join(split_lines(source)[first_line(node) - 1 : node.end_lineno])
    return text.replace(node.name, replaced_name(node.name))
