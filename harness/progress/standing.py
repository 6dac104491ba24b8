"""The state of each kata according to the receipts; pure decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.course.kata_tests import Shipped, file_digest
from harness.course.katas import Course, Kata
from harness.progress.receipts import Receipt


@dataclass(frozen=True)
class Digests:
    """The current fingerprints of a kata's files."""

    stub: str
    tests: str

    @property
    def pair(self) -> tuple[str, str]:
        return (self.stub, self.tests)


@dataclass(frozen=True)
class KataProgress:
    """A learner's progress in one kata."""

    kata: Kata
    tests: tuple[str, ...]  # every shipped test, in order
    passed: tuple[str, ...]  # those that passed with the files of the latest run
    next_test: str | None  # the last that failed, else the first that has not passed, if any
    complete: bool  # every shipped test passed with the same stub and tests
    edited_since_pass: bool  # complete, but the stub has changed since
    tests_differ: bool  # the test file differs from the shipped one
    blocked_by: Kata | None  # the first of the katas that this one needs that is not complete
    original_tests: bool = True  # if complete: with the tests as they are shipped
    recency: int = 0  # among the katas in which tests passed: the higher, the later it ran; 0 if none did

    @property
    def locked(self) -> bool:
        return self.blocked_by is not None

    @property
    def finished(self) -> bool:
        """True if it is complete with the stub as it is now."""
        return self.complete and not self.edited_since_pass

    @property
    def proven(self) -> bool:
        """True if it is complete according to the original tests; edited ones unlock, but prove nothing."""
        return self.complete and self.original_tests


def current_digests(course: Course) -> dict[str, Digests]:
    """Return the fingerprints of every kata's files on disk."""
    return {kata.name: Digests(file_digest(kata.stub), file_digest(kata.tests)) for kata in course.katas}


def assess(
    course: Course,
    shipped: Mapping[str, Shipped],
    digests: Mapping[str, Digests],
    receipts: Iterable[Receipt],
) -> list[KataProgress]:
    """Return the progress in every kata, in order, that the receipts prove."""
    by_kata: dict[str, list[Receipt]] = {kata.name: [] for kata in course.katas}
    latest: dict[str, int] = {}
    for place, receipt in enumerate(receipts):
        by_kata.setdefault(receipt.kata, []).append(receipt)
        latest[receipt.kata] = place
    begun = [name for name, own in by_kata.items() if any(each.passed for each in own)]
    recency = {name: place for place, name in enumerate(sorted(begun, key=latest.__getitem__), 1)}
    progress: dict[str, KataProgress] = {}
    for kata in course.katas:
        name = kata.name
        blocker = next((each for each in course.needed(kata) if not progress[each.name].complete), None)
        assessed = _assess_kata(kata, shipped[name], digests[name], by_kata[name], blocker)
        progress[name] = replace(assessed, recency=recency.get(name, 0))
    return list(progress.values())


def current_kata(progress: Sequence[KataProgress]) -> KataProgress | None:
    """Return the kata to work on: of the open ones that with a passed test that ran last, else the first.

    A kata is open if it is neither locked nor complete. Return None if all are complete.
    """
    in_work = [each for each in progress if not each.complete and not each.locked]
    return max(in_work, key=lambda each: each.recency, default=None)  # of equals, the first


def next_kata(progress: Sequence[KataProgress]) -> KataProgress | None:
    """Return the first kata that was edited since it passed, or the current one; None if all are done."""
    current = current_kata(progress)
    return next((each for each in progress if each.edited_since_pass or each is current), None)


def bare_run(progress: Sequence[KataProgress]) -> list[Kata]:
    """Return the katas that `pytest` alone runs: those edited since they passed, then the current one.

    If everything is complete and unedited, run everything: the learner wants to see it pass.
    """
    current = current_kata(progress)
    selected = [each.kata for each in progress if each.edited_since_pass or each is current]
    return selected or [each.kata for each in progress]


def _assess_kata(
    kata: Kata, shipped: Shipped, now: Digests, receipts: Sequence[Receipt], blocker: Kata | None
) -> KataProgress:
    passed_by_pair: dict[tuple[str, str], set[str]] = {}
    for receipt in receipts:
        passed_by_pair.setdefault(receipt.pair, set()).update(receipt.passed)
    required = set(shipped.names)
    complete_pairs = [pair for pair, passed in passed_by_pair.items() if required and required <= passed]
    latest = now.pair if now.pair in passed_by_pair else receipts[-1].pair if receipts else now.pair
    passed = tuple(name for name in shipped.names if name in passed_by_pair.get(latest, ()))
    complete = bool(complete_pairs)
    edited = complete and all(stub != now.stub for stub, _ in complete_pairs)
    return KataProgress(
        kata=kata,
        tests=shipped.names,
        passed=shipped.names if complete and not edited else passed,
        next_test=None if complete and not edited else _next_test(shipped, receipts, latest, passed),
        complete=complete,
        edited_since_pass=edited,
        tests_differ=now.tests != shipped.digest,
        blocked_by=blocker,
        original_tests=any(
            tests == shipped.digest for stub, tests in complete_pairs if edited or stub == now.stub
        ),
    )


def _next_test(
    shipped: Shipped, receipts: Sequence[Receipt], latest: tuple[str, str], passed: Sequence[str]
) -> str | None:
    """Return the last test that failed with the latest files, else the first that has not passed."""
    for receipt in reversed(receipts):
        waiting = [name for name in receipt.failed if name in shipped.names and name not in passed]
        if receipt.pair == latest and waiting:
            return waiting[-1]
    return next((name for name in shipped.names if name not in passed), None)
