"""Blocks of code that end in time: by an exception in this thread, on every platform."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_BUSY = 4  # how much longer than its own work a process may take on a machine that others use too
_PATIENCE = 0.01  # seconds between two looks at an import that has outlasted its block's time
_MOMENT = 0.05  # seconds without a block after which nobody watches any more


class OutOfTime(BaseException):
    """The block was still running; no `except Exception` inside it swallows this."""


class TimeBudget:
    """So many seconds of this process's work, from now on and for several blocks together.

    One thread watches over the blocks, and goes when there has been none for a moment: starting a thread
    takes longer than most blocks.
    """

    def __init__(self, seconds: float) -> None:
        self._worked = time.process_time() + seconds
        self._passed = time.monotonic() + _BUSY * seconds
        self._lock = threading.Lock()
        self._block: _Block | None = None
        self._is_watched = False

    @property
    def left(self) -> float:
        return min(self._worked - time.process_time(), self._passed - time.monotonic())

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Raise OutOfTime in the block once the time is over, as soon as it runs Python again.

        What must be put back is put back outside the block. An alarm would do on POSIX; but pytest-timeout
        has set the only one that there is.
        """
        block = _Block(threading.get_ident())
        with self._lock:
            if self.left <= 0:
                raise OutOfTime
            self._block = block
            begins, self._is_watched = not self._is_watched, True
        if begins:
            threading.Thread(target=self._watch, daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                self._block = None
            if block.is_over:
                _take_back(block.thread)

    def _watch(self) -> None:
        seen = time.monotonic()
        while True:
            with self._lock:
                seen = time.monotonic() if self._block else seen
                if self._end_block() or time.monotonic() - seen > _MOMENT:
                    self._is_watched = False
                    return
            time.sleep(min(max(self.left, _PATIENCE), _MOMENT))

    def _end_block(self) -> bool:
        """End the block if its time is over; but a package half imported would be broken for the next."""
        if self._block is None or self.left > 0 or _imports_something(self._block.thread):
            return False
        self._block.is_over = True
        _raise_in(self._block.thread, OutOfTime)
        return True


@dataclass
class _Block:
    """A block under way."""

    thread: int
    is_over: bool = False  # it has been told so


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
