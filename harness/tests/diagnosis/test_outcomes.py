"""Tests of when two versions of a kata behave alike."""

from __future__ import annotations

import pytest
import torch

from harness.diagnosis.failed import ObservedFailure
from harness.diagnosis.outcomes import is_ambiguous, same_outcome
from harness.diagnosis.replay import Replay
from harness.diagnosis.snapshots import Snapshot, snapshot

RIGHT, WRONG = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([2.5, 3.5, 4.5, 5.5])


def failure(actual: torch.Tensor, *, kind: str = "AssertionError", line: int = 3) -> ObservedFailure:
    compared = (snapshot(actual), snapshot(RIGHT))
    return ObservedFailure(kind, (("test_it", line),), {"actual": compared[0]}, compared)


def error(cause: str) -> Snapshot:
    return ("error", "ValueError", snapshot(cause))


def test_versions_that_return_the_same_and_fail_at_the_same_place_are_alike() -> None:
    mine, theirs = (Replay([snapshot(WRONG)], failure(WRONG.clone())) for _ in range(2))
    assert same_outcome(mine, theirs)


@pytest.mark.parametrize(
    "theirs",
    [
        Replay([snapshot(RIGHT)], failure(WRONG)),
        Replay([], failure(WRONG)),
        Replay([snapshot(WRONG)], failure(WRONG, kind="KeyError")),
        Replay([snapshot(WRONG)], failure(WRONG, line=4)),
        Replay([snapshot(WRONG)], failure(WRONG + 1)),
        Replay([snapshot(WRONG)]),
    ],
    ids=["another result", "fewer results", "another error", "another line", "another value", "it passes"],
)
def test_versions_are_not_alike_with(theirs: Replay) -> None:
    assert not same_outcome(Replay([snapshot(WRONG)], failure(WRONG)), theirs)


def test_an_error_that_ends_the_test_must_have_the_same_cause() -> None:
    mine = Replay([error("no numpy")], failure(WRONG))
    assert same_outcome(mine, Replay([error("no numpy")], failure(WRONG)))
    assert not same_outcome(mine, Replay([error("no model")], failure(WRONG)))


def test_an_error_that_the_test_expects_may_have_another_cause() -> None:
    mine = Replay([error("no numpy"), snapshot(WRONG)], failure(WRONG))
    assert same_outcome(mine, Replay([error("no model"), snapshot(WRONG)], failure(WRONG)))


def test_few_distinct_wrong_numbers_are_ambiguous() -> None:
    assert not is_ambiguous(failure(WRONG))
    assert is_ambiguous(failure(torch.full((4,), 7.5)))
    assert is_ambiguous(ObservedFailure("AssertionError", (), {}))
