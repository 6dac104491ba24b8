"""Gathers the reports of the tests, and ends the run at the first failure."""

from __future__ import annotations

import pickle
from collections.abc import Generator
from typing import Any

import pytest

from harness.course.katas import Course
from harness.explain.findings import FailedTest, read_failure
from harness.isolation.standins import CannotImport, MissingName
from harness.run.report import CaseReport, RunReport

_ATTRIBUTE = "kata_report"  # of pytest's reports


def attach(report: pytest.TestReport, about: CaseReport) -> None:
    """Let a report on a kata's test carry what the controlling process must know."""
    setattr(report, _ATTRIBUTE, about)


def attached(report: object) -> CaseReport | None:
    """Return what `attach` has added; None for a report on any other test."""
    return getattr(report, _ATTRIBUTE, None)


class Gathering:
    """The plugin that adds every report to the run's."""

    def __init__(self, config: pytest.Config, course: Course, report: RunReport, *, stops: bool) -> None:
        self._config = config
        self._course = course
        self._report = report
        self._stops = stops  # at the first failure
        self._stopped = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self) -> bool | None:
        """Return True for a test that is neither run nor reported."""
        return self._stopped or None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        about = attached(report)
        if about is None:
            # pytest-xdist reports a worker that died.
            self._report.add_worker_crash(report, self._config.rootpath)
            return
        self._report.add(report, about)
        self._stopped = self._stopped or (report.failed and self._stops)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.failed:
            return
        kata = self._course.kata_of((self._config.rootpath / report.nodeid).resolve())
        call = getattr(report, "call", None)
        if kata and call and isinstance(call.excinfo.value, CannotImport | MissingName):
            finding = read_failure(FailedTest(self._course, kata, call.excinfo.value))
            self._report.add_import_failure(kata, finding)
        else:
            self._report.collection_errors.append((report.nodeid, report.longreprtext))

    # --- from a worker of pytest-xdist reports travel as plain data ---

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self) -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
        data = yield
        if data is not None and _ATTRIBUTE in data:
            data[_ATTRIBUTE] = pickle.dumps(data[_ATTRIBUTE], protocol=0).decode("latin-1")
        return data

    @pytest.hookimpl(wrapper=True)
    def pytest_report_from_serializable(self) -> Generator[None, Any, Any]:
        report = yield
        data = getattr(report, _ATTRIBUTE, None)
        if isinstance(data, str):
            setattr(report, _ATTRIBUTE, pickle.loads(data.encode("latin-1")))
        return report
