"""Standard streams that are closed, that nobody reads any more, or that would obey a learner's text."""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import Any

import pytest

from harness.terminal.lines import COLOUR, printable

_PYTESTS_OWN = re.compile(rf"({COLOUR.pattern}|[\r\n])")
ENDED_BY_PIPE = -getattr(signal, "SIGPIPE", 0)  # the status of a process that `EndsWithReader` has ended


def open_closed_streams() -> None:
    """Let what is written to a closed stream go nowhere: `pytest >&-`."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # till the end


class EndsWithReader:
    """A stream that ends this process when its reader is gone, as in a pipeline: `pytest | head`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return int(self._stream.write(text))
        except BrokenPipeError:
            _end_quietly()
            raise

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            _end_quietly()
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Printable:
    """A stream that shows control characters, except those by which pytest colours and rewrites lines."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        parts = _PYTESTS_OWN.split(text)  # every second one is pytest's own
        return int(
            self._stream.write("".join(part if at % 2 else printable(part) for at, part in enumerate(parts)))
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Pipeline:
    """The plugin of a supervised process: its report is printable, and ends with its reader."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        if session.config.pluginmanager.hasplugin("terminalreporter"):
            writer = session.config.get_terminal_writer()
            writer._file = EndsWithReader(Printable(writer._file))


def _end_quietly() -> None:
    """End by the signal for this; Windows has none."""
    if ENDED_BY_PIPE:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
