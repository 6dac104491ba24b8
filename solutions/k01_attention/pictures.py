"""The pictures of kata 01, drawn from its solution by `python -m harness.authoring.pictures`."""

import torch

from harness.plots import attention_maps, draw_bars
from harness.plots.cells import name_cells
from harness.plots.theme import PAGE, new_figure, panels, title
from katas.k01_attention.attention import attention_weights, causal_mask, padding_mask

WORDS = ["the", "cat", "slept", "because", "it", "was", "tired"]
# Who finds whom: the score of a query (row) for a key, before which everything else has score 0.
FINDS = {("cat", "the"): 2.0, ("slept", "cat"): 3.0, ("because", "slept"): 2.5, ("it", "cat"): 4.0,
         ("was", "it"): 3.0, ("was", "tired"): 2.0, ("tired", "it"): 2.5, ("tired", "cat"): 2.0}  # fmt: skip


def masks(theme):
    """A sentence without a mask and with one, and a shorter sentence that is padded to the same length."""
    count = len(WORDS)
    padded = [*WORDS[: count - 2], "[pad]", "[pad]"]
    causal = causal_mask(count)
    shown = {
        "no mask": (WORDS, None),
        "causal": (WORDS, causal),
        "causal and padding": (padded, causal & padding_mask(torch.tensor([count - 2]), count)[0]),
    }
    weights = torch.stack(
        [attention_weights(_queries(words), torch.eye(count), mask) for words, mask in shown.values()]
    )
    figure = attention_maps(weights, tokens=WORDS, titles=list(shown), values=True, theme=theme)
    name_cells(figure.axes[2], padded, padded)
    return figure


def _queries(words):
    """For each word a query that gives the scores of FINDS, if the key of word i is the unit vector i."""
    queries = torch.zeros(len(words), len(words))
    for (asks, answers), score in FINDS.items():
        if asks in words and answers in words:
            undo = len(words) ** 0.5  # the division by √d_k
            queries[words.index(asks), words.index(answers)] = score * undo
    return queries


def scale(theme):
    """What one query gives to 12 random keys, for vectors of two widths, with the division and without."""
    figure = new_figure(PAGE, 250, theme)
    all_axes = panels(figure, theme, 1, 4, sharex=True, sharey=True)
    places = iter(all_axes)
    for d_k in (4, 256):
        generator = torch.Generator().manual_seed(2)
        key = torch.randn(12, d_k, generator=generator)
        query = torch.randn(1, d_k, generator=generator)
        for name, factor in (("divided", 1.0), ("not divided", d_k**0.5)):
            axes = next(places)
            weights = attention_weights(factor * query, key)[0].sort(descending=True).values
            draw_bars(axes, weights.tolist(), [""] * 12, theme)
            title(axes, f"{d_k} features, {name}", theme)
    all_axes[0].set(xlim=(0, 1.25), ylabel="keys, the best match first")
    all_axes[0].invert_yaxis()
    return figure


PICTURES = {"masks": masks, "scale": scale}
