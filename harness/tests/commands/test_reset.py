"""`harness reset` and `--undo` lose no code."""

from __future__ import annotations

from harness.course.stubs import make_stub
from harness.tests.support.miniature import Miniature


def stub(mini: Miniature) -> str:
    return make_stub(mini.doubles.solution.read_text())


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
    mini.harness("reset", "0", "--undo")
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
    assert mini.harness("reset", "0").code == 0
    assert mini.doubles.stub.read_text() == stub(mini)


def test_undo_without_a_backup_says_so(mini: Miniature) -> None:
    result = mini.harness("reset", "0", "--undo")
    assert result.code == 1
    assert "Kata 00 doubles has no backup that differs from the current file" in result.err


def test_without_a_backup_nothing_is_reset(mini: Miniature) -> None:
    mini.write_doubles(double="return 'mine'")
    (mini.root / ".harness").write_text("a file instead of the folder")
    result = mini.harness("reset", "0")
    assert result.code == 1
    assert "was not changed because no backup could be written" in result.err
    assert "mine" in mini.doubles.stub.read_text()
