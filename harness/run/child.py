"""The child process that runs the tests, and its imports."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from pathlib import Path

import pytest
from _pytest.config import create_terminal_writer

from harness.isolation import importer, supervisor
from harness.isolation.bounds import orphans_ended
from harness.isolation.flight import flight_folder, remove_dead_folders
from harness.isolation.recorder import Recorder
from harness.run.plan import ReplacedSources, RunPlan
from harness.run.words import IMPORTING_TORCH
from harness.terminal.meanwhile import shown_meanwhile

_STARTING_LIMIT = 300.0  # seconds until the first step: importing torch from a cold disk takes long


def prepare_imports(config: pytest.Config, run: RunPlan, recorder: Recorder) -> importer.KataImporter:
    """Make the katas importable, and import torch outside every time limit."""
    importer.purge_compiled_tests(run.course)
    # The tests' tensors are so small that threads cost more than they save. Set before torch reads it.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    is_new = "torch" not in sys.modules
    with contextlib.suppress(ImportError), shown_meanwhile(IMPORTING_TORCH, run.compact and is_new):
        import torch  # noqa: F401  # for its time only; a missing torch is reported where it is used
    if is_new:
        gc.freeze()  # whoever looks for garbage later need not look through all that torch has made
    carried = [plugin for plugin in config.pluginmanager.get_plugins() if isinstance(plugin, ReplacedSources)]
    sources = carried[0].texts if carried else {}
    solved = () if run.learning and not run.death else run.course.katas
    return importer.install(run.course, recorder, solved=solved, sources=sources)


def start_child(config: pytest.Config, run: RunPlan, flight: Path) -> supervisor.Child | None:
    """Start the process that does the work; None if it can be neither forked nor spawned."""
    if supervisor.fork_is_safe():
        run.flight = flight
        child = supervisor.fork(lambda: _work(config))
        run.flight = None
        return child
    if config.invocation_params.plugins:
        return None  # plugin objects of a calling program cannot be sent to a new process
    arguments = [str(arg) for arg in config.invocation_params.args]
    return supervisor.spawn(arguments, config.invocation_params.dir, flight)


def _work(config: pytest.Config) -> int:
    """Continue pytest's run in the forked child."""
    try:
        return int(config.hook.pytest_cmdline_main(config=config))
    except pytest.UsageError as error:
        writer = create_terminal_writer(config, sys.stderr)
        for message in error.args:
            writer.line(f"ERROR: {message}", red=True)
        return int(pytest.ExitCode.USAGE_ERROR)


def supervised(config: pytest.Config, run: RunPlan) -> supervisor.Ending | None:
    """Let a child do the work, and return how it ended; None if no child could be started."""
    run.last_was_killed = remove_dead_folders(run.course.root)
    with flight_folder(run.course.root) as flight, orphans_ended():
        child = start_child(config, run, flight)
        return supervisor.supervise(child, flight, _STARTING_LIMIT) if child else None
