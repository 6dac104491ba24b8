"""The course and the pair, as the page draws them."""

from __future__ import annotations

from pathlib import Path

from harness.course.kata_tests import file_digest, read_tests
from harness.course.katas import load_course
from harness.pairing.session import Session, pair_of
from harness.play.diagram import PARTS, course_view, pair_view
from harness.play.words import katas_at_work
from harness.progress.ledger import Ledger
from harness.progress.receipts import Receipt, append_receipt, progress_path
from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature


def test_every_core_kata_builds_a_part() -> None:
    core = {kata.name for kata in load_course(REPOSITORY).katas if kata.track == "core"}
    assert {part.kata for part in PARTS} == core


def test_every_part_has_a_place_on_the_page() -> None:
    script = (Path(__file__).parents[2] / "play" / "page" / "course.js").read_text(encoding="utf-8")
    assert [part.place for part in PARTS if f'"{part.place}"' not in script] == []


def test_the_next_test_comes_with_its_sentence(mini: Miniature) -> None:
    view = course_view(mini.course, Ledger(mini.course).progress())
    assert view["next"] == {
        "kata": "00 doubles",
        "test": "test_double_of_one",
        "requirement": "Twice one is two.",
        "command": "pytest katas/00",
    }
    assert [kata["state"] for kata in view["katas"]] == ["current", "locked"]
    assert view["katas"][0]["builds"] == "twice a number"
    assert (view["passed"], view["tests"], view["parts"]) == (0, 6, [])


def test_a_complete_course_has_no_next_test(mini: Miniature) -> None:
    for kata in mini.course.katas:
        names = tuple(test.name for test in read_tests(kata))
        digests = file_digest(kata.tests), file_digest(kata.stub)
        append_receipt(progress_path(mini.course), Receipt(kata.name, names, *digests, "2026-01-01T00:00:00"))
    view = course_view(mini.course, Ledger(mini.course).progress())
    assert view["next"] is None
    assert [kata["complete"] for kata in view["katas"]] == [True, True]


def test_a_pair_has_a_driver_a_navigator_and_the_time_that_is_left() -> None:
    session = Session(pair_of("Ana", "Bo", 7), 7.0, began=100.0, turn_began=100.0, latest=100.0)
    assert pair_view(session, 160.0) == {
        "driver": "Ana",
        "navigator": "Bo",
        "left": 360.0,
        "turn": 420.0,
        "swaps": 0,
        "tests": 0,
    }
    assert pair_view(None, 0.0) is None


def test_one_line_says_whose_katas_are_at_work() -> None:
    katas = load_course(REPOSITORY).katas
    assert katas_at_work(katas[:10], []) == "Your own katas are at work: 00–09."
    assert katas_at_work([], katas[:3]) == "The reference is at work in place of your katas: 00–02."
    assert (
        katas_at_work([*katas[:2], katas[4]], [*katas[2:4], *katas[5:10]])
        == "At work: your katas 00, 01, 04; the reference for 02, 03, 05–09."
    )
