"""The ledger of a run: which tests passed, and what that changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from harness.course.kata_tests import shipped_tests
from harness.course.katas import Course, Kata
from harness.course.test_case import TestCase
from harness.progress.receipts import Receipt, Receipts, append_receipt, progress_path, read_receipts
from harness.progress.standing import KataProgress, assess, current_digests


@dataclass
class Ledger:
    """Progress before a run and during it. Saves each receipt as soon as it is earned."""

    course: Course
    problem: str = ""  # why a receipt could not be saved
    newly_passed: dict[str, list[str]] = field(default_factory=dict)  # by kata: never passed before

    def __post_init__(self) -> None:
        self._shipped = shipped_tests(self.course)
        self._digests = current_digests(self.course)
        self.stored: Receipts = read_receipts(progress_path(self.course))
        self._receipts = list(self.stored.entries)
        self._cases: dict[tuple[str, str], set[str]] = {}
        self._wanted: dict[tuple[str, str], int] = {}
        self._failed: set[tuple[str, str]] = set()
        self.complete_before = {each.kata.name for each in self.progress() if each.complete}

    def progress(self) -> list[KataProgress]:
        """Return the learner's progress now."""
        return assess(self.course, self._shipped, self._digests, self._receipts)

    def of(self, kata: Kata) -> KataProgress:
        return next(each for each in self.progress() if each.kata == kata)

    @property
    def partial(self) -> list[str]:
        """Tests of which some cases passed and others did not run."""
        passed = [key for key in self._cases if key not in self._failed]
        return [key[1] for key in passed if len(self._cases[key]) < self._wanted[key]]

    def reread(self) -> None:
        """Add what another process has saved since, as results of this run."""
        known = set(self._receipts)
        self.stored = read_receipts(self.stored.path)
        for receipt in self.stored.entries:
            if receipt not in known:
                self._note_news(receipt.kata, receipt.passed)
                self._receipts.append(receipt)

    def record(self, case: TestCase, *, passed: bool) -> None:
        """Count one case, and save a receipt when it settles its test."""
        key = (case.kata, case.test)
        if not passed:
            if key not in self._failed:
                self._failed.add(key)
                self._save(case, failed=(case.test,))
            return
        seen = self._cases.setdefault(key, set())
        seen.add(case.case)
        self._wanted[key] = case.cases
        if len(seen) == case.cases and key not in self._failed:
            self._note_news(case.kata, (case.test,))
            self._save(case, passed=(case.test,))

    def _note_news(self, kata: str, tests: tuple[str, ...]) -> None:
        earlier = {name for each in self._receipts if each.kata == kata for name in each.passed}
        self.newly_passed.setdefault(kata, []).extend(test for test in tests if test not in earlier)

    def _save(self, case: TestCase, passed: tuple[str, ...] = (), failed: tuple[str, ...] = ()) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        receipt = Receipt(case.kata, passed, case.tests_digest, case.stub_digest, now, failed)
        if self._is_known(receipt):
            return
        self._receipts.append(receipt)
        try:
            append_receipt(self.stored.path, receipt)
        except OSError as error:
            self.problem = error.strerror or str(error)

    def _is_known(self, receipt: Receipt) -> bool:
        """True if the file has it already; a failure counts only as the kata's latest receipt."""
        same = [each for each in self._receipts if each.kata == receipt.kata]
        if receipt.failed:
            return bool(same) and same[-1].failed == receipt.failed and same[-1].pair == receipt.pair
        latest_pair = bool(same) and same[-1].pair == receipt.pair
        return latest_pair and any(
            each.pair == receipt.pair and receipt.passed[0] in each.passed for each in same
        )
