"""Mistakes named, wrongly named and missed, and the time taken: `python benchmarks/diagnosis.py`.

README.md describes the versions that are tried and how to read the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in a learner's run
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import mutants  # noqa: E402  # imported after setting the path and the number of threads
import pytest  # noqa: E402

from harness.authoring import variant_run  # noqa: E402
from harness.course.katas import Kata, load_course, resolve_kata  # noqa: E402
from harness.course.slips import alternative_sources, alternatives_path, read_slips  # noqa: E402
from harness.course.stubs import read_contract  # noqa: E402
from harness.diagnosis.case import CannotReplay, Case, case_of  # noqa: E402
from harness.diagnosis.diagnose import BUDGET, name_mistakes  # noqa: E402
from harness.diagnosis.failed import ObservedFailure  # noqa: E402
from harness.diagnosis.reference import Reference, installed_as  # noqa: E402  # noqa: E402
from harness.diagnosis.replay import Replayer  # noqa: E402  # noqa: E402
from harness.diagnosis.time_budget import OutOfTime, TimeBudget  # noqa: E402  # noqa: E402

LONGEST = 20.0  # seconds allowed for all tests of one version


@dataclass(frozen=True)
class Version:
    """A wrong version of a kata: a slip with its diagnosis, or a mechanical change without one."""

    what: str
    source: str
    diagnosis: str = ""
    caught_by: str = ""


@dataclass
class Row:
    """The figures for one kata."""

    kata: str
    tried: int = 0
    failed: int = 0
    named: int = 0
    other: int = 0  # given a diagnosis other than the slip's own
    in_time: int = 0  # named within the time budget of a learner's run
    seconds: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, version: Version, outcome: Outcome) -> None:
        self.tried += 1
        self.failed += outcome.case is not None
        if outcome.case is not None:
            self.seconds.append(outcome.seconds)
        if outcome.diagnosis and outcome.diagnosis == version.diagnosis:
            self.named += 1
            self.in_time += outcome.seconds <= BUDGET
        elif outcome.diagnosis:
            self.other += 1
            self.notes.append(f"{version.what}\n      named: {' '.join(outcome.diagnosis.split())}")
        elif version.diagnosis:
            self.notes.append(f"{version.what}: silent{' (out of time)' if outcome.late else ''}")


@dataclass(frozen=True)
class Outcome:
    """The diagnosis of a version's first failure, and the CPU time it took."""

    case: Case | None = None
    diagnosis: str = ""
    seconds: float = 0.0
    late: bool = False


class Trials:
    """A plugin that tries versions of a kata after collection, instead of running its tests."""

    def __init__(self, kata: Kata, versions: Sequence[Version], budget: float) -> None:
        self.kata, self.versions, self.budget = kata, versions, budget
        self.row = Row(kata.name)

    def pytest_configure(self, config: pytest.Config) -> None:
        self.hooks = config.pluginmanager.get_plugin("katas")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.cases = [case_of(item, self.kata) for item in session.items]
        self.order = list(dict.fromkeys(case.function for case in self.cases))
        self.program = compile(self.kata.tests.read_bytes(), str(self.kata.tests), "exec")
        for version in self.versions:
            with contextlib.suppress(SyntaxError):
                self.row.add(version, self.tried(version))

    def tried(self, version: Version) -> Outcome:
        compiled = self.hooks.importer.compiler(self.kata)
        try:
            learners = Reference(self.kata, compiled, TimeBudget(LONGEST), version.source)
            with installed_as(learners.module, self.kata.module):
                found = self.first_failure(learners.module, version.caught_by)
                return self.named(*found) if found else Outcome()
        except (Exception, OutOfTime) as error:
            self.row.notes.append(f"{version.what}: cannot be tried: {type(error).__name__}: {error}"[:200])
            return Outcome()  # cannot be imported or does not finish: not counted as a failure

    def first_failure(self, learners: object, caught_by: str) -> tuple[Case, ObservedFailure] | None:
        contract = tuple(read_contract(self.kata.solution))
        replayer = Replayer(self.cases[0], contract, self.program, TimeBudget(LONGEST))
        with replayer.load_tests(learners) as tests:
            for case in self.cases:
                if caught_by in ("", case.function):
                    tests.case = case
                    failed = tests.play().failure
                    if failed:
                        return case, failed
        return None

    def named(self, case: Case, failed: ObservedFailure) -> Outcome:
        if failed.kind == "NotImplementedError":
            return Outcome(case)  # reported separately, without a diagnosis
        passed, started, late = self.order[: self.order.index(case.function)], time.process_time(), False
        diagnosis = ""
        try:
            found = name_mistakes(
                self.kata, case, failed, self.hooks.importer, passed, TimeBudget(self.budget)
            )
            diagnosis = " And: ".join(found)
        except OutOfTime:
            late = True
        except CannotReplay:
            pass
        return Outcome(case, diagnosis, time.process_time() - started, late)


