"""The file that says which kata needs which."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.authoring.course_file import contradictions
from harness.course.graph import COURSE_FILE, BadCourse, read_entries
from harness.course.katas import load_course

ENTRY = """
[{name}]
track = "advanced"
needs = {needs}
hours = [1, 2.5]
builds = "something"
"""


def course_with(root: Path, **needs: list[str]) -> Path:
    """A folder of katas, and the file with an entry for each that is named."""
    for name in ("k00_a", "k01_b", "k02_c", "k03_d"):
        (root / "katas" / name).mkdir(parents=True)
    (root / COURSE_FILE).write_text("".join(ENTRY.format(name=name, needs=needs[name]) for name in needs))
    return root


def needed(root: Path) -> dict[str, list[str]]:
    course = load_course(root)
    return {kata.topic: [each.topic for each in course.needed(kata)] for kata in course.katas}


def test_a_kata_needs_what_the_katas_that_it_needs_need(tmp_path: Path) -> None:
    root = course_with(tmp_path, k00_a=[], k01_b=["k00_a"], k02_c=["k00_a"], k03_d=["k02_c"])
    assert needed(root) == {"a": [], "b": ["a"], "c": ["a"], "d": ["a", "c"]}


def test_a_kata_without_an_entry_needs_the_one_before_it(tmp_path: Path) -> None:
    root = course_with(tmp_path, k00_a=[], k01_b=["k00_a"], k02_c=[])
    assert needed(root) == {"a": [], "b": ["a"], "c": [], "d": ["c"]}


@pytest.mark.parametrize("text", [None, "not = = toml", "[k00_a]\nneeds = 1", "k00_a = 3", "\udcff"])
def test_without_a_usable_file_the_course_is_a_chain_on_the_core_track(
    tmp_path: Path, text: str | None
) -> None:
    path = course_with(tmp_path) / COURSE_FILE
    path.unlink() if text is None else path.write_bytes(text.encode(errors="surrogateescape"))
    assert needed(tmp_path) == {"a": [], "b": ["a"], "c": ["a", "b"], "d": ["a", "b", "c"]}
    assert {kata.track for kata in load_course(tmp_path).katas} == {"core"}


def test_a_need_that_is_no_earlier_kata_locks_nothing(tmp_path: Path) -> None:
    root = course_with(tmp_path, k00_a=["k00_a", "k03_d", "k09_none"], k01_b=[], k02_c=[], k03_d=["k00_a"])
    assert needed(root) == {"a": [], "b": [], "c": [], "d": ["a"]}


def test_the_entries_say_track_and_hours(tmp_path: Path) -> None:
    entry = read_entries(course_with(tmp_path, k01_b=["k00_a"]))["k01_b"]
    assert (entry.track, entry.needs, entry.hours, entry.builds) == (
        "advanced", ("k00_a",), (1, 2.5), "something"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ("hours = [1, 2.5]", "hours = [2, 1]"),
        ("hours = [1, 2.5]", "hours = 1"),
        ("hours = [1, 2.5]", 'hours = ["1", 2]'),
        ("needs = []", "needs = [3]"),
        ('"advanced"', '"main"'),
        ('builds = "something"', ""),
    ],
)
def test_an_entry_that_lacks_something_is_named(tmp_path: Path, given: str, wrong: str) -> None:
    path = course_with(tmp_path, k01_b=[]) / COURSE_FILE
    path.write_text(path.read_text().replace(given, wrong))
    with pytest.raises(BadCourse, match=r"^\[k01_b\] lacks track"):
        read_entries(tmp_path)


def test_entries_without_katas_and_katas_without_entries_are_reported(tmp_path: Path) -> None:
    entries = read_entries(course_with(tmp_path, k00_a=[], k01_b=["k02_c"]))
    assert contradictions(entries, ["k00_a", "k02_c"]) == [
        "has no entry for k02_c",
        "describes k01_b, which is not a kata",
        "lets k01_b need k02_c, which is not an earlier kata",
    ]
