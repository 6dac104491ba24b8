"""A command in the fork of a warm process is, to all that can be seen of it, one in a fresh Python."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.tests.isolation.test_supervisor import _gone
from harness.tests.support import commands
from harness.tests.support.miniature import Miniature, Result

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every command is cold")

# What a process sees of itself, noted down as pytest reads a conftest.py, and of torch once it is imported.
FACTS = """
import json, locale, os, signal, sys, tempfile, threading, time, warnings
from pathlib import Path

before = {
    "words": [sys.argv, sys.orig_argv, sys.executable, sys.flags],
    "folders": [sys.path, os.getcwd(), tempfile.gettempdir()],
    "environment": dict(os.environ),
    "zone": time.tzname,
    "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
    "input": os.read(0, 1).decode(),
    "streams": [
        [str(stream), str(stream.buffer), stream.errors, stream.line_buffering, stream.write_through]
        + [stream.isatty(), stream.seekable(), stream.readable(), stream.writable()]
        for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    ],
    "encodings": [locale.getlocale(), locale.getpreferredencoding(), sys.getfilesystemencoding()],
    "open files": os.listdir("/proc/self/fd"),
    "threads": threading.active_count(),
    "main": [sys.modules["__main__"].__name__, sys.modules["__main__"].__spec__.name],
    "warnings": str(warnings.filters),
    "of torch": [name for name in sys.modules if name.startswith("torch")],
}
import torch.nn.functional
import torch

assert torch.nn.functional is sys.modules["torch.nn"].functional
after = [torch.__spec__.origin, str(warnings.filters)]
Path("facts.json").write_text(json.dumps([before, after]))
"""


IN_ONE_PROCESS = ("--co", "-q", "--pdb")  # a debugger needs the process, so nothing runs in a child


def facts(mini: Miniature, **environment: str) -> list:
    """What a command sees of itself."""
    (mini.root / "conftest.py").write_text(FACTS)
    listed = mini.pytest(*IN_ONE_PROCESS, folder="katas", **environment)
    assert listed.code == 0, listed.text
    return json.loads((mini.root / "katas" / "facts.json").read_text())


@pytest.mark.parametrize("environment", [{}, {"TZ": "Asia/Tokyo", "TMPDIR": "/", "COLUMNS": "40"}], ids=str)
def test_a_warm_command_sees_what_a_cold_one_sees(mini: Miniature, environment: dict[str, str]) -> None:
    assert facts(mini, **environment) == facts(mini.cold, **environment)


@pytest.mark.parametrize(
    "words", ["katas/00", "katas/00 -v", "katas/00 --no-such-option", "katas/7", "--version", "--help"]
)
def test_a_warm_run_prints_what_a_cold_one_prints(mini: Miniature, words: str) -> None:
    mini.write_doubles(outer="return x * y")
    mini.pytest("--all")  # records what passes: there will be no news
    assert timeless(mini.pytest(*words.split())) == timeless(mini.cold.pytest(*words.split()))


def timeless(result: Result) -> str:
    """A result without the seconds that it took."""
    return re.sub(r"\d+\.\d\ds", "", str(result))


@pytest.mark.parametrize("words", ["status", "check", "review 00", "--help", "reset 7"])
def test_a_warm_command_prints_what_a_cold_one_prints(mini: Miniature, words: str) -> None:
    assert mini.harness(*words.split()) == mini.cold.harness(*words.split())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGINT])
def test_a_death_by_a_signal_is_told(mini: Miniature, number: int) -> None:
    dies = f"import os, signal\nsignal.signal({number}, signal.SIG_DFL)\nos.kill(os.getpid(), {number})\n"
    if number == signal.SIGKILL:  # nobody may ask for a way to take it
        dies = dies.replace("signal.signal", "# ")
    (mini.root / "conftest.py").write_text(dies)
    assert mini.pytest().code == mini.cold.pytest().code == -number


def test_nothing_is_carried_from_one_command_to_the_next(mini: Miniature) -> None:
    (mini.root / "conftest.py").write_text(
        "import builtins, os, torch\n"
        "assert not hasattr(builtins, 'seen') and 'SEEN' not in os.environ and not hasattr(torch, 'seen')\n"
        "builtins.seen = torch.seen = os.environ['SEEN'] = 'yes'\n"
    )
    assert [mini.pytest(*IN_ONE_PROCESS).code for _ in range(2)] == [0, 0]


def test_a_command_that_takes_too_long_is_ended(mini: Miniature) -> None:
    (mini.root / "conftest.py").write_text(
        "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    with pytest.raises(subprocess.TimeoutExpired):
        commands.run([sys.executable, "-m", "pytest"], mini.root, commands.AT_FIRST, timeout=2)
    assert _gone(int((mini.root / "pid").read_text()))


def test_a_command_has_a_session_of_its_own_from_the_start() -> None:
    """Whoever has started it may signal its group, which must not be that of the tests."""
    for _ in range(10):
        waiting = [sys.executable, "-c", "input()"]
        with commands.start(waiting, stdin=subprocess.PIPE, start_new_session=True) as process:
            assert os.getsid(process.pid) == os.getpgid(process.pid) == process.pid
            process.communicate(b"\n")


def test_what_a_command_leaves_running_is_waited_for_while_it_can_print(mini: Miniature) -> None:
    late = (
        "import atexit, subprocess\natexit.register(subprocess.Popen, ['sh', '-c', 'sleep 1; echo late'])\n"
    )
    (mini.root / "conftest.py").write_text(late)
    assert mini.pytest(*IN_ONE_PROCESS).out.endswith("late\n")


def test_no_two_commands_draw_the_same_numbers(mini: Miniature) -> None:
    drawn = mini.root / "drawn"
    (mini.root / "conftest.py").write_text(
        "import random, numpy, torch\n"
        f"with open({str(drawn)!r}, 'a') as file:\n"
        "    print(random.random(), numpy.random.rand(), torch.rand(1).item(), file=file)\n"
    )
    for _ in range(2):
        mini.pytest(*IN_ONE_PROCESS)
    assert len(set(drawn.read_text().split())) == 6


@pytest.mark.parametrize(
    "variable", ["PYTHONUTF8", "PYTHONPATH", "LC_ALL", "OMP_NUM_THREADS", "JAXTYPING_DISABLE"]
)
def test_what_is_read_but_once_makes_a_command_cold(variable: str) -> None:
    assert commands.may_be_warm({**commands.AT_FIRST, "HARNESS_DATA_DIR": "elsewhere"})
    assert not commands.may_be_warm({**commands.AT_FIRST, variable: "elsewhere"})


@pytest.mark.parametrize(
    "ending",
    [
        *("", "sys.exit(5)", "sys.exit(-1)", "sys.exit('no')", "1 / 0", "raise KeyboardInterrupt"),
        "sys.stdout.reconfigure(errors='replace', line_buffering=True)",
        "import atexit; atexit.register(print, 'at the end')",
        "import threading, time; threading.Timer(0.3, print, 'a thread').start()",
        "import os; os.close(2)",
    ],
)
def test_code_runs_and_ends_as_in_a_fresh_python(mini: Miniature, ending: str) -> None:
    begins = "import sys\nprint(sys.argv, sys.path, __name__)\n"
    words = ["-c", begins + ending, "-x", "y"]
    assert mini.python(*words) == mini.cold.python(*words)


STARTS = """
import os, signal, subprocess, sys

