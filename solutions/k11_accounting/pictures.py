"""The pictures of kata 11, drawn from its solution by `python -m harness.authoring.pictures`."""

import json
from pathlib import Path

from harness.plots.theme import PAGE, grid, legend, new_figure, panels
from katas.k05_model.model import ModelConfig
from katas.k11_accounting.accounting import attainable_flops, forward_flops

# Name, vocabulary, window, width, heads and blocks.
MODELS = [
    ("1 M, letters", 65, 256, 128, 4, 5),
    ("GPT-2, 124 M", 50257, 1024, 768, 12, 12),
    ("medium, 355 M", 50257, 1024, 1024, 16, 24),
    ("large, 774 M", 50257, 1024, 1280, 20, 36),
    ("XL, 1.6 B", 50257, 1024, 1600, 25, 48),
]
RECORD = Path(__file__).with_name("kernels.json")  # python -m katas.k11_accounting.machine RECORD


def shares(theme):
    """Which part takes which share of the FLOPs, from a million parameters to GPT-2 XL."""
    figure = new_figure(PAGE, 330, theme)
    (axes,) = panels(figure, theme)
    counts = [forward_flops(ModelConfig(*sizes), 1, sizes[1]) for _, *sizes in MODELS]
    left = [0.0] * len(MODELS)
    for part, colour in zip(counts[0], theme.series, strict=True):
        widths = [100 * count[part] / sum(count.values()) for count in counts]
        axes.barh(range(len(MODELS)), widths, left=left, height=0.62, color=colour, label=part)
        for place, (start, width) in enumerate(zip(left, widths, strict=True)):
            if width > 4:
                axes.text(
                    start + width / 2, place, f"{width:.0f}", ha="center", va="center",
                    fontsize=8.5, color=theme.paper,
                )  # fmt: skip  # related arguments share a line
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(MODELS)), [name for name, *_ in MODELS])
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="share of the FLOPs of a forward pass, in percent")
    legend(axes, theme, ncols=5, loc="lower center", bbox_to_anchor=(0.45, 1.0))
    return figure


def roofline(theme):
    """The stored kernels as dots under the roof of the machine that ran them."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    machine = record["machine"]
    figure = new_figure(PAGE, 400, theme)
    (axes,) = panels(figure, theme)
    low, high = 0.04, 1500.0
    knee = machine["peak_flops"] / machine["bytes_per_second"]
    roof = [attainable_flops(x, **machine) / 1e9 for x in (low, knee, high)]
    axes.plot([low, knee, high], roof, color=theme.ink, linewidth=1.6)
    axes.annotate(
        f"peak {roof[-1]:.0f} GFLOP/s", (knee, roof[-1]), (8, 6), textcoords="offset points",
        fontsize=9, color=theme.ink,
    )  # fmt: skip  # related arguments share a line
    axes.annotate(
        f"{machine['bytes_per_second'] / 1e9:.0f} GB/s", (2.0, attainable_flops(2.0, **machine) / 1e9),
        (-8, 6), textcoords="offset points", ha="right", fontsize=9, color=theme.ink,
    )  # fmt: skip  # related arguments share a line
    axes.plot([knee, knee], [0.2, roof[1]], color=theme.quiet, linewidth=0.9, linestyle=":")
    axes.annotate(
        f"knee, {knee:.0f} FLOPs per byte", (knee, 0.27), (6, 0), textcoords="offset points",
        fontsize=9, color=theme.quiet,
    )  # fmt: skip  # related arguments share a line
    for kernel in record["kernels"]:
        x, y = kernel["flops"] / kernel["bytes"], kernel["flops"] / kernel["seconds"] / 1e9
        product = kernel["name"].startswith(("linear", "scores"))
        axes.plot([x], [y], "o", color=theme.series[0 if product else 1], markersize=6)
        to_the_left = kernel["name"] in ("linear map, 1 row", "scores")
        offset = (-8 if to_the_left else 8, -16 if y > 50 else 4 if to_the_left else -4)
        offset = {"addition": (-6, 8), "linear map, 512 rows": (-8, 8)}.get(kernel["name"], offset)
        axes.annotate(
            kernel["name"], (x, y), offset,
            textcoords="offset points", ha="right" if to_the_left else "left", fontsize=8.5, color=theme.ink,
        )  # fmt: skip  # related arguments share a line
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(0.2, 200))
    axes.set(xlabel="intensity, in FLOPs per byte", ylabel="GFLOP/s")
    grid(axes, theme)
    return figure


PICTURES = {"shares": shares, "roofline": roofline}
