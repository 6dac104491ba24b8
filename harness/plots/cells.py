"""Tables of numbers, painted as cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.plots.theme import PAGE, Theme, new_figure, panels

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import Collection
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

    Array = np.ndarray[Any, np.dtype[np.float64]]

Numbers = Any  # a tensor, with or without a gradient, an array, or nested sequences
PANELS_IN_A_ROW = 4
_SMALLEST_CELL, _LARGEST_CELL = 13, 40  # pixels along a side
_BESIDE_CELLS, _SCALE_WIDTH = 80, 80  # pixels for names and titles, and for the colour bar
_MOST_CELLS = 1500  # more would be too small to see and make the file too large


def as_array(numbers: Numbers) -> Array:
    """Return the numbers as an array of float64."""
    import numpy as np

    if hasattr(numbers, "detach"):  # NumPy rejects tensors with a gradient or on a GPU
        numbers = numbers.detach().cpu()
    return np.asarray(numbers, dtype=np.float64)


def map_panels(
    count: int, cells: tuple[int, int], theme: Theme, *, scaled: bool
) -> tuple[Figure, list[Axes]]:
    """Return panels for `count` tables of `cells` (rows, columns); `scaled` leaves room for a colour bar.

    A row holds as many panels as keep the cells large enough to see.
    """
    room = PAGE - (_SCALE_WIDTH if scaled else 0)
    fitting = [
        each for each in range(1, PANELS_IN_A_ROW + 1) if _cell(room, each, cells[1]) >= _SMALLEST_CELL
    ]
    columns = min(count, max(fitting, default=1))
    rows = -(-count // columns)
    cell = min(_LARGEST_CELL, _cell(room, columns, cells[1]))
    width = columns * (cell * cells[1] + _BESIDE_CELLS) + PAGE - room
    figure = new_figure(width, rows * (cell * cells[0] + _BESIDE_CELLS), theme)
    all_axes = panels(figure, theme, rows, columns)
    for axes in all_axes[count:]:
        axes.set_axis_off()
    return figure, all_axes[:count]


def _cell(room: float, panels_in_a_row: int, columns: int) -> float:
    return (room / panels_in_a_row - _BESIDE_CELLS) / columns


def paint(
    axes: Axes,
    numbers: Numbers,
    colours: Colormap,
    limits: tuple[float, float],
    *,
    hide_zeros: bool = False,
) -> ScalarMappable:
    """Paint a table of numbers, its first row at the top; returns the mappable for the colour bar."""
    import numpy as np
    from matplotlib.ticker import MaxNLocator

    table = as_array(numbers)
    rows, columns = table.shape
    hidden = ~np.isfinite(table) | (hide_zeros & (table == 0))
    options: dict[str, Any] = {"cmap": colours, "clim": limits}
    if table.size > _MOST_CELLS:
        painted: ScalarMappable = axes.imshow(
            np.ma.array(table, mask=hidden), interpolation="nearest", **options
        )
    else:
        places = np.argwhere(~hidden)[:, ::-1]  # x, then y
        painted = axes.add_collection(_cells(axes, places, table[~hidden], options))
    axes.set(aspect="equal", xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    axes.spines[["left", "bottom"]].set_visible(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    return painted


def _cells(axes: Axes, places: Numbers, values: Array, options: Mapping[str, Any]) -> Collection:
    """Return squares with round corners; they share one shape, which keeps the file small."""
    from matplotlib.collections import PathCollection
    from matplotlib.patches import BoxStyle
    from matplotlib.transforms import AffineDeltaTransform

    square = BoxStyle.Round(pad=0, rounding_size=0.1)(-0.46, -0.46, 0.92, 0.92, 1)
    cells = PathCollection([square], offsets=places, offset_transform=axes.transData, linewidths=0, **options)
    cells.set_clip_on(False)  # they are all within the panel
    cells.set_transform(AffineDeltaTransform(axes.transData))  # type: ignore[arg-type]  # affine while linear
    cells.set_array(values)
    return cells


def name_cells(axes: Axes, rows: Sequence[str] | None, columns: Sequence[str] | None) -> None:
    """Label the rows and columns of a painted table; short column labels are horizontal."""
    if rows is not None:
        axes.set_yticks(range(len(rows)), list(rows))
    if columns is not None:
        upright = max(map(len, columns), default=0) <= 2
        axes.set_xticks(range(len(columns)), list(columns), rotation=0 if upright else 90)


def write_values(axes: Axes, numbers: Numbers, theme: Theme) -> None:
    """Write each non-zero number of 0 … 1 into its cell, dark on pale and pale on dark."""
    for row, line in enumerate(as_array(numbers)):
        for column, value in enumerate(line):
            if value != 0:
                text = "1" if value > 0.995 else f"{value:.2f}".removeprefix("0")
                colour = theme.ink if value < 0.45 else theme.paper
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
