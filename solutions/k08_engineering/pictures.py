"""The pictures of kata 08, drawn by `python -m harness.authoring.pictures`."""

import math

from harness.plots.boxes import Diagram
from harness.plots.theme import PAGE, grid, legend, new_figure, panels

FAILURE_EVERY = 24 * 3600  # seconds


def resume(theme):
    """A run that is killed after step 12 and goes on from its checkpoint of step 10."""
    page = Diagram(PAGE, 290, theme)
    first, again = 80, 190
    done, kept, lost = theme.series[0], theme.series[2], theme.series[1]

    def at(step):
        return 150 + 38 * step

    for y, name in ((first, "first process"), (again, "second process")):
        page.text((20, y), name, align="left", quiet=True)
    page.text((20, 250), "the log at the end", align="left", quiet=True)
    for step in range(1, 13):
        page.box((at(step), first), (30, 28), str(step), lost if step > 10 else done)
    for step in range(11, 16):
        page.box((at(step), again), (30, 28), str(step), kept)
    for step in range(1, 16):
        page.box((at(step), 250), (30, 28), str(step), kept if step > 10 else done)
    page.box((at(10), 135), (104, 34), "last.pt", theme.series[3], note="all of step 10")
    page.arrow((at(10), first + 14), (at(10), 118))
    page.arrow((at(10), 152), (at(10), again), (at(11) - 16, again))
    page.text((at(12) + 30, first), "killed", align="left", colour=lost)
    page.text((at(11) + 19, 40), "rows 11 and 12 are dropped", colour=lost, size=8.5)
    page.text((at(10) - 70, 135), "weights, optimizer, step, generators", align="right", quiet=True, size=8.5)
    return page.figure


def interval(theme):
    """The share of the time that is lost, by how often a run is saved."""
    figure = new_figure(PAGE, 320, theme)
    (axes,) = panels(figure, theme)
    intervals = [10 ** (exponent / 25) for exponent in range(25, 113)]
    for cost, colour in zip((0.2, 2.0, 30.0), theme.series, strict=False):
        best = math.sqrt(2 * cost * FAILURE_EVERY)
        axes.loglog(
            intervals, [100 * _lost(cost, each) for each in intervals], color=colour, linewidth=1.8,
            label=f"{cost:g} s to save: best every {best:,.0f} s",
        )  # fmt: skip  # what belongs together stands in one line
        axes.plot([best], [100 * _lost(cost, best)], "o", color=colour, markersize=6)
    axes.set_xticks([10, 100, 1000, 10_000], ["10", "100", "1,000", "10,000"])
    axes.set_yticks([1, 10, 100], ["1", "10", "100"])
    axes.set(xlabel="seconds from one checkpoint to the next", ylabel="% of the time lost")
    grid(axes, theme)
    legend(axes, theme, title=None)
    return figure


def _lost(cost, interval):
    return cost / interval + interval / (2 * FAILURE_EVERY)


PICTURES = {"resume": resume, "interval": interval}
