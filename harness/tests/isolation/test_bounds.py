"""Tests of bounds for files and for processes that a learner's code leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.isolation.bounds import MOST_BYTES
from harness.tests.support.miniature import Miniature

_LIMITED = """
import sys
from harness.isolation.bounds import limit_file_sizes
limit_file_sizes()
with open(sys.argv[1], "wb", buffering=0) as file:
    file.truncate(int(sys.argv[2]))
    file.seek(0, 2)
    file.write(b"x")
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limits")
def test_a_file_cannot_grow_beyond_the_limit(tmp_path: Path) -> None:
    def write_after(size: int) -> str:
        command = [sys.executable, "-c", _LIMITED, str(tmp_path / "file"), str(size)]
        return subprocess.run(command, capture_output=True, text=True).stderr

    assert "File too large" in write_after(MOST_BYTES)
    assert write_after(MOST_BYTES - 1) == ""


ENDS = {
    "a hard exit": ("os._exit(1)", "os._exit(1)"),
    "a crash": ("os.kill(os.getpid(), 11)", "SIGSEGV"),
}


@pytest.mark.parametrize(("end", "said"), ENDS.values(), ids=ENDS)
def test_what_a_dead_process_has_printed_is_cut_and_comes_before_the_verdict(
    mini: Miniature, end: str, said: str
) -> None:
    mini.write_doubles(double=f'import os\nfor i in range(300):\n    print("line", i)\n{end}')
    result = mini.pytest("katas/00")
    assert said in result.out
    assert "Your code printed, the last of 2,590 characters:" in result.out
    assert result.text.count("line 2") == 5  # 295 to 299
    assert result.out.rstrip().endswith("harness hint 00")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
@pytest.mark.parametrize("end", ["return 2 * x", "os._exit(1)"])
def test_a_process_in_a_session_of_its_own_does_not_survive_the_run(
    mini: Miniature, end: str, tmp_path: Path
) -> None:
    note = tmp_path / "pid"
    start = "child = subprocess.Popen(['sleep', '300'], start_new_session=True)"
    leave_number = f"pathlib.Path({str(note)!r}).write_text(str(child.pid))"
    mini.write_doubles(double=f"import os, pathlib, subprocess\n{start}\n{leave_number}\n{end}")
    mini.pytest("katas/00")
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_a_run_of_everything_says_that_a_crash_ended_it(mini: Miniature) -> None:
    mini.write_doubles(double="import os\nos._exit(1)")
    assert "The tests after this one did not run." in mini.pytest("--all").out
    assert "did not run" not in mini.pytest("katas/00").out
