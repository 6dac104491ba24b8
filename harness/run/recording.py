"""Tells the supervisor which test is running."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from harness.isolation.importer import KataImporter
from harness.isolation.recorder import Recorder
from harness.run.items import KataItems


class Recording:
    """The plugin that records the steps of a process that runs tests."""

    def __init__(self, items: KataItems, recorder: Recorder, importer: KataImporter) -> None:
        self._items = items
        self._recorder = recorder
        self._importer = importer

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        self._recorder.watch_crashes()  # after pytest's own faulthandler plugin

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        kata = self._items.kata(item)
        if kata:
            case = self._items.case(item, kata, self._importer.stub_digests.get(kata.name, ""))
            self._recorder.begin_test(case, self._items.limit(item))

    def pytest_runtest_logfinish(self) -> None:
        self._recorder.end_test()

    def pytest_enter_pdb(self) -> None:
        """Lift the time limits while a debugger is at work."""
        self._recorder.pause()


class Finish:
    """The plugin that records that pytest came to its end, and with which status."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._exit_status: int = pytest.ExitCode.INTERNAL_ERROR

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        try:
            return (yield)
        finally:
            self._exit_status = session.exitstatus

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        self._recorder.record("finished", status=int(self._exit_status))
