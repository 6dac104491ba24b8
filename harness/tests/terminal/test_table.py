"""Tables on a terminal: aligned, as wide as it is, in its encoding."""

from __future__ import annotations

import pytest

from harness.terminal.table import Row, show_table


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")


def test_cells_are_aligned_under_their_headings(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("name", "time"), [Row(("a", "1 s")), Row(("bcdef", "10 s"), "bold")], right=("time",))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["name   time", "a       1 s", "bcdef  10 s"]


def test_a_long_word_is_folded_and_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("name",), [Row(("x" * 30,))])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 20
    assert out.count("x") == 30
