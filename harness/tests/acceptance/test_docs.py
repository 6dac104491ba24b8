"""The pages in docs/ agree with the katas: test names, order, sections."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from harness.course.kata_tests import read_tests
from harness.course.katas import load_course
from harness.tests.conftest import REPOSITORY

KATAS = load_course(REPOSITORY).katas
CORE = [kata for kata in KATAS if kata.track == "core"]
ADVANCED = [kata for kata in KATAS if kata.track == "advanced"]
ORDER = [(kata.number, test.name) for kata in CORE for test in read_tests(kata)]
ROADMAP = REPOSITORY / "katas" / "k09_capstone" / "ROADMAP.md"


def page(name: str) -> str:
    return (REPOSITORY / "docs" / name).read_text(encoding="utf-8")


def plans() -> list[list[tuple[str, str]]]:
    """Return the stops of each plan in docs/daily_cadence.md: (number of the kata, test)."""
    sections = re.split(r"^## ", page("daily_cadence.md"), flags=re.MULTILINE)
    found = [re.findall(r"\| (\d\d) `(test_\w+)` \|$", section, re.MULTILINE) for section in sections]
    return [stops for stops in found if stops]


@pytest.mark.parametrize(("plan", "stops"), [(0, 8), (1, 17)], ids=["eight days", "seventeen sessions"])
def test_the_stops_of_each_plan_are_tests_in_the_order_of_the_course(plan: int, stops: int) -> None:
    places = [ORDER.index(stop) for stop in plans()[plan]]
    assert len(places) == stops
    assert all(before < after for before, after in pairwise(places))


def test_eight_days_end_with_the_last_test() -> None:
    assert plans()[0][-1] == ORDER[-1]


def test_every_advanced_kata_has_a_stop_on_its_way() -> None:
    assert [number for number, _ in plans()[2]] == [kata.number for kata in ADVANCED]
    for kata, (_, stop) in zip(ADVANCED, plans()[2], strict=True):
        assert stop in [test.name for test in read_tests(kata)[2:-2]]


def test_roads_through_the_advanced_track_reach_every_kata_after_what_it_needs() -> None:
    course = load_course(REPOSITORY)
    rows = re.findall(r"^\|[^|]+\| (\[\d\d\].*?) \|", page("daily_cadence.md"), re.MULTILINE)
    roads = [re.findall(r"\[(\d\d)\]", row) for row in rows if "](../katas/k0" not in row]
    assert {number for road in roads for number in road} == {kata.number for kata in ADVANCED}
    for kata in ADVANCED:
        before = {each.number for each in course.needed(kata) if each.track == "advanced"}
        for road in roads:
            assert kata.number not in road or before <= set(road[: road.index(kata.number)])


def test_the_roadmap_goes_through_the_capstone_in_three_sessions_of_90_minutes() -> None:
    sessions = re.split(r"^## ", ROADMAP.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert [sum(map(int, re.findall(r"^\| (\d+) \|", text, re.MULTILINE))) for text in sessions] == [90] * 3
    named = [name for text in sessions for name in re.findall(r"`(test_\w+)` \|$", text, re.MULTILINE)]
    places = [ORDER.index((CORE[-1].number, name)) for name in named]
    assert all(before < after for before, after in pairwise(places))
    assert places[-1] == len(ORDER) - 1


@pytest.mark.parametrize("kata", KATAS, ids=lambda kata: kata.name)
def test_every_kata_has_its_resources(kata) -> None:
    assert f"](../katas/{kata.name}/theory.md)" in page("resources.md")


def test_the_glossary_is_sorted_and_links_every_term_to_its_theory() -> None:
    entries = page("glossary.md").split("\n\n")[2:]
    assert all(
        re.search(r"\]\(\.\./katas/k\d\d_\w+/theory\.md#[\w-]+\)$", entry.strip()) for entry in entries
    )
    terms = [re.match(r"\*\*(.+?)\*\*", entry)[1] for entry in entries]
    keys = [re.sub(r"\$|\\text|[{}]", "", term).replace("_", " ").lower() for term in terms]
    assert keys == sorted(keys)


def test_a_page_is_not_too_long() -> None:
    """Only pages that nobody reads from end to end may be longer than two hundred lines."""
    reference = {"review_questions.md", "glossary.md", "architecture.md", "experiments.md", "resources.md"}
    pages = [*(REPOSITORY / "docs").glob("*.md"), *REPOSITORY.glob("*.md"), ROADMAP]
    long = [path for path in pages if len(path.read_text(encoding="utf-8").splitlines()) > 200]
    assert {path.name for path in long} <= reference


@pytest.mark.parametrize("name", ["bug", "correct_code_rejected", "mistake_or_unclear"])
def test_an_issue_template_has_a_name_and_says_when_to_use_it(name: str) -> None:
    import yaml

    path: Path = REPOSITORY / ".github" / "ISSUE_TEMPLATE" / f"{name}.md"
    front = yaml.safe_load(path.read_text(encoding="utf-8").split("---\n")[1])
    assert {"name", "about", "labels"} == front.keys()
