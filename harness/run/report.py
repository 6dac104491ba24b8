"""Gathers the reports of a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from harness.course.kata_tests import requirement_named
from harness.course.katas import Course, Kata
from harness.course.test_case import TestCase
from harness.explain.failures import Crashed
from harness.explain.findings import Finding
from harness.isolation.process_state import ProcessChange
from harness.progress.ledger import Ledger
from harness.progress.words import lock_reason
from harness.run.words import WORKER_ENDED


@dataclass(frozen=True)
class CaseReport:
    """What the controlling process must know about a report on a kata's test."""

    case: TestCase
    locked: bool = False
    finding: Finding | None = None
    changes: tuple[ProcessChange, ...] = ()  # of the whole process so far


@dataclass(frozen=True)
class FailedCase:
    """A failed test and what was found out about it."""

    kata: Kata
    case: TestCase
    finding: Finding


@dataclass
class RunReport:
    """The results of a run, and the ledger that they are recorded in."""

    course: Course
    ledger: Ledger
    selected: Sequence[str]  # katas, for the line that says that nothing matched
    records: bool = True
    failures: list[FailedCase] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)  # katas of which a test ran
    locked: list[str] = field(default_factory=list)  # katas of which a test was skipped as locked
    skipped: list[str] = field(default_factory=list)  # tests that skipped themselves
    collection_errors: list[tuple[str, str]] = field(default_factory=list)
    changes: list[ProcessChange] = field(default_factory=list)  # of the whole process, by a learner's file
    _called: set[str] = field(default_factory=set)  # cases whose call has passed
    _process: int = field(default_factory=os.getpid)

    def start(self) -> None:
        """From now on the reports are those of this process."""
        self._process = os.getpid()

    def add(self, report: pytest.TestReport, about: CaseReport) -> None:
        """Add one of the reports on a kata's test: on its set-up, its call, its tear-down."""
        if os.getpid() != self._process:
            return  # the learner's code has forked a process, which is not the run
        case = about.case
        self.changes += [each for each in about.changes if each not in self.changes]
        if about.locked:
            _add(self.locked, case.kata)
            return
        if report.failed or report.skipped or report.when == "call":  # a locked test has a tear-down too
            _add(self.ran, case.kata)
        if report.failed:
            self._add_failure(report, about)
        elif report.skipped:
            _add(self.skipped, case.test)
        elif report.passed and report.when == "call":  # one that is to be repeated is neither (--reruns)
            self._called.add(case.case)
        elif report.when == "teardown" and case.case in self._called:  # all three passed
            self.record(case, passed=True)

    def _add_failure(self, report: pytest.TestReport, about: CaseReport) -> None:
        self.record(about.case, passed=False)
        if about.finding:
            printed = report.capstdout + report.capstderr
            self.fail(about.case, replace(about.finding, printed=printed))

    def record(self, case: TestCase, *, passed: bool) -> None:
        """Record a result in the ledger, if this run records."""
        if self.records and case.shipped:
            self.ledger.record(case, passed=passed)

    def add_worker_crash(self, report: pytest.TestReport, rootdir: Path) -> None:
        """Add a failure that no test reported: the process that ran it died."""
        file, _, test = report.nodeid.partition("::")
        kata = self.course.kata_of((rootdir / file).resolve())
        if not report.failed or kata is None:
            return
        name, _, arguments = test.removesuffix("]").partition("[")
        _add(self.ran, kata.name)
        case = TestCase(kata.name, name, test, arguments, requirement=requirement_named(kata, name))
        self.fail(case, Finding(Crashed(WORKER_ENDED)))

    def add_import_failure(self, kata: Kata, finding: Finding) -> None:
        """Add that a test file could not be loaded because of the learner's file."""
        _add(self.ran, kata.name)
        self.fail(self.next_case(kata), finding)

    def fail(self, case: TestCase, finding: Finding) -> None:
        """Add a failure to those that the run ends with."""
        kata = next(kata for kata in self.course.katas if kata.name == case.kata)
        self.failures.append(FailedCase(kata, case, finding))

    def next_case(self, kata: Kata) -> TestCase:
        """The kata's next test, which stands for an import that failed."""
        standing = self.ledger.of(kata)
        test = standing.next_test or standing.tests[0]
        return TestCase(kata.name, test, test, requirement=requirement_named(kata, test))

    def lock_reason(self, kata: Kata) -> str | None:
        """Return why a kata may not be run yet; None if it may."""
        progress = {each.kata.name: each for each in self.ledger.progress()}
        blocker = progress[kata.name].blocked_by
        return lock_reason(progress[blocker.name]) if blocker else None

    @property
    def everything_was_locked(self) -> bool:
        return bool(self.locked) and not self.ran


def selected_names(course: Course, args: Sequence[str]) -> list[str]:
    """Return the katas that a command line selects."""
    katas = [course.kata_of(Path(arg.split("::")[0]).resolve()) for arg in args]
    return list(dict.fromkeys(kata.name for kata in katas if kata))


def _add(names: list[str], name: str) -> None:
    if name not in names:
        names.append(name)
