"""Diagrams of boxes, arrows and words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.plots.theme import Theme, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Spot = tuple[float, float]
_TINT = 0.14  # the share of a box's colour in its inside


class Diagram:
    """A page for boxes and arrows, measured in pixels from its upper left corner."""

    def __init__(self, width: float, height: float, theme: Theme) -> None:
        self.theme = theme
        self.figure = new_figure(width, height, theme, layout=None)
        self._size = (width, height)
        self._axes = self.figure.add_axes((0, 0, 1, 1))
        self._axes.set(xlim=(0, width), ylim=(height, 0))
        self._axes.set_axis_off()

    def box(
        self,
        centre: Spot,
        size: Spot,
        text: str,
        colour: str | None = None,
        *,
        note: str = "",
        dashed: bool = False,
    ) -> None:
        """Draw a rounded box with a text, and a smaller note below it if given."""
        from matplotlib.patches import FancyBboxPatch

        (x, y), (width, height) = centre, size
        edge = colour or self.theme.quiet
        self._axes.add_patch(
            FancyBboxPatch(
                (x - width / 2, y - height / 2), width, height,
                boxstyle="round,pad=0,rounding_size=6", linewidth=1.2, linestyle="--" if dashed else "-",
                edgecolor=edge, facecolor=self._mix_with_paper(colour) if colour else "none", zorder=2,
            )
        )  # fmt: skip  # related arguments share a line
        lift = 8 if note else 0
        self.text((x, y - lift), text)
        if note:
            self.text((x, y + lift), note, quiet=True, size=8)

    def _mix_with_paper(self, colour: str) -> list[float]:
        """Mix a little of the colour with the paper; opaque, so that the box hides a stream behind it."""
        from matplotlib.colors import to_rgb

        inks = zip(to_rgb(colour), to_rgb(self.theme.paper), strict=True)
        return [_TINT * own + (1 - _TINT) * paper for own, paper in inks]

    def plus(self, centre: Spot, colour: str | None = None) -> None:
        """Draw a plus sign in a circle."""
        from matplotlib.patches import Circle

        edge = colour or self.theme.ink
        self._axes.add_patch(
            Circle(centre, 10, linewidth=1.2, edgecolor=edge, facecolor=self.theme.paper, zorder=4)
        )
        x, y = centre
        for xs, ys in (([x - 5, x + 5], [y, y]), ([x, x], [y - 5, y + 5])):
            self._axes.plot(xs, ys, color=edge, linewidth=1.4, zorder=5)

    def arrow(self, *path: Spot, colour: str | None = None, dashed: bool = False, head: bool = True) -> None:
        """Draw an arrow along a path of straight segments."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        style = "-|>,head_length=5,head_width=2.6" if head else "-"
        self._axes.add_patch(
            FancyArrowPatch(
                path=Path(list(path)), arrowstyle=style, linewidth=1.2, linestyle="--" if dashed else "-",
                color=colour or self.theme.quiet, capstyle="butt", zorder=3,
            )
        )  # fmt: skip  # related arguments share a line

    def arc(self, start: Spot, end: Spot, rise: float, colour: str | None = None) -> None:
        """Draw a curved arrow that rises `rise` pixels above its ends, or dips below them if negative."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        (x, y), (to_x, to_y) = start, end
        top = min(y, to_y) - 4 / 3 * rise if rise > 0 else max(y, to_y) - 4 / 3 * rise
        path = Path([start, (x, top), (to_x, top), end], [Path.MOVETO] + 3 * [Path.CURVE4])
        self._axes.add_patch(
            FancyArrowPatch(
                path=path, arrowstyle="-|>,head_length=4,head_width=2.2", linewidth=1.2,
                color=colour or self.theme.quiet, capstyle="butt", zorder=3,
            )
        )  # fmt: skip  # related arguments share a line

    def stream(self, *path: Spot) -> None:
        """Draw a broad line, such as a residual stream, beneath everything else."""
        xs, ys = zip(*path, strict=True)
        self._axes.plot(xs, ys, color=self.theme.series[0], alpha=0.28, linewidth=9, zorder=1)

    def text(
        self, place: Spot, text: str, *, quiet: bool = False, size: float = 9.5, align: str = "center",
        colour: str | None = None,
    ) -> None:  # fmt: skip  # the text first, then its appearance
        """Write a text, vertically centred on `place`."""
        chosen = colour or (self.theme.quiet if quiet else self.theme.ink)
        x, y = place
        self._axes.text(
            x,
            y,
            text,
            ha=align,
            va="center_baseline",
            color=chosen,
            fontsize=size,
            linespacing=1.35,
            zorder=6,
        )

    def frame(self, corner: Spot, size: Spot) -> None:
        """Draw a dashed frame from its upper left corner."""
        from matplotlib.patches import FancyBboxPatch

        self._axes.add_patch(
            FancyBboxPatch(
                corner, *size, boxstyle="round,pad=0,rounding_size=10", linewidth=1, linestyle=(0, (4, 3)),
                edgecolor=self.theme.quiet, facecolor="none", zorder=0,
            )
        )  # fmt: skip  # related arguments share a line

    def inset(self, corner: Spot, size: Spot) -> Axes:
        """Add a panel for data, placed by its upper left corner."""
        (x, y), (width, height), (page_width, page_height) = corner, size, self._size
        place = (x / page_width, 1 - (y + height) / page_height, width / page_width, height / page_height)
        axes = self.figure.add_axes(place)
        dress(axes, self.theme)
        return axes
