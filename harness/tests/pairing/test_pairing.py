"""Pair programming: whose turn it is, when it passes on, and what is summed up at the end."""

from __future__ import annotations

import json
import subprocess

import pytest

from harness.course.katas import load_course
from harness.pairing.commands import FILE, NotNow, start, status, stop, swap, time_is_up, turn_line
from harness.pairing.session import (
    BadPair,
    Person,
    Session,
    clock_went_back,
    due,
    happened,
    pair_of,
    person,
    replay,
    started,
)
from harness.terminal.lines import Line
from harness.tests.support.miniature import Miniature

NOON = 1_700_000_000.0


def session(*events: dict, minutes: float = 7.0) -> Session:
    begun = started(pair_of("Ana", "Bo", minutes), minutes, NOON)
    found = replay([begun, *events])
    assert found is not None
    return found


def text(lines: list[Line]) -> str:
    return "\n".join(line.text for line in lines)


# --- decisions ---


def test_the_first_one_drives_for_the_minutes_given() -> None:
    assert session().drives.name == "Ana"
    assert session().left(NOON + 60) == 6 * 60


@pytest.mark.parametrize(
    ("after", "newly_passed", "why"), [(60, 0, ""), (60, 2, "green"), (420, 0, "time"), (900, 1, "green")]
)
def test_the_turn_passes_on_when_a_test_turns_green_or_the_time_is_up(after, newly_passed, why) -> None:
    assert due(session(), NOON + after, newly_passed=newly_passed) == why


def test_each_ones_time_is_counted() -> None:
    swapped = session(
        happened("swap", NOON + 100, why="green", tests=2), happened("swap", NOON + 130, why="hand")
    )
    assert swapped.driven(NOON + 140) == (110, 30)
    assert (swapped.count("green"), swapped.count("hand"), swapped.all_swaps, swapped.tests) == (1, 1, 2, 2)


def test_after_the_end_no_time_passes() -> None:
    over = session(happened("stop", NOON + 50))
    assert over.driven(NOON + 5000) == (50, 0)
    assert due(over, NOON + 5000, newly_passed=1) == ""


def test_a_clock_set_forward_counts_for_two_turns_at_most() -> None:
    assert session(minutes=1).driven(NOON + 1e6) == (120, 0)


def test_a_clock_set_back_takes_no_time_away_and_makes_no_turn_endless() -> None:
    assert session().left(NOON - 1e6) == 7 * 60
    assert clock_went_back(session(), NOON - 1e6)
    assert session(happened("clock", NOON - 1e6)).left(NOON - 1e6 + 60) == 6 * 60


@pytest.mark.parametrize("event", [{}, {"event": "swap"}, {"event": "start"}, {"event": "stop", "time": "x"}])
def test_what_is_no_event_is_passed_over(event: dict) -> None:
    assert session(event) == session()


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_a_turn_takes_some_time_and_ends(minutes: float) -> None:
    with pytest.raises(BadPair) as error:
        pair_of("Ana", "Bo", minutes)
    assert error.value.why == "minutes"


@pytest.mark.parametrize(
    ("names", "why"), [(("", "Bo"), "names"), ((" ", "Bo"), "names"), (("Ana", "ANA"), "same")]
)
def test_a_pair_is_two_names(names: tuple[str, str], why: str) -> None:
    with pytest.raises(BadPair) as error:
        pair_of(*names, 7)
    assert error.value.why == why


def test_a_name_may_bring_its_address() -> None:
    assert person(" Ana  Li <ana@example.org> ") == Person("Ana Li", "ana@example.org")


# --- kept on disk ---


def test_a_session_outlives_the_command(mini: Miniature) -> None:
    course = load_course(mini.root)
    start(course, "Ana", "Bo", 7, NOON)
    swap(course, NOON + 61)
    assert "Bo drives, Ana navigates · 6:00 left" in text(status(course, NOON + 121))
    assert "Ana drove 1:01, Bo 1:00" in text(status(course, NOON + 121))


def test_a_second_session_waits_for_the_end_of_the_first(mini: Miniature) -> None:
    course = load_course(mini.root)
    start(course, "Ana", "Bo", 7, NOON)
    with pytest.raises(NotNow, match=r"Ana and Bo are a pair already.*harness pair stop"):
        start(course, "Cy", "Di", 7, NOON + 1)
    stop(course, NOON + 2)
    start(course, "Cy", "Di", 7, NOON + 3)
    assert "Cy drives" in text(turn_line(course, NOON + 4))


@pytest.mark.parametrize("deed", [swap, status, stop])
def test_without_a_session_there_is_a_remedy(mini: Miniature, deed) -> None:
    with pytest.raises(NotNow, match="harness pair start ANA BO"):
        deed(load_course(mini.root), NOON)


def test_the_clock_going_back_begins_the_turn_anew(mini: Miniature) -> None:
    course = load_course(mini.root)
    start(course, "Ana", "Bo", 7, NOON)
    assert "7:00 left" in text(status(course, NOON - 3600))
    assert not time_is_up(course, NOON - 3600 + 419)
    assert time_is_up(course, NOON - 3600 + 421)


def test_what_cannot_be_saved_is_said(mini: Miniature) -> None:
    mini.course.state.write_text("a file where a folder should be")
    with pytest.raises(NotNow, match=r"not saved .* Make \.harness/pair\.jsonl writable"):
        start(load_course(mini.root), "Ana", "Bo", 7, NOON)


def test_the_summary_has_lines_for_the_commit(mini: Miniature) -> None:
    git = ["git", "-C", str(mini.root)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "config", "user.name", "Ana Li"], check=True)
    subprocess.run([*git, "config", "user.email", "ana@example.org"], check=True)
    course = load_course(mini.root)
    start(course, "ana", "Bo", 7, NOON)
    swap(course, NOON + 60)
    told = text(stop(course, NOON + 90))
    assert "ana drove 1:00, Bo 0:30" in told
    assert "1 swap (1 by hand)" in told
    assert "Co-authored-by: Ana Li <ana@example.org>" in told
    assert "Co-authored-by: Bo <ADDRESS>" in told
    assert "git knows no address of Bo" in told


# --- at the end of a run ---


def test_a_run_that_turns_a_test_green_swaps_and_hands_over(mini: Miniature) -> None:
    mini.harness("pair", "start", "Ana", "Bo")
    mini.write_doubles(outer="return None")
    out = mini.pytest("katas/00").out
    assert "Green: Bo drives now, Ana navigates." in out
    assert "To hand over: kata 00 doubles · 3/4, next test_outer" in out
    assert "drives now" not in mini.pytest("katas/00").out  # nothing new turned green


def test_a_run_after_the_time_is_up_swaps(mini: Miniature) -> None:
    mini.harness("pair", "start", "Ana", "Bo", "--minutes", "0.001")
    assert "The time is up: Bo drives now" in mini.pytest("katas/00").out
    events = [json.loads(line) for line in (mini.course.state / FILE).read_text().split("\n") if line]
    assert [event["event"] for event in events] == ["start", "swap"]


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["start", "Ana", "Bo", "--minutes", "0"], "A turn of 0 minutes is none"),
        (["start", "Ana", "Ana"], "both are called Ana"),
        (["start", "Ana"], "Missing argument 'BO'"),
        (["stop"], "No pair session is running"),
    ],
)
def test_every_error_of_the_command_has_a_remedy(mini: Miniature, arguments: list[str], remedy: str) -> None:
    result = mini.harness("pair", *arguments)
    assert result.code != 0
    assert remedy in result.err
