"""What the pictures show: the data on their axes and the words beside them, not the pixels."""

from __future__ import annotations

import math
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from harness.plots import figures
from harness.plots.theme import DARK, LIGHT, as_svg, new_figure, panels

WEIGHTS = [[1.0, 0.0], [0.25, 0.75]]


def maps(figure):
    """The panels with a map, without the scale beside them."""
    return [axes for axes in figure.axes if axes.get_label() != "scale"]


def shown(axes) -> np.ndarray:
    """The numbers of the map in a panel, where they are painted; NaN where nothing is."""
    (cells,) = axes.collections
    columns, rows = (round(abs(end - start)) for start, end in (axes.get_xlim(), axes.get_ylim()))
    table = np.full((rows, columns), np.nan)
    x, y = cells.get_offsets().astype(int).T
    table[y, x] = cells.get_array()
    return table


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_attention_map_paints_queries_from_the_top_and_keys_from_the_left() -> None:
    (axes,) = maps(figures.attention_maps(WEIGHTS, tokens=["the", "cat"]))
    assert np.array_equal(shown(axes), [[1.0, np.nan], [0.25, 0.75]], equal_nan=True)
    assert axes.yaxis_inverted()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("key", "query")
    for axis in (axes.xaxis, axes.yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == ["the", "cat"]


def test_each_head_has_a_panel_and_all_share_one_scale() -> None:
    figure = figures.attention_maps(np.stack([np.eye(3), np.full((3, 3), 1 / 3)]))
    heads = maps(figure)
    assert [axes.get_title(loc="left") for axes in heads] == ["head 0", "head 1"]
    assert {axes.collections[0].get_clim() for axes in heads} == {(0.0, 1.0)}
    assert figure.axes[-1].get_label() == "scale"


def test_numbers_of_an_attention_map_are_written_into_it_if_wanted() -> None:
    (axes,) = maps(figures.attention_maps(WEIGHTS, values=True))
    assert texts(axes) == ["1", ".25", ".75"], "what is hidden stays empty"


def test_attention_map_takes_tensors_with_a_gradient_and_keys_of_their_own() -> None:
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
def test_attention_map_says_what_does_not_fit(wrong, message) -> None:
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


def test_training_curves_of_nothing_are_an_empty_picture() -> None:
    assert figures.training_curves([]).axes[0].lines[:] == []
    assert figures.training_curves([(1, math.nan)]).axes[0].lines[:] != []


def test_smoothing_takes_means_of_consecutive_windows() -> None:
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


def test_distributions_stand_side_by_side_on_one_scale() -> None:
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
def test_a_picture_has_the_colours_of_its_theme(theme) -> None:
    figure = figures.training_curves([(1, 2.0), (2, 1.0)], theme=theme)
    assert figure.get_facecolor() == pytest.approx(new_figure(100, 100, theme).get_facecolor())
    assert figure.axes[0].lines[1].get_color() == theme.series[0]
    assert figure.axes[0].xaxis.label.get_color() == theme.quiet


def drawn() -> str:
    figure = new_figure(400, 200, DARK)
    (axes,) = panels(figure, DARK)
    axes.plot([0, 1], [0.123456, 1])
    axes.set_title("a < b")
    return as_svg(figure)


def test_an_svg_is_the_same_each_time_and_as_wide_as_asked_for() -> None:
    svg = drawn()
    assert drawn() == svg
    root = ElementTree.fromstring(svg)
    assert (root.get("width"), root.get("height")) == ("400", "200")


def test_an_svg_holds_its_words_as_text_and_no_date_nor_long_numbers() -> None:
    svg = drawn()
    assert "a &lt; b</text>" in svg
    assert "sans-serif" in svg and "DejaVu" not in svg
    assert "date" not in svg.lower()
    assert "." in svg and all(len(part.split()[0]) <= 4 for part in svg.split(' d="M ')[1].split(".")[1:3])


def test_an_svg_leaves_the_page_visible() -> None:
    assert DARK.paper not in drawn()


def test_a_notebook_shows_a_picture_without_being_told_how() -> None:
    figure = figures.attention_maps(WEIGHTS)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_importing_plots_does_not_import_matplotlib() -> None:
    code = "import sys, harness.plots; sys.exit('matplotlib' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
