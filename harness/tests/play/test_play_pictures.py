"""The pictures of the page are drawn from a run, and the committed ones are small enough."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.authoring import play_pictures
from harness.authoring.play_pictures import (
    FOLDER,
    MOST_BYTES,
    SCHEMES,
    SIZE,
    VIEWS,
    browser_path,
    picture_path,
)
from harness.course.katas import Course
from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature

PICTURES = [picture_path(REPOSITORY / FOLDER, view, scheme) for view in VIEWS for scheme in SCHEMES]


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_committed_picture_is_small_and_shown_in_both_schemes(path: Path) -> None:
    assert path.stat().st_size < MOST_BYTES
    pages = [REPOSITORY / "README.md", REPOSITORY / "docs" / "play.md"]
    assert any(path.name in page.read_text(encoding="utf-8") for page in pages)


@pytest.mark.skipif(browser_path() is None, reason="no Chromium on the path")
def test_a_run_gives_a_picture_for_each_view_and_scheme(course: Course, tmp_path: Path) -> None:
    from PIL import Image

    pytest.importorskip("playwright.sync_api", reason="needs Playwright, from the extra dev")
    typed = ("--out", str(tmp_path), "--prompt", "line 7 of", "--place", "5")
    run = str(course.root / "runs" / "core")
    done = Miniature(course.root).cold.python("-m", "harness.authoring.play_pictures", run, *typed)
    assert done.code == 0, done.err
    drawn = [picture_path(tmp_path, view, scheme) for view in VIEWS for scheme in SCHEMES]
    for path in drawn:
        with Image.open(path) as picture:
            assert picture.size == (SIZE["width"], SIZE["height"])


def test_without_a_browser_the_command_names_those_that_serve(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(play_pictures, "browser_path", lambda: None)
    result = CliRunner().invoke(play_pictures.main, [str(tmp_path)])
    assert result.exit_code == 1
    assert "install one of chromium" in result.output
