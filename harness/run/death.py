"""A run whose process was stopped or died: what the supervising process makes of it."""

from __future__ import annotations

from dataclasses import replace
from signal import Signals

from harness.course.katas import Course, Kata
from harness.explain.failures import Crashed, Failure, HardExit, Slow
from harness.explain.findings import Finding
from harness.explain.places import is_learners, place_at
from harness.isolation.supervisor import Ending, RunStep
from harness.run import words
from harness.run.closing import closing_lines
from harness.run.report import RunReport
from harness.terminal.lines import Line


def lines_after(report: RunReport, ending: Ending, printed: str = "", *, goes_on: bool = False) -> list[Line]:
    """Return the block that ends a run whose process was stopped or died.

    `printed`: what it had printed since its last report. `goes_on`: further tests would have followed.
    """
    report.ledger.reread()
    step = ending.step
    kata = _kata_of(report.course, step)
    if kata is None or step is None:
        outside = words.died_outside_a_step(_how(ending), step.path if step else "")
        return [Line(), *outside, *words.printed_lines(printed)]
    finding = replace(_finding(report.course, ending, step), printed=printed)
    if step.case:
        report.record(step.case, passed=False)
    report.fail(step.case or report.next_case(kata), finding)
    rest = [Line(), words.THE_REST_DID_NOT_RUN] if goes_on else []
    return [Line(), *closing_lines(report), *rest]


def failed_in(course: Course, ending: Ending) -> tuple[Kata, Finding] | None:
    """Return the kata in which the process was stopped or died, and how; None outside every kata."""
    kata = _kata_of(course, ending.step)
    return (kata, _finding(course, ending, ending.step)) if kata and ending.step else None


def _kata_of(course: Course, step: RunStep | None) -> Kata | None:
    if step is None:
        return None
    if step.case is None:
        return course.kata_of(course.root / step.path)
    return next((kata for kata in course.katas if kata.name == step.case.kata), None)


def _finding(course: Course, ending: Ending, step: RunStep) -> Finding:
    frames = [(file, line) for file, line in ending.stack if is_learners(course, file)]
    place = place_at(course, *frames[0]) if frames else None
    return Finding(_failure(ending, step, located=bool(place)), place)


def _failure(ending: Ending, step: RunStep, *, located: bool) -> Failure:
    if ending.hard_exit:
        return HardExit(ending.hard_exit.status)
    if ending.status is None:
        return Slow(step.limit, step.path, located)
    return Crashed(_how(ending))


def _how(ending: Ending) -> str:
    """How a process ended, in the operating system's terms."""
    if ending.status is None:
        return words.STOPPED_AS_TOO_SLOW
    if ending.status < 0:
        return next((each.name for each in Signals if each == -ending.status), f"signal {-ending.status}")
    return f"exit status {ending.status}"
