"""The one look of all pictures: colours for a light and a dark page, and the paper that they are drawn on."""

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

PAGE = 800  # how wide a picture is that fills a page, in pixels
_PIXELS_PER_INCH = 96
_PIXELS_PER_POINT = 96 / 72  # an SVG by matplotlib counts in points
_SALT = "transformer katas"  # else the ids in an SVG differ from one time to the next
# matplotlib measures text in its own font; these are at most as wide, and some of them is everywhere.
_FAMILY = "system-ui, 'Helvetica Neue', Helvetica, Arial, sans-serif"


@dataclass(frozen=True)
class Theme:
    """The colours of a picture: the same roles on a light and on a dark page."""

    name: str
    paper: str  # of the page; an SVG has none of its own
    ink: str  # what is to be read first
    quiet: str  # words and lines beside it
    faint: str  # grids, frames, and the weakest shade
    series: tuple[str, ...]  # lines, bars and boxes, told apart also by those who see few colours
    shades: tuple[str, ...]  # from little to much
    poles: tuple[str, ...]  # from -1 by way of 0 to 1


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
    """An empty picture of so many pixels. It opens no window, and a notebook shows it by itself."""
    figure: Figure = _picture_type()(
        figsize=(width / _PIXELS_PER_INCH, height / _PIXELS_PER_INCH),
        dpi=_PIXELS_PER_INCH,
        facecolor=theme.paper,
        layout=layout,
    )
    return figure


@functools.cache
def _picture_type() -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A figure that has its canvas, and that a notebook can show without pyplot."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            FigureCanvasAgg(self)

        def _repr_png_(self) -> bytes:
            file = io.BytesIO()
            self.savefig(file, format="png", dpi=1.5 * _PIXELS_PER_INCH)
            return file.getvalue()

    return Picture


def panels(figure: Figure, theme: Theme, rows: int = 1, columns: int = 1, **options: Any) -> list[Axes]:
    """The panels of a picture, row by row, in the look of its theme; options as of `Figure.subplots`."""
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    for axes in grid.flat:
        dress(axes, theme)
    return list(grid.flat)


def dress(axes: Axes, theme: Theme) -> None:
    """Give a panel the look of a theme, whatever the settings are by the time it is drawn."""
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
    """Write what a panel shows above it, from its left edge on."""
    axes.set_title(text, loc="left", color=theme.ink, fontsize=10.5)


def grid(axes: Axes, theme: Theme, axis: str = "both") -> None:
    """Draw the lines by which values are read off."""
    axes.grid(True, axis=axis, color=theme.faint, linewidth=0.8)  # type: ignore[arg-type]  # "x", "y", "both"


def legend(axes: Axes, theme: Theme, **options: Any) -> None:
    """Say which line is which, if any has a name."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9, **options)


def shades(theme: Theme) -> Colormap:
    """Colours for 0 … 1; nothing at all for what is left out."""
    return _colours(theme.shades)


def poles(theme: Theme) -> Colormap:
    """Colours for -1 … 1."""
    return _colours(theme.poles)


def _colours(stops: Sequence[str]) -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("katas", stops).with_extremes(bad="none")


def scale(
    figure: Figure, all_axes: Sequence[Axes], painted: ScalarMappable, label: str, theme: Theme
) -> None:
    """Draw beside the panels what the colours of something painted in them stand for."""
    import numpy as np

    low, high = painted.get_clim()
    # So few steps that they are drawn as cells, not as a picture of dots within the picture.
    steps = np.linspace(low, high, 41)
    options: dict[str, Any] = {"boundaries": steps, "ticks": np.linspace(low, high, 5), "shrink": 0.8}
    bar = figure.colorbar(painted, ax=list(all_axes), aspect=30, **options)
    bar.ax.set_label("scale")
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=theme.quiet, labelsize=9, length=0)
    bar.set_label(label, color=theme.quiet, fontsize=9.5)


def as_svg(figure: Figure) -> str:
    """The picture as SVG: see-through, its words as text, the same bytes every time."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": _SALT}):
        # The maker is named, for another version of it may write another file.
        maker = f"matplotlib {matplotlib.__version__}"
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": maker})
    return _tidied(file.getvalue())


def _tidied(svg: str) -> str:
    """Sizes in pixels, the fonts of the reader's system, and no digit more than can be seen."""
    svg = re.sub(r' (width|height)="([\d.]+)pt"', _in_pixels, svg)
    svg = re.sub(r" font-family: [^;\"]+;", "", svg)  # once for all, in place of once a word
    svg = svg.replace('type="text/css">', f'type="text/css">text{{font-family: {_FAMILY}}} ')
    svg = re.sub(r' transform="rotate\(-?0 [^"]*"', "", svg)
    svg = re.sub(r' (d|x|y|transform|points)="[^"]*"', lambda match: _rounded(match[0]), svg)
    return re.sub(r"\n\s*", "\n", svg)


def _in_pixels(match: re.Match[str]) -> str:
    return f' {match[1]}="{float(match[2]) * _PIXELS_PER_POINT:g}"'


def _rounded(numbers: str) -> str:
    numbers = re.sub(r"-?\d+\.\d+", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), numbers)
    return re.sub(r"\s+", " ", numbers)
