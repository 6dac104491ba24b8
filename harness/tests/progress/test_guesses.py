"""A guess is kept until the result is seen, and cannot be changed afterwards."""

from __future__ import annotations

from pathlib import Path

from harness.progress.guesses import Guesses


def test_the_last_guess_before_the_result_counts(tmp_path: Path) -> None:
    path = tmp_path / "guesses.jsonl"
    assert Guesses(path).add("loss", "4")
    assert Guesses(path).add("loss", "4.2")
    assert Guesses(path).reveal("loss") == "4.2"
    assert not Guesses(path).add("loss", "4.17")
    assert Guesses(path).reveal("loss") == "4.2"


def test_a_result_without_a_guess_settles_nothing(tmp_path: Path) -> None:
    guesses = Guesses(tmp_path / "guesses.jsonl")
    assert guesses.reveal("loss") is None
    assert guesses.add("loss", "4")


def test_foreign_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "guesses.jsonl"
    path.write_text('{"name": 3}\ntorn {\n{"name": "loss", "guess": "4"}\n')
    assert Guesses(path).reveal("loss") == "4"
