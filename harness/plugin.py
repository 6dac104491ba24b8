"""The pytest plugin: its options and its entry. In a folder without katas it does nothing."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from harness.course.katas import load_course
from harness.run import child
from harness.run.hooks import KataRun
from harness.run.plan import RunPlan, course_root, plan_run, quieten
from harness.run.streams import ENDED_BY_PIPE, open_closed_streams

RUN = pytest.StashKey[RunPlan]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("katas")
    group.addoption(
        "--all", action="store_true", help="run every kata without stopping, unlocking as it goes"
    )
    group.addoption(
        "--solutions", action="store_true", help="test the reference solutions: no locks, no recording"
    )
    group.addoption(
        "--shapes",
        action="store_true",
        help="show the shapes that your lines made before any failure, not only before one about shapes",
    )
    group.addoption(
        "--time-limit",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="stop a test, or the import of a kata, that takes longer (default 10; 0: never)",
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Generator[None]:
    open_closed_streams()  # before pytest captures them
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    if RUN in config.stash:
        return None  # this hook is entered a second time in the supervised child, which does the work
    root = course_root(config)
    run = plan_run(config, load_course(root)) if root else None
    if run is None:
        return None
    config.stash[RUN] = run
    config.args[:] = run.args
    if run.compact:
        quieten(config, run)
    kata_run = KataRun(config, run)
    config.pluginmanager.register(kata_run, "katas")
    ending = child.supervised(config, run) if run.supervise else None
    if ending is None:
        return None  # no child: this process goes on and does the work
    if ending.exit_status is not None:
        return ending.exit_status
    if ending.status == ENDED_BY_PIPE:
        return pytest.ExitCode.TESTS_FAILED  # nobody reads what could be said
    if kata_run.can_report(ending):
        run.death = ending
        return None  # this process reports what its child could not, and runs no test
    kata_run.end.write_after_death(ending)
    return pytest.ExitCode.TESTS_FAILED
