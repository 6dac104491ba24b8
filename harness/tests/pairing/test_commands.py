"""`harness pair`: its commands, and the swap at the end of a run."""

from __future__ import annotations

import json
import shlex
import subprocess

import pytest

from harness.course.katas import load_course
from harness.pairing.commands import FILE, NotNow, start, status, stop, swap, time_is_up, turn_line
from harness.terminal.lines import Line
from harness.tests.support.miniature import Miniature

pytestmark = pytest.mark.measured

NOON = 1_700_000_000.0


def text(lines: list[Line]) -> str:
    return "\n".join(line.text for line in lines)


def test_a_session_outlives_the_command(mini: Miniature) -> None:
    course = load_course(mini.root)
    start(course, "Ana", "Bo", 7, NOON)
    swap(course, NOON + 61)
    assert "Bo drives, Ana navigates · 6:00 left" in text(status(course, NOON + 121))
    assert "Ana drove 1:01, Bo 1:00" in text(status(course, NOON + 121))


def test_a_second_session_is_refused_until_the_first_has_ended(mini: Miniature) -> None:
    course = load_course(mini.root)
    start(course, "Ana", "Bo", 7, NOON)
    with pytest.raises(NotNow, match=r"Ana and Bo are already a pair.*harness pair stop"):
        start(course, "Cy", "Di", 7, NOON + 1)
    stop(course, NOON + 2)
    start(course, "Cy", "Di", 7, NOON + 3)
    assert "Cy drives" in text(turn_line(course, NOON + 4))


@pytest.mark.parametrize("command", [swap, status, stop])
def test_without_a_session_the_remedy_is_named(mini: Miniature, command) -> None:
    with pytest.raises(NotNow, match="harness pair start ANA BO"):
        command(load_course(mini.root), NOON)


def test_the_turn_starts_again_if_the_clock_is_set_back(mini: Miniature) -> None:
    course = load_course(mini.root)
    start(course, "Ana", "Bo", 7, NOON)
    assert "7:00 left" in text(status(course, NOON - 3600))
    assert not time_is_up(course, NOON - 3600 + 419)
    assert time_is_up(course, NOON - 3600 + 421)


def test_a_session_that_cannot_be_saved_is_reported(mini: Miniature) -> None:
    mini.course.state.write_text("a file instead of the folder")
    with pytest.raises(NotNow, match=r"not saved in \.harness/pair\.jsonl: .* Fix that"):
        start(load_course(mini.root), "Ana", "Bo", 7, NOON)


def test_the_summary_has_co_author_lines_for_the_commit(mini: Miniature) -> None:
    git = ["git", "-C", str(mini.root)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "config", "user.name", "Ana Li"], check=True)
    subprocess.run([*git, "config", "user.email", "ana@example.org"], check=True)
    course = load_course(mini.root)
    start(course, "ana", "Bo", 7, NOON)
    swap(course, NOON + 60)
    summary = text(stop(course, NOON + 90))
    assert "ana drove 1:00, Bo 0:30" in summary
    assert "1 swap (1 by hand)" in summary
    assert "Co-authored-by: Ana Li <ana@example.org>" in summary
    assert "Co-authored-by: Bo <ADDRESS>" in summary
    assert "git has no e-mail address for Bo; please fill it in." in summary
    assert "harness pair start 'Ana Li <ana@example.org>' 'Bo <ADDRESS>'" in summary


def test_the_command_for_the_next_session_is_quoted_for_the_shell(mini: Miniature) -> None:
    course = load_course(mini.root)
    start(course, "Ana $(x)", "D'Arcy", 7, NOON)
    command = text(stop(course, NOON + 1)).splitlines()[-1]
    assert shlex.split(command)[3:] == ["Ana $(x) <ADDRESS>", "D'Arcy <ADDRESS>"]


# --- at the end of a run ---


def test_after_a_run_that_turns_a_test_green_they_swap_with_a_note(mini: Miniature) -> None:
    mini.harness("pair", "start", "Ana", "Bo")
    mini.write_doubles(outer="return None")
    out = mini.pytest("katas/00").out
    assert "Green: Bo drives now, Ana navigates." in out
    assert "To hand over: kata 00 doubles · 3/4, next test_outer" in out
    assert "drives now" not in mini.pytest("katas/00").out  # nothing new turned green


def test_after_a_run_past_the_time_they_swap(mini: Miniature) -> None:
    mini.harness("pair", "start", "Ana", "Bo", "--minutes", "0.001")
    assert "The time is up: Bo drives now" in mini.pytest("katas/00").out
    events = [json.loads(line) for line in (mini.course.state / FILE).read_text().split("\n") if line]
    assert [event["event"] for event in events] == ["start", "swap"]


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["start", "Ana", "Bo", "--minutes", "0"], "A turn must be longer than 0 minutes"),
        (["start", "Ana", "Ana"], "both are called Ana"),
        (["start", "Ana"], "Missing argument 'BO'"),
        (["stop"], "No pair session is running"),
    ],
)
def test_every_error_of_the_command_has_a_remedy(mini: Miniature, arguments: list[str], remedy: str) -> None:
    result = mini.harness("pair", *arguments)
    assert result.code != 0
    assert remedy in result.err
