"""Katas are found in their folders and by the KATA argument."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.course.katas import Course, Kata, UnknownKata, find_root, load_course, resolve_kata

NAMES = ("k00_numbers", "k01_layers", "k10_byte_pairs")


@pytest.fixture
def course(tmp_path: Path) -> Course:
    for name in reversed(NAMES):
        (tmp_path / "katas" / name).mkdir(parents=True)
    return load_course(tmp_path)


def test_katas_are_ordered_by_number(course: Course):
    assert [kata.name for kata in course.katas] == list(NAMES)


@pytest.mark.parametrize("name", ["__pycache__", "k1_short", "k02", "k03_Upper", "notes", ".k04_hidden"])
def test_other_folders_are_not_katas(course: Course, name: str):
    (course.root / "katas" / name).mkdir()
    assert load_course(course.root) == course


def test_a_file_named_like_a_kata_is_not_one(course: Course):
    (course.root / "katas" / "k02_file").touch()
    assert load_course(course.root) == course


@pytest.mark.parametrize("argument", ["1", "01", "k1", "k01", "k01_layers"])
def test_a_kata_argument_may_be_a_number_or_a_name(course: Course, argument: str):
    assert resolve_kata(course, argument).name == "k01_layers"


def test_ten_is_not_one_with_a_zero(course: Course):
    assert resolve_kata(course, "10").topic == "byte_pairs"


@pytest.mark.parametrize(
    ("argument", "guess"),
    [
        ("k01_layer", " Did you mean k01_layers?"),
        ("layers", " Did you mean k01_layers?"),
        ("bytepairs", " Did you mean k10_byte_pairs?"),
        ("7", ""),
        ("001", ""),
        ("-1", ""),
        ("", ""),
    ],
)
def test_an_unknown_kata_gets_the_nearest_one_as_a_suggestion(course: Course, argument: str, guess: str):
    with pytest.raises(UnknownKata) as raised:
        resolve_kata(course, argument)
    assert str(raised.value) == f"There is no kata {argument!r}; the katas are 00 to 10.{guess}"


@pytest.mark.parametrize("folder", [".", "katas", "katas/k01_layers", "docs/deep/down"])
def test_the_root_is_found_from_every_folder_in_it(course: Course, folder: str):
    (course.root / folder).mkdir(parents=True, exist_ok=True)
    assert find_root(course.root / folder) == course.root


def test_the_nearest_course_is_the_root(course: Course):
    inner = course.root / "clone"
    (inner / "katas" / "k00_other").mkdir(parents=True)
    assert find_root(inner / "katas") == inner


def test_a_folder_outside_a_course_has_no_root(tmp_path: Path):
    (tmp_path / "katas" / "empty").mkdir(parents=True)
    assert find_root(tmp_path / "katas" / "empty") is None


@pytest.mark.parametrize(
    "path", ["katas/k01_layers", "katas/k01_layers/deep/notes.md", "solutions/k01_layers/layers.py"]
)
def test_a_file_belongs_to_the_kata_whose_folder_contains_it(course: Course, path: str):
    assert course.kata_of(course.root / path) == course.katas[1]


@pytest.mark.parametrize("path", ["katas", "katas/k01_layers_old/layers.py", "harness/course/katas.py", "/"])
def test_other_files_do_not_belong_to_a_kata(course: Course, path: str):
    assert course.kata_of(course.root / path) is None


def test_a_kata_knows_its_files_and_names(tmp_path: Path):
    kata = Kata(tmp_path, "k10_byte_pairs")
    assert (kata.title, kata.command) == ("10 byte pairs", "pytest katas/10")
    assert kata.module == "katas.k10_byte_pairs.byte_pairs"
    own = [kata.stub, kata.tests, kata.hints, kata.solution]
    assert [path.relative_to(tmp_path).as_posix() for path in own] == [
        "katas/k10_byte_pairs/byte_pairs.py",
        "katas/k10_byte_pairs/test_byte_pairs.py",
        "katas/k10_byte_pairs/hints.toml",
        "solutions/k10_byte_pairs/byte_pairs.py",
    ]


def test_paths_are_relative_to_the_root(course: Course):
    assert course.relative(course.katas[1].stub) == "katas/k01_layers/layers.py"


def test_paths_outside_are_absolute(course: Course):
    outside = course.root.parent / "elsewhere.py"
    assert course.relative(outside) == str(outside)


def test_progress_is_recorded_in_one_folder(course: Course):
    assert course.state == course.root / ".harness"
