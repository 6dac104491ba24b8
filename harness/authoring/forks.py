"""Children of this process, made by fork, of which each sends one result."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Collection, Hashable
from multiprocessing import connection
from typing import Any, NoReturn

from harness.isolation.supervisor import die_with_parent

_leave: Callable[[int], NoReturn] = os._exit  # before a flight recorder replaces the name
IS_SAFE = sys.platform == "linux"  # frameworks of macOS do not survive a fork


class Forks:
    """So many children at a time, each made for a key."""

    def __init__(self, at_a_time: int) -> None:
        self.results: dict[Hashable, Any] = {}  # what the children have sent; some end without a word
        self.key: Hashable = None  # in a child: its own
        self._at_a_time = at_a_time
        self._running: dict[connection.Connection, tuple[Hashable, int]] = {}

    def fork(self, key: Hashable) -> bool:
        """Make a child as soon as there is room for it. True in the child."""
        while len(self._running) >= self._at_a_time:
            self._receive()
        receiving, sending = connection.Pipe(duplex=False)
        pid = os.fork()
        if pid:
            sending.close()
            self._running[receiving] = key, pid
            return False
        die_with_parent()
        self.key, self._sending = key, sending
        return True

    def wait(self, keys: Collection[Hashable]) -> None:
        """Wait until the children with these keys have ended."""
        while any(key in keys for key, _ in self._running.values()):
            self._receive()

    def leave(self, result: object) -> NoReturn:
        """In a child: send the result, and end."""
        self._sending.send(result)
        _leave(0)

    def _receive(self) -> None:
        for ready in connection.wait(list(self._running)):
            assert isinstance(ready, connection.Connection)
            key, pid = self._running.pop(ready)
            with ready, contextlib.suppress(EOFError):
                self.results[key] = ready.recv()
            os.waitpid(pid, 0)
