"""Tests of blocks with a time budget, and of what they leave behind."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from harness.diagnosis.time_budget import THREAD, OutOfTime, TimeBudget

TRACED = """
import sys
from harness.diagnosis.time_budget import OutOfTime, TimeBudget

def work():
    return sum(range(1000))

def trace(frame, event, argument):
    return trace

for seconds in (60, 0.05):
    try:
        with TimeBudget(seconds).guard():
            while seconds < 1:
                pass
    except OutOfTime:
        pass
sys.settrace(trace)  # as coverage and debuggers do
print(work())
"""


def test_an_infinite_loop_is_interrupted() -> None:
    with pytest.raises(OutOfTime), TimeBudget(0.05).guard():
        while True:
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_infinite_loop_is_interrupted_though_a_finalizer_has_swallowed_the_first_error() -> None:
    budget = TimeBudget(0.05)

    class Waiting:
        def __del__(self) -> None:
            while budget.left > -0.1:
                pass

    with pytest.raises(OutOfTime), budget.guard():
        Waiting()  # OutOfTime is raised as it is deleted, where Python ignores it
        while True:
            pass


def test_nothing_is_raised_after_a_block_that_finished_within_the_budget() -> None:
    with TimeBudget(60).guard():
        pass
    assert sum(range(100_000)) == 4_999_950_000


def test_the_budget_covers_all_blocks_together() -> None:
    budget, done = TimeBudget(0.2), 0
    with pytest.raises(OutOfTime):
        while True:
            with budget.guard():
                done += sum(range(1000)) > 0
    assert done > 10
    assert budget.left <= 0


def watching_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def test_the_watching_thread_ends_when_there_is_nothing_to_watch() -> None:
    with TimeBudget(60).guard():
        assert watching_threads()
    for _ in range(500):
        if not watching_threads():
            return
        time.sleep(0.01)
    raise AssertionError(f"still running: {watching_threads()}")


def test_no_block_starts_once_the_budget_is_used_up() -> None:
    with pytest.raises(OutOfTime), TimeBudget(0).guard():
        raise AssertionError("it started")


def test_a_traced_program_continues_after_a_block() -> None:
    done = subprocess.run([sys.executable, "-c", TRACED], capture_output=True, text=True, timeout=60)
    assert done.stdout == "499500\n", done.stderr
