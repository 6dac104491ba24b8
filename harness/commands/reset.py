"""`harness reset` and its `--undo`, neither of which loses code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.course.katas import Course, Kata
from harness.course.unsolved import shipped_stub
from harness.course.whole_files import write_whole

BACKUPS = "backups"


class NothingToUndo(Exception):
    """No backup differs from the current file."""


@dataclass(frozen=True)
class Change:
    """A file that was replaced, and the copy of what it held."""

    restored: Path | None = None  # the backup that it is now; None for the original stub
    backup: Path | None = None  # None if there was nothing to back up


def reset(course: Course, kata: Kata, now: datetime) -> Change | None:
    """Write the original stub, with a backup of what was there unless the file was missing or empty.

    Return None if the file is the original stub already. Raises OSError before the file is changed.
    """
    shipped = shipped_stub(kata).encode()
    if _plain(_current(kata)) == shipped:
        return None
    return Change(backup=_replace(course, kata, shipped, now))


def undo(course: Course, kata: Kata, now: datetime) -> Change:
    """Restore the newest backup that differs from the current file, and back that file up first.

    Raises NothingToUndo, or OSError before the file is changed.
    """
    current = _plain(_current(kata))
    for backup in sorted(_folder(course, kata).glob("*.py"), reverse=True):
        wanted = backup.read_bytes()
        if wanted and _plain(wanted) != current:  # an empty one is no copy of anything
            return Change(backup, _replace(course, kata, wanted, now))
    raise NothingToUndo


def back_up(course: Course, kata: Kata, content: bytes, now: datetime) -> Path:
    """Save `content` as the newest backup of the kata, and return its path. Raises OSError.

    The file has its name before it has its content, so no other process can take the name. Until it is
    whole it is empty, and an empty backup is never restored.
    """
    backup = _reserve(_folder(course, kata), now)
    try:
        write_whole(backup, content)
    except BaseException:
        backup.unlink(missing_ok=True)
        raise
    return backup


def utc_now() -> datetime:
    return datetime.now(UTC)


def _replace(course: Course, kata: Kata, wanted: bytes, now: datetime) -> Path | None:
    """Write the kata's file once all that it holds is in a backup; return the newest backup."""
    backup, saved = None, b""
    nothing_of_theirs = (b"", shipped_stub(kata).encode())
    while (current := _current(kata)) != saved and _plain(current) not in nothing_of_theirs:
        backup, saved = back_up(course, kata, current, now), current  # again if it is saved meanwhile
    write_whole(kata.stub, wanted)
    return backup


def _current(kata: Kata) -> bytes:
    """Return the content of the file; empty if it was deleted."""
    return kata.stub.read_bytes() if kata.stub.is_file() else b""


def _plain(content: bytes) -> bytes:
    """Return the content with the line endings of the original stub."""
    return content.replace(b"\r\n", b"\n")


def _folder(course: Course, kata: Kata) -> Path:
    return course.state / BACKUPS / kata.name


def _reserve(folder: Path, now: datetime) -> Path:
    """Create an empty file named after the time, or after the next time that is free."""
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        backup = folder / f"{now:%Y%m%dT%H%M%S%f}.py"  # sorts by time
        try:
            backup.open("xb").close()
        except FileExistsError:
            now += timedelta(microseconds=1)
        else:
            return backup
