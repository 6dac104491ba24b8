"""The pictures of kata 19, from a record of benchmarks/induction.py; see harness/authoring/pictures.py."""

import json
import math
from pathlib import Path

import katas
from harness.plots.boxes import Diagram
from harness.plots.cells import paint
from harness.plots.theme import PAGE, grid, new_figure, panels, shades, title

RECORD = Path(katas.__file__).parent / "k19_interpretability" / "pictures" / "induction.json"
CYCLE = 12  # letters of a row: a model that knows them and no more has a loss of ln 12
PREVIOUS, FOLLOWS = ("block 1", 0), ("block 2", 1)  # the two heads that are drawn
SHOWN = 0.03  # attention below this is left blank, which keeps the file small
CELL = 15.5  # pixels
TOP, LEFT, RIGHT = 206, 64, 446  # of the maps


def record():
    return json.loads(RECORD.read_text(encoding="utf-8"))


def circuit(theme):
    """The last letter's way to its successor: on the row itself, and in the maps of two heads."""
    found = record()
    row, last = found["row"], len(found["row"]) - 1
    copy = row.index(row[last])
    page = Diagram(PAGE, TOP + CELL * len(row) + 58, theme)
    _story(page, row, copy, last)
    _map(page, LEFT, found[PREVIOUS[0]][PREVIOUS[1]], row, (copy + 1, copy), 1)
    _map(page, RIGHT, found[FOLLOWS[0]][FOLLOWS[1]], row, (last, copy + 1), 0)
    bottom = TOP + CELL * len(row)
    page.text((LEFT, TOP - 27), "block 1, head 0: the letter before", align="left", size=10.5)
    page.text((RIGHT, TOP - 27), "block 2, head 1: what followed my letter", align="left", size=10.5)
    for left in (LEFT, RIGHT):
        page.text((left + CELL * len(row) / 2, bottom + 34), "looks at", quiet=True, size=9)
    # What block 1 writes at a letter, a row of its map, is what block 2 finds there: a column.
    gap, above, row_of_r = LEFT + CELL * len(row) + 28, TOP - 8, TOP + CELL * (copy + 1.5)
    column_of_r = RIGHT + CELL * (copy + 1.5)
    path = [(LEFT + CELL * (copy + 1.2), row_of_r), (gap, row_of_r), (gap, above), (column_of_r, above)]
    page.arrow(*path, (column_of_r, TOP + CELL * last - 1), colour=theme.series[1])
    return page.figure


def _story(page, row, copy, last):
    """The row in letters, with the two steps as arcs above it."""
    blue, orange = page.theme.series[0], page.theme.series[1]
    step, y = 30, 104
    left = (PAGE - step * (len(row) + 1)) / 2 + step / 2

    def place(at):
        return left + step * at

    for at, letter in enumerate(row):
        chosen = {copy: orange, copy + 1: page.theme.ink, last: blue}.get(at)
        page.text((place(at), y), letter, size=15, quiet=chosen is None, colour=chosen)
    page.box((place(last + 1), y), (26, 30), row[copy + 1], colour=blue, dashed=True)
    page.arc((place(copy), y - 15), (place(copy + 1) - 3, y - 15), 16, colour=orange)
    page.arc((place(copy + 1) + 3, y - 15), (place(last + 1), y - 17), 44, colour=blue)
    page.text((place(copy) + 12, y - 46), "1", colour=orange, size=11)
    page.text(((place(copy + 1) + place(last + 1)) / 2, y - 72), "2", colour=blue, size=11)
    page.text(
        (place(copy) - 10, y + 30), "block 1 notes at r: “after t”", colour=orange, size=9.5, align="left"
    )
    page.text((place(last + 1) + 13, y + 30), "block 2 at t: who came after t?  r did: copy it", colour=blue,
              size=9.5, align="right")  # fmt: skip  # related arguments share a line


def _map(page, left, weights, row, cell, colour):
    """One head's weights, with a letter at each row and column, and a frame around one cell."""
    from matplotlib.patches import Rectangle

    size = CELL * len(row)
    axes = page.inset((left, TOP), (size, size))
    kept = [[each if each >= SHOWN else math.nan for each in line] for line in weights]
    paint(axes, kept, shades(page.theme), (0, 1))
    axes.set_zorder(-1)  # below the arrow
    query, key = cell
    axes.set_yticks(range(len(row)), list(row), fontsize=9.5)
    axes.set_xticks(range(len(row)), list(row), fontsize=9.5)
    for label in (axes.get_yticklabels()[query], axes.get_xticklabels()[key]):
        label.set(color=page.theme.series[colour], fontweight="bold")
    options = {"facecolor": "none", "edgecolor": page.theme.series[1], "linewidth": 2, "zorder": 4}
    axes.add_patch(Rectangle((key - 0.5, query - 0.5), 1, 1, clip_on=False, **options))


