"""The shape of the harness itself: which module may import which."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.structure import violations
from harness.tests.miniature import Miniature

PACKAGE = Path(harness.__file__).parent


def test_imports_point_one_way_and_what_is_heavy_is_imported_late() -> None:
    assert [str(violation) for violation in violations(PACKAGE)] == []


@pytest.mark.parametrize(
    "command", [["status"], ["status", "--json"], ["hint"], ["data"], ["review"], ["--help"]]
)
def test_the_quick_commands_import_nothing_heavy(command: list[str], mini: Miniature) -> None:
    code = (
        "import sys\nfrom harness.cli import main\n"
        f"try:\n    main({command!r})\nexcept SystemExit:\n    pass\n"
        "sys.exit(not sys.modules.keys().isdisjoint({'torch', 'pooch', 'requests'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=mini.root, capture_output=True)
    assert done.returncode == 0
