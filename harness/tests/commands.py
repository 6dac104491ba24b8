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
from pathlib import Path
from typing import Any

_SERVER = Path(__file__).with_name("warm_server.py")
_FLAGS = ("-u", "-P")  # those that the server knows
_READ_ONCE = (
    *("PYTHON", "LANG", "LC_", "LD_", "COVERAGE_", "OMP_", "MKL_", "OPENBLAS_", "TORCH_", "PYTORCH_"),
    *("JAXTYPING_", "BEARTYPE_", "MPL"),
)
# The runs of a learner compute with one thread in any case (harness/runs.py).
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
                env=AT_FIRST | _ONE_THREAD,
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

    In what the server forks it takes the place of `subprocess.Popen`: the harness starts Pythons too.
    """

    server = ""  # the address
    session = 0

    def __init__(self, *args: Any, in_terminal: bool = False, **options: Any) -> None:
        self._in_terminal = in_terminal  # its standard input, which is to send it signals
        self._server: socket.socket | None = None
        self._status: int | None = None
        super().__init__(*args, **options)

    def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *others) -> None:  # type: ignore[no-untyped-def]
        environment = dict(os.environ if env is None else env)
        _, _, shell, *pipes = others[:9]
        own_session = others[14]
        stays = own_session or self._in_terminal or os.getsid(0) == self.session
        plain = not (executable or preexec_fn or pass_fds or shell) and isinstance(args, list | tuple)
        if not (stays and plain and _is_python(args) and may_be_warm(environment)):
            super()._execute_child(args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *others)
            return
        order = {
            "arguments": [str(each) for each in args[1:]],
            "folder": os.path.abspath(cwd or "."),
            "environment": environment,
            "group": 0 if own_session or self._in_terminal else os.getpgrp(),
            "in_terminal": self._in_terminal,
            "interruptible": signal.getsignal(signal.SIGINT) != signal.SIG_IGN,
        }
        inner = (pipes[0], pipes[3], pipes[5])
        streams = [each if each >= 0 else inherited for inherited, each in enumerate(inner)]
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server.connect(self.server)
        socket.send_fds(self._server, [json.dumps(order).encode()], streams)
        self.pid = int(self._server.recv(64))
        self._child_created = True
        self._close_pipe_fds(*pipes)

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
                told = self._server.recv(64, socket.MSG_DONTWAIT if wait_flags else 0)
            except BlockingIOError:
                return 0, 0
            self._status = int(told or signal.SIGKILL)  # nothing is told by a server that is gone
            self._server.close()
        return self.pid, self._status


def start(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    cold: bool = False,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Start `python ARGUMENTS`, with `-m` or `-c`; the options are those of `subprocess.Popen`."""
    command, starts = [sys.executable, *arguments], {"cwd": folder, "env": environment}
    if cold or not may_be_warm(environment):
        return subprocess.Popen(command, **starts, **options)
    if not _servers:
        _servers.append(WarmServer())
    return WarmPython(command, **starts, **options)


def python(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    cold: bool = False,
    timeout: float = 120,
) -> subprocess.CompletedProcess[bytes]:
    """Type `python ARGUMENTS`, with nothing on its standard input, and wait for its end."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start(arguments, folder, environment, cold=cold, **streams) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], *, timeout: float = 120
) -> subprocess.CompletedProcess[bytes]:
    """Type any command likewise."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
    )


def close() -> None:
    """End the warm process, if there is one, once it has saved its coverage."""
    while _servers:
        _servers.pop().close()


def may_be_warm(environment: Mapping[str, str]) -> bool:
    """Whether a child of the warm process is as good as a fresh Python in this environment."""
    wanted, needed = _read_once(environment), _read_once(AT_FIRST)
    known = needed | _ONE_THREAD
    missing = needed.keys() - _ONE_THREAD.keys() - wanted.keys()
    return sys.platform == "linux" and not missing and wanted.items() <= known.items()


def _read_once(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_READ_ONCE)}


def _is_python(words: Sequence[str]) -> bool:
    """Whether this is Python with a module or with code, and with no flags but those that are known."""
    further = [word for word in words[1:] if word not in _FLAGS]
    return words[0] == sys.executable and further[:1] in (["-m"], ["-c"])
