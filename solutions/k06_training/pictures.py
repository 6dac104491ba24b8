"""The picture of kata 06, drawn by `python -m harness.authoring.pictures` from the record of a run."""

import math
from pathlib import Path

import katas
from harness.authoring.pictures import read_record
from harness.plots import draw_losses
from harness.plots.theme import PAGE, grid, legend, new_figure, panels
from katas.k06_training.training import cosine_learning_rate

RUN = Path(katas.__file__).parent / "k06_training" / "pictures" / "run.json"
# Of katas/k09_capstone/configs/smoke.yaml, and of the corpus.
RATES = {"max_lr": 3e-3, "min_lr": 3e-4, "warmup_steps": 20}
VOCAB_SIZE = 40


def loss(theme):
    """The losses of a small model while it learns the simple sequences, above its learning rate."""
    run = read_record(RUN)
    total = run.evaluations[-1][0]
    figure = new_figure(PAGE, 470, theme)
    upper, lower = panels(figure, theme, 2, 1, sharex=True, height_ratios=[3, 1])
    limits = {f"ln {VOCAB_SIZE}: knows nothing": math.log(VOCAB_SIZE)}
    draw_losses(upper, run.steps, run.evaluations, theme, limits=limits)
    upper.set(xlabel="", ylim=(0, 4.1), xlim=(-15, total + 15))
    legend(upper, theme, loc="upper right", bbox_to_anchor=(1, 0.88))
    steps = range(total + 1)
    rates = [1000 * cosine_learning_rate(step, total_steps=total, **RATES) for step in steps]
    lower.plot(steps, rates, color=theme.series[3], linewidth=1.8)
    lower.set(xlabel="step", ylabel="1000 · rate", ylim=(0, 3.3))
    grid(lower, theme)
    return figure


PICTURES = {"loss": loss}
