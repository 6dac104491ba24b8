"""The pictures of kata 13, by `python -m harness.authoring.pictures`, from what measure.py has stored."""

import json
from pathlib import Path

import numpy as np
import torch

import katas
from harness.authoring.pictures import read_record
from harness.plots import smoothed
from harness.plots.theme import PAGE, grid, legend, new_figure, panels, title
from katas.k13_optimizers.optimizers import orthogonalize

RECORDS = Path(katas.__file__).parent / "k13_optimizers" / "pictures"


def singular_values(theme):
    """The singular values of an update of a hidden matrix, before and after each step of the iteration."""
    values = json.loads((RECORDS / "spectrum.json").read_text(encoding="utf-8"))["values"]
    matrix = torch.diag(torch.tensor(values, dtype=torch.float64))
    figure = new_figure(PAGE, 400, theme)
    edges = np.logspace(-4, 0.25, 50)
    for steps, axes in enumerate(panels(figure, theme, 2, 3, sharex=True, sharey=True)):
        axes.axvspan(0.65, 1.15, color=theme.series[2], alpha=0.25, linewidth=0)
        now = torch.linalg.svdvals(orthogonalize(matrix, steps)).tolist()
        axes.hist(now, bins=edges, color=theme.series[0], histtype="stepfilled")
        axes.set_xscale("log")
        name = "the momentum, over its norm" if steps == 0 else f"{steps} step{'s' if steps > 1 else ''}"
        title(axes, name, theme)
        axes.set(
            xlim=(1e-4, 1.8),
            xticks=[1e-4, 1e-3, 1e-2, 1e-1, 1],
            xticklabels=["0.0001", "0.001", "0.01", "0.1", "1"],
        )
        axes.minorticks_off()
        if steps % 3 == 0:
            axes.set_ylabel("singular values")
        grid(axes, theme, "y")
    return figure


def race(theme):
    """The losses of the core's model with AdamW at three rates, and with Muon."""
    figure = new_figure(PAGE, 380, theme)
    (axes,) = panels(figure, theme)
    runs = {
        "AdamW, highest rate 0.001": ("adamw-1e-3", theme.series[3], ":"),
        "AdamW, 0.004": ("adamw-4e-3", theme.series[1], "-"),
        "AdamW, 0.008": ("adamw-8e-3", theme.series[3], "--"),
        "Muon, 0.02": ("muon-2e-2", theme.series[0], "-"),
    }
    for name, (file, colour, line) in runs.items():
        run = read_record(RECORDS / f"tiny_tales-{file}.json")
        axes.plot(
            *zip(*smoothed(run.steps, 50), strict=True), color=colour, linestyle=line, linewidth=1.8,
            label=f"{name}: validation {run.evaluations[-1][1]:.3f}",
        )  # fmt: skip  # related arguments share a line
    axes.axhline(0.2551, color=theme.quiet, linewidth=1.2, linestyle="--", label="best possible: 0.255")
    axes.set(xlabel="step", ylabel="training loss (nats per character)", xlim=(0, 400), ylim=(0, 3.8))
    legend(axes, theme, loc="upper right", title=None)
    grid(axes, theme)
    return figure


PICTURES = {"singular_values": singular_values, "race": race}
