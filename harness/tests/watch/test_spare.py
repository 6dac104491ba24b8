"""The pre-warmed process: one run like a fresh pytest's, and it never outlives watch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.isolation.supervisor import Ending
from harness.progress.receipts import progress_path
from harness.tests.isolation.test_supervisor import LOOP, _gone
from harness.tests.support.miniature import Miniature
from harness.tests.support.plugins import AS_A_LEARNER
from harness.watch.spare import RunOrder, Spare


@pytest.fixture(autouse=True)
def _quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable a plugin that a learner does not have, and that takes as long as torch."""
    monkeypatch.setenv("PYTEST_ADDOPTS", AS_A_LEARNER)


@contextmanager
def warm_spare(root: Path) -> Iterator[Spare]:
    spare = Spare(root)
    try:
        while not spare.ready:
            assert not spare.dead
            time.sleep(0.01)
        yield spare
    finally:
        spare.discard()


def execute(spare: Spare, *arguments: str, output: Path) -> Ending:
    spare.give(RunOrder(arguments, str(output)))
    while True:
        ending = spare.look()
        if ending is not None:
            return ending
        time.sleep(0.01)


def receipts(mini: Miniature) -> list[dict]:
    lines = progress_path(mini.course).read_text().split("\n")
    return [{**json.loads(line), "time": ""} for line in lines if line]


@pytest.mark.parametrize(
    "body",
    ["return 2 * x", "print(1)\nreturn 3 * x"],
    ids=["right", "wrong"],
)
def test_a_spare_prints_and_records_the_same_as_pytest(mini: Miniature, body: str) -> None:
    mini.write_doubles(double=body)
    with warm_spare(mini.root) as spare:  # warmed before the run it is compared with, used after
        typed = mini.pytest("katas/00")
        earned = receipts(mini)
        progress_path(mini.course).unlink()
        ending = execute(spare, "katas/00", output=mini.root / "out")
    assert (mini.root / "out").read_text() == typed.out
    assert ending.exit_status == typed.code
    assert receipts(mini) == earned


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
def test_a_process_in_a_session_of_its_own_ends_with_the_run_and_the_next_spare_does_not(
    mini: Miniature,
) -> None:
    start = "child = subprocess.Popen(['sleep', '300'], start_new_session=True)"
    mini.write_doubles(
        double=f"import os, subprocess\n{start}\nopen('pid', 'w').write(str(child.pid))\nos._exit(1)"
    )
    watcher = (
        "import time\nfrom pathlib import Path\nfrom harness.watch.spare import RunOrder, SparePool\n"
        "def warm():\n"
        "    while not (spare := pool.take()): pool.tend(), time.sleep(0.01)\n"
        "    return spare\n"
        "pool = SparePool(Path.cwd())\nspare = warm()\nspare.give(RunOrder(('katas/00',), 'out'))\n"
        "following = warm()\n"
        "while not spare.look(): time.sleep(0.01)\n"
        "spare.discard()\nassert not following.dead\nfollowing.discard()\n"
    )
    subprocess.run([sys.executable, "-c", watcher], cwd=mini.root, check=True)
    assert _gone(int((mini.root / "pid").read_text()))


def test_the_learners_code_cannot_read_the_order(mini: Miniature) -> None:
    mini.write_doubles(double="import os\nassert os.read(0, 1) == b''\nreturn 2 * x")
    with warm_spare(mini.root) as spare:
        ending = execute(spare, "katas/00", "-s", output=mini.root / "out")
    assert ending.exit_status == 0, (mini.root / "out").read_text()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs the system's table of processes")
@pytest.mark.parametrize("moment", ["warm", "running"])
def test_a_spare_ends_with_its_watcher(mini: Miniature, moment: str) -> None:
    mini.write_doubles(double=f"open('running', 'w').close()\n{LOOP}")
    watcher = (
        "import sys, time\nfrom pathlib import Path\nfrom harness.watch.spare import RunOrder, Spare\n"
        "spare = Spare(Path.cwd())\nprint(spare.pid, flush=True)\n"
        "while not spare.ready: time.sleep(0.01)\n"
        "print('warm', flush=True)\nsys.stdin.read(1)\n"
        "spare.give(RunOrder(('katas/00',), 'out'))\nsys.stdin.read()\n"
    )
    pipe = subprocess.PIPE
    run = subprocess.Popen([sys.executable, "-c", watcher], cwd=mini.root, stdin=pipe, stdout=pipe, text=True)
    assert run.stdin and run.stdout
    pid = int(run.stdout.readline())
    run.stdout.readline()
    if moment == "running":
        run.stdin.write("x")
        run.stdin.flush()
        while not (mini.root / "running").exists():
            time.sleep(0.01)
    run.kill()
    run.communicate()
    assert _gone(pid)
