"""The supervising half of a run: starts the process that does the work, and outlives it.

Whatever a learner's code does to its process (an endless loop, `os._exit`, a segmentation fault),
this one is there to tell. It imports neither torch nor the learner's code.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol

from harness.flight import EVENTS, TRACE

FLIGHT_VARIABLE = "HARNESS_FLIGHT"  # names the recorder's folder to a child that is not a fork
_POLL = 0.01
_GRACE = 0.7  # after the limit, for faulthandler to write the stack
_FRAME = re.compile(r'File "(?P<file>.+?)", line (?P<line>\d+)')


class Child(Protocol):
    """A process that runs the tests."""

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""

    def kill(self) -> None: ...


@dataclass
class Forked:
    """A child made by fork: it has everything imported already, so it costs nothing to start."""

    pid: int
    status: int | None = None

    def poll(self) -> int | None:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


@dataclass
class Ending:
    """How the child ended."""

    status: int | None  # None: it was stopped because a step took too long
    finished: bool  # it reached the end of its run itself
    step: dict[str, Any] = field(default_factory=dict)  # the step it was in, as the recorder noted it
    hard_exit: dict[str, Any] | None = None  # the recorder's note of an os._exit
    stack: list[tuple[str, int]] = field(default_factory=list)  # innermost first


def fork_is_safe() -> bool:
    """Whether this process may be forked: Linux, one thread, torch not yet imported.

    macOS frameworks and torch's thread pools do not survive a fork.
    """
    return sys.platform == "linux" and threading.active_count() == 1 and "torch" not in sys.modules


def fork(work: Callable[[], int]) -> Forked:
    """A forked child that does `work` and leaves with the status it returns."""
    sys.stdout.flush()
    sys.stderr.flush()
    leave: Callable[[int], NoReturn] = os._exit  # the recorder replaces the name in the child
    pid = os.fork()
    if pid:
        return Forked(pid)
    status = 3  # pytest's "internal error", should `work` not return
    try:
        status = work()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        leave(status)


def spawn(arguments: Sequence[str], folder: Path, flight: Path) -> subprocess.Popen[bytes]:
    """A fresh Python that runs pytest with the same arguments, told where to record."""
    environment = {**os.environ, FLIGHT_VARIABLE: str(flight)}
    return subprocess.Popen([sys.executable, "-m", "pytest", *arguments], cwd=folder, env=environment)


def supervise(child: Child, flight: Path, starting_limit: float) -> Ending:
    """Wait for the child, however it ends; stop it when a step exceeds its limit."""
    log = _Log(flight / EVENTS)
    deadline: float | None = time.monotonic() + starting_limit
    while True:
        try:
            status = child.poll()
            for event in log.read():
                deadline = _deadline(event, deadline, starting_limit)
            if status is not None:
                return _ending(log, flight, status)
            if deadline is not None and time.monotonic() > deadline:
                return _stop(child, log, flight)
            time.sleep(_POLL)
        except KeyboardInterrupt:
            deadline = time.monotonic() + 5  # The child got it too: let it finish, but not for ever.


def _deadline(event: dict[str, Any], deadline: float | None, starting_limit: float) -> float | None:
    now = time.monotonic()
    if event["event"] in ("import", "test"):
        return now + event["limit"] + _GRACE if event["limit"] else None
    if event["event"] in ("imported", "tested"):
        return now + starting_limit
    if event["event"] in ("paused", "finished"):
        return None
    return deadline


def _stop(child: Child, log: _Log, flight: Path) -> Ending:
    child.kill()
    while child.poll() is None:
        time.sleep(_POLL)
    return _ending(log, flight, None)


def _ending(log: _Log, flight: Path, status: int | None) -> Ending:
    log.read()
    stack = log.hard_exit["stack"] if log.hard_exit else _read_stack(flight / TRACE)
    return Ending(status, log.finished, log.step, log.hard_exit, [(file, line) for file, line in stack])


def _read_stack(path: Path) -> list[tuple[str, int]]:
    """The frames of the last stack that faulthandler wrote, innermost first."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    text = text[max(text.rfind("Timeout ("), text.rfind("Fatal Python error"), 0) :]
    return [(found["file"], int(found["line"])) for found in _FRAME.finditer(text)]


class _Log:
    """Follows the recorder's events and remembers the step that is under way."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.step: dict[str, Any] = {}
        self.finished = False
        self.hard_exit: dict[str, Any] | None = None

    def read(self) -> list[dict[str, Any]]:
        """The events since the last call."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        events = [json.loads(line) for line in whole.splitlines()]
        for event in events:
            self._follow(event)
        return events

    def _follow(self, event: dict[str, Any]) -> None:
        name = event["event"]
        if name in ("import", "test"):
            self.step = event
        elif name in ("imported", "tested"):
            self.step = {}
        elif name == "os._exit":
            self.hard_exit = event
        elif name == "finished":
            self.finished = True
