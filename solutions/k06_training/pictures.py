"""The pictures of kata 06, by `python -m harness.authoring.pictures`; some from the records of runs."""

import math
from pathlib import Path

import numpy as np
import torch

import katas
from harness.authoring.pictures import read_record
from harness.plots import draw_bars, draw_losses, smoothed
from harness.plots.boxes import Diagram
from harness.plots.theme import PAGE, grid, legend, new_figure, panels, title
from katas.k06_training.training import cosine_learning_rate, cross_entropy, get_batch

RECORDS = Path(katas.__file__).parent / "k06_training" / "pictures"
RUN = RECORDS / "run.json"
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


def windows(theme):
    """A window in a text, and its inputs and targets, one below the other."""
    page = Diagram(PAGE, 300, theme)
    words = ["once", "the", "cat", "sat", "on", "the", "mat", "and", "slept"]
    blue, orange = theme.series[:2]
    block_size = 4
    generator = torch.Generator().manual_seed(3)  # begins at the second word
    inputs, targets = get_batch(np.arange(len(words)), 1, block_size, generator)
    start = inputs[0, 0].item()

    def at(place):
        return 132 + 76 * place

    page.text((20, 66), "the text", align="left", quiet=True)
    for place, word in enumerate(words):
        inside = start <= place <= start + block_size
        page.box((at(place), 66), (66, 32), word, theme.series[4] if inside else None, dashed=not inside)
    ends = {"inputs": (start, 26, 44, blue), "targets": (start + 1, 106, 88, orange)}
    for name, (first, y, tick, colour) in ends.items():
        left, right = at(first) - 31, at(first + block_size - 1) + 31
        page.arrow((left, tick), (left, y), (right, y), (right, tick), colour=colour, head=False)
        page.text((right + 12, y), name, align="left", colour=colour, size=8.5)
    for name, y, row, colour in (("inputs", 172, inputs, blue), ("targets", 232, targets, orange)):
        page.text((20, y), name, align="left", colour=colour)
        for position, token in enumerate(row[0].tolist()):
            page.box((at(start + position), y), (66, 32), words[token], colour)
    for position in range(block_size):
        page.arrow((at(start + position), 188), (at(start + position), 215))
        page.text((at(start + position), 274), str(position), quiet=True)
    page.text((20, 274), "position", align="left", quiet=True)
    for y, line in ((172, "Position 2 has read inputs 0 to 2"), (190, "and is asked for target 2.")):
        page.text((at(start + block_size) - 26, y), line, align="left", quiet=True, size=8.5)
    return page.figure


def gradient(theme):
    """The gradient of one position's loss with respect to its logits, as a difference of two charts."""
    words, came = ["mat", "floor", "sofa", "bed", "idea"], 2
    logits = torch.tensor([[2.6, 2.2, 1.7, 1.3, -0.8]], requires_grad=True)
    cross_entropy(logits, torch.tensor([came])).backward()
    belief = logits.detach().softmax(dim=-1)[0]
    fact = torch.nn.functional.one_hot(torch.tensor(came), len(words)).float()
    figure = new_figure(PAGE, 230, theme)
    first, second, third = panels(figure, theme, 1, 3, sharey=True, width_ratios=[6, 6, 8.1])
    for axes, shares in ((first, belief), (second, fact)):
        draw_bars(axes, shares.tolist(), words, theme)
        axes.set_xlim(0, 1.3)
    slopes = logits.grad[0].tolist()
    up, down = theme.series[2], theme.series[1]
    third.barh(range(len(words)), slopes, height=0.72, color=[up if slope < 0 else down for slope in slopes])
    for place, slope in enumerate(slopes):
        third.annotate(
            f"{slope:+.2f}".replace("-", "−"), (slope, place), (-4 if slope < 0 else 4, 0),
            textcoords="offset points", va="center", ha="right" if slope < 0 else "left",
            fontsize=8.5, color=theme.ink,
        )  # fmt: skip  # related arguments share a line
    third.axvline(0, color=theme.quiet, linewidth=0.8)
    third.set(xlim=(-1.1, 0.66), xticks=[])
    third.spines[["left", "bottom"]].set_visible(False)
    title(first, "belief: softmax(z)", theme)
    title(second, "− fact: onehot(y)", theme)
    title(third, "= gradient of the loss", theme)
    first.invert_yaxis()
    return figure


def warmup(theme):
    """The schedule with a warm-up and without, and the losses of runs with each, at two highest rates."""
    figure = new_figure(PAGE, 480, theme)
    all_axes = panels(figure, theme, 2, 2, sharex=True, sharey="row", height_ratios=[1, 3])
    for column, rate in enumerate(("3e-3", "1e-2")):
        schedule, losses = all_axes[column], all_axes[column + 2]
        for steps, name, colour in (
            (0, "no warm-up", theme.series[1]),
            (20, "20 steps of warm-up", theme.series[0]),
        ):
            run = read_record(RECORDS / f"rate-{rate}-warmup-{steps}.json")
            total = run.evaluations[-1][0]
            rates = [
                1000 * cosine_learning_rate(
                    step, max_lr=float(rate), min_lr=3e-4, warmup_steps=steps, total_steps=total
                )
                for step in range(1, total + 1)
            ]  # fmt: skip  # a factor stands before what it multiplies
            schedule.plot(range(1, total + 1), rates, color=colour, linewidth=1.8)
            losses.plot(
                *zip(*smoothed(run.steps, 60), strict=True), color=colour, linewidth=1.8,
                label=f"{name}: validation {run.evaluations[-1][1]:.2f}",
            )  # fmt: skip  # related arguments share a line
        title(schedule, f"highest rate {float(rate):g}", theme)
        losses.set(xlabel="step", xlim=(-4, total + 4), ylim=(0, 4.1))
        legend(losses, theme, loc="upper right", title=None)
        for axes in (schedule, losses):
            grid(axes, theme)
    all_axes[0].set(ylabel="1000 · rate", ylim=(0, 10.8))
    all_axes[2].set(ylabel="loss (nats per token)")
    return figure


PICTURES = {"windows": windows, "gradient": gradient, "warmup": warmup, "loss": loss}
