"""Prints the block that ends a run."""

from __future__ import annotations

import time
from collections.abc import Generator

import pytest

from harness.isolation.supervisor import Ending
from harness.pairing import commands
from harness.progress.compaction import compact
from harness.run import words
from harness.run.closing import closing_lines
from harness.run.death import lines_after
from harness.run.gathering import attached
from harness.run.plan import RunPlan
from harness.run.report import RunReport
from harness.terminal.lines import Line
from harness.terminal.pytest_writer import write


class EndOfRun:
    """The plugin that prints the block, in place of pytest's own report."""

    def __init__(self, config: pytest.Config, run: RunPlan, report: RunReport) -> None:
        self._config = config
        self._run = run
        self._report = report

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> Generator[None, tuple[str, str, str], tuple[str, str, str]]:
        """Print nothing about a kata's test, but let a test explorer report from this hook."""
        status = yield
        silent = self._run.compact and attached(report) is not None
        return (_counted_as(report), "", "") if silent else status

    def pytest_terminal_summary(self, exitstatus: int) -> None:
        interrupted = exitstatus == pytest.ExitCode.INTERRUPTED and not self._report.collection_errors
        if self._run.learning and not self._run.lists_only and exitstatus != pytest.ExitCode.USAGE_ERROR:
            write(self._config, [*closing_lines(self._report, interrupted=interrupted), *self._notes()])
            write(self._config, [] if interrupted else self._pair_lines())
            self._compact()

    def write_after_death(self, ending: Ending) -> None:
        """Print the block in the supervising process, whose child was stopped or died."""
        goes_on = not self._run.stops_at_first_failure
        lines = lines_after(self._report, ending, self._captured(), goes_on=goes_on)
        write(self._config, [*lines, *self._notes(), *self._pair_lines()])
        self._compact()

    def _compact(self) -> None:
        """Keep the next runs fast, now that everything has been said."""
        if self._run.records:
            compact(self._report.ledger.stored)

    def _captured(self) -> str:
        """Return what the child has printed since its last report; nobody else prints it afterwards."""
        capture = self._config.pluginmanager.getplugin("capturemanager")
        return "".join(capture.read_global_capture()) if capture else ""

    def _notes(self) -> list[Line]:
        return [Line(), words.LAST_WAS_KILLED] if self._run.last_was_killed else []

    def _pair_lines(self) -> list[Line]:
        """Return what the run means to two people who take turns (harness pair)."""
        if not self._run.records:
            return []
        return commands.after_run(self._run.course, self._report.ledger, time.time())


def _counted_as(report: pytest.TestReport) -> str:
    """Return the category of a report; a pass counts once, not for set-up and tear-down too."""
    return "" if report.passed and report.when != "call" else report.outcome
