"""Every notebook executes on the reference solutions, and is stored without outputs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from harness.notebook import SOLUTIONS_VARIABLE
from harness.tests.conftest import REPOSITORY

pytestmark = pytest.mark.notebook
NOTEBOOKS = sorted(REPOSITORY.glob("katas/*/*.ipynb"))
NAMES = [f"{path.parent.name}/{path.stem}" for path in NOTEBOOKS]
_LONGEST_CELL = 600  # seconds, for a busy machine; usually the longest takes a few
FAILED = re.compile(r"^(Error|Usage|Traceback)\b", re.MULTILINE)
# A cell with the tag "outside" needs another machine; one with the tag "settings" is replaced by these.
SETTINGS = """
import tempfile

CONFIG, DATA, PROMPT = "smoke", "simple_sequences", "count:"
RUN_DIR = tempfile.mkdtemp()
WHOSE, CHANGES = "--solutions", "--set training.max_steps=4 --set training.eval_interval=2"
STEPS = 25
"""


def tags(cell: Any) -> list[str]:
    return cell.metadata.get("tags", [])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_executes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv(SOLUTIONS_VARIABLE, "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # for small models, threads only wait for each other
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "outside" not in tags(cell)]
    for cell in notebook.cells:
        if "settings" in tags(cell):
            cell.source = SETTINGS
    NotebookClient(
        notebook, timeout=_LONGEST_CELL, resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert not FAILED.search(printed), printed  # a failing line that begins with ! raises no exception


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_is_stored_without_outputs(path: Path) -> None:
    import nbformat

    cells = nbformat.read(path, as_version=4).cells
    assert [cell.id for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []
