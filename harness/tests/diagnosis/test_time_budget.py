"""Blocks that end in time, and what they leave behind."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from harness.diagnosis.time_budget import OutOfTime, TimeBudget

TRACED = """
import sys
from harness.diagnosis.time_budget import OutOfTime, Time

def work():
    return sum(range(1000))

def trace(frame, event, argument):
    return trace

for seconds in (60, 0.05):
    try:
        with Time(seconds).guard():
            while seconds < 1:
                pass
    except OutOfTime:
        pass
sys.settrace(trace)  # as coverage and debuggers do
print(work())
"""


def test_a_block_without_end_ends() -> None:
    with pytest.raises(OutOfTime), TimeBudget(0.05).guard():
        while True:
            pass


def test_nothing_is_raised_after_a_block_that_ended_in_time() -> None:
    with TimeBudget(60).guard():
        pass
    assert sum(range(100_000)) == 4_999_950_000


def test_every_one_of_many_blocks_ends() -> None:
    time_given, done = TimeBudget(0.2), 0
    with pytest.raises(OutOfTime):
        while True:
            with time_given.guard():
                done += sum(range(1000)) > 0
    assert done > 10
    assert time_given.left <= 0


def test_whoever_watches_goes_once_there_is_nothing_to_watch() -> None:
    before = threading.active_count()
    with TimeBudget(60).guard():
        pass
    for _ in range(500):
        if threading.active_count() == before:
            return
        time.sleep(0.01)
    raise AssertionError(f"{threading.active_count()} threads are left, {before} there were")


def test_no_block_begins_when_the_time_is_over() -> None:
    with pytest.raises(OutOfTime), TimeBudget(0).guard():
        raise AssertionError("it began")


def test_a_traced_program_goes_on_after_a_block() -> None:
    done = subprocess.run([sys.executable, "-c", TRACED], capture_output=True, text=True, timeout=60)
    assert done.stdout == "499500\n", done.stderr
