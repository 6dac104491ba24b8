"""How the tests type a command: in a fresh Python, or in the fork of a warm one where that is as good.

`python …` is warm on Linux, if its environment agrees with the tests' own in what Python and its packages
read but once, as they start. Every other command is cold, and so is what a test types with `mini.cold` or
starts by itself: what shows only as a Python starts, or in one that has imported nothing.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from harness.tests.support.plugins import AS_A_LEARNER

_SERVER = Path(__file__).with_name("warm_server.py")
_FLAGS = ("-u", "-P")  # those that the server knows
_READ_ONCE = (
    *("PYTHON", "LANG", "LC_", "LD_", "OMP_", "MKL_", "OPENBLAS_", "TORCH_", "PYTORCH_"),
    *("JAXTYPING_", "BEARTYPE_", "MPL"),
)
_READ_LATER = ("TORCH_NCCL_", "PYTHONFAULTHANDLER")  # the latter by the child, in place of Python
# The runs of a learner compute with one thread in any case (harness/run/child.py).
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
AT_FIRST = dict(os.environ)  # before a test changes it
_servers: list[WarmServer] = []  # none before it is needed, then one


class WarmServer:
    """The process of warm_server.py; it lives until this one lets it go, or is gone."""

    def __init__(self) -> None:
        address = f"\0harness-tests-{os.getpid()}-{os.urandom(8).hex()}"
        theirs, self._lifeline = os.pipe()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as orders:
            orders.bind(address)
            orders.listen()
            self._process = subprocess.Popen(
                [sys.executable, str(_SERVER), str(orders.fileno())],
                stdin=theirs,
                env=without_coverage(AT_FIRST)  # each child measures itself
                | {**_ONE_THREAD, "PYTEST_ADDOPTS": AS_A_LEARNER},
                pass_fds=[orders.fileno()],
            )
        os.close(theirs)
        WarmPython.server, WarmPython.session = address, os.getsid(0)

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        """Let it go, and wait until it is gone."""
        os.close(self._lifeline)
        self._process.wait()


class WarmPython(subprocess.Popen):
    """A Python that the server forks; a command that it cannot be is started as ever.

    In what the server forks it takes the place of `subprocess.Popen`: the harness starts Pythons too. The
    parent of such a process is the server, not the one who starts it.
    """

    server = ""  # the address
    session = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        self._server: socket.socket | None = None
        self._status: int | None = None
        super().__init__(*args, **options)

    def _execute_child(self, *arguments: Any) -> None:
        asked = signature(super()._execute_child).bind(*arguments).arguments
        environment = dict(os.environ if asked["env"] is None else asked["env"])
        if not (self._is_plain(asked) and is_python(asked["args"]) and may_be_warm(environment)):
            super()._execute_child(*arguments)
            return
        order = {
            "arguments": [str(each) for each in asked["args"][1:]],
            "folder": os.path.abspath(asked["cwd"] or "."),
            "environment": environment,
            "group": 0 if asked["start_new_session"] else os.getpgrp(),
            "takes_terminal": asked["preexec_fn"] is not None,
            "interruptible": signal.getsignal(signal.SIGINT) != signal.SIG_IGN,
        }
        given = (asked["p2cread"], asked["c2pwrite"], asked["errwrite"])
        self._send(order, [inherited if each < 0 else each for inherited, each in enumerate(given)])
        pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(asked[each] for each in pipes))

    def _is_plain(self, asked: Mapping[str, Any]) -> bool:
        """True if nothing is asked for that only a start gives."""
        special = asked["executable"] or asked["pass_fds"] or asked["shell"]
        in_reach = asked["start_new_session"] or os.getsid(0) == self.session
        return not special and in_reach and asked["preexec_fn"] in (None, take_terminal)

    def _send(self, order: Mapping[str, Any], streams: Sequence[int]) -> None:
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server.connect(self.server)
        socket.send_fds(self._server, [json.dumps(order).encode()], streams)
        self.pid = int(self._server.recv(64))
        self._child_created = True

    def _internal_poll(self, *args: Any, **options: Any) -> int | None:
        if self._server is None:
            return super()._internal_poll(*args, **options)
        if self.returncode is None:
            pid, status = self._try_wait(os.WNOHANG)
            if pid:
                self._handle_exitstatus(status)
        return self.returncode

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._server is None:
            return super()._try_wait(wait_flags)
        if self._status is None:
            try:
                status = self._server.recv(64, socket.MSG_DONTWAIT if wait_flags else 0)
            except BlockingIOError:
                return 0, 0
            self._status = int(status or signal.SIGKILL)  # a server that is gone reports nothing
            self._server.close()
        return self.pid, self._status


def take_terminal() -> None:
    """Make the terminal that is this process's standard input the one whose Ctrl-C is its signal."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def start(command: Sequence[str], *, cold: bool = False, **options: Any) -> subprocess.Popen[bytes]:
    """Start a command, warm if it can be; the options are those of `subprocess.Popen`."""
    if cold or sys.platform != "linux" or not is_python(command):
        return subprocess.Popen(command, **options)
    if not _servers:
        _servers.append(WarmServer())
    return WarmPython(command, **options)


def run(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    cold: bool = False,
    timeout: float = 120,
) -> subprocess.CompletedProcess[bytes]:
    """Type a command, with nothing on its standard input, and wait for its end."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start(command, cold=cold, cwd=folder, env=environment, **streams) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def close() -> None:
    """End the warm process, if there is one."""
    while _servers:
        _servers.pop().close()


def may_be_warm(environment: Mapping[str, str]) -> bool:
    """True if a child of the warm process is as good as a fresh Python in this environment."""
    wanted, needed = _read_once(environment), _read_once(AT_FIRST)
    known = needed | _ONE_THREAD
    missing = needed.keys() - _ONE_THREAD.keys() - wanted.keys()
    return not missing and wanted.items() <= known.items()


def without_coverage(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which no Python measures its coverage."""
    measures = measuring(environment)
    return {name: value for name, value in environment.items() if name not in measures}


def measuring(environment: Mapping[str, str]) -> set[str]:
    """The variables that let every Python measure its coverage."""
    return {name for name in environment if name.startswith("COVERAGE_")}


def _read_once(environment: Mapping[str, str]) -> dict[str, str]:
    names = [name for name in environment if name.startswith(_READ_ONCE)]
    return {name: environment[name] for name in names if not name.startswith(_READ_LATER)}


def is_python(words: Sequence[str] | str) -> bool:
    """True if this is Python with a module or with code, and with no flags but those that are known."""
    further = [word for word in words[1:] if word not in _FLAGS]
    return words[:1] in ([sys.executable], (sys.executable,)) and further[:1] in (["-m"], ["-c"])
