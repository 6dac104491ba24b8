"""The pictures of kata 04, drawn from its solution by `python -m harness.authoring.pictures`."""

from harness.plots.cells import paint
from harness.plots.theme import PAGE, grid, legend, new_figure, panels, poles, title
from katas.k04_embeddings.embeddings import sinusoidal_positions


def positions(theme):
    """The start of a table of sinusoids, and how well the row of one position matches every other."""
    figure = new_figure(PAGE, 360, theme)
    left, right = panels(figure, theme, 1, 2, width_ratios=[4, 5])
    paint(left, sinusoidal_positions(18, 16, base=100), poles(theme), (-1.0, 1.0))
    left.set(
        xlabel="column: sine, cosine, sine, …",
        ylabel="position",
        xticks=range(0, 16, 2),
        yticks=range(0, 18, 4),
    )
    title(left, "sinusoidal_positions(18, 16, base=100)", theme)
    for base in (10, 100, 10_000):
        table = sinusoidal_positions(101, 64, base)
        right.plot(table @ table[50] / 32, label=f"base {base:,}", linewidth=1.8)
    right.set(xlabel="position", xlim=(0, 100))
    grid(right, theme)
    title(right, "product with the row of position 50, scaled to 1", theme)
    legend(right, theme)
    return figure


PICTURES = {"positions": positions}
