"""Diagnoses: the known slip, or the two, that make a test fail as it does."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import CodeType

from harness.course.kata_tests import read_tests
from harness.course.katas import Kata
from harness.course.slips import Slip, read_slips, read_worded_by_author
from harness.course.stubs import read_contract
from harness.diagnosis.case import Case, Item, case_of
from harness.diagnosis.failed import ObservedFailure, observe_failure
from harness.diagnosis.outcomes import same_place
from harness.diagnosis.reference import Reference
from harness.diagnosis.replay import Replayer
from harness.diagnosis.time_budget import OutOfTime, TimeBudget
from harness.diagnosis.trials import Trials, play, reproducible_replay
from harness.isolation.importer import KataImporter

BUDGET = 0.5  # seconds, in a run that has failed anyway
LATE_BUDGET = 5.0  # seconds, once the failure has been shown


def candidates(slips: Sequence[Slip], order: Sequence[str], test: str, passed: Collection[str]) -> list[Slip]:
    """Return the slips that may explain a failure of `test`: the first test to catch them has not passed.

    Slips that this very test is the first to catch come first.
    """
    if test not in order:
        return []
    reached = order[: order.index(test) + 1]
    possible = [slip for slip in slips if slip.caught_by in reached and slip.caught_by not in passed]
    return sorted(possible, key=lambda slip: slip.caught_by != test)


@dataclass(frozen=True)
class _Question:
    """Which known mistakes fit this failure?"""

    kata: Kata
    case: Case
    failure: ObservedFailure
    passed: frozenset[str]  # tests of the kata that have passed


class Diagnoses:
    """The diagnoses of one run, with the tests that have passed and the time that is left."""

    def __init__(self, importer: KataImporter) -> None:
        self._importer = importer
        self.left = BUDGET
        self._passed: set[tuple[str, str]] = set()
        self._failed: set[tuple[str, str]] = set()
        self._open: _Question | None = None  # the first for which there was not enough time

    def add_report(self, kata: Kata, test: str, when: str, *, passed: bool) -> None:
        """Remember whether a phase of a case of a test passed."""
        if not passed:
            self._failed.add((kata.name, test))
        elif when == "call":
            self._passed.add((kata.name, test))

    def diagnose(self, item: Item, kata: Kata, error: BaseException) -> tuple[str, ...]:
        """Return the diagnosis of the one mistake or the two that fit this failure. Never raises."""
        budget = TimeBudget(self.left)
        try:
            question = self._question(item, kata, error)
        except KeyboardInterrupt:
            raise
        except BaseException:
            return ()  # whatever a learner's object raises when it is looked at
        found = self._answer(question, budget)
        self.left = budget.left
        return found

    def _question(self, item: Item, kata: Kata, error: BaseException) -> _Question:
        passed = frozenset(test for name, test in self._passed - self._failed if name == kata.name)
        case = case_of(item, kata)
        return _Question(kata, case, observe_failure(error, case), passed)

    @property
    def is_unfinished(self) -> bool:
        """True if a diagnosis needs more time."""
        return self._open is not None

    def finish(self) -> tuple[str, ...]:
        """Return the first diagnosis for which there was not enough time, with more time. Never raises."""
        question, self._open = self._open, None
        return self._answer(question, TimeBudget(LATE_BUDGET)) if question else ()

    def _answer(self, question: _Question, budget: TimeBudget) -> tuple[str, ...]:
        try:
            return name_mistakes(
                question.kata, question.case, question.failure, self._importer, question.passed, budget
            )
        except KeyboardInterrupt:
            raise
        except OutOfTime:
            self._open = self._open or question
        except BaseException:
            pass  # whatever a learner's code or a slip raises
        return ()


def name_mistakes(
    kata: Kata,
    case: Case,
    failure: ObservedFailure,
    importer: KataImporter,
    passed: Collection[str],
    budget: TimeBudget,
) -> tuple[str, ...]:
    """Return the diagnosis of the one mistake that fits the failure of a case, or of the only two that do.

    The learner's module must be installed. Raises OutOfTime, CannotReplay, and whatever the kata's
    slips.toml and its versions raise.
    """
    order = [test.name for test in read_tests(kata)]
    slips = candidates(read_slips(kata), order, case.function, passed)
    if not slips:
        return ()
    program = compile(case.tests.read_bytes(), str(case.tests), "exec", dont_inherit=True)
    contract = tuple(read_contract(kata.solution))
    replayer = Replayer(case, contract, program, budget, read_worded_by_author(kata))
    # Checking signatures takes most of the time, and matters only if a signature failed: results of different
    # shapes or dtypes are not equivalent anyway.
    checked = failure.kind == "TypeCheckError"
    compile_source: Callable[[str], CodeType]
    compile_source = importer.compiler(kata) if checked else partial(_compile_unchecked, kata)
    with _signature_checks(on=checked):
        learners = sys.modules[kata.module]
        mine = reproducible_replay(play(replayer, learners), play(replayer, learners))
        if mine is None or mine.failure is None or not same_place(mine.failure, failure):
            return ()
        trials = Trials(replayer, learners, Reference(kata, compile_source, budget), mine)
        return _mistakes(trials, slips)


def _mistakes(trials: Trials, slips: Sequence[Slip]) -> tuple[str, ...]:
    """Return the diagnoses of the only slip, or the only two, that explain what the test sees."""
    matching = [slip for slip in slips if trials.fails_alike(slip)]
    if not matching:
        return _two_mistakes(trials, slips)
    diagnoses = {slip.diagnosis for slip in matching}
    if len(diagnoses) == 1 and not trials.is_ambiguous:
        return _if_the_reference_passes(diagnoses, trials)
    everywhere = {slip.diagnosis for slip in matching if trials.matches_other_cases(slip)}
    if everywhere:
        return _if_the_reference_passes(everywhere, trials) if len(everywhere) == 1 else ()
    return _mistake_beside_another(trials, matching, slips)


def _two_mistakes(trials: Trials, slips: Sequence[Slip]) -> tuple[str, ...]:
    """Return the diagnoses of the only two slips that make the test fail as it does, neither alone.

    They must explain its other cases too: a slip may be visible in this case for a reason that its diagnosis
    does not give, and there its own mistake shows.
    """
    if trials.is_ambiguous:
        return ()
    visible = [slip for slip in slips if trials.is_visible(slip)]
    alike = [pair for pair in itertools.combinations(visible, 2) if trials.fails_alike(*pair)]
    pairs = [pair for pair in alike if trials.matches_other_cases(*pair)]
    diagnoses = {tuple(dict.fromkeys(slip.diagnosis for slip in pair)) for pair in pairs}
    return _if_the_reference_passes(diagnoses.pop(), trials) if len(diagnoses) == 1 else ()


def _mistake_beside_another(
    trials: Trials, matching: Sequence[Slip], slips: Sequence[Slip]
) -> tuple[str, ...]:
    """Return the one diagnosis that fits this case if a second slip explains the other cases, where it shows.

    The second one is returned, too, if there is only one, and if it would not show in this case: the first
    can hide what it does here, and then nothing here confirms it.
    """
    pairs = [
        (slip, other)
        for slip in matching
        for other in slips
        if other is not slip and trials.fails_alike(slip, other) and trials.matches_other_cases(slip, other)
    ]
    firsts = {slip.diagnosis for slip, _ in pairs}
    if len(firsts) != 1:
        return ()
    others = {other for _, other in pairs if other.diagnosis not in firsts}
    seconds = {other.diagnosis for other in others}
    if len(seconds) != 1 or any(map(trials.is_visible, others)):
        seconds = set()
    return _if_the_reference_passes([*firsts, *seconds], trials)


def _if_the_reference_passes(diagnoses: Collection[str], trials: Trials) -> tuple[str, ...]:
    """Return these diagnoses, unless the reference fails as they do."""
    return tuple(diagnoses) if trials.reference_passes() else ()


@contextlib.contextmanager
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
