"""Blocks of code that end in time: by an exception in this thread, on every platform."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_BUSY = 4  # how much longer than its own work a process may take on a machine that others use too
_PATIENCE = 0.01  # seconds between two looks at an import that has outlasted its block's time


class OutOfTime(BaseException):
    """The block was still running; no `except Exception` inside it swallows this."""


class Time:
    """So many seconds of this process's work, from now on and for several blocks together."""

    def __init__(self, seconds: float) -> None:
        self._worked = time.process_time() + seconds
        self._passed = time.monotonic() + _BUSY * seconds

    @property
    def left(self) -> float:
        return min(self._worked - time.process_time(), self._passed - time.monotonic())

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Raise OutOfTime in the block once the time is over, as soon as it runs Python again.

        What must be put back is put back outside the block. An alarm would do on POSIX; but pytest-timeout
        has set the only one that there is.
        """
        if self.left <= 0:
            raise OutOfTime
        thread, lock = threading.get_ident(), threading.Lock()
        stop, sent = threading.Event(), threading.Event()

        def watch() -> None:
            while self.left > 0 and not stop.wait(max(self.left, _PATIENCE)):
                pass
            while _imports_something(thread) and not stop.wait(_PATIENCE):
                pass  # a package half imported would be broken for whoever imports it next
            with lock:
                if not stop.is_set():
                    sent.set()
                    _raise_in(thread, OutOfTime)

        threading.Thread(target=watch, daemon=True).start()
        try:
            yield
        finally:
            with lock:
                stop.set()
            if sent.is_set():
                _take_back(thread)


def _imports_something(thread: int) -> bool:
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


class _TakenBack(BaseException):
    """Takes the place of an exception that was sent to a thread and is not raised yet."""


def _take_back(thread: int) -> None:
    """Let nothing that was sent to this very thread be raised later.

    Sending nothing would do that too, but leaves the interpreter looking for it for ever: under coverage or
    a debugger Python 3.11 then never leaves the first line of a function.
    """
    try:
        _raise_in(thread, _TakenBack)
        while True:
            pass
    except _TakenBack:
        pass


def _raise_in(thread: int, error: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))
