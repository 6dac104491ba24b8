"""An SVG is reproducible, transparent, and has words as text."""

from __future__ import annotations

from xml.etree import ElementTree

from harness.plots.theme import DARK, as_svg, new_figure, panels


def drawn() -> str:
    figure = new_figure(400, 200, DARK)
    (axes,) = panels(figure, DARK)
    axes.plot([0, 1], [0.123456, 1])
    axes.set_title("a < b")
    return as_svg(figure)


def test_an_svg_is_reproducible_and_has_the_requested_size() -> None:
    svg = drawn()
    assert drawn() == svg
    root = ElementTree.fromstring(svg)
    assert (root.get("width"), root.get("height")) == ("400", "200")


def test_an_svg_has_words_as_text_short_numbers_and_no_date() -> None:
    svg = drawn()
    assert "a &lt; b</text>" in svg
    assert "sans-serif" in svg and "DejaVu" not in svg
    assert "date" not in svg.lower()
    assert "." in svg and all(len(part.split()[0]) <= 4 for part in svg.split(' d="M ')[1].split(".")[1:3])


def test_an_svg_is_transparent() -> None:
    assert DARK.paper not in drawn()
