"""Which files a learner saved: told when their contents change, however the editor writes them.

watchfiles says that something happened, within hundredths of a second; what the files then contain decides
whether it was a save. So a temporary file that is renamed, a backup, a touch and a formatter that changes
nothing are not told apart by guessing. And as the files are looked at every second anyway, a file system
that reports nothing (a network disk, a container's share) works too, only later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.course.kata_tests import digest, file_digest

_SUFFIXES = (".py", ".yaml")  # what a kata's tests run or read
_SUFFIXES_REPORTED = _SUFFIXES  # of these the file system's reports are listened to
_STEP = 10  # milliseconds without a further event: the files of one save belong together
_LONGEST = 200  # milliseconds after which events that do not cease are told all the same
_EVERY = 1000  # milliseconds from one look at the files to the next where nothing is reported
_SETTLING = 0.05  # seconds: an editor that has emptied a file is about to fill it

_Signature = tuple[int, int, int, int]


def changed(before: Mapping[Path, str], after: Mapping[Path, str]) -> list[Path]:
    """The files that are new, gone or different."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def half_written(before: Mapping[Path, str], after: Mapping[Path, str]) -> bool:
    """Whether a file that had contents has none, or is gone."""
    nothing = ("", digest(b""))
    return any(old not in nothing and after.get(path, "") in nothing for path, old in before.items())


class SourceFiles:
    """The contents of the files below a folder, as digests; those that look untouched are not read again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Path, tuple[_Signature, str]] = {}

    def read(self, *, closely: bool = True) -> dict[Path, str]:
        """The digests now. `closely`: read every file, as some file systems count time in seconds."""
        found: dict[Path, tuple[_Signature, str]] = {}
        for path in _source_files(self._folder):
            try:
                signature = _signature(path)
                known = self._known.get(path)
                same = known is not None and known[0] == signature and not closely
                found[path] = known if known and same else (signature, file_digest(path))
            except OSError:
                continue  # gone between two looks
        self._known = found
        return {path: contents for path, (_, contents) in found.items()}


def follow(folder: Path, deliver: Callable[[Sequence[Path]], None], stop: threading.Event) -> None:
    """Call `deliver` with the files that a save changed, until `stop` is set."""
    sources = SourceFiles(folder)
    before = sources.read()
    for reported in _reports(folder, stop):
        after = sources.read(closely=reported)
        if half_written(before, after):
            time.sleep(_SETTLING)
            after = sources.read()
        paths = changed(before, after)
        before = after
        if paths:
            deliver(paths)


def _reports(folder: Path, stop: threading.Event) -> Iterator[bool]:
    """True when the file system reports something, False when a second passed without."""
    try:
        yield from _watched(folder, stop)
    except (OSError, RuntimeError):  # no more watches to be had, or none at all: look again and again
        yield from _watched(folder, stop, polling=True)


def _watched(folder: Path, stop: threading.Event, *, polling: bool | None = None) -> Iterator[bool]:
    from watchfiles import watch

    reports = watch(
        folder,
        watch_filter=lambda _, path: path.endswith(_SUFFIXES_REPORTED),
        debounce=_LONGEST,
        step=_STEP,
        stop_event=stop,
        rust_timeout=_EVERY,
        yield_on_timeout=True,
        force_polling=polling,
        raise_interrupt=False,
        ignore_permission_denied=True,
    )
    for report in reports:
        yield bool(report)


def _source_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.name.endswith(_SUFFIXES) and not path.name.startswith("."):
            yield path


def _signature(path: Path) -> _Signature:
    status = path.stat()
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
