"""A time budget, enforced by an exception in the same thread."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_BUSY = 4  # on a busy machine, so many times the process's own CPU time may pass
_IMPORT_POLL = 0.01  # seconds between two looks at an import that has used up the budget
_IDLE = 0.05  # seconds without a block after which the watching thread ends
_AGAIN = 1.0  # seconds after which OutOfTime is sent again; leaving a block takes far less
THREAD = "time budget"  # the name of the watching thread


class OutOfTime(BaseException):
    """The budget is used up; no `except Exception` inside the block swallows this."""


class TimeBudget:
    """Seconds of this process's CPU time, from now on and for several blocks together.

    One thread watches all blocks, and ends when there has been none for a while: starting a thread takes
    longer than most blocks.
    """

    def __init__(self, seconds: float) -> None:
        self._cpu_deadline = time.process_time() + seconds
        self._wall_deadline = time.monotonic() + _BUSY * seconds
        self._lock = threading.Lock()
        self._block: _Block | None = None
        self._is_watched = False

    @property
    def left(self) -> float:
        """The seconds that are left; negative once the budget is used up."""
        return min(self._cpu_deadline - time.process_time(), self._wall_deadline - time.monotonic())

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Raise OutOfTime in the block once the budget is used up, as soon as it executes Python again.

        Clean up outside the block: the exception may interrupt a `finally` inside. A timer signal would do
        on POSIX (pytest-timeout occupies ITIMER_REAL, ITIMER_PROF is free); the thread also works on Windows.
        """
        block = _Block(threading.get_ident())
        with self._lock:
            if self.left <= 0:
                raise OutOfTime
            self._block = block
            starts_watching, self._is_watched = not self._is_watched, True
        if starts_watching:
            threading.Thread(target=self._watch, name=THREAD, daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                self._block = None
            if block.is_over:
                _cancel_exception(block.thread)

    def _watch(self) -> None:
        last_block = time.monotonic()
        while True:
            with self._lock:
                last_block = time.monotonic() if self._block else last_block
                self._end_block()
                if time.monotonic() - last_block > _IDLE:
                    self._is_watched = False
                    return
            time.sleep(min(max(self.left, _IMPORT_POLL), _IDLE))

    def _end_block(self) -> None:
        """End the block if the budget is used up, but never an import: it would leave a broken package.

        A finalizer swallows what is raised in it, OutOfTime too. So it is sent until the block has ended.
        """
        block, now = self._block, time.monotonic()
        if block is None or self.left > 0 or now < block.next_end or _is_importing(block.thread):
            return
        block.is_over, block.next_end = True, now + _AGAIN
        _raise_in(block.thread, OutOfTime)


@dataclass
class _Block:
    """A running block."""

    thread: int
    is_over: bool = False  # OutOfTime has been sent to it
    next_end: float = 0.0  # when it may be sent, or sent again


def _is_importing(thread: int) -> bool:
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


class _Cancelled(BaseException):
    """Replaces an exception that was sent to a thread but not yet raised."""


def _cancel_exception(thread: int) -> None:
    """Prevent an exception that was sent to this thread from being raised later.

    Sending NULL would cancel it too, but leaves the interpreter checking for it forever: under coverage or a
    debugger Python 3.11 then never leaves the first line of a function.
    """
    try:
        _raise_in(thread, _Cancelled)
        while True:
            pass
    except _Cancelled:
        pass


def _raise_in(thread: int, error: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))
