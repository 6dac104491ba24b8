"""Tests of files of facts: whatever the file is and whoever holds it, nothing waits for ever."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.progress import line_file
from harness.progress.line_file import append_line, read_bytes, read_lines

ONE, TWO = {"kata": "k00", "level": 1}, {"kata": "k00", "level": 2}
on_posix = pytest.mark.skipif(os.name == "nt", reason="Windows has neither FIFOs nor alarms")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "facts.jsonl"


def test_foreign_lines_and_torn_ones_are_skipped(path: Path) -> None:
    append_line(path, ONE)
    with path.open("ab") as file:
        file.write(b"[1]\n\xff\n" + b"[" * 100_000 + b'\n{"torn": ')
    append_line(path, TWO)
    assert read_lines(path) == [ONE, TWO]


def test_a_missing_file_has_no_facts(path: Path) -> None:
    assert read_lines(path) == []


# --- locks ---


@pytest.fixture
def held(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that another writer has locked, and does not release."""
    monkeypatch.setattr(line_file, "_PATIENCE", line_file._Patience(0.1))
    append_line(path, ONE)
    descriptor = os.open(path, os.O_RDWR)
    line_file._lock(descriptor)
    yield path
    os.close(descriptor)


def test_a_lock_that_another_process_keeps_does_not_prevent_saving(held: Path) -> None:
    append_line(held, TWO)
    assert read_lines(held) == [ONE, TWO]


def test_a_run_that_has_waited_in_vain_does_not_wait_again(
    held: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_line(held, TWO)
    monkeypatch.setattr(line_file.time, "sleep", lambda _: pytest.fail("it waits"))
    append_line(held, TWO)
    assert read_lines(held) == [ONE, TWO, TWO]


@pytest.mark.parametrize("refused", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_in_a_file_system_without_locks_facts_are_saved_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    def no_locks(_: int) -> None:
        raise OSError(refused, os.strerror(refused))

    monkeypatch.setattr(line_file, "_lock", no_locks)
    monkeypatch.setattr(line_file.time, "sleep", lambda _: pytest.fail("it waits"))
    append_line(path, ONE)
    assert read_lines(path) == [ONE]


@on_posix
def test_the_alarm_of_a_test_does_not_interrupt_the_wait_and_goes_on_afterwards(held: Path) -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        append_line(held, TWO)
        assert rung == []
        assert signal.setitimer(signal.ITIMER_REAL, 0)[0] > 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# --- what is no regular file ---

NOT_REGULAR: dict[str, Callable[[Path], object]] = {
    "a FIFO": lambda path: os.mkfifo(path),
    "a directory": lambda path: path.mkdir(),
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
    "a device that takes everything": lambda path: path.symlink_to("/dev/null"),
}


@on_posix
@pytest.mark.parametrize("make", NOT_REGULAR.values(), ids=NOT_REGULAR)
def test_what_is_no_regular_file_is_refused_at_once(path: Path, make: Callable[[Path], object]) -> None:
    path.parent.mkdir()
    make(path)
    with pytest.raises(OSError):
        append_line(path, ONE)
    with pytest.raises(OSError):
        read_bytes(path)
    assert read_lines(path) == []


def test_a_file_that_would_fill_the_memory_is_not_read(path: Path) -> None:
    append_line(path, ONE)
    os.truncate(path, line_file._MOST_BYTES + 1)  # it takes no space on the disk
    with pytest.raises(OSError, match="too large"):
        read_bytes(path)
