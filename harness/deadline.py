"""Blocks of code that end in time: by an exception in this thread, on every platform."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager


class OutOfTime(BaseException):
    """The block was still running; no `except Exception` inside it swallows this."""


class Time:
    """So many seconds from now, for several blocks together."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return self._end - time.monotonic()

    def guard(self) -> AbstractContextManager[None]:
        """Raise OutOfTime in the block when the time is over. What must be put back is put back outside."""
        return deadline(self.left)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in the block after so many seconds, as soon as it runs Python again.

    An alarm would do on POSIX; but pytest-timeout has set the only one that there is.
    """
    if seconds <= 0:
        raise OutOfTime
    thread, lock, over = threading.get_ident(), threading.Lock(), False

    def ring() -> None:
        with lock:
            if not over:
                _raise_in(thread, OutOfTime)

    timer = threading.Timer(seconds, ring)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:
            over = True
            _raise_in(thread, None)  # what has rung but not been raised yet is taken back


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    wanted = ctypes.py_object(error) if error else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), wanted)
