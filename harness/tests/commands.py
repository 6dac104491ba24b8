"""How the tests type a command: in a fresh Python, or in the fork of a warm one where that is as good.

`python …` is warm on Linux, if its environment agrees with the tests' own in what Python and its packages
read but once, as they start. Every other command is cold, and so is what a test types with `mini.cold`:
what shows only as a Python starts, or in one that has imported nothing.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_SERVER = Path(__file__).with_name("warm_server.py")
_READ_ONCE = (
    *("PYTHON", "LANG", "LC_", "LD_", "COVERAGE_", "OMP_", "MKL_", "OPENBLAS_", "TORCH", "PYTORCH_"),
    *("JAXTYPING_", "BEARTYPE_", "MPL"),
)
AT_FIRST = dict(os.environ)  # before a test changes it
# The runs of a learner compute with one thread in any case (harness/runs.py).
_OF_THE_SERVER = {
    **AT_FIRST,
    **{"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
}
_servers: list[WarmServer] = []  # none before it is needed, then one


def run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], *, timeout: float = 120
) -> subprocess.CompletedProcess[bytes]:
    """Type a command, with nothing on its standard input, and wait for its end."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
    )


def python(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    cold: bool = False,
    timeout: float = 120,
) -> subprocess.CompletedProcess[bytes]:
    """Type `python ARGUMENTS`, with `-m` or `-c`, likewise."""
    if cold or not may_be_warm(environment):
        return run([sys.executable, *arguments], folder, environment, timeout=timeout)
    if not _servers:
        _servers.append(WarmServer())
    return _servers[0].run(arguments, folder, environment, timeout)


def close() -> None:
    """End the warm process, if there is one, once it has saved its coverage."""
    while _servers:
        _servers.pop().close()


def may_be_warm(environment: Mapping[str, str]) -> bool:
    """Whether a child of the warm process is as good as a fresh Python in this environment."""
    wanted, needed = _read_once(environment).items(), _read_once(AT_FIRST).items()
    return sys.platform == "linux" and needed <= wanted <= _read_once(_OF_THE_SERVER).items()


def _read_once(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_READ_ONCE)}


class WarmServer:
    """The process of warm_server.py; it lives until this end of the socket is closed."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, str(_SERVER)]
            self._process = subprocess.Popen(command, stdin=theirs, env=_OF_THE_SERVER)

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[bytes]:
        """Have a child of the server be `python ARGUMENTS`, and see it through as `subprocess.run` does."""
        order = {"arguments": list(arguments), "folder": str(folder), "environment": dict(environment)}
        pipes = [os.pipe() for _ in range(3)]
        with open(os.devnull, "rb") as nothing:
            ends = [nothing.fileno(), *(inner for _, inner in pipes)]
            socket.send_fds(self._orders, [json.dumps(order).encode()], ends)
        for _, inner in pipes:
            os.close(inner)
        out, err, report = read_all([outer for outer, _ in pipes], time.monotonic() + timeout)
        told = [int(number) for number in report.split()]  # its process id, then how it ended
        assert told, "the warm process has come to an end"
        if len(told) < 2:
            os.kill(told[0], signal.SIGKILL)
            raise subprocess.TimeoutExpired(arguments, timeout, out, err)
        return subprocess.CompletedProcess(arguments, told[1], out, err)

    def close(self) -> None:
        """Let it go, and wait until it is gone."""
        self._orders.close()
        self._process.wait()


def read_all(streams: Sequence[int], deadline: float) -> list[bytes]:
    """What comes from each stream until all are closed, or until the time is up."""
    found = {stream: bytearray() for stream in streams}
    with selectors.DefaultSelector() as open_ones:
        for stream in streams:
            open_ones.register(stream, selectors.EVENT_READ)
        while open_ones.get_map() and time.monotonic() < deadline:
            for key, _ in open_ones.select(max(deadline - time.monotonic(), 0)):
                data = os.read(key.fd, 1 << 16)
                found[key.fd] += data
                if not data:
                    open_ones.unregister(key.fd)
    for stream in streams:
        os.close(stream)
    return [bytes(found[stream]) for stream in streams]
