"""The supervising half of a run: starts the process that does the work, and outlives it.

Whatever a learner's code does to its process (an endless loop, `os._exit`, a segmentation fault),
this one is there to tell. It imports neither torch nor the learner's code.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from harness.course.test_case import TestCase
from harness.isolation.recorder import ASKS_BY_SIGNAL, EVENTS, STACK_SIGNAL, TRACE

FLIGHT_VARIABLE = "HARNESS_FLIGHT"  # names the recorder's folder to a child that is not a fork
_POLL = 0.01
_GRACE = 0.7  # after the limit, for pytest-timeout to interrupt what can be interrupted
_FAREWELL = 5.0  # seconds for a process that has nothing more to do
_FRAME = re.compile(r'File "(?P<file>.+?)", line (?P<line>\d+)')


class Child(Protocol):
    """A process that runs the tests."""

    @property
    def pid(self) -> int: ...

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


@dataclass(frozen=True)
class RunStep:
    """What the child was doing: importing a file, or running a case of a test."""

    limit: float  # seconds; 0: none
    path: str = ""  # of the file that it was importing
    case: TestCase | None = None


@dataclass(frozen=True)
class ExitCall:
    """A call of os._exit, and the stack that led to it, innermost first."""

    status: int
    stack: tuple[tuple[str, int], ...] = ()


@dataclass
class Ending:
    """How the child ended."""

    status: int | None  # None: it was stopped because a step took too long
    exit_status: int | None = None  # pytest's own, if it came to the end of its run
    step: RunStep | None = None  # the step it was in, if any
    hard_exit: ExitCall | None = None
    stack: Sequence[tuple[str, int]] = ()  # innermost first


def fork_is_safe() -> bool:
    """Whether this process may be forked: Linux, one thread, torch not yet imported.

    macOS frameworks and torch's thread pools do not survive a fork.
    """
    return sys.platform == "linux" and threading.active_count() == 1 and "torch" not in sys.modules


def fork(work: Callable[[], int]) -> Forked:
    """A forked child that does `work` and leaves with the status it returns."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return Forked(pid)
    leave: Callable[[int], NoReturn] = os._exit  # before the recorder replaces the name
    die_with_parent()
    os.register_at_fork(after_in_child=die_with_parent)  # and so do processes that the learner forks
    status = 3  # pytest's "internal error", should `work` not return
    try:
        status = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        leave(status)


def die_with_parent() -> None:
    """Ask Linux, the only system we fork on, to end this process when its parent is gone."""
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG, man 2 prctl
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def spawn(arguments: Sequence[str], folder: Path, flight: Path) -> subprocess.Popen[bytes]:
    """A fresh Python that runs pytest with the same arguments, told where to record."""
    environment = {**os.environ, FLIGHT_VARIABLE: str(flight)}
    return subprocess.Popen([sys.executable, "-m", "pytest", *arguments], cwd=folder, env=environment)


class Supervision:
    """Follows a child that runs tests, look by look, however it ends."""

    def __init__(self, child: Child, flight: Path, starting_limit: float) -> None:
        self._child = child
        self._flight = flight
        self._log = _Log(flight / EVENTS, starting_limit)

    def look(self) -> Ending | None:
        """How the child ended; None while it runs. Stops it when a step exceeds its limit."""
        status = self._child.poll()
        self._log.read()
        if status is not None:
            return _ending(self._log, self._flight, status)
        if self._log.deadline is not None and time.monotonic() > self._log.deadline:
            _ask_for_stack(self._child, self._flight / TRACE)
            self.stop()
            return _ending(self._log, self._flight, None)
        return None

    def hurry(self) -> None:
        """Let it finish, but not for ever, whatever the step."""
        self._log.hurry(_FAREWELL)

    def stop(self) -> None:
        """End the child now."""
        self._child.kill()
        while self._child.poll() is None:
            time.sleep(_POLL)


def supervise(child: Child, flight: Path, starting_limit: float) -> Ending:
    """Wait for the child, however it ends; stop it when a step exceeds its limit.

    When this process is itself told to end, the child ends with it.
    """
    supervision = Supervision(child, flight, starting_limit)
    with terminations_raised():
        while True:
            try:
                ending = supervision.look()
                if ending is not None:
                    return ending
                time.sleep(_POLL)
            except KeyboardInterrupt:
                supervision.hurry()  # the child got it too
            except BaseException:
                supervision.stop()
                raise


