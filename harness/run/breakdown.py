"""A breakdown of pytest itself, caused by a learner's code: one block in place of an internal traceback."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator

import pytest

from harness.explain.failures import BrokeDown
from harness.explain.findings import Finding
from harness.isolation.standins import text_of
from harness.run.closing import closing_lines
from harness.run.items import KataItems
from harness.run.report import RunReport
from harness.terminal.pytest_writer import write

_SPARE_FILES = 16  # to end the run with when the learner's code has opened as many as the system allows


class Breakdown:
    """The plugin that turns an internal error during a kata's tests into a failure of the current one."""

    def __init__(self, config: pytest.Config, items: KataItems, report: RunReport, *, compact: bool) -> None:
        self._config = config
        self._items = items
        self._report = report
        self._compact = compact
        self._current: pytest.Item | None = None
        self._happened = False
        self._spare_files = [os.open(os.devnull, os.O_RDONLY) for _ in range(_SPARE_FILES)]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        self._current = item

    @pytest.hookimpl(wrapper=True)
    def pytest_internalerror(
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> Generator[None, object, object]:
        kata = self._items.kata(self._current) if self._current else None
        if self._current is None or kata is None:
            return (yield)
        self._happened = True
        self._free_files()
        finding = Finding(BrokeDown(excinfo.typename, text_of(excinfo.value)))
        case = self._items.case(self._current, kata, "")
        self._report.fail(case, finding)
        with self._silence() if self._compact else contextlib.nullcontext():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        if self._happened:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        result = yield
        self._free_files()
        if self._happened:
            write(self._config, closing_lines(self._report))
        return result

    def _free_files(self) -> None:
        while self._spare_files:
            os.close(self._spare_files.pop())

    @contextlib.contextmanager
    def _silence(self) -> Generator[None]:
        """Let pytest's terminal report print nothing of the traceback."""
        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        reporter.write_line = lambda *_, **__: None
        try:
            yield
        finally:
            del reporter.write_line
