"""A process that has imported what every command imports, and forks a child for each command.

A fresh Python takes seconds to import torch and pytest, and the tests type several hundred commands. This
one imports them once. Each child then takes the place of a fresh Python, and lives for one command: it gets
the command's arguments, folder, environment, streams and signals, and leaves as Python does. torch, which a
fresh Python has not imported yet, is kept out of `sys.modules` until somebody imports it.

commands.py starts it and sends it orders. Linux only: it relies on pidfds, and on a fork
being safe while there is a single thread.
"""

from __future__ import annotations

import atexit
import ctypes
import faulthandler
import gc
import importlib
import inspect
import io
import itertools
import json
import os
import pkgutil
import posix
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, NoReturn

# What some command imports late, beyond what pytest imports, and torch.
_HEAVY = (
    *("beartype", "click", "coverage.sqldata", "filelock", "jaxtyping", "matplotlib.pyplot"),
    *("numpy.random", "PIL.Image", "rich.console", "rich.table", "yaml"),
)
_LONGEST_ORDER = 1 << 20


class WithheldTorch(MetaPathFinder, Loader):
    """torch, loaded but for the instant that it takes to put its modules in place.

    The supervisor and some tests ask if it is imported.
    """

    def __init__(self) -> None:
        filters = list(warnings.filters)
        importlib.import_module("torch")
        self._filters = warnings.filters[: -len(filters)]
        importlib.import_module("torch._dynamo")  # for the optimizers
        warnings.filters[:] = filters
        names = [name for name in sys.modules if name.split(".")[0] in ("torch", "functorch", "torchgen")]
        self._modules = {name: sys.modules.pop(name) for name in names}
        self._specs = {name: module.__spec__ for name, module in self._modules.items()}
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in self._modules else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """It has been executed before; now let it be seen, with all that its import brings about."""
        sys.meta_path.remove(self)
        sys.modules.update(self._modules)
        module.__spec__ = self._specs[module.__name__]
        warnings.filters[:0] = self._filters
        with warnings.catch_warnings():
            pass  # takes notice of it
        self._modules["torch"].default_generator.seed()  # from the system, as in every process


class Child:
    """One command under way, and who waits for its end."""

    def __init__(self, pid: int, client: socket.socket) -> None:
        self.pid, self._client = pid, client
        self.descriptor = os.pidfd_open(pid)
        self._say(pid)

    def end(self) -> None:
        """Reap it, and tell how it ended."""
        _, status = os.waitpid(self.pid, 0)
        self._say(status)
        self._client.close()
        os.close(self.descriptor)

    def _say(self, number: int) -> None:
        with suppress(OSError):  # nobody waits for it any more
            self._client.send(str(number).encode())


def serve(orders: socket.socket) -> dict[str, Any]:
    """Fork a child for each order. Returns in each child, with its order; the server itself never returns."""
    children: dict[int, Child] = {}
    lifeline = 0  # the standard input, which the tests hold open
    while True:
        heard, _, _ = select.select([lifeline, orders, *children], [], [])
        for descriptor in [each for each in heard if each in children and each != lifeline]:
            children.pop(descriptor).end()
        if lifeline in heard:
            _leave(children)
        if orders in heard:
            client, _ = orders.accept()
            data, streams, _, _ = socket.recv_fds(client, _LONGEST_ORDER, 3)
            ready, starting = os.pipe()
            pid = os.fork()
            if pid == 0:
                return {**json.loads(data), "streams": streams}
            for stream in (*streams, starting):
                os.close(stream)
            # Wait until the child closes it: a signal to the child's group must not reach this one.
            os.read(ready, 1)
            os.close(ready)
            child = Child(pid, client)
            children[child.descriptor] = child


def _leave(children: dict[int, Child]) -> NoReturn:
    """The tests have ended."""
    for child in children.values():
        os.kill(child.pid, signal.SIGKILL)
    sys.exit()


def become(order: dict[str, Any]) -> None:
    """Make this process what a fresh Python would be with this command."""
    import numpy

    take_streams(order)
    open_streams(unbuffered="-u" in order["arguments"][:2])
    os.chdir(order["folder"])
    take_environment(order["environment"])
    sys.orig_argv = [sys.executable, *order["arguments"]]
    importlib.invalidate_caches()
    numpy.random.seed()  # from the system, as random does by itself after a fork


def take_streams(order: dict[str, Any]) -> None:
    """Have no files but one's own, and be sent the signals that a process started there would be."""
    from harness.tests.support.commands import take_terminal

    if order["group"]:
        os.setpgid(0, order["group"])
    else:
        os.setsid()
    for target, stream in enumerate(order["streams"]):
        os.dup2(stream, target)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    if order["takes_terminal"]:
        take_terminal()
    if order["interruptible"]:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def open_streams(unbuffered: bool) -> None:
    """Open the standard streams as Python does: it depends on what they are."""
    sys.stdin = sys.__stdin__ = opened(sys.__stdin__, 0, unbuffered)
    sys.stdout = sys.__stdout__ = opened(sys.__stdout__, 1, unbuffered)
    sys.stderr = sys.__stderr__ = opened(sys.__stderr__, 2, unbuffered)


