"""Training curves."""

from __future__ import annotations

from pathlib import Path

from harness.plots.figures import training_curves
from harness.training.run_folder import RunFolder, read_losses


def draw_curves(run_dir: Path) -> Path:
    """Draw the losses in a run's logs, save the picture in its folder, and return the path."""
    run = RunFolder(Path(run_dir))
    steps, evaluations = read_losses(run)
    training_curves(steps, evaluations).savefig(run.curves, dpi=120)
    return run.curves
