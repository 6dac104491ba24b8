"""Single keys without Enter, in a terminal that is always restored."""

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
_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)  # of ECMA-48, and Alt with a key


@contextmanager
def single_keys(deliver: Callable[[str], None]) -> Iterator[None]:
    """Call `deliver` from a thread with every key that is typed during the block.

    If the input is not a terminal, its characters are the keys.
    """
    with _unbuffered_keys(sys.stdin):
        threading.Thread(target=_read_keys, args=(deliver,), daemon=True).start()
        yield


def keys_in(typed: str) -> list[str]:
    """Return the keys in a chunk of input, without escape sequences of arrows and function keys."""
    return list(_SEQUENCE.sub("", typed))


def _read_keys(deliver: Callable[[str], None]) -> None:
    read = _read_windows if sys.platform == "win32" and sys.stdin.isatty() else _read_descriptor
    with suppress(OSError, ValueError):  # the terminal is gone or never existed
        while typed := read():
            for key in keys_in(typed):
                deliver(key)


def _read_descriptor() -> str:
    """Wait for input and return it; empty at its end."""
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
    def _unbuffered_keys(_: object) -> Iterator[None]:
        yield  # msvcrt always reads single keys

else:
    import termios
    import tty

    def _read_windows() -> str:
        raise NotImplementedError

    @contextmanager
    def _unbuffered_keys(stream: object) -> Iterator[None]:
        """Read keys at once and without echo from a terminal. Ctrl-C and Ctrl-Z keep their meaning."""
        descriptor = _terminal_descriptor()
        if descriptor is None:
            yield
            return
        before = termios.tcgetattr(descriptor)
        handlers = _restore_while_suspended(descriptor, before)
        tty.setcbreak(descriptor, termios.TCSADRAIN)
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

    def _terminal_descriptor() -> int | None:
        with suppress(OSError, ValueError, AttributeError):
            if sys.stdin.isatty():
                return sys.stdin.fileno()
        return None

    def _restore_while_suspended(descriptor: int, before: list[Any]) -> dict[int, Any]:
        """Restore the terminal while Ctrl-Z suspends this process."""

        def stop(number: int, _: FrameType | None) -> None:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)  # the process stops here and later continues here
            signal.signal(number, stop)
            tty.setcbreak(descriptor, termios.TCSADRAIN)

        return {signal.SIGTSTP: signal.signal(signal.SIGTSTP, stop)}
