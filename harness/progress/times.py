"""How long each test took a learner, worked out from the times of the receipts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from harness.progress.receipts import Receipt, moment

PAUSE = timedelta(minutes=30)  # nobody can tell reading from lunch: a longer gap between runs does not count


def minutes_spent(
    receipts: Iterable[Receipt], tests: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, float]]:
    """Return, by kata and test, the minutes for which that test was the next one.

    The time from one run to the next belongs to the first test that had not passed by then, of the kata that
    the next run is about. `tests` are those of each kata, in order.
    """
    spent: dict[str, dict[str, float]] = {}
    passed: set[tuple[str, str]] = set()
    previous: datetime | None = None
    for time, receipt in _in_time(receipts):
        names = tests.get(receipt.kata, ())
        current = next((name for name in names if (receipt.kata, name) not in passed), None)
        if previous and current and timedelta(0) < time - previous <= PAUSE:
            of_kata = spent.setdefault(receipt.kata, {})
            of_kata[current] = of_kata.get(current, 0.0) + (time - previous).total_seconds() / 60
        passed |= {(receipt.kata, name) for name in receipt.passed}
        previous = time
    return spent


def _in_time(receipts: Iterable[Receipt]) -> list[tuple[datetime, Receipt]]:
    """Return the receipts in the order of their times, without those that have none."""
    timed = [(moment(receipt.time), receipt) for receipt in receipts]
    return sorted(((time, each) for time, each in timed if time), key=lambda pair: pair[0])
