"""The map of the harness in docs/architecture.md shows the code as it is."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness
from harness.tests.conftest import REPOSITORY

PACKAGE = Path(harness.__file__).parent
PAGE = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
TREE = re.search(r"```text\nharness/\n(.*?)```", PAGE, re.DOTALL)[1]
DIAGRAM = re.search(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)[1]
JOURNEYS = PAGE[PAGE.index("## Five journeys") : PAGE.index("## Progress")]


def files_in_the_tree() -> list[str]:
    folder, found = "", []
    for line in TREE.splitlines():
        name = line.split()[0]
        if name.endswith("/"):
            folder = name if line.startswith("  ") and line[2] != " " else folder
        else:
            found.append(f"{folder if line.startswith('    ') else ''}{name}")
    return found


def test_the_tree_lists_every_file_and_no_other() -> None:
    modules = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if not path.name.startswith("__") and "tests" not in path.parts
    }
    assert sorted(files_in_the_tree()) == sorted(modules)


def test_no_two_public_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for file in files_in_the_tree():
        for node in ast.parse((PACKAGE / file).read_bytes()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(file)
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


@pytest.mark.parametrize("line", TREE.splitlines(), ids=lambda line: line.split()[0])
def test_every_line_of_the_tree_says_it_in_few_words(line: str) -> None:
    assert 1 <= len(line.split()[1:]) <= 7


def test_the_names_in_the_journeys_exist() -> None:
    names = re.findall(r"`([a-z_.]+\.[A-Za-z_]+)`", JOURNEYS)
    assert len(names) > 20
    for name in names:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(f"harness.{module}"), attribute), name


def test_the_diagram_shows_which_package_imports_which() -> None:
    drawn = set(re.findall(r"(\w+) --> (\w+)", DIAGRAM))
    assert drawn == set(without_implied(arrows()))


def arrows() -> set[tuple[str, str]]:
    return {
        (package, imported)
        for path in PACKAGE.rglob("*.py")
        if "tests" not in path.parts and not path.name.startswith("__main__")
        for package in [path.relative_to(PACKAGE).parts[0].removesuffix(".py")]
        for imported in packages_imported(path)
        if imported not in (package, "")
    }


def packages_imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("harness."):
            yield node.module.split(".")[1]


def without_implied(found: set[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Leave out each arrow that a longer path implies."""
    below: dict[str, set[str]] = {}
    for one, other in found:
        below.setdefault(one, set()).add(other)

    def reached(package: str) -> set[str]:
        return {each for lower in below.get(package, ()) for each in {lower, *reached(lower)}}

    for one, other in found:
        if not any(other in reached(lower) for lower in below[one] - {other}):
            yield one, other
