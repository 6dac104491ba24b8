"""Forked child processes that send one result each."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Collection, Hashable
from multiprocessing import connection
from typing import Any, NoReturn

from harness.isolation.supervisor import die_with_parent

_leave: Callable[[int], NoReturn] = os._exit  # before a recorder replaces it
IS_SAFE = sys.platform == "linux"  # macOS frameworks do not survive a fork


class Forks:
    """A limited number of children at a time, each with a key."""

    def __init__(self, at_a_time: int) -> None:
        self.results: dict[Hashable, Any] = {}  # of the children; one that dies sends none
        self.key: Hashable = None  # of this process, if it is a child
        self._at_a_time = at_a_time
        self._running: dict[connection.Connection, tuple[Hashable, int]] = {}

    def fork(self, key: Hashable) -> bool:
        """Fork a child as soon as the number allows. Return True in the child."""
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
        """Send the result from a child, and exit."""
        self._sending.send(result)
        _leave(0)

    def _receive(self) -> None:
        for ready in connection.wait(list(self._running)):
            assert isinstance(ready, connection.Connection)
            key, pid = self._running.pop(ready)
            with ready, contextlib.suppress(EOFError):
                self.results[key] = ready.recv()
            os.waitpid(pid, 0)
