"""Mistakes named in code that is not written like the reference: `python benchmarks/other_styles.py [NN …]`.

README.md describes the implementations that are tried and how to read the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in a learner's run
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import pytest  # noqa: E402  # imported after setting the path and the number of threads
from diagnosis import _import_what_torch_imports_late as import_what_torch_imports_late  # noqa: E402
from implementations import Implementation, read_implementations  # noqa: E402

from harness.authoring import forks  # noqa: E402
from harness.course.kata_tests import file_digest, read_tests  # noqa: E402
from harness.course.katas import Course, Kata, load_course, resolve_kata  # noqa: E402
from harness.course.slips import read_slips  # noqa: E402
from harness.course.stubs import read_contract  # noqa: E402
from harness.course.unsolved import copy_shipped  # noqa: E402
from harness.explain.findings import Finding  # noqa: E402
from harness.isolation.supervisor import FLIGHT_VARIABLE  # noqa: E402
from harness.progress.receipts import Receipt, append_receipt, progress_path  # noqa: E402
from harness.run.gathering import attached  # noqa: E402

_OPTIONS = ("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:hypothesispytest")
_NO_NEWS = "ignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning"


@dataclass(frozen=True)
class Refusal:
    """What a learner is told about a file that the tests refuse."""

    test: str
    diagnoses: tuple[str, ...]  # one, or two that are named together
    block: str
    seconds: float  # CPU time from the failure to its explanation


class Watching:
    """A pytest plugin that keeps the first failure's finding, and the CPU time that finding it took."""

    def __init__(self) -> None:
        self.test, self.finding, self.seconds = "", None, 0.0

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        started = time.process_time()
        report = yield
        if report.failed and not self.test:
            about = attached(report)
            self.test, self.seconds = item.nodeid.split("::", 1)[-1], time.process_time() - started
            self.finding: Finding | None = about.finding if about else None
        return report


def make_course(kata: Kata, folder: Path) -> Course:
    """Write a course whose learner has finished all katas before this one."""
    course = copy_shipped(ROOT, folder)
    for each in course.katas:
        if each.number < kata.number:
            each.stub.write_bytes(each.solution.read_bytes())
            names = tuple(test.name for test in read_tests(each))
            receipt = Receipt(each.name, names, file_digest(each.tests), file_digest(each.stub), "2026-01-01")
            append_receipt(progress_path(course), receipt)
    return course


