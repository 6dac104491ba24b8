"""The watching half of a pre-warmed run: starts the spare process, hands it its order, sees how it ends.

The other half is harness/watch/spare_process.py. A spare gives one verdict and is gone; it never lives on
with a learner's old modules.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.isolation.supervisor import Ending, Supervision

READY = "ready"  # a file in the spare's folder: it is there once the spare is warm
_MOST_EARLY_DEATHS = 3
_STEP_LIMIT = 300.0  # seconds until the first step of a run, as for one that starts cold


@dataclass(frozen=True)
class RunOrder:
    """One run: pytest's arguments, and a file for what it prints; without one it prints on the terminal."""

    arguments: tuple[str, ...]
    output: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunOrder:
        return cls(tuple(data["arguments"]), data["output"])


class Spare:
    """A process that warms up, waits, and does one run."""

    def __init__(self, root: Path) -> None:
        self._flight = Path(tempfile.mkdtemp(prefix="harness-"))
        self._process = _start(root, self._flight)
        self._supervision: Supervision | None = None

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
        """Let it do the run. It may have died meanwhile, which `look` then tells."""
        assert self._process.stdin is not None
        self._supervision = Supervision(self, self._flight, _STEP_LIMIT)
        with suppress(OSError):
            self._process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
            self._process.stdin.flush()

    def look(self) -> Ending | None:
        """How the run ended; None while it goes on."""
        assert self._supervision is not None
        return self._supervision.look()

    def poll(self) -> int | None:
        return self._process.poll()

    def kill(self) -> None:
        """End it, and what the learner's code may have started."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()

    def discard(self) -> None:
        """End it if it still runs, and leave nothing behind."""
        self.kill()
        self._process.wait()
        if self._process.stdin:
            with suppress(OSError):
                self._process.stdin.close()
        shutil.rmtree(self._flight, ignore_errors=True)


def _start(root: Path, flight: Path) -> subprocess.Popen[bytes]:
    """Apart from the terminal's signals: Ctrl-C is for the watching process alone."""
    group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # Windows' way to keep Ctrl-C off
    command: Sequence[str] = [sys.executable, "-P", "-m", "harness.watch.spare_process", str(flight)]
    return subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, start_new_session=True, creationflags=group
    )


class CannotWarm(Exception):
    """Spares end before they are ready, one after the other."""

    def __init__(self, status: int) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


class SparePool:
    """Keeps one spare warm: the successor of the one that is running."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._next: Spare | None = None
        self._early_deaths = 0  # in a row, before being ready

    def tend(self) -> None:
        """Start the next spare if there is none, or if it has died. Raises CannotWarm the third time."""
        if self._next and self._next.dead:
            self._bury(self._next)
        if self._next is None:
            self._next = Spare(self._root)

    def take(self) -> Spare | None:
        """The spare, if it is warm; the caller discards it. None: it is not ready yet."""
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
