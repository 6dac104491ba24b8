"""A file is replaced whole or stays, and a free name has the next number."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from harness.course.whole_files import free_name, write_whole

ON_POSIX = pytest.mark.skipif(os.name == "nt", reason="needs permissions and links")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "kata.py"
    for content in (b"first", b"second"):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert names(tmp_path) == ["kata.py"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*paths: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    path = tmp_path / "kata.py"
    path.write_bytes(b"mine")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="full"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"mine"
    assert names(tmp_path) == ["kata.py"]


@ON_POSIX
def test_permissions_stay_and_a_new_file_can_be_read_by_everyone(tmp_path: Path) -> None:
    path = tmp_path / "kata.py"
    write_whole(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.chmod(0o750)
    write_whole(path, b"newer")
    assert stat.S_IMODE(path.stat().st_mode) == 0o750


@ON_POSIX
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.py").write_bytes(b"mine")
    link = tmp_path / "kata.py"
    link.symlink_to("real.py")
    write_whole(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "real.py").read_bytes() == b"new"


def test_a_protected_file_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kata.py"
    path.write_bytes(b"mine")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError):
        write_whole(path, b"new")
    assert path.read_bytes() == b"mine"


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "kata.py").mkdir()
    with pytest.raises(OSError):
        write_whole(tmp_path / "kata.py", b"new")
    assert names(tmp_path) == ["kata.py"]


def test_a_free_name_has_the_next_number(tmp_path: Path) -> None:
    path = tmp_path / "tales.txt.old"
    for name in ("tales.txt.old", "tales.txt.2.old", "tales.txt.3.old"):
        assert free_name(path).name == name
        free_name(path).touch()


@ON_POSIX
def test_a_link_to_nothing_has_a_name_too(tmp_path: Path) -> None:
    (tmp_path / "tales.txt.old").symlink_to("nothing")
    assert free_name(tmp_path / "tales.txt.old").name == "tales.txt.2.old"
