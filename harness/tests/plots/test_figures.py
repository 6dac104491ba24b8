"""Figures show the right data, axes and words; pixels are not tested."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from harness.plots import figures
from harness.plots.theme import DARK, LIGHT, new_figure

WEIGHTS = [[1.0, 0.0], [0.25, 0.75]]


def maps(figure):
    """Return the panels with a map, without the colour bar."""
    return [axes for axes in figure.axes if axes.get_label() != "scale"]


def shown(axes) -> np.ndarray:
    """Return the painted numbers of a map; NaN where nothing is painted."""
    (cells,) = axes.collections
    columns, rows = (round(abs(end - start)) for start, end in (axes.get_xlim(), axes.get_ylim()))
    table = np.full((rows, columns), np.nan)
    x, y = cells.get_offsets().astype(int).T
    table[y, x] = cells.get_array()
    return table


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_an_attention_map_has_queries_as_rows_and_keys_as_columns() -> None:
    (axes,) = maps(figures.attention_maps(WEIGHTS, tokens=["the", "cat"]))
    assert np.array_equal(shown(axes), [[1.0, np.nan], [0.25, 0.75]], equal_nan=True)
    assert axes.yaxis_inverted()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("key", "query")
    for axis in (axes.xaxis, axes.yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == ["the", "cat"]


def test_each_head_has_a_panel_with_a_shared_scale() -> None:
    figure = figures.attention_maps(np.stack([np.eye(3), np.full((3, 3), 1 / 3)]))
    heads = maps(figure)
    assert [axes.get_title(loc="left") for axes in heads] == ["head 0", "head 1"]
    assert {axes.collections[0].get_clim() for axes in heads} == {(0.0, 1.0)}
    assert figure.axes[-1].get_label() == "scale"


def test_weights_can_be_written_into_an_attention_map() -> None:
    (axes,) = maps(figures.attention_maps(WEIGHTS, values=True))
    assert texts(axes) == ["1", ".25", ".75"], "hidden cells stay empty"


def test_an_attention_map_accepts_tensors_with_a_gradient_and_separate_keys() -> None:
    torch = pytest.importorskip("torch")
    weights = torch.rand(2, 3, requires_grad=True).softmax(dim=-1)
    (axes,) = maps(figures.attention_maps(weights, tokens="ab", keys="xyz", titles=["mine"]))
    assert shown(axes).shape == (2, 3)
    assert [label.get_text() for label in axes.xaxis.get_ticklabels()] == ["x", "y", "z"]
    assert axes.get_title(loc="left") == "mine"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weights": np.ones(3)}, r"weights of shape \(3,\).*queries, keys"),
        ({"weights": np.ones((2, 2)), "tokens": "abc"}, "3 tokens for 2 queries"),
        ({"weights": np.ones((2, 2)), "titles": ["a", "b"]}, "2 titles for 1 maps"),
    ],
)
def test_an_attention_map_rejects_arguments_that_do_not_match(wrong, message) -> None:
    with pytest.raises(ValueError, match=message):
        figures.attention_maps(**wrong)


def test_a_large_map_is_painted_as_an_image() -> None:
    (axes,) = maps(figures.attention_maps(np.eye(64)))
    assert np.array_equal(axes.images[0].get_array().filled(0), np.eye(64))


def test_training_curves_show_steps_their_means_evaluations_and_limits() -> None:
    training = [(step, 4 - step / 100) for step in range(1, 201)]
    figure = figures.training_curves(training, [(0, 4.2), (200, 2.1)], limits={"best possible": 1.5})
    (axes,) = figure.axes
    single, means, validation = axes.lines[:3]
    assert len(single.get_xdata()) == 200
    assert list(means.get_xydata()[-1]) == [200, pytest.approx(np.mean([y for _, y in training[-2:]]))]
    assert validation.get_xydata().tolist() == [[0, 4.2], [200, 2.1]]
    assert [line.get_label() for line in axes.lines[1:]] == ["training", "validation", "best possible"]
    assert list(axes.lines[3].get_ydata()) == [1.5, 1.5]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "loss (nats per token)")


def test_training_curves_without_points_are_empty() -> None:
    assert figures.training_curves([]).axes[0].lines[:] == []
    assert figures.training_curves([(1, math.nan)]).axes[0].lines[:] != []


def test_smoothing_averages_consecutive_windows() -> None:
    assert figures.smoothed([(1, 1.0), (2, 3.0), (3, 5.0), (4, 7.0)], windows=2) == [(2, 2.0), (4, 6.0)]


def test_similarity_is_the_cosine_of_the_angle_between_two_vectors() -> None:
    (axes,) = maps(
        figures.embedding_similarity([[3.0, 0.0], [1.0, 1.0], [-2.0, 0.0], [0.0, 0.0]], labels="abcd")
    )
    half = 1 / math.sqrt(2)
    wanted = [[1, half, -1, 0], [half, 1, -half, 0], [-1, -half, 1, 0], [0, 0, 0, 0]]
    assert shown(axes) == pytest.approx(np.array(wanted))
    assert axes.collections[0].get_clim() == (-1.0, 1.0)
    assert [label.get_text() for label in axes.xaxis.get_ticklabels()] == list("abcd")


def test_distributions_share_a_scale() -> None:
    both = {"temperature 0.5": [0.8, 0.2, 0.0], "temperature 2": [0.5, 0.3, 0.2]}
    figure = figures.sampling_distributions(both, labels=["mat", "roof", "moon"])
    left, right = figure.axes
    assert [left.get_title(loc="left"), right.get_title(loc="left")] == list(both)
    for axes, probabilities in zip(figure.axes, both.values(), strict=True):
        assert [bar.get_width() for bar in axes.patches] == probabilities
    assert left.get_xlim() == right.get_xlim()
    assert [label.get_text() for label in left.yaxis.get_ticklabels()] == ["mat", "roof", "moon"]
    assert texts(left) == ["80 %", "20 %", "0 %"]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_a_figure_has_the_colours_of_its_theme(theme) -> None:
    figure = figures.training_curves([(1, 2.0), (2, 1.0)], theme=theme)
    assert figure.get_facecolor() == pytest.approx(new_figure(100, 100, theme).get_facecolor())
    assert figure.axes[0].lines[1].get_color() == theme.series[0]
    assert figure.axes[0].xaxis.label.get_color() == theme.quiet


def test_a_notebook_can_display_a_figure() -> None:
    figure = figures.attention_maps(WEIGHTS)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_importing_plots_does_not_import_matplotlib() -> None:
    code = "import sys, harness.plots; sys.exit('matplotlib' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
