"""The pictures of kata 12, drawn from its solution by `python -m harness.authoring.pictures`."""

import math

import torch

from harness.plots.cells import paint
from harness.plots.theme import PAGE, new_figure, panels, poles, scale, title
from katas.k12_modern.modern import rotary_table, rotate

QUERY, KEY = (math.radians(10), math.radians(-30))  # the directions of the two arrows at position 0
POSITIONS = 12  # on the maps; every cell takes a hundred bytes of the picture
PER_POSITION = math.radians(20)  # slower than the first pair of a head, so that the arrows can be followed


def direction(angle, position):
    """The angle of a vector of this direction after it has turned to its position."""
    turn = torch.tensor([[position * PER_POSITION]])
    x = torch.tensor([[math.cos(angle), math.sin(angle)]])
    ((first, second),) = rotate(x, turn.cos(), turn.sin()).tolist()
    return math.atan2(second, first)


def arrow(axes, angle, colour, label):
    """An arrow from the origin, with a label at its tip."""
    x, y = math.cos(angle), math.sin(angle)
    shape = {"arrowstyle": "-|>", "color": colour, "linewidth": 2.2, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (x, y), (0, 0), arrowprops=shape)
    axes.text(1.2 * x, 1.2 * y, label, color=colour, fontsize=10, ha="center", va="center")


def arc(axes, start, end, theme):
    """The angle between two arrows, with its size in degrees."""
    steps = torch.linspace(start, end, 40)
    axes.plot(0.38 * steps.cos(), 0.38 * steps.sin(), color=theme.quiet, linewidth=1.2)
    middle = (start + end) / 2
    axes.text(
        0.6 * math.cos(middle), 0.6 * math.sin(middle), f"{math.degrees(end - start):.0f}°",
        color=theme.ink, fontsize=9.5, ha="center", va="center",
    )  # fmt: skip  # related arguments share a line


def arrows(theme):
    """A query and a key as arrows, at three pairs of positions."""
    figure = new_figure(PAGE, 290, theme)
    for axes, (query, key) in zip(panels(figure, theme, 1, 3), [(2, 0), (5, 3), (5, 0)], strict=True):
        circle = torch.linspace(0, 2 * math.pi, 100)
        axes.plot(circle.cos(), circle.sin(), color=theme.faint, linewidth=1)
        angles = direction(QUERY, query), direction(KEY, key)
        arrow(axes, angles[0], theme.series[0], "q")
        arrow(axes, angles[1], theme.series[1], "k")
        arc(axes, angles[1], angles[0], theme)
        product = math.cos(angles[0] - angles[1])
        title(axes, f"query at {query}, key at {key}: {product:.2f}", theme)
        axes.set(xlim=(-1.35, 1.35), ylim=(-1.35, 1.35), aspect="equal", xticks=[], yticks=[])
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
    return figure


def products(theme):
    """The products of one query and one key at all pairs of positions: turned, and with added positions."""
    figure = new_figure(PAGE, 390, theme)
    generator = torch.Generator().manual_seed(3)
    query, key = torch.randn(2, 16, generator=generator, dtype=torch.float64)
    table = rotary_table(POSITIONS, 16, base=100.0, dtype=torch.float64)
    turned = [rotate(x.expand(POSITIONS, 16), *table) for x in (query, key)]
    learned = torch.randn(POSITIONS, 16, generator=generator, dtype=torch.float64)
    added = [x + learned for x in (query, key)]
    shown = {"turned by their positions": turned, "with a table of positions added, untrained": added}
    places = panels(figure, theme, 1, 2)
    for axes, (name, (queries, keys)) in zip(places, shown.items(), strict=True):
        map_of = queries @ keys.T
        painted = paint(axes, map_of / map_of.abs().max(), poles(theme), (-1.0, 1.0))
        axes.set(xlabel="position of the key", ylabel="position of the query")
        axes.set(xticks=range(0, POSITIONS, 4), yticks=range(0, POSITIONS, 4))
        title(axes, name, theme)
    scale(figure, places, painted, "product, largest = 1", theme)
    return figure


PICTURES = {"arrows": arrows, "products": products}
