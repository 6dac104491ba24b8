"""The shape of the harness itself: which module may import which."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.tests.miniature import Miniature

PACKAGE = Path(harness.__file__).parent

# From the leaves up: a module imports only from layers above its own line.
LAYERS = [
    {"arguments", "axes", "course", "comparison", "flight", "stubs", "receipts", "typecheck"},
    {"reset", "shape_errors", "slips", "solution", "suite", "selection", "supervisor"},
    {"progress", "standins"},
    {"findings"},
    {"words"},
    {"ledger"},
    {"account", "hints", "status"},
    {"runs", "notebook", "verify"},
    {"plugin", "trial"},
    {"strength"},
    {"check"},
    {"cli"},
    {"__main__"},
]
KNOW_PYTEST = {"plugin", "runs", "account", "trial"}
KNOW_THE_COMMAND_LINE = {"cli"}
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def imports(module: str, *, everywhere: bool) -> set[str]:
    """The names that a module imports: at its top, or anywhere in it."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "harness":
            found.update(f"harness.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def layer_of(module: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if module in layer)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    own = {name.split(".")[1] for name in imports(module, everywhere=True) if name.startswith("harness.")}
    upward = {name for name in own & set(MODULES) if layer_of(name) >= layer_of(module)}
    assert upward == set(), f"{module} imports from its own layer or a later one"


@pytest.mark.parametrize("module", sorted(set(MODULES) - KNOW_PYTEST))
def test_only_the_plugin_and_what_serves_it_know_pytest(module: str) -> None:
    assert not {
        name for name in imports(module, everywhere=True) if name.split(".")[0] in ("pytest", "_pytest")
    }


@pytest.mark.parametrize("module", sorted(set(MODULES) - KNOW_THE_COMMAND_LINE))
def test_only_the_command_knows_click(module: str) -> None:
    assert "click" not in imports(module, everywhere=True)


@pytest.mark.parametrize("module", MODULES)
def test_no_module_imports_torch_or_a_kata_when_it_is_imported(module: str) -> None:
    heavy = {"torch", "numpy", "matplotlib", "katas", "jaxtyping", "beartype"}
    assert not {name for name in imports(module, everywhere=False) if name.split(".")[0] in heavy}


@pytest.mark.parametrize("command", [["status"], ["status", "--json"], ["hint"], ["--help"]])
def test_the_quick_commands_do_not_import_torch(command: list[str], mini: Miniature) -> None:
    code = (
        "import sys\nfrom harness.cli import main\n"
        f"try:\n    main({command!r})\nexcept SystemExit:\n    pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=mini.root, capture_output=True)
    assert done.returncode == 0
