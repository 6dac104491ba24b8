"""Boxes, arrows and words are placed in pixels from the upper left corner."""

from __future__ import annotations

import pytest
from matplotlib.colors import to_hex

from harness.plots.boxes import Diagram
from harness.plots.theme import DARK, LIGHT, as_svg


@pytest.fixture
def page() -> Diagram:
    return Diagram(400, 200, LIGHT)


def words(page: Diagram) -> dict[str, tuple[float, float]]:
    return {text.get_text(): text.get_position() for text in page.figure.axes[0].texts}


def test_a_box_has_its_text_above_its_note(page: Diagram) -> None:
    page.box((100, 50), (80, 40), "lm_head", "#0a66c2", note="a score")
    (box,) = page.figure.axes[0].patches
    assert box.get_bbox().bounds == (60, 30, 80, 40)
    assert to_hex(box.get_edgecolor()) == "#0a66c2"
    placed = words(page)
    assert placed["lm_head"][1] < 50 < placed["a score"][1], "y counts downwards"


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_a_box_hides_the_stream_behind_it(theme) -> None:
    page = Diagram(400, 200, theme)
    page.stream((10, 50), (390, 50))
    page.box((100, 50), (80, 40), "", theme.series[0])
    (box,), (stream,) = page.figure.axes[0].patches, page.figure.axes[0].lines
    assert box.get_facecolor()[3] == 1.0
    assert box.get_zorder() > stream.get_zorder()


def test_an_arrow_follows_its_path_and_can_lack_a_head(page: Diagram) -> None:
    path = [(10, 10), (50, 10), (50, 90)]
    page.arrow(*path)
    page.arrow((0, 0), (9, 9), head=False)
    arrow, line = page.figure.axes[0].patches
    assert arrow._path_original.vertices.tolist() == [list(place) for place in path]
    assert [type(each.get_arrowstyle()).__name__ for each in (arrow, line)] == ["CurveFilledB", "Curve"]


@pytest.mark.parametrize(("rise", "higher"), [(20, True), (-20, False)])
def test_an_arc_joins_its_ends_above_or_below(page: Diagram, rise: float, higher: bool) -> None:
    page.arc((10, 100), (90, 100), rise)
    (arc,) = page.figure.axes[0].patches
    start, *between, end = arc._path_original.vertices.tolist()
    assert (start, end) == ([10, 100], [90, 100])
    assert all((y < 100) == higher for _, y in between), "y counts downwards"


def test_an_inset_is_placed_by_its_corner(page: Diagram) -> None:
    axes = page.inset((100, 20), (200, 50))
    assert axes.get_position().bounds == pytest.approx((0.25, 0.65, 0.5, 0.25))


def test_words_can_be_quiet(page: Diagram) -> None:
    page.text((10, 10), "loud")
    page.text((10, 30), "quiet", quiet=True)
    page.plus((100, 100))
    svg = as_svg(page.figure)
    assert f'fill: {LIGHT.quiet}" x="7.5"' in svg
    assert f'fill: {LIGHT.ink}" x="7.5"' in svg
