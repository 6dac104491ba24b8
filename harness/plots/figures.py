"""Figures of attention, embeddings, training and sampling.

Numbers may be a tensor, with or without a gradient, an array, or nested sequences. A notebook displays a
figure; `figure.savefig("name.png")` writes it to a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.plots.cells import (
    PANELS_IN_A_ROW,
    Numbers,
    as_array,
    map_panels,
    name_cells,
    paint,
    write_values,
)
from harness.plots.theme import (
    LIGHT,
    PAGE,
    Theme,
    grid,
    legend,
    new_figure,
    panels,
    poles,
    scale,
    shades,
    title,
)
from harness.plots.words import LOSS, LOSS_PER_CHARACTER, SECONDS, wrong_count, wrong_weights_shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = tuple[int, float]  # step, loss


def attention_maps(
    weights: Numbers,
    *,
    tokens: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    values: bool = False,
    theme: Theme = LIGHT,
) -> Figure:
    """Paint attention weights (heads, queries, keys), one panel per head; (queries, keys) is one head.

    Rows are queries, columns are keys. Cells without any weight are empty. `tokens` names the queries, and
    also the keys unless `keys` is given; `values` writes each weight into its cell.
    Raises ValueError if names or titles do not match the weights.
    """
    maps = as_array(weights)
    maps = maps[None] if maps.ndim == 2 else maps
    if maps.ndim != 3:
        raise ValueError(wrong_weights_shape(maps.shape))
    titles = titles or ([f"head {head}" for head in range(len(maps))] if len(maps) > 1 else [""])
    keys = keys or (tokens if maps.shape[1] == maps.shape[2] else None)
    _check_count("titles", titles, len(maps), "maps")
    _check_count("tokens", tokens, maps.shape[1], "queries")
    _check_count("keys", keys, maps.shape[2], "keys")
    figure, all_axes = map_panels(len(maps), maps.shape[1:], theme, scaled=not values)
    for axes, name, each in zip(all_axes, titles, maps, strict=True):
        painted = paint(axes, each, shades(theme), (0.0, 1.0), hide_zeros=True)
        name_cells(axes, tokens, keys)
        axes.set(xlabel="key", ylabel="query")
        title(axes, name, theme)
        if values:
            write_values(axes, each, theme)
    if not values:
        scale(figure, all_axes, painted, "weight", theme)
    return figure


def embedding_similarity(
    vectors: Numbers, *, labels: Sequence[str] | None = None, theme: Theme = LIGHT
) -> Figure:
    """Paint the cosine similarity between any two rows of a table (tokens, features).

    A row of zeros has similarity 0. Raises ValueError if there are not as many labels as rows.
    """
    import numpy as np

    table = as_array(vectors)
    _check_count("labels", labels, len(table), "rows")
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    directions = table / np.where(lengths == 0, 1, lengths)
    figure, (axes,) = map_panels(1, (len(table), len(table)), theme, scaled=True)
    painted = paint(axes, directions @ directions.T, poles(theme), (-1.0, 1.0))
    name_cells(axes, labels, labels)
    scale(figure, [axes], painted, "cosine similarity", theme)
    return figure


def training_curves(
    training: Sequence[Point],
    validation: Sequence[Point] = (),
    *,
    limits: Mapping[str, float] | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw losses over steps: of batches (pale), their means, and of evaluations.

    `limits` are named losses to compare with, such as the best possible one, drawn as dashed lines.
    """
    figure = new_figure(PAGE, 380, theme)
    (axes,) = panels(figure, theme)
    draw_losses(axes, training, validation, theme, limits=limits)
    legend(axes, theme)
    return figure


