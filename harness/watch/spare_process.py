"""The pre-warmed process, seen from inside.

It imports everything in advance, waits for one run, executes it and exits. harness/watch/spare.py starts it
as `python -m harness.watch.spare_process`. Importing torch, pytest and the rest takes seconds, a run of a
kata takes tenths of a second. None of the learner's code is imported before the order arrives.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import BinaryIO, NoReturn

import pytest

from harness.isolation.importer import katas_forgotten
from harness.isolation.supervisor import FLIGHT_VARIABLE, die_with_parent
from harness.run.plan import IDE_VARIABLES, ReplacedSources
from harness.watch.spare import READY, RunOrder

# A miniature kata. Its run covers what a learner's run does: the typed import, a pass, a wrong value, a wrong
# shape and the block at the end. It draws no random numbers, so the seeds stay those of a fresh process.
_STUB = '''
"""A kata to warm up on."""

from jaxtyping import Float
from torch import Tensor


def same(x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
    """Return the input."""
    return x


def wrong(x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
    """Return another shape."""
    return x[..., None]
'''

_TESTS = '''
"""Tests to warm up on."""

import pytest
import torch
from torch.testing import assert_close

from katas.k00_warm.warm import same, wrong


@pytest.mark.parametrize("n", [1, 2])
def test_pass(n):
    """Passes."""
    assert_close(same(torch.ones(n, dtype=torch.float64)), torch.ones(n, dtype=torch.float64))


def test_value():
    """Fails by its value."""
    assert_close(same(torch.ones(2, 3)), torch.zeros(2, 3))


def test_comparison():
    """Fails by a comparison."""
    assert same(torch.ones(1)).item() == 2


def test_shape():
    """Fails by its shape."""
    wrong(torch.ones(2))
'''
_CONFIGURATION = """
[tool.pytest.ini_options]
addopts = ["--import-mode=importlib"]
"""


# No time limit: an interrupted import of torch would stay incomplete for the real run.
_OPTIONS = ("--all", "--time-limit", "0", "-p", "no:cacheprovider")
# The warning is about the harness's own modules, and does not concern a learner.
_NO_NEWS = "ignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning"


def main() -> NoReturn:
    """Warm up, wait for an order on the standard input, execute it and exit."""
    leave: Callable[[int], NoReturn] = os._exit  # before the flight recorder replaces the name
    die_with_parent()
    flight, orders = Path(sys.argv[1]), _standard_input()
    _warm_up()
    (flight / READY).touch()
    line = orders.readline()
    if not line:
        leave(0)  # the watching process is gone, or has no use for this one
    threading.Thread(target=_end_with, args=(orders,), daemon=True).start()
    status = _carry_out(RunOrder.from_json(json.loads(line)), flight)
    sys.stdout.flush()
    sys.stderr.flush()
    leave(status)  # at once: taking torch apart in good order takes longer than most runs


def _standard_input() -> BinaryIO:
    """Return the pipe for the order, and leave the learner's code an empty standard input."""
    orders = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return orders


def _end_with(orders: BinaryIO) -> None:
    """Kill this process when watch ends, which closes the pipe on every system."""
    orders.read()
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def _carry_out(order: RunOrder, flight: Path) -> int:
    if order.output:
        for descriptor in (1, 2):
            _redirect(descriptor, order.output)
    os.environ[FLIGHT_VARIABLE] = str(flight)
    return int(pytest.main([*order.arguments, "-W", _NO_NEWS]))


def _redirect(descriptor: int, path: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, descriptor)
    os.close(file)


def _warm_up() -> None:
    """Import the modules of every run, and run a miniature kata."""
    # As for every run (harness/run/child.py): the threads of tensors this small cost more than they save.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in IDE_VARIABLES:
        os.environ.pop(name, None)  # whatever started watch, it reports to people, not to a test explorer
    with contextlib.suppress(ImportError):  # the run reports that torch is missing
        import torch  # noqa: F401  # before the run, which then stays in this process
    with tempfile.TemporaryDirectory(prefix="harness-") as folder, _apart():
        _write_course(Path(folder))
        pytest.main([f"{folder}/katas", "--rootdir", folder, *_OPTIONS], plugins=[ReplacedSources({})])
    # What is there now is there to stay. Looking through it for garbage, as pytest does at the end of each
    # run, would take a tenth of a second every time.
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def _apart() -> Iterator[None]:
    """Nothing printed, and no kata left imported."""
    with katas_forgotten(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


def _write_course(root: Path) -> None:
    kata, solution = root / "katas" / "k00_warm", root / "solutions" / "k00_warm"
    for folder in (kata, solution):
        folder.mkdir(parents=True)
        (folder / "warm.py").write_text(_STUB, encoding="utf-8")
    (kata / "test_warm.py").write_text(_TESTS, encoding="utf-8")
    for folder in (kata, kata.parent):
        (folder / "__init__.py").touch()
    (root / "pyproject.toml").write_text(_CONFIGURATION, encoding="utf-8")


if __name__ == "__main__":
    main()
