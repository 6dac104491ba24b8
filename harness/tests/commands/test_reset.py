"""`harness reset` and `--undo` lose no code."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.commands.reset import NothingToUndo, back_up, reset, undo
from harness.course.stubs import make_stub
from harness.tests.support.miniature import Miniature

pytestmark = pytest.mark.measured


def stub(mini: Miniature) -> str:
    return make_stub(mini.doubles.solution.read_text())


NOW = datetime(2030, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def backups(mini: Miniature) -> list[Path]:
    return sorted((mini.root / ".harness" / "backups" / "k00_doubles").glob("*"))


def empty_backup(mini: Miniature) -> None:
    """Leave what a reset on a full disk used to leave, newer than every other backup."""
    path = mini.root / ".harness" / "backups" / "k00_doubles" / "99990101T000000000000.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_reset_writes_the_original_stub_and_backs_up_the_code(mini: Miniature) -> None:
    mini.write_doubles(double="return 'mine'")
    mine = mini.doubles.stub.read_text()
    result = mini.harness("reset", "0")
    assert result.code == 0
    assert mini.doubles.stub.read_text() == stub(mini)
    backup = next((mini.root / ".harness" / "backups" / "k00_doubles").iterdir())
    assert backup.read_text() == mine
    assert backup.name in result.out
    assert "harness reset 00 --undo restores your code" in result.out


def test_undo_restores_the_code(mini: Miniature) -> None:
    mini.write_doubles(double="return 'mine'")
    mine = mini.doubles.stub.read_text()
    mini.harness("reset", "0")
    result = mini.harness("reset", "0", "--undo")
    assert result.code == 0
    assert mini.doubles.stub.read_text() == mine


def test_undo_keeps_code_written_after_the_reset(mini: Miniature) -> None:
    mini.write_doubles(double="return 'first'")
    mini.harness("reset", "0")
    mini.write_doubles(double="return 'second'")
    second = mini.doubles.stub.read_text()
    undone = mini.harness("reset", "0", "--undo")
    assert f"What it held before is backed up in\n  {mini.course.relative(backups(mini)[-1])}\n" in undone.out
    assert "first" in mini.doubles.stub.read_text()
    mini.harness("reset", "0", "--undo")
    assert mini.doubles.stub.read_text() == second


def test_reset_of_an_untouched_stub_changes_nothing(mini: Miniature) -> None:
    result = mini.harness("reset", "k00")
    assert result.code == 0
    assert "is already the original stub; nothing was changed." in result.out
    assert not (mini.root / ".harness").exists()


def test_a_deleted_stub_is_restored(mini: Miniature) -> None:
    mini.doubles.stub.unlink()
    result = mini.harness("reset", "0")
    assert result.code == 0
    assert "The file was missing or empty: no backup.\nNext: pytest katas/00\n" in result.out
    assert mini.doubles.stub.read_text() == stub(mini)
    assert backups(mini) == []


def test_a_file_that_was_deleted_after_an_undo_is_restored_by_the_next_one(mini: Miniature) -> None:
    mini.write_doubles(double="return 'mine'")
    mine = mini.doubles.stub.read_text()
    reset(mini.course, mini.doubles, NOW)
    undo(mini.course, mini.doubles, NOW)
    mini.doubles.stub.unlink()
    reset(mini.course, mini.doubles, NOW)
    undo(mini.course, mini.doubles, NOW)
    assert mini.doubles.stub.read_text() == mine


def test_an_empty_backup_is_never_restored(mini: Miniature) -> None:
    empty_backup(mini)
    mini.write_doubles(double="return 'mine'")
    mine = mini.doubles.stub.read_text()
    with pytest.raises(NothingToUndo):
        undo(mini.course, mini.doubles, NOW)
    reset(mini.course, mini.doubles, NOW)
    undo(mini.course, mini.doubles, NOW)
    assert mini.doubles.stub.read_text() == mine


@pytest.mark.parametrize("file", ["backup", "kata"])
def test_on_a_full_disk_the_code_stays_and_no_backup_counts_that_is_not_whole(
    mini: Miniature, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    def replace(source: str, target: Path, before=os.replace) -> None:
        if (Path(target) == mini.doubles.stub) == (file == "kata"):
            raise OSError(errno.ENOSPC, "full")
        before(source, target)

    mini.write_doubles(double="return 'mine'")
    mine = mini.doubles.stub.read_text()
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="full"):
        reset(mini.course, mini.doubles, NOW)
    assert mini.doubles.stub.read_text() == mine
    assert [path.read_text() for path in backups(mini)] == ([mine] if file == "kata" else [])


def test_two_resets_at_the_same_time_keep_two_backups(mini: Miniature) -> None:
    both = [back_up(mini.course, mini.doubles, content, NOW) for content in (b"first", b"second")]
    assert backups(mini) == both
    assert [path.read_bytes() for path in both] == [b"first", b"second"]


def test_code_that_is_saved_while_the_backup_is_written_is_backed_up_too(
    mini: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(source: str, target: Path, before=os.replace) -> None:
        before(source, target)
        if mini.doubles.stub.read_text() == "first":
            mini.doubles.stub.write_text("second")

    mini.doubles.stub.write_text("first")
    monkeypatch.setattr(os, "replace", replace)
    reset(mini.course, mini.doubles, NOW)
    assert [path.read_text() for path in backups(mini)] == ["first", "second"]


def test_a_backup_is_a_copy_to_the_byte(mini: Miniature) -> None:
    mini.doubles.stub.write_bytes(b"x = 1\r\n")
    reset(mini.course, mini.doubles, NOW)
    undo(mini.course, mini.doubles, NOW)
    assert mini.doubles.stub.read_bytes() == b"x = 1\r\n"


def test_undo_without_a_backup_says_so(mini: Miniature) -> None:
    result = mini.harness("reset", "0", "--undo")
    assert result.code == 1
    assert "Kata 00 doubles has no backup that differs from the current file" in result.err


def test_without_a_backup_nothing_is_reset(mini: Miniature) -> None:
    mini.write_doubles(double="return 'mine'")
    (mini.root / ".harness").write_text("a file instead of the folder")
    result = mini.harness("reset", "0")
    assert result.code == 1
    assert result.err == (
        "Error: katas/k00_doubles/doubles.py was not changed: .harness/backups/k00_doubles cannot be used"
        f" ({os.strerror(errno.ENOTDIR)}).\n"
        "Free some space or make it writable. Next: harness reset 00\n"
    )
    assert "mine" in mini.doubles.stub.read_text()
