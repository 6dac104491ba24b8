"""Messages about training and the demonstration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.course.katas import Kata
from harness.progress.standing import KataProgress
from harness.terminal.chart import line_chart
from harness.terminal.lines import Line, paragraph

NO_RUN = "No run has been trained yet. Train one:  harness train"
RESUME_NEEDS_A_RUN = "--resume needs --run-dir with the folder of a run. See runs/ for yours."
STOPPING = "Stopping after this step. Press Ctrl-C again to stop at once."
TIME_LEFT = "left"


def no_capstone(name: str) -> str:
    return f"This course has no {name}."


def no_configuration(name: str, known: Sequence[str]) -> str:
    return f"There is no configuration {name!r}. Give a file, or one of {', '.join(known)}."


def not_a_device(name: str, present: Sequence[str]) -> str:
    return f"{name!r} is not a device; choose {' or '.join(present)}"


def device_missing(name: str, present: Sequence[str]) -> str:
    return f"torch cannot use the device {name!r} on this machine; choose {' or '.join(present)}"


def uneven_batch(size: int, workers: int) -> str:
    return (
        f"{size} sequences cannot be split evenly among {workers} workers:"
        f" make batch_size / micro_batches a multiple of {workers}"
    )


def loss_so_far(loss: float) -> str:
    return f"loss {loss:.3f}"


def speed(tokens_per_second: float) -> str:
    return f"{tokens_per_second:,.0f} tokens/s"


def evaluation(step: int, training_loss: float | None, validation_loss: float) -> str:
    trained = "" if training_loss is None else f"training loss {training_loss:.4f} · "
    return f"step {step:,} · {trained}validation loss {validation_loss:.4f}"


def trained(
    summary: Any,
    run_dir: str,
    losses: Sequence[tuple[int, float]],
    *,
    interrupted: bool,
    solutions: bool,
    limit: float | None,
) -> list[Line]:
    """Return the result of a training run and the next command. `summary` is the capstone's.

    `limit` is the lowest loss that any model can reach on new text of this kind, if known.
    """
    curve = [Line(), *[Line(f"  {row}") for row in line_chart(losses)], Line()]
    option = " --solutions" if solutions else ""
    if interrupted:
        return [*curve, *_stopped(summary, f"  harness train{option} --resume --run-dir {run_dir}")]
    result = [
        Line(f"{summary.steps:,} steps: validation loss {summary.val_loss:.4f} nats per character.", "good"),
        Line(f"The lowest was {summary.best_val_loss:.4f}.{_above(summary.best_val_loss, limit)}"),
        _rate(summary),
        Line(f"The run is in {run_dir}; its curves are in curves.png there."),
    ]
    return [*curve, *result, *_next("To sample from it:", f"  harness sample{option} --run-dir {run_dir}")]


def _stopped(summary: Any, resume: str) -> list[Line]:
    stopped = Line(f"Stopped after step {summary.steps:,} and saved.", "title")
    return [stopped, _rate(summary), *_next("To resume:", resume)]


def _rate(summary: Any) -> Line:
    return Line(f"({speed(summary.tokens_per_second)}, {summary.seconds:.0f} s)", "dim")


def _next(purpose: str, command: str) -> list[Line]:
    return [Line(purpose), Line(command, "command")]


def _above(loss: float, limit: float | None) -> str:
    if limit is None:
        return ""
    left = f"{max(loss - limit, 0):.4f} is left to learn"
    return f" On new text of this kind no model can do better than {limit:.4f}: {left}."


def demo_parts(own: Sequence[Kata], reference: Sequence[Kata]) -> list[Line]:
    """Return whose code each kata of the demonstration uses."""
    lines = [Line("A small language model learns to tell stories; this takes about a minute.", "title")]
    if own:
        lines += paragraph(f"Yours: {', '.join(kata.title for kata in own)}.", "", "good")
    if reference:
        lines += paragraph(f"From the reference: {', '.join(kata.title for kata in reference)}.", "", "")
    return [*lines, Line()]


def demo_end(progress: Sequence[KataProgress]) -> list[Line]:
    """Return the lines after the demonstration."""
    own = sum(each.complete for each in progress)
    return [
        Line(),
        Line(f"{own} of the {len(progress)} katas behind this text are yours. Next: pytest"),
    ]
