"""What `harness ladder` prints and keeps while it climbs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from harness.course.katas import Course, Kata
from harness.terminal.chart import curves
from harness.terminal.lines import Line
from harness.terminal.table import Row, show_table
from harness.training import ladder_words
from harness.training.capstone import load_capstone
from harness.training.ladder import (
    RECORD,
    Ladder,
    RungResult,
    choose_rungs,
    draw,
    factor,
    katas_behind,
    latest,
    prepare,
)
from harness.training.rungs import RUNGS, Goal


def climb_all(
    course: Course,
    reference: Collection[Kata],
    names: Sequence[str],
    goal: Goal,
    data: str,
    show: Callable[[Sequence[Line]], None],
) -> bool:
    """Climb the rungs named, or all; print and keep the results. True if Ctrl-C ended it.

    Raises CannotTrain or NotObtained, or an error of the katas.
    """
    rungs = choose_rungs(course, names)
    capstone = load_capstone(course, reference)
    data_dir, text = prepare(course, capstone, data)
    katas = katas_behind(course, rungs)
    own = frozenset(kata.name for kata in katas if kata not in reference)
    show(ladder_words.opening(text, goal.target, katas, own))
    ladder, interrupted, climbed = Ladder(course, capstone, data_dir, text, goal, own), False, []
    for rung in rungs:
        result, interrupted = ladder.climb(rung)
        climbed.append(result)
        if interrupted:
            break
    _show_results(course, climbed, latest(course, text, goal.target), goal, show)
    show([ladder_words.INTERRUPTED] if interrupted else [])
    return interrupted


def _show_results(
    course: Course,
    climbed: Sequence[RungResult],
    recorded: dict[str, RungResult],
    goal: Goal,
    show: Callable[[Sequence[Line]], None],
) -> None:
    first = recorded.get(RUNGS[0].name)
    rows = [_row(result, first) for result in climbed]
    show_table(ladder_words.HEADINGS, rows, right=ladder_words.HEADINGS[1:])
    drawn = {name: each.losses for name, each in recorded.items()}
    picture = draw(course, list(recorded.values()), goal.target)
    show(ladder_words.closing(curves(drawn), course.relative(picture), RECORD.as_posix()))


def _row(result: RungResult, first: RungResult | None) -> Row:
    times = factor(result, first)
    shown = ladder_words.cells(
        result.rung, result.seconds, result.steps, result.loss, times, reached=result.reached
    )
    return Row(shown, "bold" if result.reached else "dim")
