"""Guesses and sliders in notebooks."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.notebook import compare, guess, slider
from harness.tests.support.miniature import Miniature


@pytest.fixture
def in_a_kata(mini: Miniature, monkeypatch: pytest.MonkeyPatch) -> Miniature:
    monkeypatch.chdir(mini.doubles.folder)
    return mini


def test_a_guess_is_shown_beside_the_result_and_stays(in_a_kata: Miniature, capsys) -> None:
    guess("first loss", ...)
    guess("first loss", 4.2)
    compare("first loss", 4.17439)
    guess("first loss", 4.174)
    compare("first loss", 4.17439)
    compare("steps", 12)
    assert capsys.readouterr().out.splitlines() == [
        "Put your guess in the place of ... and run this cell again.",
        "Your guess is kept; you will see it beside the result.",
        "first loss: 4.174 (you guessed 4.2)",
        "You have seen the result: your guess from before stays.",
        "first loss: 4.174 (you guessed 4.2)",
        "steps: 12 (you made no guess)",
    ]


def test_a_guess_outside_a_course_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="Go to your clone"):
        guess("first loss", 4.2)


def test_a_slider_calls_the_function_with_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[dict[str, object]] = []
    widgets = SimpleNamespace(
        SelectionSlider=lambda options: options[1],
        interact=lambda draw, **sliders: draw(**sliders),
    )
    monkeypatch.setitem(sys.modules, "ipywidgets", widgets)
    slider(lambda **values: drawn.append(values), temperature=[0.5, 1.0, 2.0])
    assert drawn == [{"temperature": 1.0}]


def test_without_ipywidgets_the_first_value_is_drawn(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    drawn: list[dict[str, object]] = []
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    slider(lambda **values: drawn.append(values), temperature=[0.5, 1.0], k=(3, 4))
    assert drawn == [{"temperature": 0.5, "k": 3}]
    assert "pip install ipywidgets" in capsys.readouterr().out
