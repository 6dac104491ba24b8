"""`harness hint` shows one more level at each call."""

from __future__ import annotations

import pytest

from harness.tests.support.miniature import Miniature

pytestmark = pytest.mark.measured


def solved(mini: Miniature) -> Miniature:
    mini.solve(mini.doubles)
    mini.pytest("katas/00")
    return mini


def test_each_hint_shows_one_more_level(mini: Miniature) -> None:
    first, second, third, fourth = (mini.harness("hint").out for _ in range(4))
    assert "Look at test_double_of_one." in first
    assert "At its docstring." not in first
    assert "2 more hints: harness hint 00 shows the next one." in first
    assert "At its docstring." in second
    assert "Twice." not in second
    assert "Twice." in third
    assert "That was the last hint." in third
    assert fourth == third


def test_hint_is_for_the_test_that_failed_last(mini: Miniature) -> None:
    mini.write_doubles(double="return 2 * x", outer="return None")
    mini.pytest("katas/00")
    assert "test_outer" in mini.harness("hint", "0").out


def test_hint_follows_pytest_to_a_kata_that_an_edit_broke(mini: Miniature) -> None:
    solved(mini).write_doubles(outer="return None")
    mini.pytest()
    assert "kata 00 doubles · test_outer" in mini.harness("hint").out


@pytest.mark.parametrize(
    ("kata", "message", "code"),
    [
        ("1", "Kata 01 layers is locked: kata 00 doubles is not complete (0/4). Type: harness hint 00", 1),
        ("9", "There is no kata '9'; the katas are 00 to 01.", 2),
        ("layer", "Did you mean k01_layers?", 2),
    ],
)
def test_hint_refuses_with_the_remedy(mini: Miniature, kata: str, message: str, code: int) -> None:
    result = mini.harness("hint", kata)
    assert result.code == code
    assert message in result.err


def test_a_complete_kata_needs_no_hint(mini: Miniature) -> None:
    result = solved(mini).harness("hint", "0")
    assert result.code == 1
    assert "Kata 00 doubles is complete" in result.err


def test_a_test_without_a_hint_points_to_the_theory(mini: Miniature) -> None:
    mini.doubles.hints.write_text("")
    assert "Read katas/k00_doubles/theory.md instead" in mini.harness("hint").err


def test_hint_works_in_a_read_only_folder(mini: Miniature) -> None:
    (mini.root / ".harness").write_text("a file instead of the folder")
    result = mini.harness("hint")
    assert result.code == 0
    assert "Look at test_double_of_one." in result.out
    assert "progress is not saved" in result.out
