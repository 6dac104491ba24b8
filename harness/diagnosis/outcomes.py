"""Comparison of what a case observes on two versions of a kata."""

from __future__ import annotations

from harness.diagnosis.failed import ObservedFailure
from harness.diagnosis.replay import Replay
from harness.diagnosis.snapshots import closer_than, distinct_wrong_values, equivalent

_ENOUGH_WRONG_VALUES = 3  # distinct wrong numbers that two mistakes hardly share by coincidence


def is_ambiguous(failure: ObservedFailure) -> bool:
    """True if other mistakes may easily fail the same way: too few distinct numbers were compared."""
    return failure.compared is None or distinct_wrong_values(*failure.compared) < _ENOUGH_WRONG_VALUES


def same_outcome(mine: Replay, theirs: Replay) -> bool:
    """True if two repeats of a case observed equivalent values and both passed or failed alike."""
    if not _same_results(mine, theirs):
        return False
    if mine.failure is None or theirs.failure is None:
        return mine.failure is theirs.failure
    return same_place(mine.failure, theirs.failure) and _same_values(mine.failure, theirs.failure)


def same_place(mine: ObservedFailure, theirs: ObservedFailure) -> bool:
    """True if both failures are of one kind, at the same lines of the test."""
    return mine.kind == theirs.kind and mine.place == theirs.place


def _same_results(mine: Replay, theirs: Replay) -> bool:
    """True if all results are equivalent, and the message of an error that ended the test is, too."""
    if len(mine.results) != len(theirs.results) or not all(map(equivalent, mine.results, theirs.results)):
        return False
    if not mine.failure or not mine.results or mine.results[-1][0] != "error":
        return True
    last = theirs.results[-1]
    return last[0] == "error" and equivalent(mine.results[-1][2], last[2])


def _same_values(mine: ObservedFailure, theirs: ObservedFailure) -> bool:
    """True if the variables are equivalent, and the wrong value is much closer than the expected one."""
    if mine.compared and theirs.compared:
        expected = theirs.compared[1]
        if not closer_than(mine.compared[0], theirs.compared[0], expected):
            return False
    names = mine.values.keys()
    return names == theirs.values.keys() and all(
        equivalent(mine.values[name], theirs.values[name]) for name in names
    )
