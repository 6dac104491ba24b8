"""Runs a kata's tests in this process, with any text in place of its solution.

A fresh process for each of a few hundred variants would spend minutes importing torch.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from harness.course.kata_tests import read_tests
from harness.course.katas import Course, Kata
from harness.isolation.importer import katas_forgotten
from harness.isolation.standins import CannotImport
from harness.run.plan import ReplacedSources


@dataclass
class Verdict:
    """Which tests of a kata passed and failed, in the order of the file."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    problem: str = ""  # why the tests could not run at all
    dependent: list[str] = field(default_factory=list)  # those that pass, but not without the others

    @property
    def first_failure(self) -> str | None:
        return self.failed[0] if self.failed else None

    @property
    def is_clean(self) -> bool:
        """True if the tests could run, and none failed."""
        return not self.failed and not self.problem


class Listener:
    """Collects the verdict on a kata from pytest's reports."""

    def __init__(self, kata: Kata) -> None:
        self._names = [test.name for test in read_tests(kata)]  # read once, before many are forked
        self.passed: set[str] = set()
        self.failed: set[str] = set()
        self.problem = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = test_name(report.nodeid)
        if report.failed:
            self.failed.add(name)
        elif report.when == "call" and report.passed:
            self.passed.add(name)

    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        if call.excinfo and call.excinfo.errisinstance(CannotImport):
            self.problem = str(call.excinfo.value.__cause__ or call.excinfo.value)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.problem = report.longreprtext.strip().splitlines()[-1]

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
        self.problem = excinfo.exconly()
        return True  # it is the verdict's problem, and is not printed

    def verdict(self) -> Verdict:
        """Return the results, in the order of the kata's tests."""
        return Verdict(
            [name for name in self._names if name in self.passed - self.failed],
            [name for name in self._names if name in self.failed],
            self.problem,
        )


def run(
    course: Course,
    kata: Kata,
    sources: Mapping[str, str],
    *,
    stop: bool,
    time_limit: float,
    listeners: Sequence[object] = (),
    only_collect: bool = False,
) -> Verdict:
    """The verdict of a kata's tests on the solutions, with `sources` in place of some modules.

    `listeners` are further plugins; where there are any, failing assertions keep their values.
    With `only_collect` the tests are collected and not run.
    """
    listener = Listener(kata)
    options = ["--assert=rewrite"] if listeners else []
    options += ["--collect-only"] if only_collect else []
    options += ["-x"] if stop else []
    with katas_forgotten(), contextlib.redirect_stdout(io.StringIO()):
        pytest.main(
            [*arguments(kata, time_limit), *options], plugins=[listener, ReplacedSources(sources), *listeners]
        )
    return listener.verdict()


def arguments(kata: Kata, time_limit: float) -> list[str]:
    """Pytest's, to run a kata's tests against its solution in silence."""
    return [str(kata.tests), "--solutions", "--time-limit", str(time_limit), *_QUIET]


def test_name(node: str) -> str:
    """The test that a node of pytest's belongs to: its cases count as one."""
    return node.split("::", 1)[-1].split("[")[0]


# Only the verdict counts. Looking for exceptions that nobody can raise collects the garbage of all of torch,
# explaining assertions compiles each test file at length, and catching what is logged asks every logger of
# torch's, three times a test: more than half of a trial's time.
_QUIET = (
    *("-q", "-q", "--no-header", "--no-summary", "--tb=no", "--assert=plain", "-p", "no:cacheprovider"),
    *("-p", "no:xdist", "-p", "no:unraisableexception", "-p", "no:threadexception", "-p", "no:logging"),
)
