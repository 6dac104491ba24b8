"""The picture of a session shows the current output of pytest."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from harness.authoring.session_picture import COLUMNS, PICTURE, as_svg, session
from harness.course.katas import Course, load_course
from harness.tests.support.miniature import Miniature

pytestmark = [pytest.mark.slow, pytest.mark.measured]


def words(svg: str) -> list[str]:
    """Return the text in the picture."""
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    return [html.unescape(text).strip() for text in texts]


def type_pytest(course: Course) -> str:
    return Miniature(course.root).pytest("--color=yes", COLUMNS=str(COLUMNS)).out


def test_the_picture_shows_the_output_of_pytest(repository: Path) -> None:
    text = session(load_course(repository), type_pytest)
    assert "You mask after the softmax" in text  # the mistake is named
    shown = (repository / PICTURE).read_text(encoding="utf-8")
    assert words(shown) == words(as_svg(text)), "regenerate it:  python -m harness.authoring.session_picture"
    assert "http" not in shown.replace("http://www.w3.org/2000/svg", "")  # nothing is loaded from the network
