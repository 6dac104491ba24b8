"""No receipt is lost: not by a kill, another writer, a full disk, a read-only folder or foreign lines."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.course.katas import Course
from harness.progress import line_file, receipts
from harness.progress.line_file import append_line
from harness.progress.receipts import (
    Receipt,
    append_receipt,
    progress_path,
    read_receipts,
)
from harness.tests.support.commands import without_coverage


def make_receipt(test: str = "test_one") -> Receipt:
    return Receipt("k00_numbers", (test,), "tests", "stub", "2025-01-01T00:00:00+00:00")


def line_of(receipt: Receipt) -> bytes:
    return json.dumps(asdict(receipt)).encode()


def passed_in(path: Path) -> list[str]:
    """The first test of every readable receipt."""
    return [receipt.passed[0] for receipt in read_receipts(path).entries]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return progress_path(Course(tmp_path, ()))


# --- writing and reading -------------------------------------------------------------------------


def test_a_receipt_is_read_as_it_was_written(path: Path):
    receipt = Receipt("k01_é", ("test_a", "TestB::test_ü"), "t", "s", "now", failed=("test_\n\u2028",))
    append_receipt(path, receipt)
    assert read_receipts(path).entries == (receipt,)


def test_receipts_stay_in_order(path: Path):
    names = [f"test_{number}" for number in range(20)]
    for name in names:
        append_receipt(path, make_receipt(name))
    assert passed_in(path) == names


def test_a_missing_file_has_no_receipts(path: Path):
    assert read_receipts(path) == receipts.Receipts(path)
    assert not path.parent.exists()


def test_a_receipt_of_an_earlier_version_without_failures_is_read(path: Path):
    path.parent.mkdir()
    fact = asdict(make_receipt())
    del fact["failed"]
    path.write_text(json.dumps(fact))
    assert read_receipts(path).entries == (make_receipt(),)


def test_fields_added_by_a_later_version_are_ignored(path: Path):
    append_line(path, {**asdict(make_receipt()), "seconds": 0.1})
    assert read_receipts(path).entries == (make_receipt(),)


def test_windows_line_endings_are_accepted(path: Path):
    append_receipt(path, make_receipt())
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_receipts(path).entries == (make_receipt(),)
    assert read_receipts(path).unreadable == ()


def test_a_file_that_cannot_be_opened_is_a_problem_not_a_crash(path: Path):
    path.mkdir(parents=True)
    found = read_receipts(path)
    assert found.entries == ()
    assert found.problem in ("not a regular file", "Permission denied")  # Windows says the latter


# --- torn and foreign lines ----------------------------------------------------------------------

FOREIGN = {
    "binary": b"\x00\xff\xfe\x80",
    "utf-16": '{"kata": 1}'.encode("utf-16"),
    "latin-1": '{"kata": "é"}'.encode("latin-1"),
    "words": b"<<<<<<< HEAD",
    "torn": line_of(make_receipt())[:40],
    "two in one": line_of(make_receipt()) * 2,
    "null": b"null",
    "number": b"1e999",
    "long number": b"1" * 10_000,
    "list": b"[1, 2]",
    "other object": b'{"hint": 3}',
    "nested": b"[" * 100_000,
    "null kata": line_of(make_receipt()).replace(b'"k00_numbers"', b"null"),
    "passed is a string": line_of(make_receipt()).replace(b'["test_one"]', b'"test_one"'),
    "passed holds a number": line_of(make_receipt()).replace(b'["test_one"]', b"[1]"),
    "failed is null": line_of(make_receipt()).replace(b'"failed": []', b'"failed": null'),
    "time is a number": line_of(make_receipt()).replace(b'"2025-01-01T00:00:00+00:00"', b"1735689600"),
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_line_is_counted_and_does_not_affect_others(path: Path, foreign: bytes):
    path.parent.mkdir()
    good = line_of(make_receipt())
    path.write_bytes(good + b"\n" + foreign + b"\n\n" + good + b"\n" + foreign)
    found = read_receipts(path)
    assert found.entries == (make_receipt(), make_receipt())
    assert found.unreadable == (2, 5)


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_a_receipt_added_after_a_foreign_line_is_read(path: Path, foreign: bytes):
    path.parent.mkdir()
    path.write_bytes(foreign)
    append_receipt(path, make_receipt())
    assert read_receipts(path).entries == (make_receipt(),)
    assert read_receipts(path).unreadable == (1,)


def test_blank_lines_are_not_foreign_lines(path: Path):
    path.parent.mkdir()
    path.write_bytes(b"\n  \n\r\n\t\n")
    assert read_receipts(path).unreadable == ()


_TESTS = st.text(st.characters(codec="utf-8"), max_size=12)
_RECEIPTS = st.builds(Receipt, _TESTS, st.tuples(_TESTS), _TESTS, _TESTS, _TESTS, st.tuples(_TESTS))
_TORN = st.builds(lambda receipt, cut: line_of(receipt)[: -1 - cut], _RECEIPTS, st.integers(0, 200))
_JUNK = st.binary(max_size=30).map(lambda junk: junk.replace(b"\n", b"")) | _TORN


@settings(deadline=None)  # it writes files
@given(st.lists(_RECEIPTS | _JUNK, max_size=12))
def test_any_mixture_of_torn_and_foreign_lines_loses_no_receipt(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Receipt | bytes]
):
    path = progress_path(Course(tmp_path_factory.getbasetemp() / "mixture", ()))
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir(parents=True)
    for line in lines:
        if isinstance(line, Receipt):
            append_receipt(path, line)
        else:
            with path.open("ab") as file:
                file.write(line)  # and no newline: the writer was killed
    assert read_receipts(path).entries == tuple(line for line in lines if isinstance(line, Receipt))


# --- kills ---------------------------------------------------------------------------------------


def test_a_writer_killed_after_any_byte_damages_only_its_own_line(tmp_path: Path):
    whole = b"\n" + line_of(make_receipt("test_killed")) + b"\n"
    lost = []
    for kept in range(len(whole) + 1):
        path = tmp_path / f"{kept}.jsonl"
        append_receipt(path, make_receipt("test_before"))
        with path.open("ab") as file:
            file.write(whole[:kept])
        append_receipt(path, make_receipt("test_after"))
        found = passed_in(path)
        if [name for name in found if name != "test_killed"] != ["test_before", "test_after"]:
            lost.append(kept)
        # With its last brace written a line is a receipt; before, it is nothing.
        assert ("test_killed" in found) == (kept >= len(whole) - 1)
        assert len(read_receipts(path).unreadable) == (1 < kept < len(whole) - 1)
    assert lost == []


# Kills one writer process after another at random moments. A writer acknowledges a receipt only after
# `append_receipt` has returned. Writers are forked from one process, so that each starts quickly.
_KILLING = """
import itertools, multiprocessing, os, random, sys, time
from pathlib import Path

from harness.progress.receipts import Receipt, append_receipt

PADDING = tuple(f"test_that_makes_the_line_longer_than_a_page_{i}" for i in range(200))


def write(path, acknowledgements, name, ready):
    acknowledgements = os.open(acknowledgements, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    ready.send_bytes(b"!")
    for number in itertools.count():
        test = f"{name}_{number}"
        more = PADDING if number % 8 == 3 else ()  # so that a kill can fall inside a write, too
        append_receipt(path, Receipt("k00_numbers", (test, *more), "tests", "stub", "now"))
        os.write(acknowledgements, f"<{test}>".encode())


def main(path, acknowledgements, name, kills):
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
    for life in range(int(kills)):
        ours, theirs = context.Pipe(duplex=False)
        writer = context.Process(target=write, args=(Path(path), acknowledgements, f"{name}_{life}", theirs))
        writer.start()
        theirs.close()
        ours.recv_bytes()
        time.sleep(random.uniform(0, 0.01))
        writer.kill()
        writer.join()
        if writer.exitcode >= 0:
            sys.exit("a writer ended by itself")


if __name__ == "__main__":
    main(*sys.argv[1:])
"""


def kill_writers(path: Path, kills: int) -> tuple[set[str], list[str]]:
    """Kill writers, two at a time; return the acknowledged receipts and those of them that are lost."""
    script = path.parent / "killing.py"
    script.parent.mkdir()
    script.write_text(_KILLING)
    acknowledgements = [path.parent / f"acknowledged_{name}" for name in "ab"]
    killers = [
        subprocess.Popen(
            [sys.executable, str(script), str(path), str(each), each.name, str(kills // 2)],
            # A killed process saves no coverage, and starting to measure takes longer than it lives.
            env={**without_coverage(os.environ), "PYTHONPATH": str(Path(receipts.__file__).parents[2])},
            stderr=subprocess.PIPE,
            text=True,
        )
        for each in acknowledgements
    ]
    errors = [killer.communicate()[1] for killer in killers]
    assert ([killer.returncode for killer in killers], errors) == ([0, 0], ["", ""])
    # A kill can tear an acknowledgement, too: only one between two brackets was written whole.
    acknowledged = {name for each in acknowledgements for name in re.findall("<([^<>]+)>", each.read_text())}
    return acknowledged, sorted(acknowledged - set(passed_in(path)))


@pytest.mark.parametrize(
    "kills", [20, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(300)])]
)
def test_no_receipt_is_lost_when_writers_are_killed_at_random_moments(path: Path, kills: int):
    acknowledged, lost = kill_writers(path, kills)
    found = read_receipts(path)
    print(
        f"\n{kills} kills: {len(lost)} of {len(acknowledged)} receipts lost,"
        f" {len(found.unreadable)} lines torn"
    )
    assert lost == []
    assert len(acknowledged) >= kills  # the writers did get to write
    assert len(found.unreadable) <= kills  # no kill tore more than the line that was being written
    assert {(each.kata, each.time) for each in found.entries} == {("k00_numbers", "now")}


def test_after_a_kill_the_next_writer_does_not_wait_for_the_dead_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    kill_writers(path, 2)
    monkeypatch.setattr(line_file.time, "sleep", lambda _: pytest.fail("it waits"))
    append_receipt(path, make_receipt("test_after"))
    assert passed_in(path)[-1] == "test_after"


_APPENDING = """
import sys
from pathlib import Path
from harness.progress.receipts import Receipt, append_receipt
sys.stdin.read(1)  # both start together
for number in range(200):
    append_receipt(Path(sys.argv[1]), Receipt("k", (f"{sys.argv[2]}{number}",), "t" * 3000, "s", "now"))
"""


def test_two_processes_appending_at_once_lose_and_tear_nothing(path: Path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _APPENDING, str(path), name],
            env={**os.environ, "PYTHONPATH": str(Path(receipts.__file__).parents[2])},
            stdin=subprocess.PIPE,
        )
        for name in "ab"
    ]
    for writer in writers:
        writer.stdin.write(b"!")
        writer.stdin.close()
    assert [writer.wait() for writer in writers] == [0, 0]
    found = passed_in(path)
    assert [name for name in found if name[0] == "a"] == [f"a{number}" for number in range(200)]
    assert [name for name in found if name[0] == "b"] == [f"b{number}" for number in range(200)]
    assert read_receipts(path).unreadable == ()


# --- a disk that does not take it ----------------------------------------------------------------


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a small file system with these options; skip the test if that is not permitted."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    mounted = False

    def with_options(options: str) -> Path:
        nonlocal mounted
        if shutil.which("mount") is None:
            pytest.skip("mounting a small disk needs the command mount")
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True
        )
        if done.returncode and not mounted:
            pytest.skip("mounting a small disk is not permitted here; the simulated one is tested below")
        mounted = True
        return folder

    yield with_options
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no byte free in the folder's file system; the file that takes the room."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 512)
    return filler


def save_until_refused(path: Path, saved: list[str]) -> None:
    """Append until it fails, and note what was saved: a file's last page has room for some."""
    for number in range(1000):
        append_receipt(path, make_receipt(f"test_{number}"))
        saved.append(f"test_{number}")


def test_a_full_disk_is_reported_and_loses_no_other_receipt(mount: Callable[[str], Path]):
    disk = mount("size=32k")
    path = progress_path(Course(disk, ()))
    append_receipt(path, make_receipt("test_before"))
    filler = fill(disk)
    saved = ["test_before"]
    with pytest.raises(OSError, match="No space left on device") as raised:
        save_until_refused(path, saved)
    assert raised.value.errno == errno.ENOSPC
    assert passed_in(path) == saved
    filler.unlink()
    append_receipt(path, make_receipt("test_after"))
    assert passed_in(path) == [*saved, "test_after"]


def test_a_disk_full_before_the_first_receipt_is_reported(mount: Callable[[str], Path]):
    disk = mount("size=16k,nr_inodes=2")  # its root, the filler, and no more
    fill(disk)
    with pytest.raises(OSError, match="No space left on device"):
        append_receipt(progress_path(Course(disk, ())), make_receipt())
    assert read_receipts(progress_path(Course(disk, ()))).entries == ()


@pytest.mark.parametrize("says_so", [True, False], ids=["raises", "returns a short count"])
@pytest.mark.parametrize("part", [0, 1, 2, 30])
def test_a_disk_that_fills_up_within_a_line_is_reported_and_loses_no_other_receipt(
    path: Path, monkeypatch: pytest.MonkeyPatch, part: int, says_so: bool
):
    append_receipt(path, make_receipt("test_before"))
    write = os.write

    def write_a_part(descriptor: int, data: bytes) -> int:
        written = write(descriptor, data[:part]) if part else 0
        if says_so:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written

    with monkeypatch.context() as full:
        full.setattr(os, "write", write_a_part)
        with pytest.raises(OSError, match="No space left on device"):
            append_receipt(path, make_receipt("test_unsaved"))
    assert passed_in(path) == ["test_before"]
    append_receipt(path, make_receipt("test_after"))
    assert passed_in(path) == ["test_before", "test_after"]


def test_in_a_read_only_file_system_appending_fails_and_reading_works(mount: Callable[[str], Path]):
    path = progress_path(Course(mount("size=64k"), ()))
    append_receipt(path, make_receipt())
    mount("remount,ro")
    with pytest.raises(OSError, match="Read-only file system"):
        append_receipt(path, make_receipt("test_unsaved"))
    assert passed_in(path) == ["test_one"]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_in_a_read_only_folder_appending_fails_and_reading_works(path: Path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; the read-only file system is tested instead")
    append_receipt(path, make_receipt())
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            append_receipt(path, make_receipt("test_unsaved"))
        assert passed_in(path) == ["test_one"]
    finally:
        path.parent.chmod(0o700)


def test_if_the_folder_cannot_be_created_appending_fails_and_reading_works(path: Path):
    path.parent.write_text("a file where the folder belongs")
    with pytest.raises(FileExistsError):
        append_receipt(path, make_receipt())
    assert read_receipts(path).entries == ()