def growth(theme):
    """Loss and scores over the steps of the training, with a model of one block beside it."""
    found = record()
    two, one = found["two blocks"], found["one block"]
    figure = new_figure(PAGE, 430, theme)
    above, below = panels(figure, theme, 2, 1, sharex=True)
    steps = [each["step"] for each in two]
    blue, orange, green, grey = (theme.series[each] for each in (0, 1, 2, 4))
    above.plot(steps, [each["repeats"] for each in one], color=grey, linewidth=1.8)
    above.plot(steps, [each["repeats"] for each in two], color=blue, linewidth=2.2)
    above.axhline(math.log(CYCLE), color=theme.quiet, linewidth=1, linestyle=":")
    above.set(ylabel="nats on repeats", ylim=(0, 3.5))
    title(above, "the loss falls at once …", theme)
    _name(above, (310, 2.87), "one block", grey)
    _name(above, (310, 0.92), "two blocks", blue)
    _name(above, (310, 2.2), "ln 12: any of the row’s letters", theme.quiet)
    previous = [max(each["previous"][0]) for each in two]
    follows = [max(each["follows"][1]) for each in two]
    below.plot(steps, previous, color=orange, linewidth=2.2)
    below.plot(steps, follows, color=green, linewidth=2.2)
    below.axhline(found["chance"], color=theme.quiet, linewidth=1, linestyle=":")
    below.set(xlabel="steps", ylabel="attention", ylim=(0, 1), xlim=(0, steps[-1]))
    title(below, "… when block 2 finds what followed, and block 1 learns to look one letter back", theme)
    _name(below, (310, 0.92), "block 2: to what followed the same letter", green)
    _name(below, (310, 0.5), "block 1: to the letter before", orange)
    _name(below, (310, 0.13), "chance, for what followed", theme.quiet)
    for axes in (above, below):
        grid(axes, theme, "y")
        axes.axvspan(*_change(two), color=theme.faint, alpha=0.55, linewidth=0, zorder=0)
    return figure


def _name(axes, place, text, colour):
    axes.text(*place, text, color=colour, fontsize=9.5, va="center")


def _change(points):
    """The first and the last step between which nine tenths of the fall in the loss take place."""
    losses = [each["repeats"] for each in points]
    high, low = losses[0], min(losses)
    inside = [
        each["step"]
        for each in points
        if low + 0.1 * (high - low) < each["repeats"] < high - 0.1 * (high - low)
    ]
    return inside[0], inside[-1]


def patching(theme):
    """The share of the answer that comes back when one vector is restored, by depth and position."""
    found = record()
    row, table = found["row"], found["patching"]
    copy, last = row.index(row[-1]), len(row) - 1
    size = 33.5
    page = Diagram(PAGE, 226, theme)
    left, top = 104, 56
    axes = page.inset((left, top), (size * len(row), size * 3))
    axes.set_zorder(-1)  # below the arrows
    paint(axes, [[max(0.0, each) for each in line] for line in table], shades(theme), (0, 1))
    axes.set_xticks(range(len(row)), list(row), fontsize=12)
    axes.set_yticks(range(3), ["embedding", "after block 1", "after block 2"], fontsize=10)
    path = [(copy, 0), (copy + 1, 1), (last, 2)]
    for column, depth in path:
        axes.text(column, depth, f"{table[depth][column]:.2f}", ha="center", va="center", fontsize=9.5,
                  color=theme.paper)  # fmt: skip  # related arguments share a line
    for at, label in enumerate(axes.get_xticklabels()):
        if at in (copy, copy + 1, last):
            label.set(color=theme.ink, fontweight="bold")
    colour = theme.series[1]

    def spot(column, depth, dx, dy):
        return left + size * (column + 0.5) + dx, top + size * (depth + 0.5) + dy

    page.arrow(spot(copy, 0, 12, 12), spot(copy + 1, 1, -12, -12), colour=colour)
    page.arrow(spot(copy + 1, 1, 18, 3), spot(last, 2, -18, -6), colour=colour)
    page.text((left, 30), f"the first {row[copy]} was spoilt, and one vector at a time is restored: "
              "how much of the answer comes back?", align="left", size=10.5)  # fmt: skip
    page.text(spot(copy + 1.6, 0, 0, 0), "block 1 carries it to the next letter", colour=colour, align="left")
    page.text(
        spot(last - 0.9, 2, 0, 0), "block 2 carries that letter to the end", colour=colour, align="right"
    )
    page.text((left, 204), f"the answer: log-probability of {row[copy + 1]} after the last {row[-1]}",
              align="left", quiet=True, size=9)  # fmt: skip
    return page.figure


PICTURES = {"circuit": circuit, "growth": growth, "patching": patching}
