"""The pre-warmed process, seen from watch.

watch starts it, gives it one order and follows it to its end. harness/watch/spare_process.py is the other
side. A spare executes one run and exits, so it never keeps a learner's old modules.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.isolation.bounds import adopt_orphans, children, end_orphans
from harness.isolation.supervisor import Ending, Supervision

READY = "ready"  # a file that the spare creates in its folder once it is warm
_MOST_EARLY_DEATHS = 3
_SPARES: set[int] = set()  # the process numbers of those that live: a run must not end the next one
_STEP_LIMIT = 300.0  # seconds until the first step of a run, as for a cold one


@dataclass(frozen=True)
class RunOrder:
    """A run: pytest's arguments, and a file for its output instead of the terminal."""

    arguments: tuple[str, ...]
    output: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunOrder:
        return cls(tuple(data["arguments"]), data["output"])


class Spare:
    """A process that warms up, waits, and executes one run."""

    def __init__(self, root: Path) -> None:
        self._flight = Path(tempfile.mkdtemp(prefix="harness-"))
        self._process = _start(root, self._flight)
        self._supervision: Supervision | None = None
        self._others: Set[int] = set()
        _SPARES.add(self.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ready(self) -> bool:
        return (self._flight / READY).exists()

    @property
    def dead(self) -> bool:
        return self._process.poll() is not None

    def give(self, order: RunOrder) -> None:
        """Start the run. If the process has died meanwhile, `look` returns that."""
        assert self._process.stdin is not None
        self._supervision = Supervision(self, self._flight, _STEP_LIMIT)
        self._others = children()
        with suppress(OSError):
            self._process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
            self._process.stdin.flush()

    def look(self) -> Ending | None:
        """Return how the run ended; None while it continues."""
        assert self._supervision is not None
        return self._supervision.look()

    def poll(self) -> int | None:
        return self._process.poll()

    def kill(self) -> None:
        """Kill it, and the processes that the learner's code may have started."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()

    def discard(self) -> None:
        """Kill it if it still runs, and what its run has started; delete its folder."""
        self.kill()
        self._process.wait()
        _SPARES.discard(self.pid)
        if self._supervision:
            end_orphans(self._others | _SPARES)
        if self._process.stdin:
            with suppress(OSError):
                self._process.stdin.close()
        shutil.rmtree(self._flight, ignore_errors=True)


def _start(root: Path, flight: Path) -> subprocess.Popen[bytes]:
    """Start a spare that does not receive the terminal's signals: Ctrl-C is for watch."""
    group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # keeps Ctrl-C away on Windows
    command: Sequence[str] = [sys.executable, "-P", "-m", "harness.watch.spare_process", str(flight)]
    return subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, start_new_session=True, creationflags=group
    )


class CannotWarm(Exception):
    """Several spares in a row ended before they were ready."""

    def __init__(self, status: int) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


class SparePool:
    """Keeps one spare warm for the next run."""

    def __init__(self, root: Path) -> None:
        adopt_orphans()
        self._root = root
        self._next: Spare | None = None
        self._early_deaths = 0  # in a row, before they were ready

    def tend(self) -> None:
        """Start a spare if there is none or it has died. Raises CannotWarm after three early deaths."""
        if self._next and self._next.dead:
            self._bury(self._next)
        if self._next is None:
            self._next = Spare(self._root)

    def take(self) -> Spare | None:
        """Return the spare once it is warm, for the caller to discard; None until then."""
        spare = self._next
        if spare is None or not spare.ready or spare.dead:
            return None
        self._next, self._early_deaths = None, 0
        return spare

    def close(self) -> None:
        if self._next:
            self._next.discard()
            self._next = None

    def _bury(self, spare: Spare) -> None:
        status = spare.poll() or 0
        self._early_deaths = 0 if spare.ready else self._early_deaths + 1
        self.close()
        if self._early_deaths >= _MOST_EARLY_DEATHS:
            raise CannotWarm(status)
