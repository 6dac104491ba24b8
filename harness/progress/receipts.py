"""Receipts of passed tests, appended to `.harness/progress.jsonl` line by line.

A line is written by a single `write` in append mode, between newlines, so a process that is killed
damages only its own line. A lock file separates writers on Windows and network disks, where appending is
not atomic between processes.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeGuard

from harness.course.katas import Course

FILE = "progress.jsonl"


@dataclass(frozen=True)
class Receipt:
    """A fact: with this stub and these tests, these tests passed (or failed) at this time."""

    kata: str
    passed: tuple[str, ...]
    tests_digest: str
    stub_digest: str
    time: str  # ISO 8601, UTC
    failed: tuple[str, ...] = ()

    @property
    def pair(self) -> tuple[str, str]:
        return (self.stub_digest, self.tests_digest)


@dataclass(frozen=True)
class Receipts:
    """All readable receipts in order, and the numbers of the other lines."""

    path: Path
    entries: tuple[Receipt, ...] = ()
    unreadable: tuple[int, ...] = ()
    problem: str = ""  # why the file could not be read, or empty


def progress_path(course: Course) -> Path:
    return course.state / FILE


def read_receipts(path: Path) -> Receipts:
    """Read every receipt in the file. Torn and foreign lines are counted, never fatal."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Receipts(path)
    except OSError as error:
        return Receipts(path, problem=error.strerror or str(error))
    parsed = [(number, _parse(line)) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    return Receipts(
        path,
        tuple(receipt for _, receipt in parsed if receipt),
        tuple(number for number, receipt in parsed if receipt is None),
    )


def append_receipt(path: Path, receipt: Receipt) -> None:
    """Append a receipt. Raises OSError (read-only folder, full disk) after at most a torn line."""
    append_line(path, asdict(receipt))


def append_line(path: Path, fact: dict[str, object]) -> None:
    """Append `fact` as a line of JSON, safe from kills and other writers."""
    # The leading newline separates the line from whatever a killed writer left.
    line = b"\n" + json.dumps(fact, ensure_ascii=True).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive_writer(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        try:
            written = os.write(descriptor, line)
        finally:
            os.close(descriptor)
    if written < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def read_lines(path: Path) -> list[dict[str, object]]:
    """Return the JSON objects in a file of lines, in order; skip everything else."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return []
    return [fact for line in lines if isinstance(fact := _json(line), dict)]


def _exclusive_writer(path: Path) -> AbstractContextManager[object]:
    from filelock import FileLock  # imported where used: `harness status` only reads

    lock: AbstractContextManager[object] = FileLock(path.with_suffix(".lock"), timeout=10)
    return lock  # its Timeout is an OSError, so it is reported, not fatal


def _json(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):  # RecursionError: a foreign line may be nested too deeply
        return None


def _parse(line: bytes) -> Receipt | None:
    match _json(line):
        case {
            "kata": str(kata),
            "passed": list(passed),
            "tests_digest": str(tests_digest),
            "stub_digest": str(stub_digest),
            "time": str(time),
            **others,
        }:
            failed = others.get("failed", [])
            if _are_texts(passed) and _are_texts(failed):
                return Receipt(kata, tuple(passed), tests_digest, stub_digest, time, tuple(failed))
    return None


def _are_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