def losses_over_time(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    limits: Mapping[str, float] | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw named curves of (seconds, loss per character) over a logarithmic axis.

    `limits` are named losses to compare with, drawn as dashed lines.
    """
    figure = new_figure(PAGE, 380, theme)
    (axes,) = panels(figure, theme)
    for name, points in curves.items():
        axes.plot(*zip(*points, strict=True), "o-", markersize=3.5, linewidth=1.8, label=name)
    _draw_limits(axes, limits or {}, theme)
    grid(axes, theme)
    axes.set(xlabel=SECONDS, ylabel=LOSS_PER_CHARACTER, xscale="log")
    legend(axes, theme)
    return figure


def draw_losses(
    axes: Axes,
    training: Sequence[Point],
    validation: Sequence[Point],
    theme: Theme,
    *,
    limits: Mapping[str, float] | None = None,
) -> None:
    """Draw the curves of `training_curves` into a panel."""
    first, second = theme.series[:2]
    if training:
        axes.plot(*zip(*training, strict=True), color=first, alpha=0.3, linewidth=0.8)
        axes.plot(*zip(*smoothed(training), strict=True), color=first, linewidth=1.8, label="training")
    if validation:
        axes.plot(
            *zip(*validation, strict=True),
            "o-",
            color=second,
            markersize=4,
            linewidth=1.8,
            label="validation",
        )
    _draw_limits(axes, limits or {}, theme)
    grid(axes, theme)
    axes.set(xlabel="step", ylabel=LOSS)


def _draw_limits(axes: Axes, limits: Mapping[str, float], theme: Theme) -> None:
    for number, (name, loss) in enumerate(limits.items()):
        axes.axhline(
            loss, color=theme.quiet, linewidth=1.2, linestyle=["--", ":", "-."][number % 3], label=name
        )


def sampling_distributions(
    distributions: Mapping[str, Numbers],
    *,
    labels: Sequence[str] | None = None,
    columns: int = PANELS_IN_A_ROW,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw probabilities (tokens) as bars, one named panel per distribution, on a shared scale.

    Raises ValueError if there are not as many labels as tokens.
    """
    tables = {name: as_array(each) for name, each in distributions.items()}
    count = len(next(iter(tables.values())))
    _check_count("labels", labels, count, "tokens")
    columns = min(len(tables), columns)
    rows = -(-len(tables) // columns)
    figure = new_figure(PAGE, rows * (60 + 23 * count), theme)
    all_axes = panels(figure, theme, rows, columns, sharex=True, sharey=True)
    for axes, (name, probabilities) in zip(
        all_axes, tables.items(), strict=False
    ):  # the last row may have empty panels
        draw_bars(axes, probabilities, labels or [str(token) for token in range(count)], theme)
        title(axes, name, theme)
    for axes in all_axes[len(tables) :]:
        axes.set_axis_off()
    all_axes[0].set_xlim(0, 1.28 * max(float(each.max()) for each in tables.values()))
    all_axes[0].invert_yaxis()
    return figure


def draw_bars(
    axes: Axes, probabilities: Numbers, labels: Sequence[str], theme: Theme, *, hide_zeros: bool = False
) -> None:
    """Draw a distribution into a panel: a bar and its percentage for each token."""
    places = range(len(labels))
    axes.barh(places, list(probabilities), height=0.72, color=theme.series[0])
    for place, share in zip(places, probabilities, strict=True):
        if share or not hide_zeros:
            options: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 8.5}
            colour = theme.ink if share else theme.quiet
            axes.annotate(_percent(share), (share, place), (4, 0), color=colour, **options)
    axes.set_yticks(places, labels)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])


def _percent(share: float) -> str:
    return "< 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def smoothed(points: Sequence[Point], windows: int = 100) -> list[Point]:
    """Return the mean losses of about `windows` consecutive windows, each at its last step."""
    size = max(1, len(points) // windows)
    parts = [points[start : start + size] for start in range(0, len(points), size)]
    return [(part[-1][0], sum(loss for _, loss in part) / len(part)) for part in parts]


def _check_count(name: str, names: Sequence[str] | None, count: int, of: str) -> None:
    if names is not None and len(names) != count:
        raise ValueError(wrong_count(len(names), name, count, of))
