"""Trials of known mistakes on the case that failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

from harness.course.slips import Slip
from harness.diagnosis.failed import reproducible_failure
from harness.diagnosis.outcomes import is_ambiguous, same_outcome, same_place
from harness.diagnosis.reference import Reference
from harness.diagnosis.replay import Replay, Replayer, UnexpectedResult
from harness.diagnosis.snapshots import Snapshot, reproducible


@dataclass
class Trials:
    """Compares the learner's version with the reference and with versions of it that contain slips."""

    replayer: Replayer
    learners: ModuleType
    reference: Reference
    mine: Replay  # what the case observed on the learner's version

    @property
    def is_ambiguous(self) -> bool:
        """True if other mistakes may easily make the case fail the same way."""
        return self.mine.failure is None or is_ambiguous(self.mine.failure)

    def fails_alike(self, *slips: Slip) -> bool:
        """True if the case fails with these slips as it does with the learner's version."""
        try:
            theirs = self._play_with(slips, self.mine.results)
        except Exception:
            return False  # whatever defining the slips raises
        return theirs is not None and theirs.failure is not None and same_outcome(self.mine, theirs)

    def is_visible(self, slip: Slip) -> bool:
        """True if the case observes something else with the slip than on the reference."""
        try:
            theirs = self._play_with([slip], self._right.results)
        except Exception:
            return False
        return theirs is None or theirs.failure is not None

    def reference_passes(self) -> bool:
        """True if the reference passes; if it fails the same way, an earlier kata is at fault."""
        theirs = play(self.replayer, self.reference.module, self.mine.results)
        return theirs is None or theirs.failure is None

    def matches_other_cases(self, *slips: Slip) -> bool:
        """True if the other cases of the test see the same with these slips as with the learner's version."""
        try:
            with self.reference.with_slips(*slips) as version, self.replayer.load_tests(version) as tests:
                return all(
                    mine is not None and same_outcome(mine, tests.play(choice, mine.results))
                    for choice, mine in self._other_cases
                )
        except UnexpectedResult:
            return False

    def _play_with(self, slips: Sequence[Slip], expected: Sequence[Snapshot]) -> Replay | None:
        with self.reference.with_slips(*slips) as version:
            return play(self.replayer, version, expected)

    @cached_property
    def _right(self) -> Replay:
        """What the case observes on the reference."""
        right = play(self.replayer, self.reference.module)
        assert right is not None  # nothing was expected
        return right

    @cached_property
    def _other_cases(self) -> list[tuple[tuple[int, ...], Replay | None]]:
        one, other = (self._play_other_cases() for _ in range(2))
        return [(choice, reproducible_replay(replay, other[choice])) for choice, replay in one.items()]

    def _play_other_cases(self) -> dict[tuple[int, ...], Replay]:
        # A repeat needs a test file of its own: a case may use its arguments up.
        with self.replayer.load_tests(self.learners) as tests:
            return {choice: tests.play(choice) for choice in tests.other_cases()}


def reproducible_replay(one: Replay | None, other: Replay | None) -> Replay | None:
    """Return what two repeats of a case on one version have in common; None if they end differently."""
    if one is None or other is None or len(one.results) != len(other.results):
        return None
    results = list(map(reproducible, one.results, other.results))
    if one.failure is None or other.failure is None:
        return Replay(results) if one.failure is other.failure else None
    if not same_place(one.failure, other.failure):
        return None
    return Replay(results, reproducible_failure(one.failure, other.failure))


def play(
    replayer: Replayer, version: ModuleType, expected: Sequence[Snapshot] | None = None
) -> Replay | None:
    """Return what the case observes on a version; None as soon as a result is not the expected one."""
    try:
        with replayer.load_tests(version) as tests:
            return tests.play(expected=expected)
    except UnexpectedResult:
        return None
