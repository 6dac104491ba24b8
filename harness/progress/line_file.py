"""Files of facts, one JSON object in each line, to which several processes may append.

A line is written by a single `write` in append mode, between newlines, so a process that is killed damages
only its own line. On Windows and network disks appending is not atomic between processes, so writers take
turns, if the file system knows locks; they wait for a while, never for ever. A file is rewritten only where
there are locks, and another file takes its place as a whole.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.course.whole_files import write_whole

_POLL = 0.02
_MOST_BYTES = 1 << 28  # far more than any learner's facts; more would not fit into memory
_NOT_NOW = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)  # how a lock that another process holds is refused
_BINARY = getattr(os, "O_BINARY", 0)
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # do not wait until somebody reads or writes a FIFO


@dataclass
class _Patience:
    """The time that this process still waits for other writers: a run saves many lines, and waits once."""

    seconds: float = 2.0

    def wait(self) -> bool:
        """Wait a moment; False if there has been enough waiting."""
        if self.seconds <= 0:
            return False
        time.sleep(_POLL)
        self.seconds -= _POLL
        return True


_PATIENCE = _Patience()


def append_line(path: Path, fact: dict[str, object]) -> None:
    """Append `fact` as a line of JSON, safe from kills and other writers.

    Raises OSError (read-only folder, full disk, no regular file) after at most a torn line.
    """
    # The leading newline separates the line from whatever a killed writer left.
    line = b"\n" + to_json(fact) + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with _no_alarm(), _own_turn(path) as descriptor:
        written = os.write(descriptor, line)
    if written < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def rewrite(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Replace the lines by what `change` makes of them. Raises OSError; the file is then as it was.

    That includes a file that another process is writing, and a file system without locks.
    """
    with _no_alarm(), _opened(path, os.O_RDWR | os.O_APPEND) as descriptor:
        _lock(descriptor)
        data = read_bytes(path)
        changed = b"\n".join(change(data.split(b"\n"))) + b"\n"
        if os.fstat(descriptor).st_size == len(data):  # else a process that waited too long has written
            write_whole(path, changed)


def read_bytes(path: Path) -> bytes:
    """Return a file's contents. Raises OSError, also for what is no regular file or would fill the memory."""
    with _opened(path, os.O_RDONLY) as descriptor:
        size = os.fstat(descriptor).st_size
        if size > _MOST_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(_MOST_BYTES)


def read_lines(path: Path) -> list[dict[str, object]]:
    """Return the JSON objects in a file of lines, in order; skip everything else."""
    try:
        lines = read_bytes(path).split(b"\n")
    except OSError:
        return []
    return [fact for line in lines if isinstance(fact := parse_json(line), dict)]


def to_json(fact: dict[str, object]) -> bytes:
    """Return the line for a fact."""
    return json.dumps(fact, ensure_ascii=True).encode()


def parse_json(line: bytes) -> object:
    """Return the value that a line holds; None if it is not JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):  # RecursionError: a foreign line may be nested too deeply
        return None


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """Open a regular file. Raises OSError for anything else: a FIFO might block, a device never end."""
    descriptor = os.open(path, flags | _BINARY | _AT_ONCE, 0o644)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _own_turn(path: Path) -> Iterator[int]:
    """Open the file for appending, when no other process writes. Raises OSError."""
    while True:
        with _opened(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as descriptor:
            _wait_for_turn(descriptor)  # closing the file ends it
            if _is_at(path, descriptor):  # else it has been rewritten meanwhile
                yield descriptor
                return


def _is_at(path: Path, descriptor: int) -> bool:
    """True if the open file is still the one that the path leads to."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _wait_for_turn(descriptor: int) -> None:
    """Lock the file until it is closed; if that is not possible or takes too long, go on without."""
    while _is_taken(descriptor) and _PATIENCE.wait():
        pass


def _is_taken(descriptor: int) -> bool:
    """Try to lock the file. True if another process holds the lock, so that waiting may help."""
    try:
        _lock(descriptor)
    except OSError as error:
        return error.errno in _NOT_NOW
    return False


def _lock(descriptor: int) -> None:
    """Lock the file at once. Raises OSError if another process holds it, or there are no locks."""
    if os.name == "nt":
        import msvcrt

        os.lseek(descriptor, _MOST_BYTES, os.SEEK_SET)  # far behind the lines, which stay readable
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # on Windows only
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def _no_alarm() -> Iterator[None]:
    """Stop the clock of pytest-timeout, whose alarm would interrupt the block; then let it go on."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        if left:
            signal.setitimer(signal.ITIMER_REAL, left, interval)
