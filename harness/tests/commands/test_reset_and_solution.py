"""`harness reset` loses nothing; `harness solution` waits until one has earned it."""

from __future__ import annotations

import pytest

from harness.commands.solution import pairs
from harness.course.stubs import make_stub
from harness.tests.support.miniature import Miniature


def stub(mini: Miniature) -> str:
    return make_stub(mini.doubles.solution.read_text())


def test_reset_writes_the_shipped_stub_and_keeps_what_was_there(mini: Miniature) -> None:
    mini.write_doubles(double="return 'mine'")
    mine = mini.doubles.stub.read_text()
    result = mini.harness("reset", "0")
    assert result.code == 0
    assert mini.doubles.stub.read_text() == stub(mini)
    backup = next((mini.root / ".harness" / "backups" / "k00_doubles").iterdir())
    assert backup.read_text() == mine
    assert backup.name in result.out
    assert "harness reset 00 --undo puts yours back" in result.out


def test_undo_puts_it_back(mini: Miniature) -> None:
    mini.write_doubles(double="return 'mine'")
    mine = mini.doubles.stub.read_text()
    mini.harness("reset", "0")
    result = mini.harness("reset", "0", "--undo")
    assert result.code == 0
    assert mini.doubles.stub.read_text() == mine


def test_undo_loses_nothing_that_was_written_after_the_reset(mini: Miniature) -> None:
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
    assert "is the shipped stub already; nothing was changed." in result.out
    assert not (mini.root / ".harness").exists()


def test_a_deleted_stub_comes_back(mini: Miniature) -> None:
    mini.doubles.stub.unlink()
    assert mini.harness("reset", "0").code == 0
    assert mini.doubles.stub.read_text() == stub(mini)


def test_undo_without_a_backup_says_so(mini: Miniature) -> None:
    result = mini.harness("reset", "0", "--undo")
    assert result.code == 1
    assert "There is no backup of kata 00 doubles" in result.err


def test_without_a_backup_nothing_is_reset(mini: Miniature) -> None:
    mini.write_doubles(double="return 'mine'")
    (mini.root / ".harness").write_text("a file where the folder should be")
    result = mini.harness("reset", "0")
    assert result.code == 1
    assert "was not changed, as no backup could be written" in result.err
    assert "mine" in mini.doubles.stub.read_text()


def test_the_solution_waits_until_the_kata_is_complete(mini: Miniature) -> None:
    mini.write_doubles(outer="return None")
    mini.pytest("katas/00")
    result = mini.harness("solution", "0")
    assert result.code == 1
    assert "Kata 00 doubles is not complete (3/4)" in result.err
    assert "return 2 * x" not in result.text


def test_giving_up_shows_it_and_is_recorded(mini: Miniature) -> None:
    assert "return 2 * x" in mini.harness("solution", "0", "--give-up").out
    assert '"kata": "k00_doubles"' in (mini.root / ".harness" / "given_up.jsonl").read_text()
    assert "return 2 * x" in mini.harness("solution", "0").out


@pytest.mark.parametrize("columns", ["80", "120"])
def test_yours_stands_beside_the_reference(mini: Miniature, columns: str) -> None:
    mini.write_doubles(double="return x + x")
    mini.pytest("katas/00")
    result = mini.harness("solution", "0", COLUMNS=columns)
    assert result.code == 0
    row = next(line for line in result.out.splitlines() if "return x + x" in line)
    assert row.index("return x + x") < row.index("return 2 * x")
    assert max(map(len, result.out.splitlines())) <= int(columns)
    assert "Return twice the input" not in result.out


def test_in_a_narrow_terminal_they_stand_one_below_the_other(mini: Miniature) -> None:
    mini.write_doubles(double="return x + x")
    mini.pytest("katas/00")
    lines = mini.harness("solution", "0", COLUMNS="60").out.splitlines()
    mine = next(i for i, line in enumerate(lines) if "return x + x" in line)
    reference = next(i for i, line in enumerate(lines) if "return 2 * x" in line)
    assert mine < reference


DECORATED = '''
@dataclass
class Config:
    """Settings."""

    def size(self) -> int:
        """A size."""
        return 1
'''


def test_a_decorated_definition_is_shown_with_its_decorator_and_without_docstrings() -> None:
    (passage,) = pairs(DECORATED, DECORATED)
    assert passage.yours == "@dataclass\nclass Config:\n\n    def size(self) -> int:\n        return 1"
