"""What a learner reads about training and the demonstration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.course.katas import Kata
from harness.progress.standing import KataProgress
from harness.terminal.chart import line_chart
from harness.terminal.lines import Line, paragraph


def trained(
    summary: Any,
    run_dir: str,
    losses: Sequence[tuple[int, float]],
    *,
    interrupted: bool,
    solutions: bool,
    limit: float | None,
) -> list[Line]:
    """What came out of a training run, and what to do with it. `summary` is the capstone's.

    `limit` is the lowest loss that any model could have on new text of this kind, where that is known.
    """
    option = " --solutions" if solutions else ""
    rate = Line(f"({summary.tokens_per_second:,.0f} tokens/s, {summary.seconds:.0f} s)", "dim")
    lines = [Line(), *[Line(f"  {row}") for row in line_chart(losses)], Line()]
    if interrupted:
        return [
            *lines,
            Line(f"Stopped after step {summary.steps:,}, and saved.", "title"),
            rate,
            Line("Go on:"),
            Line(f"  harness train{option} --resume --run-dir {run_dir}", "command"),
        ]
    return [
        *lines,
        Line(f"{summary.steps:,} steps: validation loss {summary.val_loss:.4f} nats per character.", "good"),
        Line(f"At best it was {summary.best_val_loss:.4f}.{_above(summary.best_val_loss, limit)}"),
        rate,
        Line(f"The run is in {run_dir}, its curves in curves.png there."),
        Line("Let it write:"),
        Line(f"  harness sample{option} --run-dir {run_dir}", "command"),
    ]


def _above(loss: float, limit: float | None) -> str:
    if limit is None:
        return ""
    left = f"{max(loss - limit, 0):.4f} are left to learn"
    return f" On new text of this kind no model can have less than {limit:.4f}: {left}."


def demo_parts(own: Sequence[Kata], reference: Sequence[Kata]) -> list[Line]:
    """Whose code the demonstration runs on."""
    lines = [Line("A small language model learns to tell stories, for about a minute.", "title")]
    if own:
        lines += paragraph(f"Yours: {', '.join(kata.title for kata in own)}.", "", "good")
    if reference:
        lines += paragraph(f"From the reference: {', '.join(kata.title for kata in reference)}.", "", "")
    return [*lines, Line()]


def demo_end(progress: Sequence[KataProgress]) -> list[Line]:
    """What to do after the demonstration."""
    own = sum(each.complete for each in progress)
    return [
        Line(),
        Line(f"{own} of the {len(progress)} katas behind this text are yours. Next: pytest"),
    ]
