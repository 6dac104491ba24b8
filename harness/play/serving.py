"""`harness play`: an address on the loopback interface, a browser that opens it, and Ctrl-C."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

from harness.course.katas import Course
from harness.play import words
from harness.play.studio import Studio
from harness.terminal.lines import Line
from harness.training.request import CannotTrain

HOST = "127.0.0.1"
PORT = 8642  # so that a bookmark stays right; another one if it is in use
_EXTRA = ("starlette", "uvicorn")
_WAITING = 128  # connections that have not been taken yet
_PATIENCE = 1  # seconds for the pages to take their last bytes


class CannotServe(CannotTrain):
    """The page cannot be served; the message says why and what to type."""


def check_extra() -> None:
    """Check that the packages of the extra are installed. Raises CannotServe."""
    if any(importlib.util.find_spec(name) is None for name in _EXTRA):
        raise CannotServe(words.NO_EXTRA)


def open_socket(port: int | None) -> socket.socket:
    """Return a socket that listens on a port, by default the usual one or a free one. Raises CannotServe."""
    for wanted in [PORT, 0] if port is None else [port]:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name != "nt":  # on Windows this option lets two programs have one port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((HOST, wanted))
            made.listen(_WAITING)
            return made
        except OSError:
            made.close()
    assert port is not None  # any port is free
    raise CannotServe(words.port_taken(port, _free_port()))


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.bind((HOST, 0))
        return int(trial.getsockname()[1])


def serve(
    course: Course,
    run_dir: Path | None,
    *,
    solutions: bool,
    port: int | None,
    opens: bool,
    show: Callable[[Iterable[Line]], None],
) -> None:
    """Serve the page until Ctrl-C, a KeyboardInterrupt. Raises CannotTrain if `run_dir` has no model."""
    check_extra()
    import uvicorn

    from harness.play.server import application
    from harness.training.run_folder import RunFolder
    from harness.training.words import no_model

    if run_dir is not None and not RunFolder(run_dir).has_model:
        raise CannotTrain(no_model(run_dir))
    studio = Studio(course, run_dir, solutions=solutions)

    class EndingServer(uvicorn.Server):
        """A server that first lets every text end, as it waits for open streams."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            studio.close()
            super().handle_exit(sig, frame)

    with open_socket(port) as opened:
        number = opened.getsockname()[1]
        address = f"http://{HOST}:{number}"
        config = uvicorn.Config(
            application(studio, number),
            log_level="critical",  # the page shows what goes wrong
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=_PATIENCE,
        )
        server = EndingServer(config)
        show(words.serving(address, studio.katas_at_work()))
        sys.stdout.flush()
        if opens and has_screen():
            threading.Timer(0.3, webbrowser.open, [address]).start()
        server.run(sockets=[opened])


def has_screen() -> bool:
    """True if a browser can open a window here; elsewhere it might take over the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
