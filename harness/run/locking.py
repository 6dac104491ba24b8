"""Skips the tests of locked katas."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from harness.run.items import KataItems
from harness.run.plan import ALL_LOCKED
from harness.run.report import RunReport
from harness.run.words import LOCKED


class Locking:
    """The plugin that skips the tests of locked katas."""

    def __init__(self, items: KataItems, report: RunReport, *, enforces: bool) -> None:
        self._items = items
        self._report = report
        self._enforces = enforces

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        kata = self._items.kata(item)
        reason = self._report.lock_reason(kata) if kata and self._enforces else None
        if reason:
            pytest.skip(f"{LOCKED}{reason}")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        if session.exitstatus == pytest.ExitCode.OK and self._report.everything_was_locked:
            session.exitstatus = ALL_LOCKED
        return (yield)


def is_locked(report: pytest.TestReport) -> bool:
    """True if a test was skipped because its kata is locked."""
    return report.skipped and f"Skipped: {LOCKED}" in str(report.longrepr)
