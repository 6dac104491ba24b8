"""The pictures of the pages: current, shown on a page, and small."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from harness.authoring.pictures import read_record, record
from harness.course.katas import load_course
from harness.tests.conftest import REPOSITORY
from harness.tests.support import commands

pytestmark = pytest.mark.measured

COMMAND = "python -m harness.authoring.pictures"
KATAS = load_course(REPOSITORY).katas
PICTURES = sorted(REPOSITORY.glob("katas/*/pictures/*.svg"))
DRAW = """
import sys
from pathlib import Path
from harness.course.katas import load_course
from harness.authoring.pictures import draw
course = load_course(Path.cwd())
draw(course, course.katas, Path(sys.argv[1]))
"""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_CLOSE = 2.0  # points: fonts are measured a little differently by other builds of the same matplotlib
_ALIKE = 4  # of 255: a number that torch computes differently in its last digit may get the next shade


def name_of(path: Path) -> str:
    return f"{path.parts[-3]}/{path.stem}"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all pictures as the code draws them now: drawn once for all workers of pytest-xdist."""
    ours = tmp_path_factory.getbasetemp()
    folder = (ours.parent if "PYTEST_XDIST_WORKER" in os.environ else ours) / "drawn"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            draw_all(folder)
    return folder


def draw_all(folder: Path) -> None:
    """Draw the pictures, in a process of their own, into a folder that is there once all are."""
    unfinished = folder.with_suffix(".unfinished")
    environment = commands.without_coverage(os.environ)  # with it the drawing takes half as long again
    done = commands.run([sys.executable, "-c", DRAW, str(unfinished)], REPOSITORY, environment, timeout=600)
    assert done.returncode == 0, done.stderr.decode()
    unfinished.rename(folder)


def maker(svg: str) -> str:
    return re.search(r"<dc:title>(.*)</dc:title>", svg)[1]


def words(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>(.*?)</text>", svg, flags=re.DOTALL)


def shape(svg: str) -> str:
    """Return the picture without positions and colours; ids are digests of their contents."""
    svg = re.sub(r'(id="|#)[A-Za-z]+[0-9a-f_]*(?=[")])', r"\1id", svg)
    return _NUMBER.sub("0", _COLOUR.sub("#", svg))


def numbers(svg: str) -> list[float]:
    svg = re.sub(r'(id="|xlink:href="#|url\(#)[^")]*', "", svg)
    return [float(number) for number in _NUMBER.findall(_COLOUR.sub("", svg))]


def channels(svg: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for colour in _COLOUR.findall(svg) for at in (1, 3, 5)]


def test_the_committed_pictures_are_the_drawn_ones(drawn: Path) -> None:
    there = {path.relative_to(REPOSITORY / "katas") for path in PICTURES}
    wanted = {path.relative_to(drawn) for path in drawn.glob("*/pictures/*.svg")}
    assert there == wanted, f"type: {COMMAND}, and delete what it does not draw"


@pytest.mark.parametrize("path", PICTURES, ids=name_of)
def test_a_picture_is_current(path: Path, drawn: Path) -> None:
    committed = path.read_text(encoding="utf-8")
    now = (drawn / path.relative_to(REPOSITORY / "katas")).read_text(encoding="utf-8")
    if committed == now:
        return
    assert words(committed) == words(now), f"type: {COMMAND}"
    if maker(committed) == maker(now):  # another matplotlib may draw the same in another way
        assert shape(committed) == shape(now), f"type: {COMMAND}"
        assert numbers(now) == pytest.approx(numbers(committed), abs=_CLOSE), f"type: {COMMAND}"
        assert channels(now) == pytest.approx(channels(committed), abs=_ALIKE), f"type: {COMMAND}"


@pytest.mark.parametrize("path", PICTURES, ids=name_of)
def test_a_picture_is_small_and_has_neither_pixels_nor_a_date(path: Path) -> None:
    svg = path.read_text(encoding="utf-8")
    assert len(svg) < 40_000
    assert "<image" not in svg, "pixels are not sharp at every size"
    assert "dc:date" not in svg


@pytest.mark.parametrize("kata", KATAS, ids=lambda kata: kata.name)
def test_a_theory_page_shows_a_picture(kata) -> None:
    assert shown_on(kata.folder / "theory.md") != []


@pytest.mark.parametrize("path", PICTURES, ids=name_of)
def test_a_page_of_its_kata_shows_the_picture(path: Path) -> None:
    pages = sorted(path.parents[1].glob("*.md"))
    assert any(f"pictures/{path.name}" in pair for page in pages for pair in shown_on(page))


def shown_on(page: Path) -> list[tuple[str, str]]:
    """Return the embedded pictures of a page, each as a dark and a light one."""
    text = page.read_text(encoding="utf-8")
    for picture in re.findall(r"<picture>.*?</picture>", text, flags=re.DOTALL):
        assert re.search(r'alt="[^"]{20,}"', picture), f"{page}: say what the picture shows: {picture}"
    embedded = re.findall(
        r'<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="([^"]+)">\s*<img src="([^"]+)"',
        text,
    )
    assert len(embedded) == text.count("<picture>"), f"{page}: a picture has a dark source and a light image"
    assert all(dark.replace("-dark.", "-light.") == light for dark, light in embedded)
    return embedded


def test_a_record_keeps_the_losses_of_a_run_but_not_every_step(tmp_path: Path) -> None:
    rows = "".join(f"{step},{1 / step},0.1\n" for step in range(1, 1001))
    (tmp_path / "steps.csv").write_text("step,loss,learning_rate\n" + rows, encoding="utf-8")
    (tmp_path / "evaluations.jsonl").write_text(
        json.dumps({"step": 0, "val_loss": 1.5}) + "\n", encoding="utf-8"
    )
    record(tmp_path, "harness train", tmp_path / "run.json")
    kept = read_record(tmp_path / "run.json")
    assert kept.command == "harness train"
    assert kept.steps[:2] == [(1, 1.0), (4, 0.25)] and len(kept.steps) == 334
    assert kept.evaluations == [(0, 1.5)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "No katas here"), (["k77"], "There is no kata 'k77'")],
    ids=["no course", "no kata"],
)
def test_an_impossible_request_is_refused(arguments, message, tmp_path: Path) -> None:
    folder = REPOSITORY if arguments else tmp_path
    command = [sys.executable, "-m", "harness.authoring.pictures", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr
