"""Tests of the supervised run: nested steps, lingering threads, signals, forks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from harness.isolation import supervisor
from harness.isolation.recorder import EVENTS
from harness.isolation.supervisor import ExitCall, RunStep, Supervision, _read_stack, raise_on_signals
from harness.progress.receipts import progress_path
from harness.tests.support.miniature import Miniature, make_miniature


@pytest.fixture
def half_way(mini: Miniature) -> Miniature:
    """A learner who has completed kata 00 and solved kata 01."""
    mini.solve(mini.doubles)
    mini.pytest("katas/00")
    mini.solve(mini.layers)
    return mini


LOOP = "while True:\n    try:\n        n = 1\n    except:\n        pass\n"


def append(path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_a_loop_after_the_import_of_an_earlier_kata_is_stopped(half_way: Miniature) -> None:
    append(half_way.layers.stub, f"\n\n{LOOP}")
    result = half_way.pytest("katas/01", "--time-limit", "2")
    assert result.code == 1
    assert "Importing layers.py was still running after 2 s" in result.out
    assert "katas/k01_layers/layers.py:" in result.out


def test_an_exit_after_the_import_of_an_earlier_kata_is_reported(half_way: Miniature) -> None:
    append(half_way.layers.stub, "\n\nimport os\n\nos._exit(4)\n")
    result = half_way.pytest("katas/01")
    assert "os._exit(4)" in result.out
    assert "katas/k01_layers/layers.py:20" in result.out


def test_a_crash_in_a_learners_own_test_does_not_fail_the_original_one(half_way: Miniature) -> None:
    mine = half_way.doubles.folder / "test_mine.py"
    mine.write_text("import os\n\n\ndef test_double_of_one():\n    os._exit(3)\n")
    assert half_way.pytest("katas/k00_doubles/test_mine.py").code == 1
    lines = progress_path(half_way.course).read_text().split("\n")
    assert [line for line in lines if line and json.loads(line)["failed"]] == []


def test_the_limit_of_a_test_survives_an_import_inside_it(mini: Miniature) -> None:
    mini.write_doubles(double=f"import katas.k01_layers.layers\n{LOOP}")
    result = mini.pytest("katas/00", "--time-limit", "2")
    assert result.code == 1
    assert "The test was still running after 2 s" in result.out


def test_a_thread_that_never_ends_does_not_delay_the_run(mini: Miniature) -> None:
    mini.write_doubles()
    thread = "\n\nimport threading, time\n\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
    append(mini.doubles.stub, thread)
    result = mini.pytest("katas/00")
    assert result.code == 0
    assert result.out.count("complete ✓") == 1


@pytest.mark.measured
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs POSIX signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_the_child_ends_with_its_parent(mini: Miniature, name: str) -> None:
    mini.write_doubles(double=f"open('child', 'w').write(str(__import__('os').getpid()))\n{LOOP}")
    command = [sys.executable, "-m", "pytest", "katas/00"]
    run = mini.start(*command, stdout=subprocess.DEVNULL)
    while not (mini.root / "child").exists() or not (mini.root / "child").read_text():
        time.sleep(0.02)
    child = int((mini.root / "child").read_text())
    run.send_signal(getattr(signal, name))
    run.wait(timeout=30)
    assert _gone(child)


def _gone(pid: int) -> bool:
    """True if a process ends within ten seconds (an unreaped zombie has ended, too)."""
    for _ in range(500):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return True
        time.sleep(0.02)
    return False


@pytest.mark.measured
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_the_learner_forks_records_nothing(mini: Miniature) -> None:
    mini.write_doubles(double="import os\nif os.fork() == 0:\n    raise SystemExit\nreturn 2 * x")
    mini.pytest("katas/00", "-k", "of_one")
    lines = [line for line in progress_path(mini.course).read_text().splitlines() if line]
    assert len(lines) == 1
    assert '"passed": ["test_double_of_one"]' in lines[0]


def test_a_tests_own_limit_is_respected_if_given_by_keyword(mini: Miniature) -> None:
    source = mini.doubles.tests.read_text()
    marked = source.replace(
        "def test_double_of_one", "@pytest.mark.timeout(timeout=60)\ndef test_double_of_one"
    )
    mini.doubles.tests.write_text(marked)
    mini.write_doubles(double="import time\ntime.sleep(3)\nreturn 2 * x")
    assert mini.pytest("katas/00", "-k", "of_one", "--time-limit", "1.5").code == 0


@pytest.mark.parametrize("name", ["josé", "a b", "数"])
def test_a_hang_is_located_whatever_the_folders_name(tmp_path, name: str) -> None:
    (tmp_path / name).mkdir()
    mini = make_miniature(tmp_path / name)
    mini.write_doubles(double=LOOP)
    result = mini.pytest("katas/00", "--time-limit", "2", PYTHONUTF8="1")
    assert "katas/k00_doubles/doubles.py:1" in result.out


def test_faulthandlers_escapes_are_decoded(tmp_path) -> None:
    trace = tmp_path / "trace.txt"
    trace.write_text('Timeout (0:00:01)!\n  File "/a/jos\\xe9/\\u6570/x.py", line 7 in f\n')
    assert _read_stack(trace) == [("/a/josé/数/x.py", 7)]


@pytest.mark.parametrize(
    "plugin", ["timeout", "xdist", "cacheprovider", "faulthandler", "terminal", "debugging"]
)
def test_no_other_plugin_is_needed(mini: Miniature, plugin: str) -> None:
    mini.write_doubles(outer="return None")
    result = mini.pytest("katas/00", "-p", f"no:{plugin}")
    assert result.code == 1, result.text
    assert "INTERNALERROR" not in result.text
    assert "3/4" in mini.harness("status").out


class FakeChild:
    """A child that runs until it is killed or given a status."""

    pid = 0
    status: int | None = None

    def poll(self) -> int | None:
        return self.status

    def kill(self) -> None:
        self.status = -9


@pytest.fixture
def supervision(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Supervision:
    """The supervision of a fake child, whose stack is not asked for."""
    monkeypatch.setattr(supervisor, "ASKS_BY_SIGNAL", False)
    monkeypatch.setattr(supervisor, "_GRACE", 0)
    return Supervision(FakeChild(), tmp_path, starting_limit=60)


def record(tmp_path, *events: dict[str, object]) -> None:
    with (tmp_path / EVENTS).open("a") as file:
        file.writelines(f"{json.dumps(event)}\n" for event in events)


def test_a_step_that_exceeds_its_limit_ends_the_child(supervision: Supervision, tmp_path) -> None:
    assert supervision.look() is None
    record(tmp_path, {"event": "import", "limit": 1e-9, "path": "a.py"})
    ending = supervision.look() or supervision.look()
    assert ending is not None
    assert (ending.status, ending.step) == (None, RunStep(1e-9, "a.py"))


def test_the_outer_step_continues_after_an_inner_one(supervision: Supervision, tmp_path) -> None:
    outer, inner = ({"event": "import", "limit": 60, "path": name} for name in ("outer.py", "inner.py"))
    record(tmp_path, outer, inner, {"event": "imported"})
    supervision._child.kill()
    ending = supervision.look()
    assert ending is not None
    assert (ending.status, ending.step) == (-9, RunStep(60, "outer.py"))


def test_a_debugger_lifts_the_limits(supervision: Supervision, tmp_path) -> None:
    record(tmp_path, {"event": "import", "limit": 1e-9, "path": "a.py"}, {"event": "paused"})
    assert supervision.look() is None
    assert supervision.look() is None


def test_hard_exits_and_exit_statuses_are_read(supervision: Supervision, tmp_path) -> None:
    record(tmp_path, {"event": "os._exit", "status": 4, "stack": [["a.py", 7]]})
    record(tmp_path, {"event": "finished", "status": 1})
    supervision._child.kill()
    ending = supervision.look()
    assert ending is not None
    assert (ending.hard_exit, ending.exit_status) == (ExitCall(4, (("a.py", 7),)), 1)
    assert ending.stack == (("a.py", 7),)


class SignalInDestructor:
    """Receives a signal inside its destructor."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the subject of the test
@pytest.mark.parametrize(
    ("name", "error"), [("SIGINT", KeyboardInterrupt), ("SIGTERM", SystemExit)], ids=["Ctrl-C", "SIGTERM"]
)
def test_a_signal_that_python_drops_is_not_lost(name: str, error: type[BaseException]) -> None:
    with raise_on_signals() as signals:
        signals.raise_dropped()
        SignalInDestructor(getattr(signal, name))
        with pytest.raises(error):
            signals.raise_dropped()
        signals.forget()
        signals.raise_dropped()