inner = '''
import os, sys
print(sys.argv, sys.path, os.getcwd(), os.environ["INNER"], sys.stdin.read(), flush=True)
print(os.getsid(0) == os.getpid(), os.getpgrp() == int(os.environ["GROUP"]), file=sys.stderr)
sys.exit(3)
'''
environment = {**os.environ, "INNER": "1", "GROUP": str(os.getpgrp())}
common = {"cwd": "katas", "env": environment, "input": b"typed", "stdout": subprocess.PIPE}
for flags, own in [([], {}), (["-u"], {"start_new_session": True}), (["-P"], {"stderr": subprocess.STDOUT})]:
    command = [sys.executable, *flags, "-c", inner, "x"]
    done = subprocess.run(command, **{"stderr": subprocess.PIPE, **common, **own})
    print(done.returncode, done.stdout, done.stderr)
sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
try:
    sleeper.wait(0.5)
except subprocess.TimeoutExpired:
    print("it still sleeps", sleeper.poll())
sleeper.terminate()
print(sleeper.wait() == -signal.SIGTERM, sleeper.poll(), os.path.exists(f"/proc/{sleeper.pid}"))
"""


def test_what_a_warm_command_starts_is_what_a_cold_one_starts(mini: Miniature) -> None:
    warm, cold = mini.python("-c", STARTS), mini.cold.python("-c", STARTS)
    assert warm == cold
    assert warm.code == 0, warm.err


def test_what_a_warm_command_starts_is_warm(mini: Miniature) -> None:
    inner = "import sys; print(any(type(each).__name__ == 'WithheldTorch' for each in sys.meta_path))"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    assert mini.python("-c", outer).out == "True\n"
    assert mini.cold.python("-c", outer).out == "False\n"


OWNER = """
import sys
from pathlib import Path
from harness.tests.support import commands

commands.run([sys.executable, "-c", "pass"], Path(sys.argv[1]), commands.AT_FIRST)
print(commands._servers[0].pid, flush=True)
commands.run([sys.executable, "-m", "pytest"], Path(sys.argv[1]), commands.AT_FIRST, timeout=600)
"""


def test_a_warm_process_and_what_it_runs_end_with_the_tests(mini: Miniature) -> None:
    pid = mini.root / "pid"
    (mini.root / "conftest.py").write_text(
        f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(mini.root)], stdout=subprocess.PIPE, text=True)
    server = int(owner.stdout.readline())
    while not pid.exists() or not pid.read_text():
        time.sleep(0.02)
    owner.kill()
    owner.communicate()
    assert _gone(server)
    assert _gone(int(Path(pid).read_text()))
