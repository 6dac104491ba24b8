"""The common style of all figures, for light and dark pages."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

PAGE = 800  # pixels; the width of a figure that fills a page
_PIXELS_PER_INCH = 96
_PIXELS_PER_POINT = 96 / 72  # an SVG by matplotlib counts in points
_SALT = "transformer katas"  # makes the ids in an SVG reproducible
# matplotlib measures text in its own font. These are no wider, and every system has one of them.
_FAMILY = "system-ui, 'Helvetica Neue', Helvetica, Arial, sans-serif"


@dataclass(frozen=True)
class Theme:
    """The colours of a figure by role."""

    name: str
    paper: str  # of the page; an SVG is transparent
    ink: str  # the main text
    quiet: str  # secondary words and lines
    faint: str  # grids and frames
    series: tuple[str, ...]  # lines, bars and boxes; distinguishable with colour blindness
    shades: tuple[str, ...]  # from low to high
    poles: tuple[str, ...]  # from -1 through 0 to 1


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    ink="#1f2328",
    quiet="#59636e",
    faint="#dde2e8",
    series=("#0a66c2", "#d4650b", "#1a7f4b", "#8a4fd3", "#6e7781"),
    shades=("#edf3fa", "#9cc4ec", "#2f7fcf", "#0b3d78"),
    poles=("#b3500a", "#f0a868", "#f3f4f6", "#7fb2e5", "#0a4f9a"),
)
DARK = Theme(
    name="dark",
    paper="#0d1117",
    ink="#f0f3f6",
    quiet="#a3acb7",
    faint="#2f3742",
    series=("#58a6ff", "#f5994d", "#4cc38a", "#bf96ff", "#9198a1"),
    shades=("#18222f", "#1f4c7d", "#3f8fe0", "#c9e4ff"),
    poles=("#ffb778", "#a85b1d", "#1b212a", "#2a6cb3", "#a9d3ff"),
)
THEMES = (LIGHT, DARK)


def new_figure(
    width: float, height: float, theme: Theme = LIGHT, layout: str | None = "constrained"
) -> Figure:
    """Return an empty figure, sized in pixels. It opens no window; a notebook displays it."""
    figure: Figure = _figure_type()(
        figsize=(width / _PIXELS_PER_INCH, height / _PIXELS_PER_INCH),
        dpi=_PIXELS_PER_INCH,
        facecolor=theme.paper,
        layout=layout,
    )
    return figure


@functools.cache
def _figure_type() -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class NotebookFigure(Figure):
        """A figure with a canvas that a notebook can display without pyplot."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            FigureCanvasAgg(self)

        def _repr_png_(self) -> bytes:
            file = io.BytesIO()
            self.savefig(file, format="png", dpi=1.5 * _PIXELS_PER_INCH)
            return file.getvalue()

    return NotebookFigure


def panels(figure: Figure, theme: Theme, rows: int = 1, columns: int = 1, **options: Any) -> list[Axes]:
    """Add panels to a figure and return them row by row; options are those of `Figure.subplots`."""
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    for axes in grid.flat:
        dress(axes, theme)
    return list(grid.flat)


def dress(axes: Axes, theme: Theme) -> None:
    """Apply a theme to a panel, independent of matplotlib's settings when it is drawn."""
    from cycler import cycler

    axes.set_facecolor("none")
    axes.set_prop_cycle(cycler(color=theme.series))
    axes.tick_params(which="both", colors=theme.quiet, labelsize=9, length=0)
    for side, spine in axes.spines.items():
        spine.set_color(theme.faint)
        spine.set_visible(side in ("left", "bottom"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=theme.quiet, fontsize=9.5)
    axes.set_axisbelow(True)


def title(axes: Axes, text: str, theme: Theme) -> None:
    """Write a title above a panel, aligned with its left edge."""
    axes.set_title(text, loc="left", color=theme.ink, fontsize=10.5)


def grid(axes: Axes, theme: Theme, axis: str = "both") -> None:
    """Draw grid lines."""
    axes.grid(True, axis=axis, color=theme.faint, linewidth=0.8)  # type: ignore[arg-type]  # "x", "y", "both"


def legend(axes: Axes, theme: Theme, **options: Any) -> None:
    """Add a legend if any line has a name."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9, **options)


def shades(theme: Theme) -> Colormap:
    """Return the colour map for 0 … 1; hidden cells are transparent."""
    return _colour_map(theme.shades)


def poles(theme: Theme) -> Colormap:
    """Return the colour map for -1 … 1."""
    return _colour_map(theme.poles)


def _colour_map(stops: Sequence[str]) -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("katas", stops).with_extremes(bad="none")


def scale(
    figure: Figure, all_axes: Sequence[Axes], painted: ScalarMappable, label: str, theme: Theme
) -> None:
    """Draw a colour bar next to the panels."""
    import numpy as np

    low, high = painted.get_clim()
    # Few enough steps to be drawn as cells rather than as an embedded bitmap.
    steps = np.linspace(low, high, 41)
    options: dict[str, Any] = {"boundaries": steps, "ticks": np.linspace(low, high, 5), "shrink": 0.8}
    bar = figure.colorbar(painted, ax=list(all_axes), aspect=30, **options)
    bar.ax.set_label("scale")
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=theme.quiet, labelsize=9, length=0)
    bar.set_label(label, color=theme.quiet, fontsize=9.5)


def as_svg(figure: Figure) -> str:
    """Return the figure as a transparent SVG with words as text; its bytes are reproducible."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": _SALT}):
        # The version is recorded because another one may write another file.
        maker = f"matplotlib {matplotlib.__version__}"
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": maker})
    return _tidy_svg(file.getvalue())


def _tidy_svg(svg: str) -> str:
    """Use pixels and system fonts, and round numbers to what is visible."""
    svg = re.sub(r' (width|height)="([\d.]+)pt"', _to_pixels, svg)
    svg = re.sub(r" font-family: [^;\"]+;", "", svg)  # replaced by one rule for the whole file
    svg = svg.replace('type="text/css">', f'type="text/css">text{{font-family: {_FAMILY}}} ')
    svg = re.sub(r' transform="rotate\(-?0 [^"]*"', "", svg)
    svg = re.sub(r' (d|x|y|transform|points)="[^"]*"', lambda match: _round_numbers(match[0]), svg)
    return re.sub(r"\n\s*", "\n", svg)


def _to_pixels(match: re.Match[str]) -> str:
    return f' {match[1]}="{float(match[2]) * _PIXELS_PER_POINT:g}"'


def _round_numbers(numbers: str) -> str:
    numbers = re.sub(r"-?\d+\.\d+", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), numbers)
    return re.sub(r"\s+", " ", numbers)
