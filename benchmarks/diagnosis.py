"""How many mistakes are named, how many wrongly, and what that costs: `python benchmarks/diagnosis.py`.

Every version of a kata is run as a learner's file would be, in this process, on the reference solutions
of the katas before it. What is measured is described in README.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in a learner's run
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import pytest  # noqa: E402  # after the path and the number of threads are set

from harness import trial  # noqa: E402
from harness.course import Course, Kata, load_course, resolve_kata  # noqa: E402
from harness.diagnosis import BUDGET, NAMEABLE, Diagnoses  # noqa: E402
from harness.slips import read_slips  # noqa: E402


@dataclass(eq=False)
class Naming:
    """A plugin: what the first failure of a run is called, and how long that took."""

    budget: float
    diagnosis: str = ""
    seconds: float | None = None
    kind: str = ""
    test: str = ""
    failed: bool = False

    def pytest_configure(self, config: pytest.Config) -> None:
        self._hooks = config.pluginmanager.get_plugin("katas")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        facts = getattr(report, "kata_facts", None)
        if report.failed and not self.failed and facts:
            self.failed, self.kind, self.test = True, facts["finding"]["kind"], item.nodeid.split("::")[-1]
            if call.when == "call" and self.kind in NAMEABLE:
                self._name(item, call)
        return report

    def _name(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        diagnoses: Diagnoses = self._hooks.diagnoses
        diagnoses.left = self.budget
        started = time.process_time()
        self.diagnosis = diagnoses.of(item, self._hooks.kata(item), call.excinfo.value)
        self.seconds = time.process_time() - started


def named(course: Course, kata: Kata, source: str, budget: float) -> Naming:
    """How the first failure of a kata's tests on this source is named."""
    naming = Naming(budget)
    trial.run(course, kata, {kata.module: source}, stop=True, time_limit=30.0, listeners=[naming])
    return naming


@dataclass
class Row:
    """The figures of one kata."""

    kata: str
    tried: int = 0
    named: int = 0
    silent: int = 0
    wrong: int = 0
    seconds: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def slips_as_they_are(course: Course, kata: Kata, budget: float) -> Row:
    source = kata.solution.read_text(encoding="utf-8")
    row = Row(kata.name)
    for slip in read_slips(kata):
        naming = named(course, kata, slip.apply(source), budget)
        row.tried += 1
        if naming.seconds is not None:
            row.seconds.append(naming.seconds)
        if not naming.diagnosis:
            row.silent += 1
            row.notes.append(f"silent {slip.id} [{naming.kind} {naming.test} {naming.seconds}]")
        elif naming.diagnosis == slip.diagnosis:
            row.named += 1
        else:
            row.wrong += 1
            row.notes.append(f"WRONG {slip.id}: {naming.diagnosis}")
    return row


def report(rows: list[Row]) -> Iterator[str]:
    yield f"{'kata':<24}{'tried':>6}{'named':>6}{'silent':>7}{'wrong':>6}{'median':>8}{'p95':>7}{'max':>7}"
    total = Row("all")
    for row in rows:
        total.tried += row.tried
        total.named += row.named
        total.silent += row.silent
        total.wrong += row.wrong
        total.seconds += row.seconds
    for row in [*rows, total]:
        seconds = sorted(row.seconds) or [0.0]
        at95 = seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))]
        yield (
            f"{row.kata:<24}{row.tried:>6}{row.named:>6}{row.silent:>7}{row.wrong:>6}"
            f"{statistics.median(seconds):>7.2f}s{at95:>6.2f}s{seconds[-1]:>6.2f}s"
        )


def _import_what_torch_imports_late() -> None:
    """So that no test is charged for it."""
    import torch

    torch.testing.assert_close(torch.ones(1), torch.ones(1))
    torch.empty(1, device="meta").sum()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("katas", nargs="*", help="only these katas")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds for one failure")
    given = parser.parse_args()
    _import_what_torch_imports_late()
    course = load_course(ROOT)
    katas = [resolve_kata(course, name) for name in given.katas] or course.katas
    rows = []
    for kata in katas:
        rows.append(slips_as_they_are(course, kata, given.budget))
        print(*rows[-1].notes, sep="\n", flush=True)
    print(*report(rows), sep="\n")


if __name__ == "__main__":
    main()
