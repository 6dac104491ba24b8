"""A terminal to type into: a pseudo-terminal of 80 x 24 with a program in it. POSIX only."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from pathlib import Path

from harness.tests.support import commands

PATIENCE = 120.0  # seconds; a test that waits longer has failed


class Terminal:
    """A program that runs in a terminal, and everything that it has printed."""

    def __init__(self, command: list[str], folder: Path, *, cold: bool = False, **environment: str) -> None:
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.modes = termios.tcgetattr(self._slave)
        inner = self._slave
        self.process = commands.start(
            command,
            cold=cold,
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color", "PYTHONFAULTHANDLER": "1", **environment},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            preexec_fn=commands.take_terminal,  # so that Ctrl-C is its signal
        )
        self.printed = ""
        self._read_up_to = 0

    @property
    def is_as_it_was(self) -> bool:
        """True if the terminal's modes are those that it had before the program."""
        return termios.tcgetattr(self._slave) == self.modes

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def wait_for(self, text: str) -> str:
        """What was printed since the last call, as soon as it contains `text`, up to there."""
        limit = time.monotonic() + PATIENCE
        while text not in self.printed[self._read_up_to :]:
            ended = self.process.poll() is not None
            if not self._take() and (ended or time.monotonic() > limit):
                raise AssertionError(f"no {text!r} in:\n{self.printed[self._read_up_to :]}")
        start = self._read_up_to
        self._read_up_to = self.printed.index(text, start) + len(text)
        return self.printed[start : self._read_up_to]

    def wait_for_end(self) -> int:
        """The exit status, once everything is printed."""
        limit = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < limit:
            self._take()
        still_runs = self.process.poll() is None
        if still_runs:
            self.process.send_signal(signal.SIGABRT)  # Python then prints where it is
        while self._take():
            pass
        assert not still_runs, f"it has not ended:\n{self.printed}"
        return self.process.wait(timeout=1)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
        os.close(self._slave)

    def _take(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], 0.05)
        if ready:
            self.printed += os.read(self._master, 65536).decode(errors="replace").replace("\r\n", "\n")
        return bool(ready)
