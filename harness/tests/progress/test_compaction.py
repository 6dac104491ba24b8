"""Many receipts become few, which prove the same; nothing is lost if another process writes."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.course.kata_tests import Shipped
from harness.course.katas import Course, Kata
from harness.progress import compaction, line_file
from harness.progress.compaction import MANY, compact, merged
from harness.progress.receipts import Receipt, append_receipt, line_of, progress_path, read_receipts
from harness.progress.standing import Digests, assess

TESTS = ("test_a", "test_b", "test_c")


def receipt(test: str, version: int, *, failed: bool = False) -> Receipt:
    outcome = {"failed": (test,), "passed": ()} if failed else {"passed": (test,)}
    return replace(Receipt("k00", (), "tests", f"stub {version}", f"time {version}"), **outcome)


def versions(count: int) -> list[Receipt]:
    """What a learner leaves who saves often: two tests pass each time, and the third fails."""
    return [receipt(test, version, failed=test == "test_c") for version in range(count) for test in TESTS]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = progress_path(Course(tmp_path, ()))
    path.parent.mkdir()
    return path


def write(path: Path, entries: list[Receipt]) -> None:
    path.write_bytes(b"\n".join(map(line_of, entries)) + b"\n")


def test_the_receipts_of_one_version_become_one():
    assert merged(versions(3))[-1] == Receipt(
        "k00", ("test_a", "test_b"), "tests", "stub 2", "time 2", failed=("test_c",)
    )
    assert len(merged(versions(100))) == 3 + 99


def test_the_first_pass_and_the_first_failure_of_each_test_stay():
    entries = [receipt("test_a", 0, failed=True), *versions(5)]
    assert merged(entries)[:4] == entries[:4]


_OUTCOME = st.builds(receipt, st.sampled_from(TESTS), st.integers(0, 3), failed=st.booleans()) | st.builds(
    lambda *given: replace(receipt(*given), kata="k01"), st.sampled_from(TESTS), st.integers(0, 3)
)


@given(st.lists(_OUTCOME, max_size=30), st.integers(0, 4))
def test_merged_receipts_prove_what_all_of_them_prove(entries: list[Receipt], now: int):
    course = Course(Path(), tuple(Kata(Path(), name) for name in ("k00", "k01")))
    shipped = {kata.name: Shipped("tests", TESTS) for kata in course.katas}
    digests = {kata.name: Digests(f"stub {now}", "tests") for kata in course.katas}
    assert assess(course, shipped, digests, merged(entries)) == assess(course, shipped, digests, entries)


def test_a_file_with_many_receipts_is_compacted_and_keeps_foreign_lines(path: Path):
    entries = versions(MANY)
    path.write_bytes(b"\n".join([b"foreign", *map(line_of, entries), b'{"torn":']))
    compact(read_receipts(path))
    found = read_receipts(path)
    assert list(found.entries) == merged(entries)
    assert path.read_bytes().startswith(b"foreign\n{")
    assert path.read_bytes().endswith(b'}\n{"torn":\n')
    append_receipt(path, receipt("test_c", MANY))
    assert read_receipts(path).entries[-1] == receipt("test_c", MANY)


@pytest.mark.parametrize(
    "entries",
    [versions(MANY // 3), [receipt("test_a", version) for version in range(MANY + 1)]],
    ids=["few", "nothing to merge"],
)
def test_a_file_that_would_gain_little_stays(path: Path, entries: list[Receipt]):
    write(path, entries)
    before = path.stat()
    compact(read_receipts(path))
    assert path.stat().st_ino == before.st_ino


def test_a_file_that_another_process_is_writing_stays(path: Path):
    write(path, versions(MANY))
    before = path.read_bytes()
    stored = read_receipts(path)
    with line_file._opened(path, os.O_RDWR) as descriptor:
        line_file._lock(descriptor)
        compact(stored)
    assert path.read_bytes() == before

    def write_meanwhile(lines: list[bytes]) -> list[bytes]:
        with path.open("ab") as file:  # by a process that has waited for its turn too long
            file.write(b"more\n")
        return lines[:1]

    line_file.rewrite(path, write_meanwhile)
    assert path.read_bytes() == before + b"more\n"


def test_where_there_are_no_locks_or_no_space_the_file_stays(path: Path, monkeypatch: pytest.MonkeyPatch):
    write(path, versions(MANY))
    before, stored = path.read_bytes(), read_receipts(path)

    def refuse(*_: object) -> None:
        raise OSError("not here")

    for name in ("_lock", "write_whole"):
        with monkeypatch.context() as refusing:
            refusing.setattr(line_file, name, refuse)
            compact(stored)
        assert path.read_bytes() == before


_APPENDING = """
import sys
from pathlib import Path
from harness.progress.receipts import Receipt, append_receipt
for number in range(300):
    append_receipt(Path(sys.argv[1]), Receipt("k", (f"test {number}",), "t", "s", "now"))
"""


def test_no_receipt_is_lost_that_another_process_saves_meanwhile(path: Path):
    write(path, versions(MANY))
    environment = {**os.environ, "PYTHONPATH": str(Path(line_file.__file__).parents[2])}
    writer = subprocess.Popen([sys.executable, "-c", _APPENDING, str(path)], env=environment)
    while writer.poll() is None:
        with suppress(BlockingIOError):  # the writer's turn
            line_file.rewrite(path, compaction._merged_lines)
    assert writer.returncode == 0
    saved = [test for each in read_receipts(path).entries if each.kata == "k" for test in each.passed]
    assert sorted(saved) == sorted(f"test {number}" for number in range(300))
