"""Whose turn it is in a pair session, and when to swap."""

from __future__ import annotations

import pytest

from harness.pairing.session import (
    BadPair,
    Person,
    Session,
    clock_went_back,
    due,
    new_event,
    pair_of,
    person,
    replay,
    start_event,
)

NOON = 1_700_000_000.0


def session(*events: dict, minutes: float = 7.0) -> Session:
    first = start_event(pair_of("Ana", "Bo", minutes), minutes, NOON)
    found = replay([first, *events])
    assert found is not None
    return found


def test_the_first_person_drives_for_the_given_minutes() -> None:
    assert session().driver.name == "Ana"
    assert session().left(NOON + 60) == 6 * 60


@pytest.mark.parametrize(
    ("after", "newly_passed", "why"), [(60, 0, ""), (60, 2, "green"), (420, 0, "time"), (900, 1, "green")]
)
def test_they_swap_when_a_test_turns_green_or_the_time_is_up(after, newly_passed, why) -> None:
    assert due(session(), NOON + after, newly_passed=newly_passed) == why


def test_the_time_of_each_person_is_counted() -> None:
    swapped = session(
        new_event("swap", NOON + 100, why="green", tests=2), new_event("swap", NOON + 130, why="hand")
    )
    assert swapped.seconds_driven(NOON + 140) == (110, 30)
    assert (swapped.count("green"), swapped.count("hand"), swapped.all_swaps, swapped.tests) == (1, 1, 2, 2)


def test_time_after_the_end_does_not_count() -> None:
    over = session(new_event("stop", NOON + 50))
    assert over.seconds_driven(NOON + 5000) == (50, 0)
    assert due(over, NOON + 5000, newly_passed=1) == ""


def test_a_clock_set_forward_counts_for_two_turns_at_most() -> None:
    assert session(minutes=1).seconds_driven(NOON + 1e6) == (120, 0)


def test_a_clock_set_back_neither_shortens_a_turn_nor_makes_it_endless() -> None:
    assert session().left(NOON - 1e6) == 7 * 60
    assert clock_went_back(session(), NOON - 1e6)
    assert session(new_event("clock", NOON - 1e6)).left(NOON - 1e6 + 60) == 6 * 60


@pytest.mark.parametrize("event", [{}, {"event": "swap"}, {"event": "start"}, {"event": "stop", "time": "x"}])
def test_invalid_events_are_skipped(event: dict) -> None:
    assert session(event) == session()


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_an_invalid_length_of_a_turn_is_refused(minutes: float) -> None:
    with pytest.raises(BadPair) as error:
        pair_of("Ana", "Bo", minutes)
    assert error.value.why == "minutes"


@pytest.mark.parametrize(
    ("names", "why"), [(("", "Bo"), "names"), ((" ", "Bo"), "names"), (("Ana", "ANA"), "same")]
)
def test_a_pair_needs_two_different_names(names: tuple[str, str], why: str) -> None:
    with pytest.raises(BadPair) as error:
        pair_of(*names, 7)
    assert error.value.why == why


def test_a_name_may_include_an_address() -> None:
    assert person(" Ana  Li <ana@example.org> ") == Person("Ana Li", "ana@example.org")