def slips(kata: Kata) -> list[Version]:
    """Every slip, unchanged."""
    source = kata.solution.read_text(encoding="utf-8")
    return [Version(slip.id, slip.apply(source), slip.diagnosis, slip.caught_by) for slip in read_slips(kata)]


def slips_in_other_words(kata: Kata) -> list[Version]:
    """Every slip, in a file with an alternative for another function or class and with all locals renamed."""
    source, draw = kata.solution.read_text(encoding="utf-8"), random.Random(0)
    alternatives = alternative_sources(source, alternatives_path(kata).read_text(encoding="utf-8"))
    found = []
    for slip in read_slips(kata):
        names = [name for name in alternatives if name.rpartition("__")[0] not in _touched(source, slip.find)]
        text = slip.apply(source)
        what = slip.id
        if names:
            name = draw.choice(names)
            text, what = text + alternatives[name].removeprefix(source), f"{slip.id} with {name}"
        found.append(Version(what, mutants.renamed(text), slip.diagnosis, slip.caught_by))
    return found


def _touched(source: str, find: str) -> set[str]:
    import ast

    first = source[: source.index(find)].count("\n") + 1
    last = first + find.count("\n")
    return {
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and node.lineno <= last
        and first <= (node.end_lineno or 0)
    }


def twists(kata: Kata) -> list[Version]:
    """Every public result altered mechanically: times 1.1, plus 0.1, negated, flipped, …"""
    source = kata.solution.read_text(encoding="utf-8")
    return [Version(each.what, each.source) for each in mutants.twisted(source)]


def accidents(kata: Kata) -> list[Version]:
    """One mechanical change to the reference or to one of the alternatives."""
    source = kata.solution.read_text(encoding="utf-8")
    alternatives = alternative_sources(source, alternatives_path(kata).read_text(encoding="utf-8"))
    found = [Version(each.what, each.source) for each in mutants.changed_in_one_place(source)]
    for name, text in alternatives.items():
        added = text.removeprefix(source)
        changed = mutants.changed_in_one_place(added)
        found += [Version(f"{name} {each.what}", f"{source}\n{each.source}\n") for each in changed]
    return found


WHAT: dict[str, Callable[[Kata], list[Version]]] = {
    "slips": slips,
    "other-words": slips_in_other_words,
    "twists": twists,
    "accidents": accidents,
}


def measure(kata: Kata, what: str, sample: int, budget: float) -> Row:
    versions = WHAT[what](kata)
    if sample and len(versions) > sample:
        versions = random.Random(1).sample(versions, sample)
    trials = Trials(kata, versions, budget)
    with contextlib.redirect_stderr(io.StringIO()):
        verdict = variant_run.run(
            load_course(ROOT), kata, {}, stop=True, time_limit=0, listeners=[trials], only_collect=True
        )
    if verdict.problem:
        raise RuntimeError(verdict.problem)
    return trials.row


def report(rows: list[Row]) -> Iterator[str]:
    yield (
        f"{'kata':<24}{'tried':>6}{'failed':>7}{'named':>6}{'in time':>8}{'other':>6}{'silent':>7}"
        f"{'median':>8}{'p95':>7}"
    )
    total = Row("all")
    for row in rows:
        for name in ("tried", "failed", "named", "in_time", "other"):
            setattr(total, name, getattr(total, name) + getattr(row, name))
        total.seconds += row.seconds
    for row in [*rows, total] if len(rows) > 1 else rows:
        seconds = sorted(row.seconds) or [0.0]
        at95 = seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))]
        silent = row.failed - row.named - row.other
        yield (
            f"{row.kata:<24}{row.tried:>6}{row.failed:>7}{row.named:>6}{row.in_time:>8}{row.other:>6}{silent:>7}"
            f"{statistics.median(seconds):>7.2f}s{at95:>6.2f}s"
        )


def _import_what_torch_imports_late() -> None:
    """Import it early, so that its time is not counted for any version."""
    import torch

    torch.testing.assert_close(torch.ones(1), torch.ones(1))
    torch.empty(1, device="meta").sum()
    torch.special.ndtr(torch.empty(1, device="meta"))  # what has no kernel there imports much more


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("katas", nargs="*", help="only these katas")
    parser.add_argument("--what", choices=list(WHAT), default="slips")
    parser.add_argument("--sample", type=int, default=0, help="at most this many versions per kata")
    parser.add_argument(
        "--budget", type=float, default=5.0, help="CPU seconds per diagnosis before giving up"
    )
    given = parser.parse_args()
    _import_what_torch_imports_late()
    course = load_course(ROOT)
    rows = []
    for kata in [resolve_kata(course, name) for name in given.katas] or course.katas:
        rows.append(measure(kata, given.what, given.sample, given.budget))
        print(*(f"{kata.number}  {note}" for note in rows[-1].notes), sep="\n")
        print(*report(rows[-1:]), sep="\n", flush=True)
    print(*report(rows), sep="\n")


if __name__ == "__main__":
    main()
