"""The block that ends a run, chosen by its results."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from harness.course.graph import CORE
from harness.course.katas import Kata
from harness.progress.standing import KataProgress, next_kata
from harness.progress.words import not_saved, notices
from harness.run import words
from harness.run.report import RunReport
from harness.terminal.lines import Line

_Progress = Mapping[str, KataProgress]  # by the kata's name


def closing_lines(report: RunReport, *, interrupted: bool = False) -> list[Line]:
    """Return the block that ends a run; after Ctrl-C it claims nothing about tests that did not run."""
    progress = {each.kata.name: each for each in report.ledger.progress()}
    body = [words.INTERRUPTED] if interrupted and not report.failures else _body(report, progress)
    return [*body, *_notices(report, progress)]


def _body(report: RunReport, progress: _Progress) -> list[Line]:
    if report.collection_errors:
        return [line for path, error in report.collection_errors for line in words.broken_tests(path, error)]
    if report.failures:
        return [*_complete_lines(report, progress), *_failure_lines(report, progress)]
    if report.everything_was_locked:
        return _locked_lines(report, progress)
    if not report.ran:
        return words.nothing_selected(report.selected)
    return _passing_lines(report, progress)


def _failure_lines(report: RunReport, progress: _Progress) -> list[Line]:
    order = {name: i for each in progress.values() for i, name in enumerate(each.tests)}
    failures = sorted(report.failures, key=lambda f: (f.kata.name, order.get(f.case.test, len(order))))
    first, *others = failures
    standing = progress[first.kata.name]
    block = words.failure_block(
        first.kata,
        first.case,
        first.finding,
        passed=len(standing.passed),
        total=len(standing.tests),
        newly_passed=report.ledger.newly_passed.get(first.kata.name, ()),
    )
    further = {other.case.test: other.finding for other in others if other.case.test != first.case.test}
    return [*block, *words.other_failures(list(further.items())), *_also_locked(report, progress)]


def _also_locked(report: RunReport, progress: _Progress) -> list[Line]:
    return [Line(), *_locked_lines(report, progress)[:1]] if report.locked else []


def _complete_lines(report: RunReport, progress: _Progress) -> list[Line]:
    failed = {failure.kata.name for failure in report.failures}
    done = [progress[name] for name in report.ran if progress[name].finished and name not in failed]
    newly_passed = report.ledger.newly_passed
    return [line for each in done for line in words.complete_line(each, newly_passed.get(each.kata.name, ()))]


def _passing_lines(report: RunReport, progress: _Progress) -> list[Line]:
    partial = [progress[name] for name in report.ran if not progress[name].finished]
    lines = _complete_lines(report, progress)
    if partial:
        return lines + [line for each in partial for line in words.passing_line(each, report.skipped)]
    news = {name for name in report.ran if name not in report.ledger.complete_before}
    return lines + words.after_completion(
        next_kata(list(progress.values())),
        report.ran[-1],
        news=bool(news),
        unlocked=_unlocked_by(news, report, progress),
        proven=all(each.proven for each in progress.values()),
        core_done=any(progress[name].kata.track == CORE for name in news) and _core_is_done(progress),
    )


def _unlocked_by(news: Collection[str], report: RunReport, progress: _Progress) -> list[Kata]:
    """Return the katas that are open now, and need one that this run has completed.

    Until the core is complete, those of another track would only distract from it; then all that are open are
    returned.
    """
    in_work = [each.kata for each in progress.values() if not each.locked and not each.complete]
    if not _core_is_done(progress):
        in_work = [kata for kata in in_work if kata.track == CORE]
    elif any(progress[name].kata.track == CORE for name in news):
        return in_work
    return [kata for kata in in_work if any(each.name in news for each in report.course.needed(kata))]


def _core_is_done(progress: _Progress) -> bool:
    return all(each.proven for each in progress.values() if each.kata.track == CORE)


def _locked_lines(report: RunReport, progress: _Progress) -> list[Line]:
    first = progress[report.locked[0]]
    assert first.blocked_by is not None  # it was locked
    return words.locked_line(first, progress[first.blocked_by.name])


def _notices(report: RunReport, progress: _Progress) -> list[Line]:
    katas = [progress[name] for name in (*report.ran, *report.locked)]
    stored = report.ledger.stored
    lines = [words.partial_cases(test) for test in report.ledger.partial if not report.failures]
    lines += notices(report.course, katas, stored)
    changed = [(report.course.relative(each.path), each.line, each.setting) for each in report.changes]
    lines += [words.changes_the_process(*each) for each in changed]
    if report.ledger.problem:
        lines.append(not_saved(report.course.relative(stored.path), report.ledger.problem))
    return [Line(), *lines] if lines else []
