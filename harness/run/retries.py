"""Lets a test that failed stay failed, even if another plugin repeats it until it passes."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import pytest

from harness.run.gathering import attach, attached


class Retries:
    """The plugin that turns the pass of a repeated test into its first failure.

    pytest-rerunfailures and flaky repeat tests. A function that passes now and then is not right yet.
    """

    def __init__(self) -> None:
        self._failed: dict[str, pytest.TestReport] = {}  # the first failure of each test, by its id

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed and attached(report):
            self._failed.setdefault(report.nodeid, report)
        elif report.passed and report.when == "call" and report.nodeid in self._failed:
            _repeat(self._failed[report.nodeid], report)
        return report


def _repeat(failed: pytest.TestReport, report: pytest.TestReport) -> None:
    """Give a later report the failure of an earlier one."""
    about, earlier = attached(report), attached(failed)
    if about and earlier:
        report.outcome, report.longrepr = "failed", failed.longrepr
        attach(report, replace(about, finding=earlier.finding))
