"""The pictures of kata 20, by `python -m harness.authoring.pictures`, from the record of a benchmark."""

import json
from pathlib import Path

import numpy as np

import katas
from harness.plots.theme import PAGE, grid, legend, new_figure, panels, title

RECORD = Path(katas.__file__).parent / "k20_decoding" / "pictures" / "decoding.json"
NAMES = {" ": "blank", "\n": "line end"}


def overlap(theme):
    """The probabilities of both models after one text, with what they have in common."""
    found = json.loads(RECORD.read_text(encoding="utf-8"))["comparison"]
    figure = new_figure(PAGE, 330, theme)
    (axes,) = panels(figure, theme)
    place, (target, draft) = (
        np.arange(len(found["tokens"])),
        (np.array(found[x]) for x in ("target", "draft")),
    )
    axes.bar(place, np.minimum(target, draft), 0.84, color=theme.series[4], alpha=0.45, label="in common")
    for shift, values, colour, name in (
        (-0.21, target, theme.series[0], "target, p"),
        (0.21, draft, theme.series[1], "draft, q"),
    ):
        axes.bar(place + shift, values, 0.38, fill=False, edgecolor=colour, linewidth=1.8, label=name)
    before = found["before"].replace("\n", "⏎")
    title(axes, f"next character after “{before}”: acceptance rate {found['rate']:.2f}", theme)
    axes.set(xticks=place, ylabel="probability", ylim=(0, None))
    axes.set_xticklabels([NAMES.get(token, token) for token in found["tokens"]])
    grid(axes, theme, "y")
    legend(axes, theme)
    return figure


def passes(theme):
    """Passes of the target and tokens per second, over the number of drafts in a round."""
    targets = json.loads(RECORD.read_text(encoding="utf-8"))["targets"]
    figure = new_figure(PAGE, 330, theme)
    left, right = panels(figure, theme, 1, 2)
    for colour, each in zip(theme.series, targets, strict=False):
        lookaheads = [int(number) for number in each["speculative"]]
        speeds, name = list(each["speculative"].values()), f"target of {each['blocks']} blocks"
        left.plot(lookaheads, [speed["passes"] for speed in speeds], marker="o", color=colour, label=name)
        rates = [speed["tokens_per_second"] / each["alone"] for speed in speeds]
        right.plot(lookaheads, rates, marker="o", color=colour, linewidth=1.8)
    steps, rate = np.arange(1, lookaheads[-1] + 1), targets[-1]["rate"]
    expected = (1 - rate) / (1 - rate ** (steps + 1))
    left.plot(steps, expected, color=theme.quiet, linewidth=1.2, linestyle="--", label="formula")
    title(left, "passes of the target per token", theme)
    title(right, "tokens per second, over those without a draft", theme)
    right.axhline(1, color=theme.quiet, linewidth=1.2, linestyle="--")
    for axes in (left, right):
        axes.set(xlabel="drafts in a round", xticks=lookaheads, ylim=(0, None))
        grid(axes, theme)
    legend(left, theme)
    return figure


PICTURES = {"overlap": overlap, "passes": passes}
