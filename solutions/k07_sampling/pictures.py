"""The pictures of kata 07, drawn from its solution by `python -m harness.authoring.pictures`."""

import torch

from harness.plots import draw_bars, sampling_distributions
from harness.plots.theme import PAGE, new_figure, panels, title
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


PICTURES = {"temperatures": temperatures, "filters": filters}