class Signals:
    """What a signal last asked of this process, as the exception that was raised for it.

    Python drops an exception that is raised inside a destructor: who asks for it here gets it all the same.
    """

    def __init__(self) -> None:
        self._asked: BaseException | None = None

    def raise_for(self, number: int, _: object) -> NoReturn:
        """The handler of a signal."""
        self._asked = KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
        raise self._asked

    def raise_dropped(self) -> None:
        """Raise what a signal asked for, unless it was forgotten."""
        if self._asked:
            raise self._asked

    def forget(self) -> None:
        """It has been done."""
        self._asked = None


@contextmanager
def terminations_raised() -> Iterator[Signals]:
    """Raise an exception on a signal that would end this process without another word, and on Ctrl-C."""
    signals = Signals()
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nobody has told us to ignore it
        numbers.append(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread():
        numbers = []  # only the main thread may set handlers
    before = {number: signal.signal(number, signals.raise_for) for number in numbers}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ask_for_stack(child: Child, trace: Path) -> None:
    """Let the child write where it is, and give it a moment to do so."""
    if not ASKS_BY_SIGNAL:
        return  # its own watchdog has written it
    os.kill(child.pid, STACK_SIGNAL)
    patience = time.monotonic() + 2
    while child.poll() is None and time.monotonic() < patience and not _read_stack(trace):
        time.sleep(_POLL)
    time.sleep(0.1)  # the outer frames follow the innermost


def _ending(log: _Log, flight: Path, status: int | None) -> Ending:
    stack = log.hard_exit.stack if log.hard_exit else _read_stack(flight / TRACE)
    return Ending(status, log.exit_status, log.step, log.hard_exit, stack)


def _read_stack(path: Path) -> list[tuple[str, int]]:
    """The frames of the stack that faulthandler wrote, innermost first; of a crash, the crashed thread's."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    text = text[max(text.rfind("Timeout ("), text.rfind("Current thread"), 0) :]
    return [(_unescaped(found["file"]), int(found["line"])) for found in _FRAME.finditer(text)]


def _unescaped(path: str) -> str:
    r"""A path as it is: faulthandler writes what is not ASCII as \xhh, \uhhhh or \Uhhhhhhhh."""
    escape = r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))"
    return re.sub(escape, lambda found: chr(int(next(filter(None, found.groups())), 16)), path)


class _Log:
    """Follows the recorder's events, and with them the steps that are under way and their deadlines."""

    def __init__(self, path: Path, starting_limit: float) -> None:
        self._path = path
        self._offset = 0
        self._between = starting_limit  # seconds from one step to the next
        self._steps: list[tuple[RunStep, float | None]] = []
        self.deadline: float | None = time.monotonic() + starting_limit
        self.exit_status: int | None = None  # of a run that came to its end
        self.hard_exit: ExitCall | None = None

    @property
    def step(self) -> RunStep | None:
        return self._steps[-1][0] if self._steps else None

    def read(self) -> None:
        """Take in the events since the last call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            self._follow(json.loads(line))

    def hurry(self, seconds: float) -> None:
        """Allow only this much more time, whatever the step."""
        self.deadline = time.monotonic() + seconds

    def _follow(self, event: dict[str, Any]) -> None:
        name, now = event["event"], time.monotonic()
        if name in ("import", "test"):
            self.deadline = now + event["limit"] + _GRACE if event["limit"] else None
            self._steps.append((_step(event), self.deadline))
        elif name in ("imported", "tested"):
            self._steps = self._steps[:-1]
            self.deadline = self._steps[-1][1] if self._steps else now + self._between
        elif name == "paused":
            self._steps = [(step, None) for step, _ in self._steps]
            self.deadline = None
        elif name == "os._exit":
            self.hard_exit = ExitCall(event["status"], tuple((file, line) for file, line in event["stack"]))
        elif name == "finished":
            self.exit_status = event["status"]
            self.hurry(_FAREWELL)  # threads that the learner's code left running may keep it


def _step(event: Mapping[str, Any]) -> RunStep:
    case = TestCase(**event["case"]) if "case" in event else None
    return RunStep(event["limit"], event.get("path", ""), case)
