"""`harness verify` finds a machine's problems and names the remedies."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest

from harness.commands import verify
from harness.corpora import catalogue
from harness.tests.support.miniature import Miniature

pytestmark = pytest.mark.measured


def test_a_good_machine_passes_every_check(mini: Miniature) -> None:
    result = mini.harness("verify")
    assert result.code == 0
    names = [line.split()[:2] for line in result.out.splitlines()]
    assert names == [["ok", name] for name in ("Python", "packages", "torch", "training", "folders", "data")]


def test_the_corpora_on_this_machine_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)
    others = "harness data NAME gets"
    assert verify.data(tmp_path).found.startswith(f"here: none yet; {others} simple_sequences, tiny_tales")
    catalogue.find(tmp_path, "simple_sequences")
    assert verify.data(tmp_path).found.startswith(f"here: simple_sequences; {others} tiny_tales")
    assert verify.data(tmp_path).good


def test_a_failure_exits_with_1_and_names_its_remedy(mini: Miniature) -> None:
    result = mini.harness("verify", HARNESS_DATA_DIR="nowhere")
    assert result.code == 1
    assert "FAILED data       nowhere is not a folder" in result.out
    assert "Set HARNESS_DATA_DIR to a folder that exists, or unset it." in result.out


def test_for_an_old_python_it_names_the_version_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(verify.sys, "version_info", (3, 10, 2))
    result = verify.python(tmp_path)
    assert not result.good
    assert result.found.startswith("3.10.2")
    assert "Install Python 3.11 or newer" in result.remedy


@pytest.mark.parametrize(
    ("requirement", "found"),
    [("pytest>=99", "pytest .* is not >=99"), ("no-such-package>=1", "no-such-package is missing")],
)
def test_a_wrong_package_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, requirement: str, found: str
) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: [requirement, 'tox>=99; extra == "dev"'])
    result = verify.packages(tmp_path)
    assert not result.good
    assert re.fullmatch(found, result.found)
    assert "pip install -e ." in result.remedy


def test_an_error_during_a_check_is_reported_not_raised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def torch(root: Path) -> verify.Result:
        raise ImportError("libtorch.so is damaged")

    monkeypatch.setattr(verify, "_CHECKS", (torch,))
    assert not verify.run_and_show(tmp_path)
    out = capsys.readouterr().out
    assert "FAILED torch      ImportError: libtorch.so is damaged" in out
    assert "Reinstall" in out


def test_folders_that_are_not_writable_are_named(tmp_path: Path) -> None:
    (tmp_path / ".harness").write_text("a file instead of the folder")
    result = verify.folders(tmp_path)
    assert not result.good
    assert result.found == "cannot write to .harness"
