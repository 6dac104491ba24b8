"""Makes fewer receipts of many, which prove the same: months of saving would slow every run down.

Each version of a kata leaves a receipt for each of its tests. They become one. The receipts that were the
first to pass or to fail a test stay, as their times tell how long it took.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from harness.progress.line_file import rewrite
from harness.progress.receipts import Receipt, Receipts, line_of, parse

MANY = 2_000  # fewer are read in a fraction of the time that a run takes anyway


def compact(stored: Receipts) -> None:
    """Merge the receipts in their file, if there are many; if that is not possible now, leave them."""
    entries = stored.entries
    if len(entries) > MANY and len(merged(entries)) <= len(entries) // 2:
        with suppress(OSError):  # another process writes, or the disk is full: a later run tries again
            rewrite(stored.path, _merged_lines)


def merged(entries: Sequence[Receipt | bytes]) -> list[Receipt | bytes]:
    """Return entries that prove the same. Lines that hold no receipt stay."""
    repeats: dict[tuple[str, str, str], list[tuple[int, Receipt]]] = {}
    for place, receipt in _without_news(entries):
        repeats.setdefault((receipt.kata, *receipt.pair), []).append((place, receipt))
    left_out = {place for group in repeats.values() for place, _ in group[:-1]}
    combined = {group[-1][0]: _combined([each for _, each in group]) for group in repeats.values()}
    return [combined.get(place, each) for place, each in enumerate(entries) if place not in left_out]


def _without_news(entries: Sequence[object]) -> Iterator[tuple[int, Receipt]]:
    """Yield the receipts, with their places, of tests that had passed or failed before."""
    seen: set[tuple[str, str, bool]] = set()
    for place, receipt in enumerate(entries):
        if isinstance(receipt, Receipt):
            outcomes = {(receipt.kata, test, True) for test in receipt.passed}
            outcomes |= {(receipt.kata, test, False) for test in receipt.failed}
            if outcomes <= seen:
                yield place, receipt
            seen |= outcomes


def _combined(receipts: Sequence[Receipt]) -> Receipt:
    """Return the last receipt with the outcomes of all, the latest of each test last."""
    passed = [test for receipt in reversed(receipts) for test in reversed(receipt.passed)]
    failed = [test for receipt in reversed(receipts) for test in reversed(receipt.failed)]
    return replace(
        receipts[-1],
        passed=tuple(reversed(dict.fromkeys(passed))),
        failed=tuple(reversed(dict.fromkeys(failed))),
    )


def _merged_lines(lines: list[bytes]) -> list[bytes]:
    entries = merged([parse(line) or line for line in lines if line.strip()])
    return [line_of(each) if isinstance(each, Receipt) else each for each in entries]
