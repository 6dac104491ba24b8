"""`harness watch` in a real terminal: saves, keys, crashes and every way out."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.tests.isolation.test_supervisor import LOOP, _gone
from harness.tests.support.miniature import Miniature
from harness.tests.support.plugins import AS_A_LEARNER

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal as POSIX has it", allow_module_level=True)

from harness.tests.support.terminal import Terminal

FOOT = "q quit"
CRASHING = "import harness.watch.loop as w; w.status = None; from harness.cli import main; main()"
Begin = Callable[..., Terminal]


@pytest.fixture
def begin(mini: Miniature) -> Iterator[Begin]:
    """Return a function that types `harness watch ARGS` in a terminal."""
    terminals: list[Terminal] = []

    def run(*arguments: str, crashes_on_s: bool = False, cold: bool = False, **environment: str) -> Terminal:
        program = ["-c", CRASHING] if crashes_on_s else ["-m", "harness"]
        command = [sys.executable, *program, "watch", *arguments]
        options = f"{AS_A_LEARNER} {environment.pop('PYTEST_ADDOPTS', '')}"
        terminals.append(Terminal(command, mini.root, cold=cold, PYTEST_ADDOPTS=options, **environment))
        return terminals[-1]

    yield run
    for terminal in terminals:
        terminal.close()


def children(pid: int) -> list[int]:
    """Return the children of a cold process (Linux)."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


@pytest.mark.measured
def test_a_learner_works_through_the_course(mini: Miniature, begin: Begin) -> None:
    terminal = begin()
    assert "double is not written yet." in terminal.wait_for(FOOT)
    mini.write_doubles(outer="return None")
    verdict = terminal.wait_for(FOOT)
    assert "Running kata 00 doubles (doubles.py saved)" in verdict
    assert "outer returned None" in verdict
    assert "\x1b[31m✗ Row i holds" in verdict  # in colour, as pytest's own
    assert "✓ 3 more tests pass: [###.] 3 of 4" in verdict
    mini.write_doubles()
    verdict = terminal.wait_for(FOOT)
    assert "Unlocked: kata 01 layers" in verdict
    assert "1 of 2 katas" in verdict
    mini.solve(mini.layers)
    assert "All katas are complete" in terminal.wait_for(FOOT)
    terminal.wait_for("The earlier kata still passes.")
    terminal.type("q")
    assert terminal.wait_for_end() == 0
    assert terminal.is_as_it_was


@pytest.mark.measured
def test_the_keys(mini: Miniature, begin: Begin) -> None:
    mini.write_doubles()
    mini.pytest("katas/00")
    terminal = begin(NO_COLOR="1")
    terminal.wait_for(FOOT)
    terminal.type("h")
    assert "Look at test_doubler." in terminal.wait_for(FOOT)
    terminal.type("s")
    assert "Next: pytest katas/01\n      test_doubler" in terminal.wait_for(FOOT)
    terminal.type("\x1b[Ao")  # an arrow means nothing
    assert "its solution is shown once it is" in " ".join(terminal.wait_for(FOOT).split())
    terminal.type("p")
    verdict = terminal.wait_for(FOOT)
    assert "Kata 00 doubles." in verdict
    assert "4/4 complete" in verdict
    terminal.type("O")
    assert "reference" in terminal.wait_for(FOOT)
    terminal.type("n")
    assert "Kata 01 layers; watch follows your progress again." in terminal.wait_for(FOOT)
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in terminal.printed.split("\n")) <= 80
    terminal.type("t")
    assert "katas/k01_layers/layers.py:15" in terminal.wait_for(FOOT)
    terminal.type("x")
    assert "run the tests now" in terminal.wait_for(FOOT)
    terminal.type("d")  # the miniature course has no capstone
    assert "The demo ended with exit status 1." in terminal.wait_for(FOOT)
    terminal.type("\x04")
    assert terminal.wait_for_end() == 0
    assert "\x1b[3" not in terminal.printed


