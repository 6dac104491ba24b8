"""The folder of a run's flight recorder. It tells later runs whether the run still lives."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "harness-run-"
_LIFE = "alive"  # a file in the folder, locked by the process that made it for as long as it lives
_YOUNG = 60.0  # seconds in which a folder may not be locked yet


@contextmanager
def flight_folder(root: Path) -> Iterator[Path]:
    """Make a folder for a run of the course at `root`, and remove it after the block."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    descriptor = os.open(folder / _LIFE, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        _lock(descriptor)
        os.write(descriptor, os.fsencode(root))
        yield folder
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def remove_dead_folders(root: Path) -> bool:
    """Remove the folders of runs that were killed; True if one of them was a run of the course at `root`."""
    dead = [folder for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*") if _is_dead(folder)]
    mine = any(_root_of(folder) == os.fsencode(root) for folder in dead)
    for folder in dead:
        shutil.rmtree(folder, ignore_errors=True)
    return mine


def _root_of(folder: Path) -> bytes:
    with suppress(OSError):
        return (folder / _LIFE).read_bytes()
    return b""


def _is_dead(folder: Path) -> bool:
    """True if nobody locks the folder's file any more; False if that is not known."""
    try:
        descriptor = os.open(folder / _LIFE, os.O_WRONLY)
    except OSError:
        return False  # somebody else's
    try:
        is_old = time.time() - os.fstat(descriptor).st_mtime > _YOUNG
        return (is_old or os.fstat(descriptor).st_size > 0) and _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a file until it is closed; False if it is locked, or there are no locks."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True
