"""`harness review`: one question at a time on a terminal, all of them into a pipe."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.commands import review, review_words
from harness.course.katas import load_course
from harness.course.questions import Question, cards
from harness.terminal.lines import encodable
from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature

pytestmark = pytest.mark.measured

REVIEW = '[[question]]\nask = "Why?"\nanswer = "Because."\n\n[[question]]\nask = "How?"\nanswer = "So."\n'
SHIPPED = list(cards(load_course(REPOSITORY).katas))


@pytest.fixture
def asked(mini: Miniature) -> Miniature:
    """A course with two questions on each kata."""
    for kata in (mini.doubles, mini.layers):
        (kata.folder / "review.toml").write_text(REVIEW)
    return mini


# --- without a terminal ------------------------------------------------------------------------


def sitting(mini: Miniature, keys: str, typed: str = "") -> list[str]:
    """Return the lines and prompts shown, and what is noted, when this is typed and pressed."""
    seen: list[str] = []
    left = iter(keys)

    def read_key(prompt: str) -> str:
        seen.append(prompt)
        return next(left)

    def read_line(prompt: str) -> str:
        seen.append(prompt)
        return typed

    shown = list(cards([mini.doubles]))
    dialogue = review.Dialogue(
        lambda lines: seen.extend(line.text for line in lines if line.text),
        read_key,
        read_line,
        lambda card, known: seen.append(f"noted: {card.number} {known}"),
        80,
    )
    dialogue.ask(shown)
    return seen


KNOWN = "y: I knew it · n: not yet · other keys: skip · q: quit"


def test_each_question_waits_for_a_key_and_each_answer_too(asked: Miniature) -> None:
    assert sitting(asked, "    ") == [
        "kata 00 doubles · question 1 of 2",
        "Why?",
        "any key: show the answer · q: quit",
        "  Because.",
        KNOWN,
        "kata 00 doubles · question 2 of 2",
        "How?",
        "any key: show the answer · q: quit",
        "  So.",
        KNOWN,
        "That was the last question.",
    ]


def test_whether_an_answer_was_known_is_noted_for_y_and_n(asked: Miniature) -> None:
    assert [line for line in sitting(asked, " y n") if line.startswith("noted")] == [
        "noted: 1 True",
        "noted: 2 False",
    ]


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("3.68 %", ["Right: 3.7.", "  So.", "noted: 1 True", "any key: go on · q: quit"]),
        ("4", ["You wrote 4; it is 3.7.", "  So.", "noted: 1 False", "any key: go on · q: quit"]),
        ("four", ["'four' does not begin with a number.", "  So.", KNOWN]),
        ("", ["  So.", KNOWN]),
    ],
)
def test_an_answer_that_is_a_number_can_be_typed(asked: Miniature, typed: str, shown: list[str]) -> None:
    (asked.doubles.folder / "review.toml").write_text(
        '[[question]]\nask = "How many?"\nanswer = "So."\nnumber = "3.7"\n'
    )
    start = ["kata 00 doubles · question 1 of 1", "How many?"]
    prompt = "your number (Enter: show the answer · q: quit): "
    assert sitting(asked, " ", typed) == [*start, prompt, *shown, "That was the last question."]
    assert sitting(asked, "", "q") == [*start, prompt]


@pytest.mark.parametrize("key", ["q", "Q", "\x1b", "\x04"])
def test_q_escape_and_end_of_file_quit_without_the_answer(asked: Miniature, key: str) -> None:
    assert sitting(asked, key)[-1] == "any key: show the answer · q: quit"
    assert sitting(asked, f" {key}")[-1] == KNOWN


@pytest.mark.parametrize("card", SHIPPED, ids=lambda card: f"{card.kata.name}-{card.number}")
def test_a_shipped_question_can_be_read_on_a_small_terminal_of_any_encoding(card) -> None:
    assert review_words.height(card) <= review_words.SCREEN
    lines = [line.text for line in [*review_words.question(card), *review_words.answer(card)]]
    assert max(map(len, lines)) <= 80
    asked = sum(line.count("?") for line in lines)
    assert sum(encodable(line, "ascii").count("?") for line in lines) == asked  # no character is lost


def test_the_page_hides_each_answer_until_it_is_opened(asked: Miniature) -> None:
    page = review_words.page(cards([asked.doubles]))
    assert "## Kata 00 doubles\n" in page
    assert "**1.** Why?\n\n<details><summary>Answer</summary>\n\nBecause.\n\n</details>\n" in page


def test_a_narrow_terminal_gets_short_lines() -> None:
    question = Question("word " * 40, "word " * 80)
    card = type(SHIPPED[0])(SHIPPED[0].kata, 1, 1, question)
    assert max(len(line.text) for line in review_words.answer(card, 40)) <= 40


# --- the command ---------------------------------------------------------------------------------


def test_into_a_pipe_everything_is_printed(asked: Miniature) -> None:
    result = asked.harness("review", "1", folder="katas")
    assert result.code == 0
    assert result.out == (
        "kata 01 layers · question 1 of 2\n\nWhy?\n\n  Because.\n\n"
        "kata 01 layers · question 2 of 2\n\nHow?\n\n  So.\n\n"
    )
    assert asked.harness("review", "--all").out.count("question 1 of 2") == 2


def test_without_a_kata_it_asks_what_is_due(asked: Miniature) -> None:
    assert " ".join(asked.harness("review").out.split()) == (
        "No question is due. Those of a completed kata come after 1, 3, 7 and 21 days."
        " Next: harness review 01, or harness review --all"
    )
    asked.solve(asked.doubles)
    asked.pytest("katas/00")
    assert "The next: 2 questions on " in " ".join(asked.harness("review").out.split())
    path = asked.root / ".harness" / "progress.jsonl"
    days_ago = (datetime.now(UTC) - timedelta(days=1.1)).isoformat(timespec="seconds")
    path.write_text(re.sub(r'"time": "[^"]*"', f'"time": "{days_ago}"', path.read_text()))
    assert asked.harness("review").out.count("kata 00 doubles · question") == 2


def test_all_questions_and_those_of_a_kata_exclude_each_other(asked: Miniature) -> None:
    result = asked.harness("review", "0", "--all")
    assert result.code == 2
    assert "--all means every kata. Next: leave out --all, or KATA" in result.err


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_what_was_known_is_remembered(asked: Miniature) -> None:
    on_a_terminal(asked.root, " y n")
    lines = (asked.root / ".harness" / "recall.jsonl").read_text().split("\n")
    assert [json.loads(line)["known"] for line in lines if line] == [True, False]


def test_without_questions_it_says_how_to_restore_them(mini: Miniature) -> None:
    result = mini.harness("review", "0")
    assert result.code == 1
    assert result.err == (
        "Error: The questions of kata 00 doubles cannot be read (katas/k00_doubles/review.toml:"
        " No such file or directory). Next: git checkout katas/k00_doubles/review.toml\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("keys", "status"), [("q", 0), (" q", 0), ("    ", 0), ("\x03", 130), ("\x04", 0)])
def test_on_a_terminal_it_follows_the_keys_and_restores_the_settings(
    asked: Miniature, keys: str, status: int
) -> None:
    shown, code, restored = on_a_terminal(asked.root, keys)
    assert code == status
    assert restored
    assert ("Because." in shown) == keys.startswith(" ")
    assert "\x1b" not in shown  # NO_COLOR


def on_a_terminal(folder: Path, keys: str) -> tuple[str, int, bool]:
    """Return the output and exit status of `harness review 0`, and if the terminal was restored."""
    import pty
    import subprocess
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "review", "0"],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "NO_COLOR": "1"},
    )
    shown = ""
    for prompts, key in enumerate(keys, start=1):
        while process.poll() is None and shown.count("q: quit") < prompts:
            shown += available(ours)
        wait_until_raw(theirs, before, process)
        os.write(ours, key.encode())
    code = process.wait(60)
    shown += available(ours)
    restored = termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)
    return shown, code, restored


def available(terminal: int) -> str:
    """Return the unread output of a terminal."""
    import select

    readable, _, _ = select.select([terminal], [], [], 0.1)
    return os.read(terminal, 65536).decode() if readable else ""


def wait_until_raw(terminal: int, before: list, process) -> None:
    """Wait until single keys are read; an earlier key would need Enter."""
    import termios

    while process.poll() is None and termios.tcgetattr(terminal) == before:
        time.sleep(0.01)
