"""Messages of `harness ladder`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from harness.course.katas import Kata
from harness.terminal.lines import Line, paragraph

HEADINGS = ("rung", "seconds", "steps", "loss", "factor")
TARGET = "target {:g}"


def unknown_rung(name: str, rungs: Sequence[str]) -> str:
    return f"There is no rung {name!r}. The rungs are {', '.join(rungs)}."


def opening(text: str, target: float, katas: Sequence[Kata], own: Collection[str]) -> list[Line]:
    """Say what is measured, and whose code does it."""
    goal = f"The time to {target:g} nats per character on the validation split of {text}, rung by rung."
    yours = [kata.title for kata in katas if kata.name in own]
    reference = [kata.title for kata in katas if kata.name not in own]
    lines = [*paragraph(goal, "", "title")]
    if yours:
        lines += paragraph(f"Yours: {', '.join(yours)}.", "", "good")
    if reference:
        lines += paragraph(f"From the reference: {', '.join(reference)}.", "", "")
    return [*lines, Line()]


def so_far(loss: float, seconds: float) -> str:
    return f"loss {loss:.3f} · {seconds:.0f} s"


def cells(
    rung: str, seconds: float, steps: int, loss: float, factor: float | None, *, reached: bool
) -> tuple[str, ...]:
    """Return a row of the table."""
    time = f"{seconds:.1f}" if reached else f"not in {seconds:.0f}"
    return rung, time, f"{steps:,}", f"{loss:.3f}", f"{factor:.1f}" if factor else ""


def closing(curves: Sequence[str], picture: str, record: str) -> list[Line]:
    """Return the curves, what the numbers mean, and where they are kept."""
    explained = (
        "Seconds of training, with the making of the vocabulary and without the evaluations; loss in nats per"
        " character on the whole validation split; factor: how many times less time than the first rung."
    )
    drawn = [Line(), *[Line(f"  {row}") for row in curves], Line()]
    return [*drawn, *paragraph(explained, "", "dim"), Line(f"Kept in {record}, drawn in {picture}.")]


INTERRUPTED = Line("Stopped. The rungs climbed so far are recorded. To go on:  harness ladder --rung NAME")
