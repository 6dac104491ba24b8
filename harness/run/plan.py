"""How one pytest run is to go, decided from its command line."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.course.katas import Course, courses_in, find_root
from harness.isolation import supervisor
from harness.isolation.supervisor import Ending
from harness.progress.ledger import Ledger
from harness.progress.standing import bare_run
from harness.run.selection import BadArgument, bare_touches_katas, select

ALL_LOCKED = 10  # the exit code when every selected test is locked
_NARROWING = (
    "keyword",
    "markexpr",
    "lf",
    "failedfirst",
    "newfirst",
    "stepwise",
    "collectonly",
    "all",
    "solutions",
)
_ANSWERS_ONLY = ("help", "version", "showfixtures", "show_fixtures_per_test", "markers", "cacheshow")
_IDE_PLUGINS = ("vscode_pytest", "teamcity.pytest_plugin")
IDE_VARIABLES = ("TEST_RUN_PIPE", "PYCHARM_HOSTED", "TEAMCITY_VERSION")


@dataclass
class RunPlan:
    """The decisions about a run."""

    course: Course
    args: list[str]
    learning: bool  # against the learner's katas, with locks and recording
    lists_only: bool  # --co
    compact: bool  # one block instead of pytest's report
    supervise: bool  # do the work in a child process
    records: bool  # this process writes the receipts
    imports: bool  # this process runs tests
    enforces_locks: bool
    stops_at_first_failure: bool
    time_limit: float
    shows_shapes: bool  # before any failure
    interrupts_tests: bool  # let pytest-timeout raise in a test that exceeds the limit
    for_explorer: bool  # a test explorer shows the results
    flight: Path | None = None  # where to record, in a supervised child
    death: Ending | None = None  # of the child; this process only reports it
    last_was_killed: bool = False  # the run before this one


class ReplacedSources:
    """A pytest plugin without hooks that carries texts to execute in place of the katas' files."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts


def course_root(config: pytest.Config) -> Path | None:
    """Return the root of the course that a run may be about: around what is typed, or one folder below."""
    here = config.invocation_params.dir.resolve()
    arguments = getattr(config.option, "file_or_dir", ())  # `pytest --help` has none, in pytest 9
    typed = [here / arg.split("::")[0] for arg in arguments]
    around = (find_root(folder) for folder in (config.rootpath.resolve(), here, *typed))
    below = (folder for parent in typed or [here] for folder in courses_in(parent))
    return next(filter(None, around), None) or next(below, None)


def plan_run(config: pytest.Config, course: Course) -> RunPlan | None:
    """Return the plan for a command line; None if it is not about the katas.

    Raises UsageError for a KATA argument that names nothing.
    """
    option = config.option
    if any(getattr(option, name, False) for name in _ANSWERS_ONLY):
        return None
    args = _arguments(config, course)
    if args is None:
        return None
    learning = not option.solutions
    worker = hasattr(config, "workerinput")
    distributing = bool(getattr(option, "numprocesses", None) or getattr(option, "tx", None))
    single_tests = any("::" in arg for arg in args) or _in_an_ide(config)
    flight = os.environ.pop(supervisor.FLIGHT_VARIABLE, None)
    alone = learning and not worker and not distributing
    supervise = alone and not flight and _may_be_supervised(config)
    return RunPlan(
        course=course,
        args=args,
        learning=learning,
        lists_only=option.collectonly,
        compact=learning and not worker and not option.collectonly and _wants_block(config),
        supervise=supervise,
        records=learning and not worker,
        imports=not distributing or worker,
        enforces_locks=learning and not (option.all and (worker or distributing)),
        stops_at_first_failure=learning and not (option.all or single_tests or worker or distributing),
        time_limit=option.time_limit,
        shows_shapes=option.shapes,
        interrupts_tests=_may_interrupt(config, supervised=bool(flight) or supervise),
        for_explorer=_in_an_ide(config),
        flight=Path(flight) if flight else None,
    )


def _arguments(config: pytest.Config, course: Course) -> list[str] | None:
    here = config.invocation_params.dir.resolve()
    typed = config.option.file_or_dir or ([] if here.is_relative_to(course.root) else [str(here)])
    if all((here / arg).resolve() == course.root for arg in typed):
        return _bare_arguments(config, course, course.root if typed else here)
    try:
        selection = select(course, typed, here)
    except BadArgument as error:
        raise pytest.UsageError(str(error)) from None
    return list(selection.args) if selection.touches_katas else None


def _bare_arguments(config: pytest.Config, course: Course, here: Path) -> list[str] | None:
    if not bare_touches_katas(course, here):
        return None
    if course.kata_of(here):
        return [str(here)]
    if any(getattr(config.option, name, False) for name in _NARROWING):
        return [str(course.root / "katas")]
    return [str(kata.folder) for kata in bare_run(Ledger(course).progress())]


def _wants_block(config: pytest.Config) -> bool:
    verbose, style = getattr(config.option, "verbose", 0), getattr(config.option, "tbstyle", "auto")
    return verbose <= 0 and style == "auto" and config.pluginmanager.hasplugin("terminal")


def _may_interrupt(config: pytest.Config, *, supervised: bool) -> bool:
    """Without alarms, pytest-timeout ends the whole process; a supervisor explains that better."""
    return config.pluginmanager.hasplugin("timeout") and (hasattr(signal, "SIGALRM") or not supervised)


def _may_be_supervised(config: pytest.Config) -> bool:
    wanted_here = any(getattr(config.option, name, False) for name in ("usepdb", "trace"))
    return not wanted_here and not _is_debugged()


def _is_debugged() -> bool:
    """True if the debugger of VS Code or PyCharm is attached: its breakpoints are for this process."""
    return "pydevd" in sys.modules


def _in_an_ide(config: pytest.Config) -> bool:
    by_plugin = any(config.pluginmanager.hasplugin(name) for name in _IDE_PLUGINS)
    return by_plugin or any(name in os.environ for name in IDE_VARIABLES)


def quieten(config: pytest.Config, run: RunPlan) -> None:
    """Leave the screen to the one block; explicit requests such as --durations still show."""
    config.option.verbose = -2
    config.option.tbstyle = "no"
    config.option.reportchars = ""
    config.option.disable_warnings = True
    config.option.no_header = True
    if run.stops_at_first_failure:
        config.option.maxfail = 0  # -x happens anyway, without pytest's line about it
