"""The pictures of kata 07, drawn from its solution by `python -m harness.authoring.pictures`."""

import torch

from harness.plots import draw_bars, sampling_distributions
from harness.plots.theme import PAGE, grid, new_figure, panels, title
from katas.k01_attention.attention import softmax
from katas.k07_sampling.sampling import apply_temperature, top_k_filter, top_p_filter

WORDS = ["mat", "floor", "sofa", "bed", "roof", "table", "moon", "idea"]
LOGITS = torch.tensor([2.6, 2.2, 1.7, 1.3, 0.8, 0.3, -0.8, -1.6])


def temperatures(theme):
    """One set of logits at four temperatures."""
    shown = {
        f"temperature {temperature:g}": softmax(apply_temperature(LOGITS, temperature), dim=-1)
        for temperature in (0.25, 0.5, 1.0, 2.0)
    }
    return sampling_distributions(shown, labels=WORDS, theme=theme)


def filters(theme):
    """What top-k and top-p leave of a model that is sure, and of one that is not."""
    figure = new_figure(PAGE, 430, theme)
    rows = {"sure": 2.2 * LOGITS, "unsure": 0.3 * LOGITS}
    chosen = {
        "all": lambda logits: logits,
        "top-k, k = 4": lambda logits: top_k_filter(logits, 4),
        "top-p, p = 0.9": lambda logits: top_p_filter(logits, 0.9),
    }
    places = iter(panels(figure, theme, 2, 3, sharex="row", sharey=True))
    for model, logits in rows.items():
        for name, keep in chosen.items():
            axes, left = next(places), keep(logits)
            shares = softmax(left, dim=-1).tolist()
            draw_bars(axes, shares, WORDS, theme, hide_zeros=True)
            title(axes, f"{model}, {name}: {int(left.isfinite().sum())} stay", theme)
            axes.set_xlim(0, 1.25 if model == "sure" else 0.5)
    axes.invert_yaxis()
    return figure


def staircase(theme):
    """The probabilities of top-p, sorted and added up until they reach p."""
    figure = new_figure(PAGE, 320, theme)
    (axes,) = panels(figure, theme)
    p = 0.8
    shares = softmax(LOGITS, dim=-1)  # WORDS stand in the order of their probabilities
    kept = top_p_filter(LOGITS, p).isfinite().tolist()
    last = sum(kept) - 1
    before = 0.0
    for place, share in enumerate(shares.tolist()):
        colour = theme.series[1] if place == last else theme.series[0] if kept[place] else theme.series[4]
        axes.bar(place, share, bottom=before, width=0.72, color=colour, alpha=1.0 if kept[place] else 0.55)
        after = before + share
        to = min(place + 1.36, len(WORDS) - 0.64)  # the next bar begins at this height
        axes.plot([place - 0.36, to], [after, after], color=theme.quiet, linewidth=0.8)
        axes.annotate(
            f"+{100 * share:.0f} %", (place, before), (0, -5), textcoords="offset points",
            ha="center", va="top", fontsize=8.5, color=theme.ink if kept[place] else theme.quiet,
        )  # fmt: skip  # related arguments share a line
        before = after
    axes.axhline(p, color=theme.ink, linewidth=1.2, linestyle="--")
    axes.annotate(f"p = {p:g}", (-0.5, p), (0, 4), textcoords="offset points", fontsize=9, color=theme.ink)
    axes.set_xticks(range(len(WORDS)), WORDS)
    axes.set(xlim=(-0.55, len(WORDS) - 0.5), ylim=(-0.1, 1.04), yticks=[0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_ylabel("added up so far")
    grid(axes, theme, "y")
    return figure


PICTURES = {"temperatures": temperatures, "staircase": staircase, "filters": filters}
