"""The pictures of kata 15, drawn from its solution by `python -m harness.authoring.pictures`.

The picture of the memory is drawn from the record that measure.py has written.
"""

import json
import math
from pathlib import Path

import torch

import katas
from harness.plots.cells import paint
from harness.plots.theme import PAGE, grid, legend, new_figure, panels, shades, title
from katas.k01_attention.attention import causal_mask
from katas.k15_flash.flash import Partial, absorb

RECORD = Path(katas.__file__).parent / "k15_flash" / "pictures" / "memory.json"
COUNT, BLOCK, SHOWN = 8, 2, 7  # positions, keys in a block, and the query whose numbers are shown


def tiles(theme):
    """Four blocks of keys one after the other, and below each what the last query has by then."""
    generator = torch.Generator().manual_seed(4)
    scores = 1.5 * torch.randn(COUNT, COUNT, generator=generator, dtype=torch.float64)
    scores = scores.masked_fill(~causal_mask(COUNT), -math.inf)
    value = torch.rand(COUNT, 1, generator=generator, dtype=torch.float64)
    nothing = torch.zeros(COUNT, dtype=torch.float64)
    partial = Partial(nothing - math.inf, nothing, nothing[:, None])
    figure = new_figure(PAGE, 400, theme)
    above_and_below = panels(figure, theme, 2, COUNT // BLOCK, sharey="row", height_ratios=[3, 2])
    above, below = above_and_below[: COUNT // BLOCK], above_and_below[COUNT // BLOCK :]
    weights = torch.softmax(scores, dim=-1)
    for frame, (axes, bars) in enumerate(zip(above, below, strict=True)):
        start, stop = frame * BLOCK, (frame + 1) * BLOCK
        partial = absorb(partial, scores[:, start:stop], value[start:stop])
        lit = torch.full_like(weights, math.nan)
        lit[start:, start:stop] = weights[start:, start:stop].masked_fill(
            ~causal_mask(COUNT)[start:, start:stop], math.nan
        )
        paint(axes, lit, shades(theme), (0, 1))
        _frame(axes, start, theme)
        title(axes, f"keys {start} and {start + 1}", theme)
        numbers = [float(field[SHOWN].squeeze()) for field in partial]
        bars.bar(range(3), numbers, width=0.6, color=theme.series[:3])
        bars.set_xticks(range(3), Partial._fields)
        for place, number in enumerate(numbers):
            bars.annotate(
                f"{number:.2f}", (place, max(number, 0)), (0, 3), textcoords="offset points",
                ha="center", fontsize=9, color=theme.ink,
            )  # fmt: skip  # related arguments share a line
    above[0].set_ylabel("queries")
    below[0].set(ylabel=f"query {SHOWN}", ylim=(min(0, below[0].get_ylim()[0]), 1.2 * below[0].get_ylim()[1]))
    return figure


def _frame(axes, start, theme):
    """The tile in a frame, the finished ones pale, and the queries that skip this block hatched."""
    from matplotlib.patches import Rectangle

    left, top = axes.get_xlim()[0], min(axes.get_ylim())
    options = {"facecolor": "none", "linewidth": 0.0}
    for done in range(0, start, BLOCK):
        axes.add_patch(
            Rectangle((left + done, top + done), BLOCK, COUNT - done, color=theme.faint, linewidth=0)
        )
    if start:
        axes.add_patch(
            Rectangle((left + start, top), BLOCK, start, hatch="////", edgecolor=theme.faint, **options)
        )
    axes.add_patch(
        Rectangle((left + start, top + start), BLOCK, COUNT - start, facecolor="none",
                  edgecolor=theme.series[1], linewidth=1.6, zorder=3)
    )  # fmt: skip  # related arguments share a line
    axes.set_xticks([])
    axes.set_yticks([])


def memory(theme):
    """What backward needs, over the length of the sequence, in three ways."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    figure = new_figure(PAGE, 340, theme)
    (axes,) = panels(figure, theme)
    names = {"kata 01": "kata 01", "flash": "this kata, and PyTorch's (equal)"}
    for place, (name, label) in enumerate(names.items()):
        amounts = [each / 1e6 for each in record[name]["bytes"]]
        axes.plot(record["lengths"], amounts, marker="o", color=theme.series[place], label=label)
        for at in (0, -1):
            amount = amounts[at]
            axes.annotate(
                f"{amount:.2g} MB" if amount < 10 else f"{amount:.0f} MB", (record["lengths"][at], amount),
                (0, (7, -16)[place]), textcoords="offset points", ha="center", fontsize=9, color=theme.ink,
            )  # fmt: skip  # related arguments share a line
    axes.set(xscale="log", yscale="log", ylim=(0.04, 400))
    axes.set(xlabel="positions", ylabel="megabytes kept for backward")
    axes.set_xticks(record["lengths"], [str(length) for length in record["lengths"]])
    axes.minorticks_off()
    grid(axes, theme)
    legend(axes, theme)
    return figure


PICTURES = {"tiles": tiles, "memory": memory}
