"""The pytest plugin: hooks only. In a folder without katas it does nothing at all."""

from __future__ import annotations

import pytest

from harness.course.katas import find_root, load_course
from harness.run import child
from harness.run.hooks import KataHooks
from harness.run.plan import RunPlan, plan_run, quieten
from harness.terminal.pytest_writer import write

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


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    if RUN in config.stash:
        return None  # the supervised child, which does the work
    root = find_root(config.rootpath.resolve()) or find_root(config.invocation_params.dir.resolve())
    run = plan_run(config, load_course(root)) if root else None
    if run is None:
        return None
    config.stash[RUN] = run
    config.args[:] = run.args
    if run.compact:
        quieten(config, run)
    hooks = KataHooks(config, run)
    config.pluginmanager.register(hooks, "katas")
    ending = child.supervised(config, run) if run.supervise else None
    if ending is None:
        return None  # no child: this process goes on and does the work
    if ending.exit_status is not None:
        return ending.exit_status
    write(config, [*hooks.account.lines_after(ending), *hooks.pair_lines()])
    return pytest.ExitCode.TESTS_FAILED
