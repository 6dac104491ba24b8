"""What the paths on a pytest command line mean, typed in any folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.course.katas import Course, load_course
from harness.run.selection import BadArgument, bare_touches_katas, select

TESTS = "katas/k01_layers/test_layers.py"


@pytest.fixture
def course(tmp_path: Path) -> Course:
    root = tmp_path.resolve()
    for folder in ("katas/k00_numbers", "katas/k01_layers", "harness/tests", "docs"):
        (root / folder).mkdir(parents=True)
    (root / TESTS).touch()
    (root / "harness/tests/test_words.py").touch()
    return load_course(root)


@pytest.mark.parametrize(
    ("arg", "here"),
    [
        ("katas/01", "."),
        ("katas/1", "."),
        ("katas/k01", "."),
        ("katas/01/", "."),
        ("./katas/01", "."),
        ("1", "."),
        ("01", "katas"),
        ("k1", "katas/k00_numbers"),
        ("../01", "katas/k00_numbers"),
        ("../katas/01", "docs"),
        ("01", "harness/tests"),
    ],
)
def test_a_number_stands_for_the_katas_folder_from_anywhere(course: Course, arg: str, here: str):
    selection = select(course, [arg], course.root / here)
    assert selection.args == (str(course.katas[1].folder),)
    assert selection.touches_katas


def test_an_absolute_path_may_end_in_a_number(course: Course):
    selection = select(course, [str(course.root / "katas" / "01")], course.root)
    assert selection.args == (str(course.katas[1].folder),)


@pytest.mark.parametrize(
    "arg", ["katas", "katas/k01_layers", TESTS, f"{TESTS}::test_x", f"{TESTS}::test_x[a/b::c]", "docs"]
)
def test_what_exists_is_left_as_it_was_typed(course: Course, arg: str):
    assert select(course, [arg], course.root).args == (arg,)


@pytest.mark.parametrize("arg", ["nowhere", "docs/03", "test_layers.py", "katas/test_gone.py", "harness/01"])
def test_what_is_not_ours_is_left_for_pytest_to_refuse(course: Course, arg: str):
    assert select(course, [arg], course.root).args == (arg,)


def test_a_folder_that_has_a_number_for_a_name_is_meant_itself(course: Course):
    (course.root / "docs" / "01").mkdir()
    assert select(course, ["01"], course.root / "docs").args == ("01",)


def test_a_test_behind_a_number_gets_the_path_to_type(course: Course):
    with pytest.raises(BadArgument) as raised:
        select(course, ["katas/01::test_x"], course.root)
    assert str(raised.value) == (
        f"katas/01::test_x: a number means a kata's folder, not its test file. Type: pytest {TESTS}::test_x"
    )


def test_the_path_to_type_is_quoted_for_the_shell(course: Course):
    with pytest.raises(BadArgument) as raised:
        select(course, ["katas/01::test_x[a b]"], course.root)
    assert str(raised.value).endswith(f"Type: pytest '{TESTS}::test_x[a b]'")


@pytest.mark.parametrize(
    ("arg", "guess"),
    [
        ("katas/99", ""),
        ("99", ""),
        ("katas/k01_layer", " Did you mean k01_layers?"),
        ("katas/99::test_x", ""),
    ],
)
def test_an_unknown_kata_is_refused_with_what_there_is(course: Course, arg: str, guess: str):
    with pytest.raises(BadArgument) as raised:
        select(course, [arg], course.root)
    token = arg.split("::")[0].removeprefix("katas/")
    assert str(raised.value) == (
        f"{arg}: There is no kata {token!r}; the katas are 00 to 01.{guess} For all of them: harness status"
    )


@pytest.mark.parametrize("args", [["."], ["katas"], [TESTS], ["docs", "01"]])
def test_what_lies_in_katas_or_holds_them_touches_them(course: Course, args: list[str]):
    assert select(course, args, course.root).touches_katas


@pytest.mark.parametrize("args", [["harness"], ["harness/tests/test_words.py"], ["docs", "nowhere"], []])
def test_the_harnesss_own_tests_do_not_touch_the_katas(course: Course, args: list[str]):
    assert not select(course, args, course.root).touches_katas


@pytest.mark.parametrize(
    ("here", "about_katas"),
    [(".", True), ("katas/k01_layers", True), ("docs", True), ("harness/tests", False)],
)
def test_pytest_alone_is_about_the_katas_unless_typed_in_the_harness(
    course: Course, here: str, about_katas: bool
):
    assert bare_touches_katas(course, course.root / here) is about_katas


@pytest.mark.parametrize(("here", "number"), [("katas/k01_layers", "01"), ("katas", None), (".", None)])
def test_a_katas_folder_is_recognised_from_inside(course: Course, here: str, number: str | None):
    kata = course.kata_of(course.root / here)
    assert (kata.number if kata else None) == number
