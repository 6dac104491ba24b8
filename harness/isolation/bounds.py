"""Bounds for what a learner's code leaves behind: bytes in files, and processes."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path

MOST_BYTES = 1 << 26  # in a file, so also on a captured stdout: 64 MiB
_PR_SET_CHILD_SUBREAPER = 36  # man 2 prctl


def limit_file_sizes() -> None:
    """Let this process, and those that it starts, write no file larger than MOST_BYTES, where limits exist.

    A write beyond that raises OSError. An endless loop that prints would otherwise fill the disk.
    """
    with suppress(ImportError, OSError, ValueError):  # Windows has no limits; a lower one may be in force
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        allowed = [each for each in (soft, hard, MOST_BYTES) if each != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_FSIZE, (min(allowed), hard))


@contextmanager
def orphans_ended() -> Iterator[None]:
    """Adopt the processes that the block's child leaves behind, and kill them afterwards, on Linux."""
    before = children()
    adopt_orphans()
    try:
        yield
    finally:
        end_orphans(before)


def adopt_orphans() -> None:
    """Become the parent of what this process's children leave behind, on Linux."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_orphans(others: Set[int]) -> None:
    """Kill all children of this process except `others`, on Linux."""
    while orphans := children() - others:
        for pid in orphans:
            _end(pid)


def children() -> set[int]:
    """Return the process numbers of this process's children; on Linux, elsewhere none."""
    found: set[int] = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found |= {int(pid) for pid in listing.read_text().split()}
    return found


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)
