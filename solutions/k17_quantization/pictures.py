"""The pictures of kata 17, by `python -m harness.authoring.pictures`; one from a record of measure.py."""

import json
from pathlib import Path

import torch

import katas
from harness.plots.theme import PAGE, grid, legend, new_figure, panels, title
from katas.k17_quantization.quantization import quantize_rows

RECORD = Path(katas.__file__).parent / "k17_quantization" / "pictures" / "losses.json"
ROW = [-0.7, -0.46, -0.33, -0.16, -0.04, 0.12, 0.27, 0.41, 0.56]
OUTLIER = 4.0
NAMES = {"row": "one scale for each row", "32": "groups of 32", "16": "groups of 16"}


def on_a_ruler(axes, theme, row):
    """The entries of a row above a ruler of 15 marks, each joined to the mark that it gets."""
    codes, scales = quantize_rows(torch.tensor([row], dtype=torch.float64), bits=4)
    scale = scales.item()
    for mark in range(-7, 8):
        used = mark in codes
        axes.plot([mark * scale] * 2, [0, 0.22], color=theme.ink if used else theme.quiet, linewidth=1.2)
        axes.text(
            mark * scale, -0.12, f"{mark}".replace("-", "−"),
            ha="center", va="top", fontsize=9.5, color=theme.ink if used else theme.quiet,
        )  # fmt: skip  # related arguments share a line
    axes.axhline(0, color=theme.quiet, linewidth=0.8)
    for entry, code in zip(row, codes[0].tolist(), strict=True):
        axes.plot([entry, code * scale], [0.8, 0.24], color=theme.series[0], linewidth=1.2)
        axes.plot(entry, 0.8, marker="o", markersize=6, color=theme.series[0])
    axes.set(ylim=(-0.55, 1.05), xlim=(-7.6 * scale, 7.6 * scale), yticks=[])
    axes.spines[["left", "top", "right"]].set_visible(False)
    axes.set_xlabel("weight")


def ruler(theme):
    """A row and its codes, and the same row with an outlier."""
    figure = new_figure(PAGE, 380, theme)
    above, below = panels(figure, theme, 2, 1)
    on_a_ruler(above, theme, ROW)
    title(above, "4 bits: each weight gets the code of the nearest mark", theme)
    on_a_ruler(below, theme, [*ROW[:-1], OUTLIER])
    title(below, "with an outlier of 4, the other eight share three codes", theme)
    return figure


def loss(theme):
    """The small model's loss over the number of bits."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    figure = new_figure(PAGE, 320, theme)
    (axes,) = panels(figure, theme)
    axes.axhline(record["float32"], color=theme.quiet, linewidth=1.2, linestyle="--", label="float32")
    for colour, (group, name) in zip(theme.series, NAMES.items(), strict=False):
        by_bits = {int(bits): each for bits, each in record["quantized"][group].items() if int(bits) > 2}
        axes.plot(by_bits.keys(), by_bits.values(), marker="o", color=colour, linewidth=1.8, label=name)
    axes.set(xlabel="bits of a code", ylabel="nats per character", xticks=range(3, 9))
    grid(axes, theme, "y")
    legend(axes, theme)
    return figure


PICTURES = {"ruler": ruler, "loss": loss}
