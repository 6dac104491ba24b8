"""Detection of saves, by changed contents.

watchfiles reports within hundredths of a second that something happened; the contents of the files decide
whether it was a save. So renamed temporary files, backups, touches and formatters that change nothing need
no special rules. Because the files are read every second anyway, file systems that report nothing (network
disks, a container's shared folders) work too, only later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.course.kata_tests import digest, file_digest

_SUFFIXES = (".py", ".yaml")  # of the files that a kata's tests run or read
_STEP = 10  # milliseconds without another event, so that the files of one save stay together
_LONGEST = 200  # milliseconds after which endless events are reported all the same
_EVERY = 1000  # milliseconds between two readings of the files without an event
_SETTLING = 0.05  # seconds for an editor to fill a file that it has emptied

_Signature = tuple[int, int, int, int]


def changed(before: Mapping[Path, str], after: Mapping[Path, str]) -> list[Path]:
    """Return the files that are new, deleted or different."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def half_written(before: Mapping[Path, str], after: Mapping[Path, str]) -> bool:
    """True if a file that had contents is empty or missing."""
    nothing = ("", digest(b""))
    return any(old not in nothing and after.get(path, "") in nothing for path, old in before.items())


class SourceFiles:
    """Digests of the files below a folder; files that look untouched are not read again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Path, tuple[_Signature, str]] = {}

    def read(self, *, closely: bool = True) -> dict[Path, str]:
        """Return the current digests. `closely` reads every file: some systems round times to seconds."""
        found: dict[Path, tuple[_Signature, str]] = {}
        for path in _source_files(self._folder):
            try:
                signature = _signature(path)
                known = self._known.get(path)
                same = known is not None and known[0] == signature and not closely
                found[path] = known if known and same else (signature, file_digest(path))
            except OSError:
                continue  # deleted meanwhile
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
    """Yield True for each report of the file system, and False after a second without one."""
    try:
        yield from _watched(folder, stop)
    except (OSError, RuntimeError):  # no more watches available, or none at all: poll
        yield from _watched(folder, stop, polling=True)


def _watched(folder: Path, stop: threading.Event, *, polling: bool | None = None) -> Iterator[bool]:
    from watchfiles import watch

    reports = watch(
        folder,
        watch_filter=lambda _, path: path.endswith(_SUFFIXES),
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
