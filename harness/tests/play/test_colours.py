"""Text on the page has enough contrast, in light and in dark, on every shade."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "play" / "page"
STYLE = (PAGE / "play.css").read_text(encoding="utf-8")
LEAST = 4.5  # WCAG 2.2, success criterion 1.4.3, for text of any size
Colour = tuple[float, ...]


def themes() -> dict[str, dict[str, str]]:
    """Return the variables of both themes; the dark ones stand there twice."""
    light = re.search(r"^:root \{(.*?)^\}", STYLE, re.DOTALL | re.MULTILINE)[1]
    dark = re.search(r':root\[data-theme="dark"\] \{(.*?)\}', STYLE, re.DOTALL)[1]
    return {
        name: dict(re.findall(r"--([\w-]+): ([^;]+);", text))
        for name, text in (("light", light), ("dark", dark))
    }


def colour(text: str) -> Colour:
    return tuple(int(text[place : place + 2], 16) / 255 for place in (1, 3, 5))


def mixed(over: Colour, under: Colour, share: str) -> Colour:
    part = float(share.removesuffix("%")) / 100
    return tuple(part * a + (1 - part) * b for a, b in zip(over, under, strict=True))


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio of two colours, by WCAG's definition."""

    def luminance(values: Colour) -> float:
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_text_can_be_read_on_what_is_behind_it(name: str) -> None:
    theme = {key: value for key, value in themes()[name].items() if value.startswith("#")}
    pairs = [
        ("ink", "ground"),
        ("ink", "card"),
        ("ink", "soft"),
        ("quiet", "ground"),
        ("quiet", "card"),
        ("quiet", "soft"),
    ]
    pairs += (
        [("on-accent", "accent"), ("bad", "card"), ("good", "card"), ("warm", "card")]
        if name == "dark"
        else [("on-accent", "accent"), ("bad", "card"), ("good", "card")]
    )
    poor = {pair: contrast(colour(theme[pair[0]]), colour(theme[pair[1]])) for pair in pairs}
    assert {pair: round(ratio, 2) for pair, ratio in poor.items() if ratio < LEAST} == {}


@pytest.mark.parametrize("name", ["light", "dark"])
@pytest.mark.parametrize(("shade", "strength"), [("warm", "shading"), ("read", "reading")])
def test_text_can_be_read_on_the_strongest_shade(name: str, shade: str, strength: str) -> None:
    theme = themes()[name]
    behind = mixed(colour(theme[shade]), colour(theme["card"]), theme[strength])
    assert contrast(colour(theme["ink"]), behind) >= LEAST


def test_both_places_of_the_dark_theme_agree() -> None:
    blocks = re.findall(r"(--ground: #0b0f15;.*?)\n ?\}", STYLE, re.DOTALL)
    assert len(blocks) == 2
    assert blocks[0] == blocks[1]


def test_the_page_names_no_other_host_and_needs_no_inline_code() -> None:
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//[a-z]+\.[a-z]", text), path.name
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", html)
