"""Whose turn it is to compute: several tabs share one model, first come, first served."""

from __future__ import annotations

import threading
from types import TracebackType


class Turns:
    """A lock that is given out in the order in which it was asked for.

    A plain lock would nearly always go back to the thread that has just let it go, which takes one turn for
    each token of a long text.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._tickets = self._served = 0

    def __enter__(self) -> None:
        with self._changed:
            ticket = self._tickets
            self._tickets += 1
            self._changed.wait_for(lambda: self._served == ticket)

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        with self._changed:
            self._served += 1
            self._changed.notify_all()

    def give_way(self) -> None:
        """Let everybody who is waiting have a turn, then go on."""
        self.__exit__()
        self.__enter__()
