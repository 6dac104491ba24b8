"""`harness reset` and its `--undo`, neither of which loses code."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from harness.course.katas import Course, Kata
from harness.course.unsolved import shipped_stub

BACKUPS = "backups"


class NothingToUndo(Exception):
    """No backup differs from the current file."""


def reset(course: Course, kata: Kata, now: datetime) -> Path | None:
    """Write the original stub and return the path of the backup.

    Return None if the file is the original stub already. Raises OSError before anything is
    changed if the backup cannot be written.
    """
    shipped = shipped_stub(kata).encode()
    if _current(kata) == shipped:
        return None
    backup = _back_up(course, kata, now)
    kata.stub.write_bytes(shipped)
    return backup


def undo(course: Course, kata: Kata, now: datetime) -> Path:
    """Restore the newest backup that differs from the current file, and back that file up first.

    Raises NothingToUndo, or OSError before anything is changed.
    """
    current = _current(kata)
    for backup in sorted(_folder(course, kata).glob("*.py"), reverse=True):
        wanted = backup.read_bytes()
        if wanted != current:
            if current != shipped_stub(kata).encode():
                _back_up(course, kata, now)
            kata.stub.write_bytes(wanted)
            return backup
    raise NothingToUndo


def utc_now() -> datetime:
    return datetime.now(UTC)


def _current(kata: Kata) -> bytes:
    """Return the file with the line endings of the original stub; empty if the file was deleted."""
    return kata.stub.read_bytes().replace(b"\r\n", b"\n") if kata.stub.is_file() else b""


def _folder(course: Course, kata: Kata) -> Path:
    return course.state / BACKUPS / kata.name


def _back_up(course: Course, kata: Kata, now: datetime) -> Path:
    folder = _folder(course, kata)
    folder.mkdir(parents=True, exist_ok=True)
    backup = folder / f"{now:%Y%m%dT%H%M%S%f}.py"  # sorts by time
    with backup.open("xb") as file:  # never over another backup
        file.write(_current(kata))
    return backup