def try_all(kata: Kata, implementations: Sequence[Implementation]) -> dict[Implementation, Refusal | None]:
    """Return what a learner is told about each; None if the tests accept it, no entry if its process died."""
    reference = kata.solution.read_text(encoding="utf-8")
    children = forks.Forks(os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        template = Path(folder) / "template"
        make_course(kata, template)
        gc.collect()
        gc.freeze()  # it stays alive, and children that traversed it would copy it
        for index, each in enumerate(implementations):
            text = each.file(reference)
            if children.fork(each):
                with contextlib.suppress(BaseException):
                    children.leave(_tried(kata, text, template, Path(folder) / f"{index}"))
                os._exit(1)
        children.wait(set(implementations))
    return children.results


def _tried(kata: Kata, text: str, template: Path, folder: Path) -> Refusal | None:
    """Run pytest as a learner does who has written this text. In a child, which it changes for good."""
    shutil.copytree(template, folder)
    stub = folder / kata.stub.relative_to(ROOT)
    stub.write_text(text, encoding="utf-8")
    (folder / "flight").mkdir()
    os.environ[FLIGHT_VARIABLE] = str(folder / "flight")  # this process is the child that does the work
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.chdir(folder)
    watching = Watching()
    status = pytest.main([f"katas/{kata.number}", *_OPTIONS, "-W", _NO_NEWS], plugins=[watching])
    sys.stdout.flush()
    block = (folder / "output").read_text(encoding="utf-8", errors="replace").strip()
    if status == 0:
        return None
    diagnoses = watching.finding.diagnoses if watching.finding else ()
    return Refusal(watching.test, diagnoses or _named_late(kata, block), block, watching.seconds)


def _named_late(kata: Kata, block: str) -> tuple[str, ...]:
    """The diagnoses that a run prints below the block that ends it, because they took long."""
    texts = dict.fromkeys(_plain(slip.diagnosis) for slip in read_slips(kata))
    printed = _squeezed(block)
    return tuple(text for text in texts if _squeezed(text) in printed)


Refused = tuple[Implementation, Refusal]


@dataclass
class Row:
    """The results for one kata, each with its implementation."""

    kata: str
    named: list[Refused] = field(default_factory=list)
    misnamed: list[Refused] = field(default_factory=list)
    unnamed: list[Refused] = field(default_factory=list)
    vague: list[Refused] = field(default_factory=list)
    right_refused: list[Refused] = field(default_factory=list)
    right_accepted: list[Implementation] = field(default_factory=list)
    wrong_accepted: list[Implementation] = field(default_factory=list)
    died: list[Implementation] = field(default_factory=list)

    @property
    def refused(self) -> list[Refused]:
        """The wrong implementations that the tests refuse."""
        return [*self.named, *self.misnamed, *self.unnamed]

    def add(self, other: Row) -> None:
        for name, value in vars(other).items():
            if isinstance(value, list):
                getattr(self, name).extend(value)


class Judge:
    """Tells true names from false ones, and specific blocks from vague ones."""

    def __init__(self, kata: Kata) -> None:
        self.kata = kata
        self.diagnoses = {slip.id: _plain(slip.diagnosis) for slip in read_slips(kata)}
        contract = read_contract(kata.solution)
        methods = re.findall(r"^    def (\w+)", kata.solution.read_text(encoding="utf-8"), re.MULTILINE)
        names = [*contract, *(name for name in methods if not name.startswith("_"))]
        known = "|".join(map(re.escape, names))
        self.call = re.compile(
            rf"\b({known})\([^()]*\w|\bin \w+\([^()]*\w|\b({known}) returned \w|\w was called with \w"
        )
        self.sentences = set(_sentences(kata.solution.read_text(encoding="utf-8")))

    def row(self, implementations: Sequence[Implementation]) -> Row:
        """Try these, and sort them by what came of it. Raises ValueError for slips that do not exist."""
        for each in implementations:
            if unknown := each.slips - self.diagnoses.keys():
                raise ValueError(f"{self.kata.name}: {each.id} lists unknown slips: {sorted(unknown)}")
        results = try_all(self.kata, implementations)
        row = Row(self.kata.name)
        for each in implementations:
            self._add(row, each, results)
        return row

    def _add(self, row: Row, each: Implementation, results: dict[Implementation, Refusal | None]) -> None:
        if each not in results:
            row.died.append(each)
        elif (refusal := results[each]) is None:
            (row.wrong_accepted if each.wrong else row.right_accepted).append(each)
        elif not each.wrong:
            row.right_refused.append((each, refusal))
        else:
            self._place(row, each, refusal).append((each, refusal))
            if not refusal.diagnoses and not self.is_specific(refusal.block):
                row.vague.append((each, refusal))

    def _place(self, row: Row, each: Implementation, refusal: Refusal) -> list[Refused]:
        if not refusal.diagnoses:
            return row.unnamed
        return row.named if all(ids & each.slips for ids in self.slips_named(refusal)) else row.misnamed

    def slips_named(self, refusal: Refusal) -> list[set[str]]:
        """For each diagnosis the slips that have it; several may share one."""
        plain = map(_plain, refusal.diagnoses)
        return [{id for id, text in self.diagnoses.items() if text == each} for each in plain]

    def is_specific(self, block: str) -> bool:
        """True if a block quotes a docstring, or names a function with its arguments and what differs."""
        text = _plain(
            re.sub(r"^  katas/\S+\.py:\d+.*", "", block, flags=re.MULTILINE | re.DOTALL)
        )  # not his own line
        says_what_differs = re.search(r"[Ee]xpected|differ|raised|Error|The values:|lacks", text)
        return any(sentence in text for sentence in self.sentences) or bool(
            self.call.search(text) and says_what_differs
        )


def _plain(text: str) -> str:
    return " ".join(text.split())


def _squeezed(text: str) -> str:
    return "".join(text.split())  # a line may have been broken at a hyphen


def _sentences(source: str) -> Iterator[str]:
    """The sentences of all docstrings, except those too short to be told from other text."""
    for docstring in re.findall(r'"""(.*?)"""', source, re.DOTALL):
        for sentence in re.split(r"(?<=[.:])\s+", _plain(docstring)):
            if len(sentence.split()) >= 4:
                yield sentence


def report(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the table."""
    total = Row("all")
    for row in rows:
        total.add(row)
    yield (
        f"{'':<23}{'':>9}{'named':>7}{'named':>8}{'':>15}{'right:':>10}{'':>9}{'wrong:':>10}{'':>9}{'95th':>8}"
    )
    yield (
        f"{'kata':<23}{'refused':>9}{'truly':>7}{'falsely':>8}{'unnamed':>9}{'vague':>6}"
        f"{'accepted':>10}{'refused':>9}{'accepted':>10}{'median':>9}{'perc.':>8}"
    )
    for row in [*rows, total] if len(rows) > 1 else rows:
        seconds = sorted(refusal.seconds for _, refusal in row.refused) or [0.0]
        at95 = seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))]
        yield (
            f"{row.kata:<23}{len(row.refused):>9}{len(row.named):>7}{len(row.misnamed):>8}{len(row.unnamed):>9}"
            f"{len(row.vague):>6}{len(row.right_accepted):>10}{len(row.right_refused):>9}"
            f"{len(row.wrong_accepted):>10}{statistics.median(seconds):>8.2f}s{at95:>7.2f}s"
        )


def details(row: Row, judge: Judge) -> Iterator[str]:
    """Yield what is to be looked at: each implementation with which something did not go well."""
    for each, refusal in row.misnamed:
        yield f"named falsely: {each.id} ({each.idiom}), by {refusal.test}"
        named = (" or ".join(sorted(ids)) for ids in judge.slips_named(refusal))
        yield f"    named: {', and '.join(named)}"
        yield f"    truly: {each.wrong}"
    for each, refusal in row.unnamed:
        fitting = f"slips that fit: {', '.join(sorted(each.slips))}" if each.slips else "no slip fits"
        yield f"unnamed: {each.id} ({each.idiom}), by {refusal.test}; {fitting}"
    for each, refusal in row.vague:
        yield f"vague: {each.id} ({each.idiom}), by {refusal.test}"
    for each, refusal in row.right_refused:
        yield f"right but refused: {each.id} ({each.idiom}), by {refusal.test}"
    yield from (f"wrong but accepted: {each.id} ({each.idiom}): {each.wrong}" for each in row.wrong_accepted)
    yield from (f"its process died: {each.id} ({each.idiom})" for each in row.died)


def blocks(row: Row) -> Iterator[str]:
    """Yield every refusal's block."""
    for each, refusal in [*row.refused, *row.right_refused]:
        yield f"\n{'=' * 80}\n{each.id} ({each.idiom}): {each.wrong or 'right'}\n{'-' * 80}\n{refusal.block}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("katas", nargs="*", help="only these katas")
    parser.add_argument("--only", default="", help="only implementations with this in their id")
    parser.add_argument("-v", "--verbose", action="store_true", help="print what a learner sees")
    given = parser.parse_args()
    if not forks.IS_SAFE:
        parser.error("this benchmark needs Linux")
    import_what_torch_imports_late()
    course, rows = load_course(ROOT), []
    for kata in [resolve_kata(course, name) for name in given.katas] or course.katas:
        path = ROOT / "benchmarks" / "other_styles" / f"{kata.name}.py"
        if path.is_file():
            found = [each for each in read_implementations(path) if given.only in each.id]
            judge = Judge(kata)
            rows.append(judge.row(found))
            print(*(blocks(rows[-1]) if given.verbose else ()), sep="\n")
            print(*(f"{kata.number}  {line}" for line in details(rows[-1], judge)), sep="\n", flush=True)
    print(*report(rows), sep="\n")


if __name__ == "__main__":
    main()
