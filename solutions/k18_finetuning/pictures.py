"""The pictures of kata 18, by `python -m harness.authoring.pictures`, from the records beside them.

measure.py writes matrices.json, and benchmarks/finetuning.py with --record writes finetuned.json.
"""

import json
from pathlib import Path

from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

import katas
from harness.plots.theme import PAGE, dress, grid, new_figure, panels, title

FOLDER = Path(katas.__file__).parent / "k18_finetuning" / "pictures"
CELL = 6  # pixels along the side of a number


def read(name):
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def runs(numbers, chosen):
    """One path with a line for each run of chosen numbers in a row; a cell for each would take too much."""
    vertices = []
    for at, row in enumerate(numbers):
        wanted = [False, *map(chosen, row), False]
        edges = [place - 0.5 for place in range(len(row) + 1) if wanted[place] != wanted[place + 1]]
        vertices += [(edge, at) for edge in edges]
    return Outline(vertices, [Outline.MOVETO, Outline.LINETO] * (len(vertices) // 2))


def draw_numbers(axes, numbers, theme):
    """Colour what is far from 0, above it and below it."""
    everything = [each for row in numbers for each in row]
    far = (
        0.67 * (sum(each**2 for each in everything) / len(everything)) ** 0.5
    )  # half of a normal distribution
    for colour, chosen in (
        (theme.series[0], lambda x: x > far),
        (theme.series[1], lambda x: x < -far),
    ):
        line = PathPatch(
            runs(numbers, chosen), edgecolor=colour, linewidth=CELL * 0.75, capstyle="butt", fill=False
        )
        axes.add_patch(line)
    axes.set(xlim=(-0.5, len(numbers[0]) - 0.5), ylim=(len(numbers) - 0.5, -0.5), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(True)


def matrices(theme):
    """A weight, and the two thin matrices beside it, all numbers in cells of one size."""
    record = read("matrices")
    width, height = PAGE, 365
    figure = new_figure(width, height, theme, layout=None)
    left = 10
    for name, label in (
        ("weight", "W, frozen: {:,} numbers"),
        ("lora_b", "B, learned: {:,}"),
        ("lora_a", "A, learned: {:,}"),
    ):
        numbers = record[name]
        rows, columns = len(numbers), len(numbers[0])
        place = left / width, 1 - (50 + CELL * rows) / height, CELL * columns / width, CELL * rows / height
        axes = figure.add_axes(place)
        dress(axes, theme)
        draw_numbers(axes, numbers, theme)
        title(axes, label.format(rows * columns), theme)
        axes.set_xlabel(f"{rows} × {columns}")
        if name != "weight":
            sign = "+" if name == "lora_b" else "·"
            axes.text(-5, 2, sign, ha="center", va="center", color=theme.ink, fontsize=16)
        left += CELL * columns + (76 if name == "weight" else 104)
    return figure


def learned_and_forgotten(theme):
    """Two bars for each way to finetune: the new tasks solved, and the loss added on the old text."""
    before, *rows = read("finetuned")["rows"]
    names, places = [row["name"] for row in rows], range(len(rows))
    figure = new_figure(PAGE, 330, theme)
    learned, forgotten = panels(figure, theme, 1, 2, sharey=True)
    learned.barh(places, [50 * (row["copy"] + row["reverse"]) for row in rows], 0.62, color=theme.series[0])
    more = [row["old_loss"] - before["old_loss"] for row in rows]
    forgotten.barh(places, more, 0.62, color=theme.series[1])
    for axes, numbers, form in (
        (learned, [50 * (row["copy"] + row["reverse"]) for row in rows], "{:.0f} %"),
        (forgotten, more, "+{:.2f}"),
    ):
        for place, number in zip(places, numbers, strict=True):
            axes.text(number, place, " " + form.format(number), va="center", color=theme.quiet, fontsize=9)
        grid(axes, theme, "x")
        axes.set_xlim(0, 1.15 * max(numbers))
    learned.set(yticks=places, yticklabels=names, xlabel="% of new tasks solved")
    learned.invert_yaxis()
    start = 50 * (before["copy"] + before["reverse"])
    title(learned, f"learned (before: {start:.0f} %)", theme)
    title(forgotten, f"forgotten (before: {before['old_loss']:.2f})", theme)
    forgotten.set_xlabel("more nats per character on the old text")
    return figure


PICTURES = {"matrices": matrices, "learned": learned_and_forgotten}
