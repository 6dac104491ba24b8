"""Which module of a package may import which: the package's `layers.toml`, and what breaks it."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LAYERS = "layers.toml"


@dataclass(frozen=True)
class Structure:
    """The rules: layers from the leaves up, what is never imported early, and who alone imports what."""

    layers: Sequence[Sequence[str]]
    never_at_import: Sequence[str]
    only: Mapping[str, Sequence[str]]

    def height(self, module: str) -> int | None:
        """The number of the module's layer; None if it has none."""
        return next((number for number, layer in enumerate(self.layers) if module in layer), None)


@dataclass(frozen=True)
class Violation:
    """A module that breaks a rule."""

    path: Path
    rule: str
    remedy: str


def read_structure(package: Path) -> Structure:
    """What the package's `layers.toml` says. Raises OSError or TOMLDecodeError."""
    return Structure(**tomllib.loads((package / LAYERS).read_text(encoding="utf-8")))


def imports(package: Path) -> dict[str, set[str]]:
    """Which modules of the package each of its modules imports, at its top or in a function."""
    modules = {path.stem: path for path in sorted(package.glob("*.py")) if path.stem != "__init__"}
    found = {}
    for module, path in modules.items():
        names = _imported(ast.walk(ast.parse(path.read_text(encoding="utf-8"))), package.name)
        inner = {name.split(".")[1] for name in names if name.startswith(f"{package.name}.")}
        found[module] = inner & modules.keys()
    return found


def violations(package: Path) -> Iterator[Violation]:
    """Every import in the modules of a package that its `layers.toml` forbids."""
    structure = read_structure(package)
    for path in sorted(package.glob("*.py")):
        if path.stem != "__init__":
            yield from _of_module(path, structure)


def _of_module(path: Path, structure: Structure) -> Iterator[Violation]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    height = structure.height(path.stem)
    if height is None:
        yield Violation(
            path, f"stands in no layer of {LAYERS}", "add it to the lowest one that it can stand in"
        )
        return
    for name in sorted(_imported(ast.walk(tree), path.parent.name)):
        yield from _not_upward(path, name, height, structure)
        allowed = structure.only.get(name.split(".")[0])
        if allowed is not None and path.stem not in allowed:
            yield Violation(path, f"imports {name}", f"leave that to {', '.join(allowed)}")
    for name in sorted(_imported(tree.body, path.parent.name)):
        if name.split(".")[0] in structure.never_at_import:
            yield Violation(
                path, f"imports {name} when it is imported", "import it in the function that uses it"
            )


def _not_upward(path: Path, name: str, height: int, structure: Structure) -> Iterator[Violation]:
    package, _, module = name.partition(".")
    other = structure.height(module.split(".")[0]) if package == path.parent.name else None
    if other is not None and other >= height:
        where = "its own layer" if other == height else "a later layer"
        yield Violation(path, f"imports {name}, of {where}", f"let imports point one way; see {LAYERS}")


def _imported(nodes: Iterator[ast.AST] | Sequence[ast.AST], package: str) -> set[str]:
    """The dotted names of the modules that these statements import."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.level or node.module == package):
            inner = f".{node.module}" if node.level and node.module else ""
            found.update(
                [f"{package}{inner}"] if inner else [f"{package}.{alias.name}" for alias in node.names]
            )
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found
