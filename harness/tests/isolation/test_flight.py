"""Tests of the folders of runs: none stays behind, and a killed run is noticed by the next one."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from harness.isolation.flight import flight_folder, remove_dead_folders
from harness.tests.support.miniature import Miniature

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows keeps no lock that a later run could test")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def kill_a_run(root: Path) -> None:
    """Leave a folder as a process leaves it that is killed during a run."""
    if os.fork() == 0:
        with flight_folder(root):
            os._exit(0)
    os.wait()


def test_the_folder_is_removed_after_the_run(temporary: Path) -> None:
    with flight_folder(Path("/course")) as folder:
        assert folder.is_dir()
    assert list(temporary.iterdir()) == []


def test_the_folder_of_a_run_that_lives_is_kept() -> None:
    with flight_folder(Path("/course")) as folder:
        assert not remove_dead_folders(Path("/course"))
        assert folder.is_dir()


def test_the_folder_of_a_killed_run_is_removed_and_noticed_once(temporary: Path) -> None:
    kill_a_run(Path("/course"))
    assert len(list(temporary.iterdir())) == 1
    assert remove_dead_folders(Path("/course"))
    assert list(temporary.iterdir()) == []
    assert not remove_dead_folders(Path("/course"))


def test_a_killed_run_of_another_course_is_only_removed(temporary: Path) -> None:
    kill_a_run(Path("/another"))
    assert not remove_dead_folders(Path("/course"))
    assert list(temporary.iterdir()) == []


def test_a_folder_that_is_not_locked_yet_is_left_alone_for_a_minute(temporary: Path) -> None:
    life = temporary / "harness-run-new" / "alive"
    life.parent.mkdir()
    life.touch()
    remove_dead_folders(Path("/course"))
    assert life.exists()
    os.utime(life, (time.time() - 120,) * 2)
    remove_dead_folders(Path("/course"))
    assert not life.parent.exists()


def test_the_next_run_says_that_the_last_one_was_killed(mini: Miniature, temporary: Path) -> None:
    kill_a_run(mini.root.resolve())
    note = "the run before this one did not end by itself"
    assert note in mini.pytest("katas/00", TMPDIR=str(temporary)).out
    assert note not in mini.pytest("katas/00", TMPDIR=str(temporary)).out
