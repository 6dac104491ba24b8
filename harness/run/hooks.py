"""The hooks of a run that touches the katas."""

from __future__ import annotations

import functools
import pickle
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.course.kata_tests import file_digest, requirement
from harness.course.katas import Course, Kata
from harness.diagnosis.diagnose import NAMEABLE, Diagnoses
from harness.explain import shape_steps
from harness.explain.findings import AssertedComparison, Finding, read_failure
from harness.isolation.recorder import Recorder
from harness.isolation.standins import CannotImport, MissingName
from harness.pairing import commands
from harness.progress.ledger import Ledger
from harness.run import child
from harness.run.case_names import case_in_words
from harness.run.plan import ALL_LOCKED, RunPlan
from harness.run.report import RunReport, selected_names
from harness.shapes import Step
from harness.terminal.lines import Line
from harness.terminal.pytest_writer import write

_ROOM = 3.0  # seconds of a test's time limit that must be left for a diagnosis


class KataHooks:
    """The hooks of a run that touches the katas."""

    def __init__(self, config: pytest.Config, run: RunPlan) -> None:
        self.config = config
        self.run = run
        self.course: Course = run.course
        self.comparison: AssertedComparison | None = None
        self.cases: dict[tuple[Path, str], int] = {}
        # Asked for at every hook of every test, and slow to find out.
        self.kata_of = functools.cache(lambda path: self.course.kata_of(path.resolve()))
        self.tests_digest = functools.cache(lambda kata: file_digest(kata.tests))
        selected = selected_names(run.course, run.args)
        self.account = RunReport(run.course, Ledger(run.course), selected, records=run.records)
        self.stopped = False
        self.began = 0.0  # the current test, in seconds of this process
        self.exit_status: int = pytest.ExitCode.INTERNAL_ERROR

    # --- set-up ---

    def pytest_configure(self, config: pytest.Config) -> None:
        self.recorder = Recorder(self.run.flight, self.run.time_limit)
        self.account.start()
        if self.run.imports:
            self.importer = child.prepare_imports(config, self.run, self.recorder)
            self.diagnoses = Diagnoses(self.importer)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        self.recorder.watch_crashes()  # after pytest's own faulthandler plugin

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makeitem(self) -> Generator[None, Any, Any]:
        """Count the cases of every test before -k, --lf or a node id leaves some out."""
        made = yield
        for item in made if isinstance(made, list) else ():
            self.cases[item.path, test_name(item)] = len(made)
        return made

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if self.run.interrupts_tests and self.kata(item) and not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(self.run.time_limit))

    # --- each test ---

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        if self.stopped:
            return True  # handled: not run, not reported
        kata = self.kata(item)
        if kata:
            self.importer.notes.clear()
            self.began = time.process_time()
            self.recorder.begin("test", self.limit(item), **self.identity(item, kata))
        return None

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        if self.run.imports:
            self.recorder.end("tested", case=nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.comparison = None
        kata = self.kata(item)
        reason = self.account.lock_reason(kata) if kata and self.run.enforces_locks else None
        if reason:
            pytest.skip(f"locked: {reason}")

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> None:
        self.comparison = AssertedComparison(op, left, right)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        kata = self.kata(item)
        if kata:
            self.diagnoses.note(kata, test_name(item), call.when, passed=report.passed)
            report.kata_facts = self.facts(item, kata, call, report)  # type: ignore[attr-defined]  # travels along
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        facts = getattr(report, "kata_facts", None)
        if facts is None:
            self.account.take_foreign(report)  # made by pytest-xdist for a worker that died
            return
        self.account.take(report, facts)
        self.stopped = self.stopped or (report.failed and self.run.stops_at_first_failure)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(
        self, report: pytest.TestReport | pytest.CollectReport
    ) -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
        """Reports travel from a worker of pytest-xdist as plain data: so do the facts in them."""
        data = yield
        if data is not None and "kata_facts" in data:
            data["kata_facts"] = pickle.dumps(data["kata_facts"], protocol=0).decode("latin-1")
        return data

    @pytest.hookimpl(wrapper=True)
    def pytest_report_from_serializable(
        self, data: dict[str, Any]
    ) -> Generator[
        None, pytest.TestReport | pytest.CollectReport | None, pytest.TestReport | pytest.CollectReport | None
    ]:
        report = yield
        facts = getattr(report, "kata_facts", None)
        if isinstance(facts, str):
            report.kata_facts = pickle.loads(facts.encode("latin-1"))  # type: ignore[union-attr]  # ours
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.failed:
            return
        kata = self.course.kata_of((self.config.rootpath / report.nodeid).resolve())
        call = getattr(report, "call", None)
        if kata and call and isinstance(call.excinfo.value, CannotImport | MissingName):
            self.account.take_unusable(kata, read_failure(self.course, kata, call.excinfo.value))
        else:
            self.account.collection_errors.append((report.nodeid, report.longreprtext))

    # --- a debugger suspends the time limit ---

    def pytest_enter_pdb(self) -> None:
        self.recorder.pause()

    # --- the end ---

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        silent = self.run.compact and getattr(report, "kata_facts", None) is not None
        return (report.outcome, "", "") if silent else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        if session.exitstatus == pytest.ExitCode.OK and self.account.everything_was_locked:
            session.exitstatus = ALL_LOCKED
        try:
            return (yield)
        finally:
            self.exit_status = session.exitstatus

    def pytest_terminal_summary(self, exitstatus: int) -> None:
        interrupted = exitstatus == pytest.ExitCode.INTERRUPTED and not self.account.collection_errors
        if self.run.learning and not self.run.lists_only and exitstatus != pytest.ExitCode.USAGE_ERROR:
            write(self.config, self.account.closing_lines(interrupted=interrupted))
            write(self.config, [] if interrupted else self.pair_lines())

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        self.recorder.note("finished", status=int(self.exit_status))

    # --- facts ---

    def pair_lines(self) -> list[Line]:
        """What the run means for two people who take turns (harness pair)."""
        return commands.after_run(self.course, self.account.ledger, time.time()) if self.run.records else []

    def kata(self, item: pytest.Item) -> Kata | None:
        """The kata that a test belongs to."""
        return self.kata_of(item.path)

    def stub_digest(self, kata: Kata) -> str:
        return self.importer.stub_digests.get(kata.name, "")

    def limit(self, item: pytest.Item) -> float:
        marker = item.get_closest_marker("timeout")
        given = (*marker.args, marker.kwargs.get("timeout")) if marker else (None,)
        return float(given[0]) if given[0] is not None else self.run.time_limit

    def facts(
        self, item: pytest.Item, kata: Kata, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> dict[str, Any]:
        """What the controlling process needs to know about a test's report, as plain data."""
        told = report.failed and self.run.learning  # of a solution pytest's own report tells all
        finding = self.finding(item, kata, call) if told else None
        return {
            **self.identity(item, kata),
            "locked": report.skipped and "Skipped: locked: " in str(report.longrepr),
            "finding": finding,
        }

    def identity(self, item: pytest.Item, kata: Kata) -> dict[str, Any]:
        """Which test this is, and of which files: what a receipt is made from."""
        return {
            "kata": kata.name,
            "test": test_name(item),
            "case": item.nodeid,
            "case_in_words": case_of(item),
            "cases": self.cases.get((item.path, test_name(item)), 1),
            "shipped": item.path.resolve() == kata.tests,  # a test of the learner's own earns nothing
            "requirement": requirement_of(item),
            "stub_digest": self.stub_digest(kata),
            "tests_digest": self.tests_digest(kata),
        }

    def finding(self, item: pytest.Item, kata: Kata, call: pytest.CallInfo[None]) -> Finding | None:
        if call.excinfo is None:
            return None
        comparison, self.comparison = self.comparison, None
        took = time.process_time() - self.began
        code = getattr(getattr(item, "function", None), "__code__", None)
        finding = read_failure(
            self.course,
            kata,
            call.excinfo.value,
            test_code=code,
            comparison=comparison,
            changed=self.importer.notes.changed,
            called=self.importer.notes.called,
            calls=list(self.importer.notes.calls),
        )
        if finding.kind in NAMEABLE and (diagnosis := self.diagnosis(item, kata, call)):
            finding = replace(finding, diagnosis=diagnosis)
        steps = self.steps(item, kata, call, finding, took)
        return replace(finding, facts={**finding.facts, "steps": steps}) if steps else finding

    def diagnosis(self, item: pytest.Item, kata: Kata, call: pytest.CallInfo[None]) -> str:
        """Only of what fails in the test itself, and while the test's time limit leaves room for it."""
        limit = self.limit(item)
        hurried = limit and call.duration + _ROOM > limit
        if call.when != "call" or call.excinfo is None or hurried:
            return ""
        return self.diagnoses.of(item, kata, call.excinfo.value)

    def steps(
        self, item: pytest.Item, kata: Kata, call: pytest.CallInfo[None], finding: Finding, took: float
    ) -> list[Step]:
        """The shapes that led to a failure, where they help or are asked for.

        `took`: the time that this process has spent on the test. On a busy machine more goes by.
        """
        helps = not finding.diagnosis and shape_steps.shapes_help(finding.kind, finding.facts)
        quick = call.when == "call" and shape_steps.is_quick(took, call.duration, self.limit(item))
        if not (quick and (helps or self.run.shows_shapes)) or call.excinfo is None:
            return []
        files = {str(kata.stub), str(kata.solution)}
        gave = finding.facts["function"] if finding.kind == "type" and not finding.facts["argument"] else ""
        return shape_steps.steps_to(call.excinfo.value, item.runtest, files, gave)


def test_name(item: pytest.Item) -> str:
    """The test function's name within its file, without the parametrised case."""
    return item.nodeid.split("::", 1)[-1].split("[")[0]


def case_of(item: pytest.Item) -> str:
    """Which case of a parametrised test this is, in words; "" for the only one."""
    called = getattr(item, "callspec", None)
    return case_in_words(called.id, called.params) if called else ""


def requirement_of(item: pytest.Item) -> str:
    return requirement(getattr(getattr(item, "function", None), "__doc__", None), item.name.split("[")[0])
