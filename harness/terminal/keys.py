"""Single keys from the terminal, without Enter; and the terminal as it was on every way out."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

ESCAPE = "\x1b"
_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)  # as ECMA-48 has them, and Alt


@contextmanager
def single_keys(deliver: Callable[[str], None]) -> Iterator[None]:
    """Call `deliver`, from a thread, with every key that is typed, until the block is left.

    Where the input is no terminal, its characters are the keys, and its end is the end of them.
    """
    with _immediate(sys.stdin):
        threading.Thread(target=_read_keys, args=(deliver,), daemon=True).start()
        yield


def keys_in(typed: str) -> list[str]:
    """The keys in what was read at once; of an arrow or a function key, which is a sequence, none."""
    return list(_SEQUENCE.sub("", typed))


def _read_keys(deliver: Callable[[str], None]) -> None:
    read = _read_windows if sys.platform == "win32" and sys.stdin.isatty() else _read_descriptor
    with suppress(OSError, ValueError):  # the terminal is gone, or there never was one
        while typed := read():
            for key in keys_in(typed):
                deliver(key)


def _read_descriptor() -> str:
    """What has been typed, once there is something; empty at the end of the input."""
    return os.read(sys.stdin.fileno(), 64).decode(errors="ignore") or ""


if sys.platform == "win32":

    def _read_windows() -> str:
        import msvcrt

        key = msvcrt.getwch()
        if key in ("\x00", "\xe0"):  # the first half of an arrow or a function key
            msvcrt.getwch()
            return ESCAPE
        return key

    @contextmanager
    def _immediate(_: object) -> Iterator[None]:
        yield  # msvcrt reads single keys as it is

else:
    import termios
    import tty

    def _read_windows() -> str:
        raise OSError("not on this system")

    @contextmanager
    def _immediate(stream: object) -> Iterator[None]:
        """Keys at once and unseen, where the input is a terminal. Ctrl-C and Ctrl-Z keep their meaning."""
        descriptor = _terminal()
        if descriptor is None:
            yield
            return
        before = termios.tcgetattr(descriptor)
        handlers = _around_a_stop(descriptor, before)
        tty.setcbreak(descriptor, termios.TCSADRAIN)
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

    def _terminal() -> int | None:
        with suppress(OSError, ValueError, AttributeError):
            if sys.stdin.isatty():
                return sys.stdin.fileno()
        return None

    def _around_a_stop(descriptor: int, before: list[Any]) -> dict[int, Any]:
        """Give the terminal back while Ctrl-Z has stopped this process, and take it again afterwards."""

        def stop(number: int, _: FrameType | None) -> None:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)  # here it stops, and here it goes on
            signal.signal(number, stop)
            tty.setcbreak(descriptor, termios.TCSADRAIN)

        return {signal.SIGTSTP: signal.signal(signal.SIGTSTP, stop)}
