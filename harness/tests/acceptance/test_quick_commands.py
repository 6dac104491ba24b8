"""Quick commands import nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.tests.support.miniature import Miniature

HEAVY = {"torch", "numpy", "matplotlib", "requests"}


@pytest.mark.parametrize(
    "command",
    [["status"], ["status", "--json"], ["hint"], ["data"], ["review"], ["play", "--help"], ["--help"]],
)
def test_the_quick_commands_import_nothing_heavy(command: list[str], mini: Miniature) -> None:
    code = (
        "import sys\nfrom harness.cli import main\n"
        f"try:\n    main({command!r})\nexcept SystemExit:\n    pass\n"
        f"sys.exit(not sys.modules.keys().isdisjoint({HEAVY!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=mini.root, capture_output=True)
    assert done.returncode == 0
