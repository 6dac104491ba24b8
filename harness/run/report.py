"""What a run amounts to: its reports taken together, and the lines that close it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from signal import Signals
from typing import Any

import pytest

from harness.course.kata_tests import requirement_named
from harness.course.katas import Course, Kata
from harness.explain.findings import Finding
from harness.explain.places import is_learners, place_at
from harness.isolation.supervisor import Ending
from harness.progress.ledger import CaseOutcome, Ledger
from harness.progress.standing import KataProgress, next_kata
from harness.progress.words import lock_reason, not_saved, tests_differ, unreadable_file, unreadable_lines
from harness.run import words
from harness.terminal.lines import Line


@dataclass(frozen=True)
class FailedTest:
    """A failed test and what was found out about it."""

    kata: Kata
    test: str
    case: str  # of a parametrised test, in words
    requirement: str
    finding: Finding


@dataclass
class RunReport:
    """Gathers the reports of a run."""

    course: Course
    ledger: Ledger
    selected: Sequence[str]  # for the line that says that nothing matched
    records: bool = True
    failures: list[FailedTest] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)  # katas of which a test ran
    locked: list[str] = field(default_factory=list)  # katas of which a test was skipped as locked
    skipped: list[str] = field(default_factory=list)  # tests that skipped themselves
    collection_errors: list[tuple[str, str]] = field(default_factory=list)
    _called: set[str] = field(default_factory=set)  # cases whose call has passed
    _process: int = field(default_factory=os.getpid)

    def take(self, report: pytest.TestReport, facts: Mapping[str, Any]) -> None:
        """Note one of the reports of a kata's test: of its set-up, its call, its tear-down."""
        if os.getpid() != self._process:
            return  # a process that the learner's code forked is not the run
        if facts["locked"]:
            _add(self.locked, facts["kata"])
        elif report.failed:
            self._take_failure(report, facts)
        elif report.skipped:
            _add(self.skipped, facts["test"])
            _add(self.ran, facts["kata"])
        elif report.when == "call":
            self._called.add(facts["case"])
            _add(self.ran, facts["kata"])
        elif report.when == "teardown" and facts["case"] in self._called:  # all three passed
            self._record(facts, passed=True)

    def _take_failure(self, report: pytest.TestReport, facts: Mapping[str, Any]) -> None:
        _add(self.ran, facts["kata"])
        self._record(facts, passed=False)
        if facts["finding"]:
            printed = report.capstdout + report.capstderr
            self._fail(facts, replace(facts["finding"], printed=printed))

    def _record(self, facts: Mapping[str, Any], *, passed: bool) -> None:
        if self.records and facts["shipped"]:
            self.ledger.record(CaseOutcome.from_facts(facts, passed=passed))

    def start(self) -> None:
        """From here on the reports are those of this process."""
        self._process = os.getpid()

    def take_foreign(self, report: pytest.TestReport) -> None:
        """Note a failure that no test reported: the process that ran it died."""
        file, _, test = report.nodeid.partition("::")
        kata = self.course.kata_of((self.course.root / file).resolve())
        if not report.failed or kata is None:
            return
        name = test.split("[")[0]
        facts = {
            "kata": kata.name,
            "test": name,
            "case": test,
            "requirement": requirement_named(kata, name),
        }
        _add(self.ran, kata.name)
        self._fail(facts, Finding("crashed", {"how": "its worker process ended"}))

    def take_unusable(self, kata: Kata, finding: Finding) -> None:
        """Note that a test file could not be loaded because of the learner's file."""
        _add(self.ran, kata.name)
        self._fail(self._first_test(kata), finding)

    def lock_reason(self, kata: Kata) -> str | None:
        """Why a kata may not be run yet; None if it may."""
        progress = {each.kata.name: each for each in self.ledger.progress()}
        blocker = progress[kata.name].blocked_by
        return lock_reason(progress[blocker.name]) if blocker else None

    @property
    def everything_was_locked(self) -> bool:
        return bool(self.locked) and not self.ran

    def closing_lines(self, *, interrupted: bool = False) -> list[Line]:
        """The block that ends a run; after Ctrl-C it claims nothing about what did not run."""
        progress = {each.kata.name: each for each in self.ledger.progress()}
        body = [words.INTERRUPTED] if interrupted and not self.failures else self._body(progress)
        return [*body, *self._notices(progress)]

    def lines_after(self, ending: Ending) -> list[Line]:
        """The block that ends a run whose process was stopped or died."""
        self.ledger.reread()
        step = ending.step
        kata = self._kata_of_step(step)
        if kata is None:
            return [Line(), *words.died_outside_a_step(_how(ending), step.get("path", ""))]
        finding = self._ending_finding(ending)
        if step["event"] == "test":
            self._record(step, passed=False)
            self._fail(step, finding)
        else:
            self._fail(self._first_test(kata), finding)
        return [Line(), *self.closing_lines()]

    # --- the body ---

    def _body(self, progress: Mapping[str, KataProgress]) -> list[Line]:
        if self.collection_errors:
            return [
                line for path, error in self.collection_errors for line in words.broken_tests(path, error)
            ]
        if self.failures:
            return [*self._complete_lines(progress), *self._failure_lines(progress)]
        if self.everything_was_locked:
            return self._locked_lines(progress)
        if not self.ran:
            return words.nothing_selected(self.selected)
        return self._passing_lines(progress)

    def _failure_lines(self, progress: Mapping[str, KataProgress]) -> list[Line]:
        order = {name: i for each in progress.values() for i, name in enumerate(each.tests)}
        first, *others = sorted(self.failures, key=lambda f: (f.kata.name, order.get(f.test, len(order))))
        standing = progress[first.kata.name]
        block = words.failure_block(
            first.kata,
            first.test,
            first.requirement,
            first.finding,
            case=first.case,
            passed=len(standing.passed),
            total=len(standing.tests),
            newly_passed=self.ledger.newly_passed.get(first.kata.name, ()),
        )
        further = {other.test: other.finding for other in others if other.test != first.test}
        return [*block, *words.other_failures(list(further.items())), *self._also_locked(progress)]

    def _also_locked(self, progress: Mapping[str, KataProgress]) -> list[Line]:
        return [Line(), *self._locked_lines(progress)[:1]] if self.locked else []

    def _complete_lines(self, progress: Mapping[str, KataProgress]) -> list[Line]:
        failed = {failure.kata.name for failure in self.failures}
        done = [progress[name] for name in self.ran if self._is_green(progress[name]) and name not in failed]
        return [
            line
            for each in done
            for line in words.complete_line(
                each.kata, len(each.tests), self.ledger.newly_passed.get(each.kata.name, ())
            )
        ]

    def _is_green(self, standing: KataProgress) -> bool:
        return standing.complete and not standing.edited_since_pass

    def _passing_lines(self, progress: Mapping[str, KataProgress]) -> list[Line]:
        partial = [progress[name] for name in self.ran if not self._is_green(progress[name])]
        lines = self._complete_lines(progress)
        if partial:
            return lines + [line for each in partial for line in words.passing_line(each, self.skipped)]
        news = any(name not in self.ledger.complete_before for name in self.ran)
        return lines + words.after_completion(next_kata(list(progress.values())), self.ran[-1], unlocked=news)

    def _locked_lines(self, progress: Mapping[str, KataProgress]) -> list[Line]:
        first = progress[self.locked[0]]
        assert first.blocked_by is not None  # it was locked
        return words.locked_line(first, progress[first.blocked_by.name])

    def _notices(self, progress: Mapping[str, KataProgress]) -> list[Line]:
        stored = self.ledger.stored
        path = self.course.relative(stored.path)
        lines = [words.partial_cases(test) for test in self.ledger.partial if not self.failures]
        lines += [
            tests_differ(self.course.relative(progress[name].kata.tests))
            for name in (*self.ran, *self.locked)
            if progress[name].tests_differ
        ]
        if stored.unreadable:
            lines.append(unreadable_lines(path, stored.unreadable))
        if stored.problem:
            lines.append(unreadable_file(path, stored.problem))
        if self.ledger.problem:
            lines.append(not_saved(path, self.ledger.problem))
        return [Line(), *lines] if lines else []

    # --- a process that died ---

    def _kata_of_step(self, step: Mapping[str, Any]) -> Kata | None:
        if not step:
            return None
        path = self.course.root / step["path"] if step["event"] == "import" else None
        by_path = self.course.kata_of(path) if path else None
        return by_path or next((kata for kata in self.course.katas if kata.name == step.get("kata")), None)

    def _ending_finding(self, ending: Ending) -> Finding:
        frames = [(file, line) for file, line in ending.stack if is_learners(self.course, file)]
        place = place_at(self.course, *frames[0]) if frames else None
        if ending.hard_exit:
            return Finding("left", {"status": ending.hard_exit["status"]}, place)
        if ending.status is None:
            during = {"during": ending.step["event"], "file": ending.step.get("path", "")}
            return Finding("slow", {"seconds": ending.step["limit"], "located": bool(place), **during}, place)
        return Finding("crashed", {"how": _how(ending)}, place)

    def _first_test(self, kata: Kata) -> dict[str, str]:
        """An import that killed the process stands for the kata's next test."""
        standing = self.ledger.of(kata)
        test = standing.next_test or standing.tests[0]
        return {
            "kata": kata.name,
            "test": test,
            "case": test,
            "requirement": requirement_named(kata, test),
        }

    def _fail(self, facts: Mapping[str, Any], finding: Finding) -> None:
        kata = next(kata for kata in self.course.katas if kata.name == facts["kata"])
        case = facts.get("case_in_words", facts["case"].partition("[")[2].removesuffix("]"))
        self.failures.append(FailedTest(kata, facts["test"], case, facts["requirement"], finding))


def _how(ending: Ending) -> str:
    """How a process ended, in the terms of the operating system."""
    if ending.status is None:
        return "stopped: it took too long"
    if ending.status < 0:
        return next((each.name for each in Signals if each == -ending.status), f"signal {-ending.status}")
    return f"exit status {ending.status}"


def _add(names: list[str], name: str) -> None:
    if name not in names:
        names.append(name)


def selected_names(course: Course, args: Sequence[str]) -> list[str]:
    """The katas that a command line selects."""
    katas = [course.kata_of(Path(arg.split("::")[0]).resolve()) for arg in args]
    return list(dict.fromkeys(kata.name for kata in katas if kata))
