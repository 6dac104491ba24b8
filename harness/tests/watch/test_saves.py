"""Saves are changed contents, however they were written."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import watchfiles

from harness.course.kata_tests import digest
from harness.watch import saves
from harness.watch.saves import SourceFiles, changed, half_written

Heard = Callable[[], list[str]]


@pytest.fixture(params=["events", "polling", "nothing"])
def heard(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """Return the file names of the next save, on three kinds of file system."""
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "b.py").write_text("1")
    if request.param == "polling":
        monkeypatch.setenv("WATCHFILES_FORCE_POLLING", "true")
    if request.param == "nothing":  # a network disk: whatever happens, nothing is reported
        monkeypatch.setattr("watchfiles.watch", _without_events)
    delivered: queue.Queue[list[str]] = queue.Queue()
    stop = threading.Event()
    ready = threading.Event()
    monkeypatch.setattr("harness.watch.saves.SourceFiles", _signalling(ready))
    thread = threading.Thread(
        target=saves.follow, args=(tmp_path, lambda paths: delivered.put([p.name for p in paths]), stop)
    )
    thread.start()
    assert ready.wait(30)
    yield lambda: delivered.get(timeout=60)
    stop.set()
    thread.join()
    assert delivered.empty()


def _without_events(*arguments: Any, watch: Callable[..., Any] = watchfiles.watch, **options: Any) -> Any:
    return watch(*arguments, **{**options, "watch_filter": lambda change, path: False})


def _signalling(ready: threading.Event) -> type[SourceFiles]:
    """Return a class that sets `ready` at its first reading."""

    class Signalling(SourceFiles):
        def read(self, *, closely: bool = True) -> dict[Path, str]:
            found = super().read(closely=closely)
            ready.set()
            return found

    return Signalling


def test_a_file_written_in_place(heard: Heard, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("22")
    assert heard() == ["a.py"]


def test_a_temporary_file_that_is_renamed(heard: Heard, tmp_path: Path) -> None:
    (tmp_path / ".a.py.tmp").write_text("22")
    os.replace(tmp_path / ".a.py.tmp", tmp_path / "a.py")
    assert heard() == ["a.py"]


def test_a_file_that_is_moved_away_and_rewritten(heard: Heard, tmp_path: Path) -> None:
    os.replace(tmp_path / "a.py", tmp_path / "a.py~")
    (tmp_path / "a.py").write_text("22")
    assert heard() == ["a.py"]


def test_several_files_at_once(heard: Heard, tmp_path: Path) -> None:
    names = ["a.py", "b.py", "c.py"]
    for name in names:
        (tmp_path / name).write_text("22")
    found: set[str] = set()
    while found != set(names):  # a slow machine may see two saves
        found |= set(heard())


def test_unchanged_contents_are_not_a_save(heard: Heard, tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "notes.md").write_text("not run by any test")
    time.sleep(0.3)
    (tmp_path / "b.py").write_text("22")
    assert heard() == ["b.py"]


def test_an_emptied_file_is_half_written() -> None:
    path = Path("a.py")
    assert half_written({path: "x"}, {path: digest(b"")})
    assert half_written({path: "x"}, {})
    assert not half_written({path: digest(b"")}, {path: digest(b"")})
    assert not half_written({path: "x"}, {path: "y"})


def test_new_deleted_and_different_files_have_changed() -> None:
    a, b, c = Path("a"), Path("b"), Path("c")
    assert changed({a: "1", b: "1"}, {b: "2", c: "1"}) == [a, b, c]


def test_without_watches_the_files_are_polled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[bool | None] = []

    def watched(folder: Path, stop: threading.Event, *, polling: bool | None = None) -> Iterator[bool]:
        asked.append(polling)
        if not polling:
            raise OSError(28, "no space left on device")
        yield False

    monkeypatch.setattr(saves, "_watched", watched)
    saves.follow(tmp_path, print, threading.Event())
    assert asked == [None, True]
