"""Explains breakpoint() where nobody can type: in harness watch, in a test explorer."""

from __future__ import annotations

import os
import pdb
import sys
from typing import NoReturn

import pytest

from harness.run.items import KataItems
from harness.run.words import no_terminal


class NoDebugger(Exception):
    """A breakpoint that nobody could go on from."""


class Debugging:
    """The plugin that refuses a debugger without a keyboard."""

    def __init__(self, items: KataItems) -> None:
        self._items = items
        self._command = "pytest --pdb"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        wanted = session.config.getoption("usepdb", False) or session.config.getoption("trace", False)
        if not wanted and not _has_keyboard() and "pydevd" not in sys.modules:
            pdb.set_trace = self._refuse  # pytest has put its own there, and restores the original

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        kata = self._items.kata(item)
        self._command = f"{kata.command} --pdb" if kata else self._command

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise NoDebugger(no_terminal(self._command))


def _has_keyboard() -> bool:
    try:
        return os.isatty(0)
    except OSError:  # the standard input is closed
        return False