def test_crashes_of_the_learners_code_are_explained(mini: Miniature, begin: Begin) -> None:
    terminal = begin("00", PYTEST_ADDOPTS="--time-limit 3")
    terminal.wait_for(FOOT)
    mini.write_doubles(double="import os\nos._exit(7)")
    assert "Your code ended the whole Python process: os._exit(7)." in terminal.wait_for(FOOT)
    mini.write_doubles(double=LOOP)
    assert "The test was still running after 3 s" in terminal.wait_for(FOOT)
    mini.write_doubles(double="import ctypes\nctypes.string_at(0)")
    assert "Python itself crashed (SIGSEGV)" in terminal.wait_for(FOOT)
    mini.write_doubles()
    assert "4/4 complete" in terminal.wait_for(FOOT)


def test_a_save_during_a_run_starts_it_over(mini: Miniature, begin: Begin) -> None:
    terminal = begin("00")
    terminal.wait_for(FOOT)
    mini.write_doubles(double="import time\nopen('begun', 'w').close()\ntime.sleep(9)")
    while not (mini.root / "begun").exists():
        time.sleep(0.01)
    mini.write_doubles()
    verdict = terminal.wait_for(FOOT)
    assert "Saved again: this run was stopped and starts over." in verdict
    assert "4/4 complete" in verdict


def test_a_killed_process_is_replaced(mini: Miniature, begin: Begin) -> None:
    terminal = begin("00", cold=True)
    terminal.wait_for(FOOT)
    time.sleep(1)
    for child in children(terminal.process.pid):
        os.kill(child, signal.SIGKILL)
    mini.write_doubles(double="import time\nopen('begun', 'a').write('x')\ntime.sleep(2)\nreturn 2 * x")
    while not (mini.root / "begun").exists():
        time.sleep(0.01)
    for child in children(terminal.process.pid):
        os.kill(child, signal.SIGKILL)
    verdict = terminal.wait_for(FOOT)
    assert "killed from outside; the next one takes over" in verdict
    assert "4/4 complete" in verdict


@pytest.mark.parametrize(("way", "status"), [("\x03", 130), ("SIGTERM", 143), ("s", 1)], ids=repr)
def test_every_way_out_restores_the_terminal_and_ends_every_process(
    begin: Begin, way: str, status: int
) -> None:
    terminal = begin("00", crashes_on_s=True, cold=True)
    terminal.wait_for(FOOT)  # the first verdict is printed, and the next spare warms up
    assert not terminal.is_as_it_was
    started = children(terminal.process.pid)
    if len(way) == 1:
        terminal.type(way)
    else:
        os.kill(terminal.process.pid, getattr(signal, way))
    assert terminal.wait_for_end() == status
    assert terminal.is_as_it_was
    assert all(_gone(child) for child in started)


@pytest.mark.measured
@pytest.mark.skipif(shutil.which("bash") is None, reason="only a shell with job control stops a program")
def test_it_stops_and_continues_like_any_program(mini: Miniature) -> None:
    terminal = Terminal(["bash", "--norc", "-i"], mini.root, PYTEST_ADDOPTS=AS_A_LEARNER)
    try:
        terminal.type(f"{sys.executable} -m harness watch 00\n")
        terminal.wait_for("Its idea:")
        terminal.wait_for(FOOT)
        terminal.type("\x1a")
        terminal.wait_for("Stopped")
        terminal.type("echo $((6 * 7))\n")
        terminal.wait_for("42")
        terminal.type("fg\n")
        terminal.wait_for("harness watch 00")
        terminal.type("?")  # without Enter
        terminal.wait_for("run the tests now")
        terminal.type("q")
        terminal.wait_for("Watch has ended.")
    finally:
        terminal.close()


@pytest.mark.measured
def test_a_pair_takes_turns(mini: Miniature, begin: Begin) -> None:
    terminal = begin()
    terminal.wait_for(FOOT)
    mini.harness("pair", "start", "Ana", "Bo", "--minutes", "0.001")
    verdict = terminal.wait_for(FOOT)
    assert "Running kata 00 doubles (time is up)" in verdict
    assert "The time is up: Bo drives now, Ana navigates." in verdict
    assert "Bo drives, Ana navigates ·" in verdict
    mini.write_doubles(outer="return None")
    terminal.wait_for("doubles.py saved")
    assert "Green: " in terminal.wait_for(FOOT)


def test_an_unknown_kata_is_refused(mini: Miniature) -> None:
    assert "There is no kata '7'" in mini.harness("watch", "7").err
