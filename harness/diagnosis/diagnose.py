"""Diagnoses: the one known slip that makes a test fail as it does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import CodeType, ModuleType

from harness.course.kata_tests import read_tests
from harness.course.katas import Kata
from harness.course.slips import Slip, read_slips
from harness.course.stubs import read_contract
from harness.diagnosis.case import Case, Item, case_of
from harness.diagnosis.failed import ObservedFailure, observe_failure
from harness.diagnosis.reference import Reference
from harness.diagnosis.replay import Replay, Replayer, UnexpectedResult
from harness.diagnosis.snapshots import Snapshot, closer_than, distinct_wrong_values, equivalent
from harness.diagnosis.time_budget import TimeBudget
from harness.isolation.importer import KataImporter

BUDGET = 0.5  # seconds, in a run that has failed anyway
_ENOUGH_WRONG_VALUES = 3  # distinct wrong numbers that two mistakes hardly share by coincidence


def candidates(slips: Sequence[Slip], order: Sequence[str], test: str, passed: Collection[str]) -> list[Slip]:
    """Return the slips that may explain a failure of `test`: the first test to catch them has not passed.

    Slips that this very test is the first to catch come first.
    """
    if test not in order:
        return []
    reached = order[: order.index(test) + 1]
    possible = [slip for slip in slips if slip.caught_by in reached and slip.caught_by not in passed]
    return sorted(possible, key=lambda slip: slip.caught_by != test)


class Diagnoses:
    """The diagnoses of one run, with the tests that have passed and the time that is left."""

    def __init__(self, importer: KataImporter) -> None:
        self._importer = importer
        self.left = BUDGET
        self._passed: set[tuple[str, str]] = set()
        self._failed: set[tuple[str, str]] = set()

    def add_report(self, kata: Kata, test: str, when: str, *, passed: bool) -> None:
        """Remember whether a phase of a case of a test passed."""
        if not passed:
            self._failed.add((kata.name, test))
        elif when == "call":
            self._passed.add((kata.name, test))

    def diagnose(self, item: Item, kata: Kata, error: BaseException) -> str:
        """Return the diagnosis of the one mistake that fits this failure, or "". Never raises."""
        budget = TimeBudget(self.left)
        try:
            passed = {test for name, test in self._passed - self._failed if name == kata.name}
            case = case_of(item, kata)
            return name_mistake(kata, case, observe_failure(error, case), self._importer, passed, budget)
        except KeyboardInterrupt:
            raise
        except BaseException:
            return ""  # out of time, or whatever a learner's code or a slip raises
        finally:
            self.left = budget.left


def name_mistake(
    kata: Kata,
    case: Case,
    failure: ObservedFailure,
    importer: KataImporter,
    passed: Collection[str],
    budget: TimeBudget,
) -> str:
    """Return the diagnosis of the one mistake that fits the failure of a case, or "".

    The learner's module must be installed. Raises OutOfTime, CannotReplay, and whatever the kata's
    slips.toml and its versions raise.
    """
    order = [test.name for test in read_tests(kata)]
    slips = candidates(read_slips(kata), order, case.function, passed)
    if not slips:
        return ""
    program = compile(case.tests.read_bytes(), str(case.tests), "exec", dont_inherit=True)
    replayer = Replayer(case, tuple(read_contract(kata.solution)), program, budget)
    # Checking signatures takes most of the time, and matters only if a signature failed: results of different
    # shapes or dtypes are not equivalent anyway.
    checked = failure.kind == "TypeCheckError"
    compile_source: Callable[[str], CodeType]
    compile_source = importer.compiler(kata) if checked else partial(_compile_unchecked, kata)
    with _signature_checks(on=checked):
        mine = _play(replayer, sys.modules[kata.module])
        if mine is None or mine.failure is None or not _same_place(mine.failure, failure):
            return ""
        return _shared_diagnosis(replayer, kata, Reference(kata, compile_source, budget), slips, mine)


def _shared_diagnosis(
    replayer: Replayer, kata: Kata, reference: Reference, slips: Sequence[Slip], mine: Replay
) -> str:
    """Return the one diagnosis of all slips that make the case fail as `mine` does, or ""."""
    assert mine.failure is not None  # the caller has checked
    matching = [slip for slip in slips if _fails_alike(replayer, reference, slip, mine)]
    if len({slip.diagnosis for slip in matching}) > 1 or is_ambiguous(mine.failure):
        matching = _matching_in_other_cases(replayer, kata, reference, matching)
    diagnoses = {slip.diagnosis for slip in matching}
    return diagnoses.pop() if len(diagnoses) == 1 and _reference_passes(replayer, reference, mine) else ""


@contextmanager
def _signature_checks(*, on: bool) -> Iterator[None]:
    """Turn the checks of arguments on or off for the block, in earlier katas too."""
    from jaxtyping import config

    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", before or not on)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", before)


def _compile_unchecked(kata: Kata, source: str) -> CodeType:
    return compile(source, str(kata.solution), "exec", dont_inherit=True)


def _play(
    replayer: Replayer, version: ModuleType, expected: Sequence[Snapshot] | None = None
) -> Replay | None:
    """Return what the case observes on a version; None as soon as a result is not the expected one."""
    try:
        with replayer.load_tests(version) as tests:
            return tests.play(expected=expected)
    except UnexpectedResult:
        return None


def _fails_alike(replayer: Replayer, reference: Reference, slip: Slip, mine: Replay) -> bool:
    """True if the case fails with the slip as it does with the learner's version."""
    try:
        with reference.with_slip(slip) as version:
            theirs = _play(replayer, version, mine.results)
    except Exception:
        return False
    return theirs is not None and theirs.failure is not None and same_outcome(mine, theirs)


