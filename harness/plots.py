"""Pictures of what happens in a model. Drawn to files, without a window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.run_folder import Point, RunFolder, read_losses


def draw_curves(run_dir: Path) -> Path:
    """Draw the losses over the steps of a run, from its logs, into its folder; the picture's path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    run = RunFolder(Path(run_dir))
    steps, evaluations = read_losses(run)
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="step", ylabel="loss (nats per token)")
    if steps:
        axes.plot(*zip(*steps, strict=True), color="tab:blue", alpha=0.25, linewidth=0.8)
        axes.plot(*zip(*smoothed(steps), strict=True), color="tab:blue", label="training")
    if evaluations:
        axes.plot(*zip(*evaluations, strict=True), color="tab:orange", marker="o", label="validation")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(run.curves, dpi=120)
    return run.curves


def smoothed(points: Sequence[Point], windows: int = 50) -> list[Point]:
    """The means of the losses over consecutive windows, about `windows` of them, each at its last step."""
    size = max(1, len(points) // windows)
    parts = [points[start : start + size] for start in range(0, len(points), size)]
    return [(part[-1][0], sum(loss for _, loss in part) / len(part)) for part in parts]
