"""The supervising process of a run, which outlives the learner's code.

It starts the child that runs the tests, and reports how the child ended: normally, in an infinite loop, by
`os._exit` or by a segmentation fault. It imports neither torch nor the learner's code.
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
_GRACE = 0.7  # seconds after the limit in which pytest-timeout can interrupt the test
_EXIT_LIMIT = 5.0  # seconds in which a process must exit after its run
_FRAME = re.compile(r'File "(?P<file>.+?)", line (?P<line>\d+)')


class Child(Protocol):
    """A process that runs the tests."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """Return its exit status, negative for a signal; None while it runs."""

    def kill(self) -> None: ...


@dataclass
class Forked:
    """A forked child: it has everything imported, so starting it is cheap."""

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
    """A step of the child: the import of a file, or a case of a test."""

    limit: float  # seconds; 0: none
    path: str = ""  # of the file that is imported
    case: TestCase | None = None


@dataclass(frozen=True)
class ExitCall:
    """A call of os._exit, and the stack that led to it, innermost first."""

    status: int
    stack: tuple[tuple[str, int], ...] = ()


@dataclass
class Ending:
    """How the child ended."""

    status: int | None  # None: stopped because a step took too long
    exit_status: int | None = None  # pytest's own, if it finished its run
    step: RunStep | None = None  # the current step
    hard_exit: ExitCall | None = None
    stack: Sequence[tuple[str, int]] = ()  # innermost first


def fork_is_safe() -> bool:
    """True if this process may be forked: Linux, one thread, torch not yet imported.

    macOS frameworks and torch's thread pools do not survive a fork.
    """
    return sys.platform == "linux" and threading.active_count() == 1 and "torch" not in sys.modules


def fork(work: Callable[[], int]) -> Forked:
    """Fork a child that does `work` and exits with the status it returns."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return Forked(pid)
    hard_exit: Callable[[int], NoReturn] = os._exit  # before the recorder replaces it
    die_with_parent()
    os.register_at_fork(after_in_child=die_with_parent)  # processes that the learner's code forks, too
    status = 3  # pytest's "internal error", if `work` does not return
    try:
        status = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        hard_exit(status)


def die_with_parent() -> None:
    """Ask Linux, the only system we fork on, to kill this process when its parent ends."""
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG, man 2 prctl
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def spawn(arguments: Sequence[str], folder: Path, flight: Path) -> subprocess.Popen[bytes]:
    """Start a new Python that runs pytest with the same arguments and records to `flight`."""
    environment = {**os.environ, FLIGHT_VARIABLE: str(flight)}
    return subprocess.Popen([sys.executable, "-m", "pytest", *arguments], cwd=folder, env=environment)


class Supervision:
    """Follows a child that runs tests, however it ends."""

    def __init__(self, child: Child, flight: Path, starting_limit: float) -> None:
        self._child = child
        self._flight = flight
        self._log = _Log(flight / EVENTS, starting_limit)

    def look(self) -> Ending | None:
        """Return how the child ended, or None while it runs. Stop it if a step exceeds its limit."""
        status = self._child.poll()
        self._log.read()
        if status is not None:
            return _ending_of(self._log, self._flight, status)
        if self._log.deadline is not None and time.monotonic() > self._log.deadline:
            _ask_for_stack(self._child, self._flight / TRACE)
            self.stop()
            return _ending_of(self._log, self._flight, None)
        return None

    def hurry(self) -> None:
        """Let the child finish, but soon, whatever the step."""
        self._log.hurry(_EXIT_LIMIT)

    def stop(self) -> None:
        """Kill the child."""
        self._child.kill()
        while self._child.poll() is None:
            time.sleep(_POLL)


def supervise(child: Child, flight: Path, starting_limit: float) -> Ending:
    """Wait for the child, and return how it ended; stop it if a step exceeds its limit.

    If a signal ends this process, the child ends, too.
    """
    supervision = Supervision(child, flight, starting_limit)
    with raise_on_signals():
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
    """The exception that was raised for the last signal.

    Python drops an exception that is raised inside a destructor; `raise_dropped` raises it again.
    """

    def __init__(self) -> None:
        self._raised: BaseException | None = None

    def raise_for(self, number: int, _: object) -> NoReturn:
        """Handle a signal: raise the exception that it stands for."""
        self._raised = KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
        raise self._raised

    def raise_dropped(self) -> None:
        """Raise the exception of the last signal again, unless it was forgotten."""
        if self._raised:
            raise self._raised

    def forget(self) -> None:
        """Forget the last signal, because it has been handled."""
        self._raised = None


@contextmanager
def raise_on_signals() -> Iterator[Signals]:
    """Raise an exception on Ctrl-C, and on a signal that would end this process at once."""
    signals = Signals()
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it is not ignored
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
    """Let the child write its stack, and wait for that."""
    if not ASKS_BY_SIGNAL:
        return  # the child's own timer has written it
    os.kill(child.pid, STACK_SIGNAL)
    deadline = time.monotonic() + 2
    while child.poll() is None and time.monotonic() < deadline and not _read_stack(trace):
        time.sleep(_POLL)
    time.sleep(0.1)  # the outer frames are written after the innermost


def _ending_of(log: _Log, flight: Path, status: int | None) -> Ending:
    stack = log.hard_exit.stack if log.hard_exit else _read_stack(flight / TRACE)
    return Ending(status, log.exit_status, log.step, log.hard_exit, stack)


def _read_stack(path: Path) -> list[tuple[str, int]]:
    """Return the frames that faulthandler wrote, innermost first; after a crash, the crashed thread's."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    text = text[max(text.rfind("Timeout ("), text.rfind("Current thread"), 0) :]
    return [(_unescape(found["file"]), int(found["line"])) for found in _FRAME.finditer(text)]


def _unescape(path: str) -> str:
    r"""Return a path without faulthandler's escapes for non-ASCII: \xhh, \uhhhh or \Uhhhhhhhh."""
    escape = r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))"
    return re.sub(escape, lambda found: chr(int(next(filter(None, found.groups())), 16)), path)


class _Log:
    """Follows the recorder's events, and keeps the open steps and their deadlines."""

    def __init__(self, path: Path, starting_limit: float) -> None:
        self._path = path
        self._offset = 0
        self._between = starting_limit  # seconds from one step to the next
        self._steps: list[tuple[RunStep, float | None]] = []
        self.deadline: float | None = time.monotonic() + starting_limit
        self.exit_status: int | None = None  # of a run that finished
        self.hard_exit: ExitCall | None = None

    @property
    def step(self) -> RunStep | None:
        return self._steps[-1][0] if self._steps else None

    def read(self) -> None:
        """Read the events since the last call."""
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
        """Allow only so many more seconds, whatever the step."""
        self.deadline = time.monotonic() + seconds

    def _follow(self, event: dict[str, Any]) -> None:
        name, now = event["event"], time.monotonic()
        if name in ("import", "test"):
            self.deadline = now + event["limit"] + _GRACE if event["limit"] else None
            self._steps.append((_step_of(event), self.deadline))
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
            self.hurry(_EXIT_LIMIT)  # threads of the learner's code may keep it alive


def _step_of(event: Mapping[str, Any]) -> RunStep:
    case = TestCase(**event["case"]) if "case" in event else None
    return RunStep(event["limit"], event.get("path", ""), case)
