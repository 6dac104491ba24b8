"""Names the learner's mistake: the one slip of the kata with which the failing test sees the same."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import CodeType, ModuleType

from harness.course.kata_tests import read_tests
from harness.course.katas import Kata
from harness.course.slips import Slip, read_slips
from harness.course.stubs import read_contract
from harness.diagnosis.case import Case, Item, case_of
from harness.diagnosis.failed import Failed, observe_failure
from harness.diagnosis.reference import Reference
from harness.diagnosis.replay import Differs, Replay, Replayer
from harness.diagnosis.snapshots import Snapshot, closer_than, distinct_wrong_values, equivalent
from harness.diagnosis.time_budget import TimeBudget
from harness.isolation.importer import KataImporter

BUDGET = 0.5  # seconds, of a run that has failed anyway
_TELLING = 3  # different numbers in a failing comparison that are no accident
NAMEABLE = ("compared", "raised", "type")  # kinds of findings that a slip may explain


def candidates(slips: Sequence[Slip], order: Sequence[str], test: str, passed: Collection[str]) -> list[Slip]:
    """The slips that may be behind a failure of `test`: their first failing test has not passed.

    Those that this very test is the first to catch come first.
    """
    if test not in order:
        return []
    upto = order[: order.index(test) + 1]
    possible = [slip for slip in slips if slip.caught_by in upto and slip.caught_by not in passed]
    return sorted(possible, key=lambda slip: slip.caught_by != test)


class Diagnoses:
    """Those of one run: it remembers which tests have passed, and how much of its time is left."""

    def __init__(self, importer: KataImporter) -> None:
        self._importer = importer
        self.left = BUDGET
        self._passed: set[tuple[str, str]] = set()
        self._failed: set[tuple[str, str]] = set()

    def note(self, kata: Kata, test: str, when: str, *, passed: bool) -> None:
        """One of the reports of a case of a test."""
        if not passed:
            self._failed.add((kata.name, test))
        elif when == "call":
            self._passed.add((kata.name, test))

    def of(self, item: Item, kata: Kata, error: BaseException) -> str:
        """The diagnosis of the one mistake that fits this failure of a test, or nothing. Raises nothing."""
        time = TimeBudget(self.left)
        try:
            passed = {test for name, test in self._passed - self._failed if name == kata.name}
            case = case_of(item, kata)
            return name_mistake(kata, case, observe_failure(error, case), self._importer, passed, time)
        except KeyboardInterrupt:
            raise
        except BaseException:
            return ""  # out of time, or whatever a learner's code or a slip does: then nothing is said
        finally:
            self.left = time.left


def name_mistake(
    kata: Kata,
    case: Case,
    failed: Failed,
    importer: KataImporter,
    passed: Collection[str],
    time: TimeBudget,
) -> str:
    """The diagnosis of the one mistake that fits the failure of a case, the learner's module being in place.

    Raises OutOfTime, CannotReplay, and what the kata's slips.toml and its versions raise.
    """
    order = [test.name for test in read_tests(kata)]
    slips = candidates(read_slips(kata), order, case.function, passed)
    if not slips:
        return ""
    program = compile(case.tests.read_bytes(), str(case.tests), "exec", dont_inherit=True)
    rerun = Replayer(case, tuple(read_contract(kata.solution)), program, time)
    # Checking signatures is most of the work, and shows only in failures of signatures: a result of another
    # shape or dtype is not alike anyway.
    checks = failed.kind == "TypeCheckError"
    compiled = importer.compiler(kata) if checks else partial(_unchecked, kata)
    with _signatures(checked=checks):
        mine = _played(rerun, sys.modules[kata.module])
        if mine is None or mine.failed is None or not _at_the_same_place(mine.failed, failed):
            return ""
        return _named(rerun, kata, Reference(kata, compiled, time), slips, mine)


def _named(rerun: Replayer, kata: Kata, reference: Reference, slips: Sequence[Slip], mine: Replay) -> str:
    """The diagnosis that the slips share with which the case fails as `mine` does."""
    assert mine.failed is not None  # the caller has seen to it
    matching = [slip for slip in slips if _sees_the_same(rerun, reference, slip, mine)]
    if len({slip.diagnosis for slip in matching}) > 1 or says_little(mine.failed):
        matching = _agreeing_elsewhere(rerun, kata, reference, matching)
    named = {slip.diagnosis for slip in matching}
    return named.pop() if len(named) == 1 and _does_better(rerun, reference, mine) else ""


@contextmanager
def _signatures(*, checked: bool) -> Iterator[None]:
    """Whether calls check their arguments inside the block, of the katas before too."""
    from jaxtyping import config

    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", before or not checked)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", before)


def _unchecked(kata: Kata, source: str) -> CodeType:
    return compile(source, str(kata.solution), "exec", dont_inherit=True)


def _played(
    rerun: Replayer, version: ModuleType, expected: Sequence[Snapshot] | None = None
) -> Replay | None:
    """What the case sees on a version; None once that is not the expected."""
    try:
        with rerun.on(version) as stage:
            return stage.play(expected=expected)
    except Differs:
        return None


def _sees_the_same(rerun: Replayer, reference: Reference, slip: Slip, mine: Replay) -> bool:
    try:
        with reference.slipped(slip) as version:
            theirs = _played(rerun, version, mine.results)
    except Exception:
        return False
    return theirs is not None and theirs.failed is not None and same(mine, theirs)


def _does_better(rerun: Replayer, reference: Reference, mine: Replay) -> bool:
    """Whether the reference does not fail so; where it does, an earlier kata is to blame."""
    theirs = _played(rerun, reference.module, mine.results)
    return theirs is None or theirs.failed is None


def says_little(failed: Failed) -> bool:
    """Whether other mistakes may easily fail so: no comparison of numbers that only one would give."""
    return failed.compared is None or distinct_wrong_values(*failed.compared) < _TELLING


def _agreeing_elsewhere(rerun: Replayer, kata: Kata, reference: Reference, slips: list[Slip]) -> list[Slip]:
    """The slips with which all other cases of the test see what they see of the learner's version, too."""
    if not slips:
        return []
    with rerun.on(sys.modules[kata.module]) as stage:
        mine = [(choice, stage.play(choice)) for choice in stage.other_cases()]
    return [slip for slip in slips if _agrees(rerun, reference, slip, mine)]


def _agrees(
    rerun: Replayer, reference: Reference, slip: Slip, mine: Sequence[tuple[tuple[int, ...], Replay]]
) -> bool:
    try:
        with reference.slipped(slip) as version, rerun.on(version) as stage:
            return all(same(one, stage.play(choice, one.results)) for choice, one in mine)
    except Differs:
        return False


def same(one: Replay, other: Replay) -> bool:
    """Whether two runs of a case saw alike and failed alike."""
    if len(one.results) != len(other.results) or not all(map(equivalent, one.results, other.results)):
        return False
    if one.failed is None or other.failed is None:
        return one.failed is other.failed
    if not _at_the_same_place(one.failed, other.failed):
        return False
    if (
        one.results
        and one.results[-1][0] == "error"
        and not equivalent(one.results[-1][2], other.results[-1][2])
    ):
        return False
    mine, theirs = one.failed.compared, other.failed.compared
    if mine and theirs and not closer_than(mine[0], theirs[0], theirs[1]):
        return False
    left, right = one.failed.values, other.failed.values
    return left.keys() == right.keys() and all(equivalent(value, right[name]) for name, value in left.items())


def _at_the_same_place(one: Failed, other: Failed) -> bool:
    return one.kind == other.kind and one.place == other.place
