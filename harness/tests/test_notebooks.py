"""Every notebook executes from top to bottom on the reference solutions, and is stored without outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.notebook import SOLUTIONS_VARIABLE
from harness.tests.conftest import REPOSITORY

pytestmark = pytest.mark.notebook
NOTEBOOKS = sorted(REPOSITORY.glob("katas/*/*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.parent.name)
def test_it_executes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv(SOLUTIONS_VARIABLE, "1")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.parent.name)
def test_it_is_stored_without_outputs(path: Path) -> None:
    import nbformat

    cells = nbformat.read(path, as_version=4).cells
    assert [cell.id for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []
