"""Tests of sources that Python refuses with words about something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.isolation.sources import MergeConflict, NotUtf8, check_source

FILE = Path("katas/k00_doubles/doubles.py")
CONFLICT = b"a = 1\n<<<<<<< HEAD\nb = 1\n=======\nb = 2\n>>>>>>> main\n"


@pytest.mark.parametrize(
    ("data", "error", "line"),
    [
        (CONFLICT, MergeConflict, 2),
        (CONFLICT.replace(b"\n", b"\r\n"), MergeConflict, 2),
        ("a = 'café'\n".encode("utf-16"), NotUtf8, 1),
        ("a = 'café'\n".encode("utf-16-le"), NotUtf8, 1),
        ("a = 'café'\n".encode("latin-1"), NotUtf8, 1),
        ("a = 1\nb = 1\nc = 1\nd = 'café'\n".encode("latin-1"), NotUtf8, 4),
    ],
)
def test_the_cause_is_named_with_its_line(data: bytes, error: type[SyntaxError], line: int) -> None:
    with pytest.raises(error, match=r"doubles\.py") as caught:
        check_source(FILE, data)
    assert (caught.value.filename, caught.value.lineno) == (str(FILE), line)


@pytest.mark.parametrize(
    "data",
    [
        b"def (\n",
        "# -*- coding: latin-1 -*-\na = 'café'\n(".encode("latin-1"),
        b'text = """\n    <<<<<<< not at the margin\n"""\n(',
        b"# -*- coding: nonsense -*-\n",
    ],
    ids=["plain error", "declared encoding", "marks in a text", "unknown encoding"],
)
def test_any_other_error_is_left_to_python(data: bytes) -> None:
    check_source(FILE, data)
