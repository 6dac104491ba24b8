"""Known wrong versions of a solution (`slips.toml`) and other right ones (`alternatives.py`), as text."""

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
_SEPARATOR = "__"  # softmax__einsum: another way to write softmax


class BadSlip(ValueError):
    """A slip that does not fit its solution; the message says which and why."""


@dataclass(frozen=True)
class Slip:
    """A mistake that people make, as an edit of the reference."""

    id: str
    find: str  # occurs exactly once in the solution
    replace: str
    diagnosis: str
    caught_by: str  # the first test that fails

    def apply(self, source: str) -> str:
        """The solution's source with this mistake in it. Raises BadSlip."""
        count = source.count(self.find)
        if count != 1:
            raise BadSlip(slip_not_found_once(self.id, count))
        return source.replace(self.find, self.replace)


def slips_path(kata: Kata) -> Path:
    return kata.solution_folder / SLIPS


def alternatives_path(kata: Kata) -> Path:
    return kata.solution_folder / ALTERNATIVES


def read_slips(kata: Kata) -> list[Slip]:
    """The kata's slips. Raises OSError or BadSlip."""
    try:
        rows = tomllib.loads(slips_path(kata).read_text(encoding="utf-8")).get("slip", [])
    except tomllib.TOMLDecodeError as error:
        raise BadSlip(slips_not_toml(str(error))) from None
    return [_slip(row) for row in rows]


def _slip(row: dict[str, str]) -> Slip:
    wanted = {field.name for field in fields(Slip)}
    if not all(isinstance(value, str) for value in row.values()):
        raise BadSlip(slip_fields_not_text(row.get("id")))
    if row.keys() != wanted:
        wrong = ", ".join(sorted(row.keys() ^ wanted))
        raise BadSlip(wrong_slip_fields(row.get("id"), wrong))
    return Slip(**row)


def alternative_sources(solution: str, alternatives: str) -> dict[str, str]:
    """For each alternative, the solution's source with it in place of what it is another way to write.

    It is appended under the contract's name, after the alternatives' own imports, so that the rest of the
    solution uses it too.
    """
    tree = ast.parse(alternatives)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    header = "\n".join(ast.unparse(node) for node in imports if not _imports_names_of(node, solution))
    return {
        node.name: f"{solution}\n{header}\n\n{_renamed(node, alternatives)}\n"
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and _SEPARATOR in node.name.strip("_")
    }


def replaced_name(alternative: str) -> str:
    """The name of the contract that an alternative stands in for."""
    name, separator, _ = alternative.rpartition(_SEPARATOR)  # the last one: a name may itself end in "_"
    return name if separator else alternative


def _imports_names_of(node: ast.stmt, solution: str) -> bool:
    """Whether an import takes names that the solution itself defines, and that are thus at hand."""
    at_hand = contract(solution).keys()
    return isinstance(node, ast.ImportFrom) and {alias.name for alias in node.names} <= at_hand


def _renamed(node: ast.FunctionDef | ast.ClassDef, source: str) -> str:
    text = "\n".join(split_lines(source)[first_line(node) - 1 : node.end_lineno])
    return text.replace(node.name, replaced_name(node.name))
