"""Pure decisions of `harness watch`."""

from __future__ import annotations

import signal

import pytest

from harness.course.katas import load_course
from harness.isolation.supervisor import Ending, ExitCall, RunStep
from harness.progress.ledger import Ledger
from harness.tests.support.miniature import Miniature
from harness.watch import decisions, words


@pytest.mark.parametrize(
    ("key", "action"),
    [("r", "run"), ("Q", "quit"), ("\x04", "quit"), ("x", "keys"), ("\n", None), (" ", None)],
)
def test_the_action_of_a_key(key: str, action: str | None) -> None:
    assert decisions.action_of(key) == action


def test_every_key_is_in_the_help_and_the_line_fits() -> None:
    explained = "".join(line.text[:6] for line in words.keys_explained())
    assert all(key in explained for key in decisions.KEYS if key != "?")
    assert len(words.KEY_LINE.text) <= 80


killed = Ending(-getattr(signal, "SIGKILL", 9), step=RunStep(10))


@pytest.mark.parametrize(
    ("ending", "tries", "again"),
    [
        (Ending(0, exit_status=0), 1, False),
        (Ending(1, exit_status=1), 1, False),
        (Ending(None, step=RunStep(10)), 1, False),
        (Ending(7, hard_exit=ExitCall(7)), 1, False),
        (Ending(-11, step=RunStep(10)), 1, False),
        (Ending(-9), 1, True),
        (Ending(1), 1, True),
        (Ending(1), decisions.MOST_TRIES, False),
    ],
)
def test_only_a_run_killed_from_outside_is_repeated(ending: Ending, tries: int, again: bool) -> None:
    assert decisions.another_try(ending, tries) is again


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a signal of POSIX")
def test_a_run_killed_every_time_is_reported_in_the_end() -> None:
    assert decisions.another_try(killed, 1)
    assert not decisions.another_try(killed, decisions.MOST_TRIES)


def test_by_default_the_katas_are_those_of_a_bare_pytest(mini: Miniature) -> None:
    progress = Ledger(load_course(mini.root)).progress()
    assert decisions.katas_to_run(progress, None) == [mini.doubles]
    assert decisions.katas_to_run(progress, mini.layers) == [mini.layers]


def test_the_first_and_the_last_kata_are_their_own_neighbours(mini: Miniature) -> None:
    course = load_course(mini.root)
    assert decisions.neighbour(course, mini.doubles, -1) == mini.doubles
    assert decisions.neighbour(course, mini.doubles, +1) == mini.layers
    assert decisions.neighbour(course, mini.layers, +1) == mini.layers