def opened(before: io.TextIOWrapper, number: int, unbuffered: bool) -> io.TextIOWrapper:
    """A stream in place of the server's own."""
    raw: Any = open(number, "wb" if number else "rb", buffering=0, closefd=False)  # noqa: SIM115  # till the end
    raw.name = before.name
    at_once = unbuffered or before.write_through
    stream = io.TextIOWrapper(
        io.BufferedReader(raw) if number == 0 else raw if at_once else io.BufferedWriter(raw),
        before.encoding,
        before.errors,
        newline="\n",
        line_buffering=not at_once and (number == 2 or raw.isatty()),
        write_through=at_once,
    )
    stream.mode = before.mode
    return stream


def take_environment(environment: dict[str, str]) -> None:
    """Do for these variables what Python and its modules do as they start."""
    import coverage

    os.environ.clear()
    os.environ.update(environment)
    coverage.process_startup(force=True)  # if the environment says so
    if os.environ.get("PYTHONFAULTHANDLER"):
        faulthandler.enable()
    time.tzset()
    tempfile.tempdir = None


def run(arguments: list[str]) -> None:
    """`python -m MODULE …` or `python -c CODE …`, as Python itself goes about it."""
    flags = list(itertools.takewhile(lambda word: word in ("-u", "-P"), arguments))
    option, what, *further = arguments[len(flags) :]
    sys.argv = [option, *further]
    sys.modules["__main__"] = main = ModuleType("__main__")
    if "-P" not in flags:
        sys.path.insert(0, os.getcwd() if option == "-m" else "")
    if option == "-m":
        if not hasattr(sys.modules.get(what), "__path__"):
            sys.modules.pop(what, None)  # it runs afresh
        runpy._run_module_as_main(what)
    else:
        exec(compile(what, "<string>", "exec"), vars(main))


def end_of(work: Callable[[], None]) -> int:
    """Do the work, and tell what went wrong and with which exit status Python then ends."""
    try:
        work()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except BaseException as error:
        trace = beyond_this_file(error.__traceback__)
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def beyond_this_file(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames that a fresh Python does not have."""
    while trace and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def leave(status: int) -> NoReturn:
    """Leave as Python does, but at once: taking torch apart in good order takes longer than most runs."""
    threading._shutdown()  # waits for the threads
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        status = 120  # Python's own
    if status == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    posix._exit(status)  # the flight recorder and coverage put something in the place of os._exit


def warm_up() -> None:
    """Import what the commands will; pytest's plugins by pytest, which rewrites their assertions."""
    import pytest

    with ExitStack() as around:
        folder = around.enter_context(tempfile.TemporaryDirectory())
        around.enter_context(redirect_stdout(io.StringIO()))
        around.enter_context(redirect_stderr(io.StringIO()))
        pytest.main([folder, "--rootdir", folder, "-p", "no:cacheprovider"])
    for name in (*_HEAVY, *own_modules()):
        importlib.import_module(name)
    WithheldTorch()
    threads = os.listdir("/proc/self/task")
    assert len(threads) == 1, f"a fork is not safe: there are {len(threads)} threads"
    for each in list(weakref.finalize._registry):
        each.atexit = False  # they take torch apart, see `leave`
    inspect.stack()  # looks through all modules once; coverage asks for it whenever it starts
    gc.collect()
    collapse_memory()
    gc.freeze()  # so that a child that looks for garbage does not copy all that is here


def collapse_memory() -> None:
    """Let what is in memory be in huge pages, where Linux has them: a fork copies the table of all pages."""
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    collapse, huge = 25, 2 << 20  # MADV_COLLAPSE, man 2 madvise
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, permissions, _, _, _, *name = line.split(maxsplit=5)
        start, end = (int(address, 16) for address in addresses.split("-"))
        first, last = -(-start // huge) * huge, end // huge * huge
        if permissions == "rw-p" and name in ([], ["[heap]"]) and first < last:
            advise(first, last - first, collapse)


def own_modules() -> list[str]:
    """The harness's own modules."""
    import harness

    found = [module.name for module in pkgutil.walk_packages(harness.__path__, "harness.")]
    return [name for name in found if not name.startswith("harness.tests") and "__main__" not in name]


def main() -> None:
    orders = socket.socket(fileno=int(sys.argv[1]))
    del sys.path[0]  # this file's folder, which is no place to import from
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which then end this process
    warm_up()
    from harness.tests.support.commands import (
        WarmPython,  # only now: pytest has to be the first to import a plugin
    )

    WarmPython.server, WarmPython.session = orders.getsockname().decode(), os.getsid(0)
    order = serve(orders)
    become(order)
    subprocess.Popen = WarmPython
    leave(end_of(lambda: run(order["arguments"])))


if __name__ == "__main__":
    main()
