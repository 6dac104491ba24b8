"""The flight recorder of the process that runs a learner's code.

It writes two files that outlive the process: a line per step to `events.jsonl`, and to `trace.txt` the stack
when a step takes too long or the process crashes (faulthandler does that). The supervising process reads both
(harness/isolation/supervisor.py); nothing else connects the two.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import NoReturn

from harness.course.test_case import TestCase
from harness.isolation.words import still_running

# On POSIX the supervisor asks for the stack by a signal, which the hanging thread itself handles. The
# alternative, a watchdog thread that reads another thread's running frames, can crash the process.
ASKS_BY_SIGNAL = hasattr(faulthandler, "register")
STACK_SIGNAL = getattr(signal, "SIGUSR1", 0)
EVENTS = "events.jsonl"
TRACE = "trace.txt"


class TooSlow(Exception):
    """A step of a learner's code that took longer than its limit."""

    def __init__(self, seconds: float) -> None:
        super().__init__(still_running(seconds))
        self.seconds = seconds


class Recorder:
    """Records each step for the supervisor; without a supervisor it does nothing."""

    def __init__(self, folder: Path | None, limit: float) -> None:
        self.limit = limit
        self._folder = folder
        self._pid = os.getpid()
        self._deadlines: list[float | None] = []  # of the open steps, outermost first
        if folder is not None:
            self._events = os.open(folder / EVENTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            self._trace = open(folder / TRACE, "wb", buffering=0)  # noqa: SIM115  # faulthandler keeps it
            _record_hard_exits(self)
            if ASKS_BY_SIGNAL:
                faulthandler.register(STACK_SIGNAL, file=self._trace, all_threads=False)

    @property
    def supervised(self) -> bool:
        return self._folder is not None

    def record(self, event: str, **facts: object) -> None:
        """Add an event, except in processes that the learner's code forks."""
        if self.supervised and os.getpid() == self._pid:
            os.write(self._events, json.dumps({"event": event, **facts}).encode() + b"\n")

    def watch_crashes(self) -> None:
        """Write the stack if the process crashes."""
        if self.supervised:
            faulthandler.enable(file=self._trace)

    def begin_test(self, case: TestCase, limit: float) -> None:
        """Start a test that may take `limit` seconds (0: no limit)."""
        self._begin("test", limit, case=asdict(case))

    def end_test(self) -> None:
        """Finish the test that began last."""
        self._end("tested")

    def _begin(self, event: str, limit: float, **facts: object) -> None:
        """Start a step, inside the current one if there is one."""
        self.record(event, limit=limit, **facts)
        self._deadlines.append(time.monotonic() + limit if limit else None)
        self._arm()

    def _end(self, event: str) -> None:
        """Finish the step that began last; the outer one continues."""
        if self._deadlines:
            self._deadlines.pop()
        self._arm()
        self.record(event)

    def pause(self) -> None:
        """Lift the limits of the open steps, because a debugger has taken over."""
        self._deadlines = [None for _ in self._deadlines]
        self._arm()
        self.record("paused")

    def _arm(self) -> None:
        """Let a timer write the stack when the step is late, if the supervisor cannot ask for it."""
        if not self.supervised or ASKS_BY_SIGNAL:
            return
        faulthandler.cancel_dump_traceback_later()
        if self._deadlines and self._deadlines[-1] is not None:
            left = max(self._deadlines[-1] - time.monotonic(), 0.001)
            faulthandler.dump_traceback_later(left, file=self._trace)

    @contextmanager
    def importing(self, path: Path) -> Iterator[None]:
        """Limit the time of an import of a learner's file, as of a test."""
        self._begin("import", self.limit, path=str(path))
        try:
            with _alarm(self.limit):
                yield
        finally:
            self._end("imported")


def _record_hard_exits(recorder: Recorder) -> None:
    """Record the stack of a call of `os._exit`, which leaves no other trace."""
    hard_exit = os._exit

    def record_and_exit(status: int) -> NoReturn:
        recorder.record("os._exit", status=status, stack=_stack())
        hard_exit(status)

    os._exit = record_and_exit


def _stack() -> list[tuple[str, int]]:
    """Return file and line of every frame of the caller's callers, innermost first."""
    frame: FrameType | None = sys._getframe(2)
    found: list[tuple[str, int]] = []
    while frame is not None:
        found.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return found


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise TooSlow after `seconds`, if the platform has alarms and this is the main thread."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not seconds or not hasattr(signal, "setitimer") or not in_main_thread:
        yield
        return

    def ring(*_: object) -> NoReturn:
        raise TooSlow(seconds)

    started = time.monotonic()
    previous = signal.signal(signal.SIGALRM, ring)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        if left:  # restart an alarm that was running, such as that of the test around an import
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - started), 0.001))
