"""What a test explorer shows of a run: each failure in the words of the block, and a death as a failure."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

import pytest
from _pytest._code.code import TerminalRepr
from _pytest._io import TerminalWriter

from harness.course.katas import Kata
from harness.explain.findings import Finding
from harness.run.death import failed_in
from harness.run.gathering import attach, attached
from harness.run.items import KataItems
from harness.run.plan import RunPlan
from harness.run.report import CaseReport, RunReport
from harness.run.words import THE_REST_DID_NOT_RUN, listed_without, what_failed
from harness.terminal.lines import Line
from harness.terminal.pytest_writer import write


class FailureInWords(TerminalRepr):
    """What a report of pytest shows of a failure, in the words of a finding."""

    def __init__(self, lines: Sequence[Line], traceback: object = None) -> None:
        self._lines = [line.text for line in lines]
        self._traceback = traceback  # shown below, if it was asked for

    def toterminal(self, tw: TerminalWriter) -> None:
        """Write the words: pytest makes the text of a report of this."""
        further = ["", *str(self._traceback).splitlines()] if self._traceback else []
        for line in [*self._lines, *further]:
            tw.line(line)


class Explorer:
    """The plugin that puts a finding where VS Code and PyCharm look: into the report of its test."""

    def __init__(self, run: RunPlan) -> None:
        self._run = run

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        about = attached(report)
        if about and about.finding and report.failed:
            traceback = None if self._run.compact else report.longrepr
            report.longrepr = FailureInWords(what_failed(about.case, about.finding), traceback)
        return report


class Aftermath:
    """The plugin of a process whose child died: it runs no test, and reports those that could not end."""

    def __init__(self, config: pytest.Config, run: RunPlan, items: KataItems, report: RunReport) -> None:
        assert run.death is not None
        self._config = config
        self._run = run
        self._items = items
        self._step = run.death.step
        self._failed = failed_in(run.course, run.death)
        report.ledger.reread()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool:
        kata = self._items.kata(item)
        if kata and self._failed and kata == self._failed[0] and self._was_running(item):
            self._report(item, kata, self._failed[1])
        return True

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self) -> None:
        path = self._step.path if self._step else ""
        note = listed_without(path) if self._run.lists_only else THE_REST_DID_NOT_RUN
        write(self._config, [Line(), note])

    def _was_running(self, item: pytest.Item) -> bool:
        """True for the test that ran; if a file was being imported, for every test of its kata."""
        case = self._step.case if self._step else None
        return case is None or case.case == item.nodeid

    def _report(self, item: pytest.Item, kata: Kata, finding: Finding) -> None:
        running = self._step.case if self._step else None
        case = running or replace(
            self._items.case(item, kata, ""), shipped=False
        )  # it did not run: no receipt
        words = FailureInWords(what_failed(case, finding))
        report = pytest.TestReport(item.nodeid, item.location, {}, "failed", words, "call")
        attach(report, CaseReport(case, finding=finding))
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
