"""A test explorer's plugin, which reports as VS Code's adapter does, to a file in place of a pipe.

Loaded by `-p harness.tests.support.explorer`; the variable TEST_RUN_PIPE names the file. Each line of it
is one message: a test that was found, or one that ran, with its outcome and the text that VS Code shows.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

_reported: set[str] = set()  # tests are reported once


def pytest_report_teststatus(report: pytest.TestReport) -> None:
    if report.when == "call" or (report.when == "setup" and report.skipped):
        outcome = {"passed": "success", "failed": "failure"}.get(report.outcome, "skipped")
        _report(report.nodeid, outcome, report.longreprtext if report.failed else "")


def pytest_exception_interact(
    node: pytest.Item | pytest.Collector, report: pytest.TestReport | pytest.CollectReport
) -> None:
    _report(node.nodeid, "error", report.longreprtext)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    for item in session.items if session.config.option.collectonly else ():
        _send(found=item.nodeid)
    _send(ended=int(exitstatus))


def _report(test: str, outcome: str, message: str) -> None:
    if test not in _reported:
        _reported.add(test)
        _send(test=test, outcome=outcome, message=message)


def _send(**facts: Any) -> None:
    with open(os.environ["TEST_RUN_PIPE"], "a", encoding="utf-8") as pipe:
        pipe.write(json.dumps(facts) + "\n")