def _reference_passes(replayer: Replayer, reference: Reference, mine: Replay) -> bool:
    """True if the reference passes; if it fails the same way, an earlier kata is at fault."""
    theirs = _play(replayer, reference.module, mine.results)
    return theirs is None or theirs.failure is None


def is_ambiguous(failure: ObservedFailure) -> bool:
    """True if other mistakes may easily fail the same way: too few distinct numbers were compared."""
    return failure.compared is None or distinct_wrong_values(*failure.compared) < _ENOUGH_WRONG_VALUES


def _matching_in_other_cases(
    replayer: Replayer, kata: Kata, reference: Reference, slips: list[Slip]
) -> list[Slip]:
    """Return the slips that match the learner's version in all other cases of the test, too."""
    if not slips:
        return []
    with replayer.load_tests(sys.modules[kata.module]) as tests:
        mine = [(choice, tests.play(choice)) for choice in tests.other_cases()]
    return [slip for slip in slips if _matches_cases(replayer, reference, slip, mine)]


def _matches_cases(
    replayer: Replayer, reference: Reference, slip: Slip, mine: Sequence[tuple[tuple[int, ...], Replay]]
) -> bool:
    """True if each of these cases has the same outcome with the slip."""
    try:
        with reference.with_slip(slip) as version, replayer.load_tests(version) as tests:
            return all(same_outcome(one, tests.play(choice, one.results)) for choice, one in mine)
    except UnexpectedResult:
        return False


def same_outcome(mine: Replay, theirs: Replay) -> bool:
    """True if two repeats of a case observed equivalent values and both passed or failed alike."""
    if not _same_results(mine, theirs):
        return False
    if mine.failure is None or theirs.failure is None:
        return mine.failure is theirs.failure
    return _same_place(mine.failure, theirs.failure) and _same_values(mine.failure, theirs.failure)


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


def _same_place(mine: ObservedFailure, theirs: ObservedFailure) -> bool:
    return mine.kind == theirs.kind and mine.place == theirs.place
