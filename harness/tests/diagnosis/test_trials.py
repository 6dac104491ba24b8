"""Tests of what two repeats of a case have in common."""

from __future__ import annotations

from harness.diagnosis.failed import ObservedFailure
from harness.diagnosis.replay import Replay
from harness.diagnosis.snapshots import equivalent, snapshot
from harness.diagnosis.trials import reproducible_replay

PLACE = (("test_it", 3),)


def replay(seconds: float, *, place: tuple[tuple[str, int], ...] = PLACE, fails: bool = True) -> Replay:
    failure = ObservedFailure("AssertionError", place, {"seconds": snapshot(seconds), "steps": snapshot(12)})
    return Replay([snapshot(seconds), snapshot(12)], failure if fails else None)


def test_measured_times_are_left_out_of_results_and_variables() -> None:
    common = reproducible_replay(replay(0.1), replay(0.2))
    assert common is not None
    assert common.failure is not None
    for values in (common.results, list(common.failure.values.values())):
        assert equivalent(values[0], snapshot(70.0))
        assert not equivalent(values[1], snapshot(13))


def test_two_repeats_that_pass_have_their_results_in_common() -> None:
    common = reproducible_replay(replay(0.1, fails=False), replay(0.2, fails=False))
    assert common is not None
    assert common.failure is None
    assert not equivalent(common.results[1], snapshot(13))


def test_repeats_that_end_differently_have_nothing_in_common() -> None:
    assert reproducible_replay(replay(0.1), replay(0.1, fails=False)) is None
    assert reproducible_replay(replay(0.1), replay(0.1, place=(("test_it", 4),))) is None
    assert reproducible_replay(replay(0.1), Replay([], replay(0.1).failure)) is None
    assert reproducible_replay(replay(0.1), None) is None
