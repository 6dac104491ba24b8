"""The pictures of kata 14, by `python -m harness.authoring.pictures`; one from the record of a benchmark."""

import json
from pathlib import Path

import torch

import katas
from harness.plots.cells import paint
from harness.plots.theme import PAGE, grid, legend, new_figure, panels, shades, title
from katas.k14_cache.cache import KVCache

RECORD = Path(katas.__file__).parent / "k14_cache" / "pictures" / "sampling.json"
PROMPT, NEW = 4, 9  # tokens in the picture of the work
READ, COMPUTED = 0.28, 1.0  # shades: taken from a cache, and computed in this step


def work_with_a_cache():
    """A column for each step: which positions are computed, and which are read from the cache."""
    cache = KVCache(1, 1, PROMPT + NEW - 1, 1, dtype=torch.float64, device="cpu")
    columns = torch.zeros(PROMPT + NEW - 1, NEW)
    for step, new in enumerate([PROMPT, *[1] * (NEW - 1)]):
        columns[: cache.length, step] = READ
        columns[cache.length : cache.length + new, step] = COMPUTED
        cache.append(*torch.zeros(2, 1, 1, new, 1, dtype=torch.float64))
    return columns


def work_without():
    """The same columns for a model that reads the whole text in every step."""
    return torch.stack(
        [COMPUTED * (torch.arange(PROMPT + NEW - 1) < PROMPT + step) for step in range(NEW)], 1
    )


def triangle(theme):
    """The positions that are computed in each step, without a cache and with one."""
    figure = new_figure(PAGE, 430, theme)
    shown = {"without a cache": work_without(), "with a cache": work_with_a_cache()}
    for axes, (name, columns) in zip(panels(figure, theme, 1, 2, sharey=True), shown.items(), strict=True):
        paint(axes, columns, shades(theme), (0.0, 1.0), hide_zeros=True)
        computed = int((columns == COMPUTED).sum())
        title(axes, f"{name}: {computed} positions computed", theme)
        axes.set(xticks=range(NEW), xticklabels=range(1, NEW + 1), xlabel="new token")
        axes.set(yticks=range(0, PROMPT + NEW - 1, 2))
    figure.axes[0].set_ylabel("position")
    return figure


def speed(theme):
    """Tokens per second of the three loops, over the length of the text."""
    rates = json.loads(RECORD.read_text(encoding="utf-8"))["tokens_per_second"]
    figure = new_figure(PAGE, 330, theme)
    (axes,) = panels(figure, theme)
    names = {"generate": "generate, kata 07", "generate_cached": "generate_cached, kata 14"}
    for colour, (name, by_length) in zip(theme.series, rates.items(), strict=False):
        lengths = [int(length) for length in by_length]
        points = axes.plot(lengths, by_length.values(), marker="o", color=colour, linewidth=1.8)
        points[0].set_label(names.get(name, f"{name}'s loop"))
    axes.set(xlabel="tokens in the text", ylabel="new tokens per second", xticks=lengths, ylim=(0, None))
    grid(axes, theme)
    legend(axes, theme)
    return figure


PICTURES = {"triangle": triangle, "speed": speed}
