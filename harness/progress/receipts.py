"""Receipts of passed tests, appended to `.harness/progress.jsonl` line by line."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeGuard

from harness.course.katas import Course
from harness.progress.line_file import append_line, parse_json, read_bytes, to_json

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
        data = read_bytes(path)
    except FileNotFoundError:
        return Receipts(path)
    except OSError as error:
        return Receipts(path, problem=error.strerror or str(error))
    parsed = [(number, parse(line)) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    return Receipts(
        path,
        tuple(receipt for _, receipt in parsed if receipt),
        tuple(number for number, receipt in parsed if receipt is None),
    )


def moment(time: str) -> datetime | None:
    """Return the moment that a fact's `time` names; None if that is no time with a zone."""
    with suppress(ValueError):
        parsed = datetime.fromisoformat(time)
        if parsed.tzinfo:
            return parsed
    return None


def line_of(receipt: Receipt) -> bytes:
    return to_json(asdict(receipt))


def append_receipt(path: Path, receipt: Receipt) -> None:
    """Append a receipt. Raises OSError (read-only folder, full disk) after at most a torn line."""
    append_line(path, asdict(receipt))


def parse(line: bytes) -> Receipt | None:
    """Return the receipt that a line holds; None if it holds something else."""
    match parse_json(line):
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
