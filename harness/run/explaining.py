"""Explains each failed test, while its objects are still there."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import replace

import pytest

from harness.course.katas import Kata
from harness.diagnosis.diagnose import Diagnoses
from harness.explain import shape_steps
from harness.explain.failures import WrongType
from harness.explain.findings import AssertedComparison, FailedTest, Finding, read_failure
from harness.isolation.importer import KataImporter
from harness.run.gathering import attach
from harness.run.items import KataItems, test_name
from harness.run.locking import is_locked
from harness.run.plan import RunPlan
from harness.run.report import CaseReport
from harness.shapes import Step

_ROOM = 3.0  # seconds of a test's time limit that must be left for a diagnosis


class Explaining:
    """The plugin that attaches its finding to the report of each failed test of a kata."""

    def __init__(self, run: RunPlan, items: KataItems, importer: KataImporter, diagnoses: Diagnoses) -> None:
        self._run = run
        self._items = items
        self._importer = importer
        self._diagnoses = diagnoses
        self._comparison: AssertedComparison | None = None
        self._began = 0.0  # the current test, in processor seconds of this process

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        if self._items.kata(item):
            self._importer.notes.clear()
            self._began = time.process_time()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        self._comparison = None

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> None:
        self._comparison = AssertedComparison(op, left, right)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        kata = self._items.kata(item)
        if kata:
            self._diagnoses.add_report(kata, test_name(item), call.when, passed=report.passed)
            explains = report.failed and self._run.learning  # for a solution pytest's own report is enough
            finding = self._finding(item, kata, call) if explains else None
            case = self._items.case(item, kata, self._importer.stub_digests.get(kata.name, ""))
            changes = tuple(self._importer.changes)
            attach(report, CaseReport(case, is_locked(report), finding, changes))
        return report

    def _finding(self, item: pytest.Item, kata: Kata, call: pytest.CallInfo[None]) -> Finding | None:
        if call.excinfo is None:
            return None
        took = time.process_time() - self._began
        finding = read_failure(self._failed_test(item, kata, call.excinfo.value))
        if finding.failure.nameable and (diagnoses := self._diagnoses_of(item, kata, call)):
            finding = replace(finding, diagnoses=diagnoses)
        return replace(finding, steps=tuple(self._steps(item, kata, call, finding, took)))

    def _failed_test(self, item: pytest.Item, kata: Kata, error: BaseException) -> FailedTest:
        comparison, self._comparison = self._comparison, None
        notes = self._importer.notes
        return FailedTest(
            self._run.course,
            kata,
            error,
            getattr(getattr(item, "function", None), "__code__", None),
            comparison,
            notes.changed,
            notes.called,
            list(notes.calls),
        )

    def _diagnoses_of(self, item: pytest.Item, kata: Kata, call: pytest.CallInfo[None]) -> tuple[str, ...]:
        """Name the mistake or the two, if the test itself failed and its time limit leaves room for that."""
        limit = self._items.limit(item)
        hurried = limit and call.duration + _ROOM > limit
        if call.when != "call" or call.excinfo is None or hurried:
            return ()
        return self._diagnoses.diagnose(item, kata, call.excinfo.value)

    def _steps(
        self, item: pytest.Item, kata: Kata, call: pytest.CallInfo[None], finding: Finding, took: float
    ) -> list[Step]:
        """Return the shapes that led to a failure, where they help or were asked for.

        `took`: the processor seconds that the test has used. On a busy machine more time goes by.
        """
        failure = finding.failure
        helps = not finding.diagnoses and failure.has_shapes_to_explain()
        quick = call.when == "call" and shape_steps.is_quick(took, call.duration, self._items.limit(item))
        if not (quick and (helps or self._run.shows_shapes)) or call.excinfo is None:
            return []
        files = {str(kata.stub), str(kata.solution)}
        returned = failure.function if isinstance(failure, WrongType) and not failure.argument else ""
        return shape_steps.steps_to(call.excinfo.value, item.runtest, files, returned)
