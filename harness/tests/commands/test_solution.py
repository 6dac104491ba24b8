"""`harness solution` shows both versions once the kata is complete."""

from __future__ import annotations

import pytest

from harness.commands.solution import pairs
from harness.tests.support.miniature import Miniature

pytestmark = pytest.mark.measured


def test_the_solution_is_refused_until_the_kata_is_complete(mini: Miniature) -> None:
    mini.write_doubles(outer="return None")
    mini.pytest("katas/00")
    result = mini.harness("solution", "0")
    assert result.code == 1
    assert "Kata 00 doubles is not complete (3/4)" in result.err
    assert "return 2 * x" not in result.text


def test_giving_up_shows_the_solution_and_is_recorded(mini: Miniature) -> None:
    assert "return 2 * x" in mini.harness("solution", "0", "--give-up").out
    assert '"kata": "k00_doubles"' in (mini.root / ".harness" / "given_up.jsonl").read_text()
    assert "return 2 * x" in mini.harness("solution", "0").out


@pytest.mark.parametrize("columns", ["80", "120"])
def test_both_versions_are_shown_side_by_side(mini: Miniature, columns: str) -> None:
    mini.write_doubles(double="return x + x")
    mini.pytest("katas/00")
    result = mini.harness("solution", "0", COLUMNS=columns)
    assert result.code == 0
    row = next(line for line in result.out.splitlines() if "return x + x" in line)
    assert row.index("return x + x") < row.index("return 2 * x")
    assert max(map(len, result.out.splitlines())) <= int(columns)
    assert "Return twice the input" not in result.out


def test_in_a_narrow_terminal_the_reference_is_below(mini: Miniature) -> None:
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
