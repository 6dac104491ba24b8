"""What counts as a test, what a learner reads of it, and which tests a kata was shipped with."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from harness.course.kata_tests import (
    MANIFEST,
    digest,
    file_digest,
    manifest_text,
    parse_tests,
    read_tests,
    shipped_tests,
)
from harness.course.katas import Course, load_course

SOURCE = '''
import pytest
import a_module_that_does_not_exist


def test_zebra():
    """Stripes come first.

    And this is not shown.
    """


@pytest.mark.parametrize("value", [1, 2, 3])
def test_apple_is_round(value):
    assert value


def helper_test():
    def test_inside(): ...


class TestGroup:
    """Tests that share a size."""

    size = 3

    def test_in_a_group(self):
        """Groups count."""

    def helper(self): ...


class Helper:
    def test_of_no_test_class(self): ...
'''


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """One kata with the tests above."""
    folder = tmp_path / "katas" / "k00_zoo"
    folder.mkdir(parents=True)
    (folder / "test_zoo.py").write_text(SOURCE, encoding="utf-8")
    return load_course(tmp_path)


def test_each_test_function_is_listed_once_in_the_order_of_the_source():
    names = [test.name for test in parse_tests(SOURCE)]
    assert names == ["test_zebra", "test_apple_is_round", "TestGroup::test_in_a_group"]


def test_a_requirement_is_the_docstrings_first_line_or_the_name_in_words():
    requirements = [test.requirement for test in parse_tests(SOURCE)]
    assert requirements == ["Stripes come first.", "apple is round", "Groups count."]


def test_a_blank_docstring_does_not_hide_the_requirement():
    assert parse_tests('def test_a_b():\n    """ """\n')[0].requirement == "a b"


def test_reading_tests_imports_nothing(course: Course):
    read_tests(course.katas[0])
    assert "a_module_that_does_not_exist" not in sys.modules


@pytest.mark.parametrize("content", [b"def test_x(:", b"\xff\xfe\x00", b"\0", b""])
def test_a_test_file_that_cannot_be_read_has_no_tests(course: Course, content: bytes):
    course.katas[0].tests.write_bytes(content)
    assert read_tests(course.katas[0]) == []


def test_a_missing_test_file_has_no_tests(course: Course):
    course.katas[0].tests.unlink()
    assert read_tests(course.katas[0]) == []


def test_a_byte_order_mark_does_not_hide_a_test(course: Course):
    course.katas[0].tests.write_text(SOURCE, encoding="utf-8-sig")
    assert len(read_tests(course.katas[0])) == 3


def test_a_digest_is_independent_of_line_endings():
    assert digest(b"a\r\nb\r\n") == digest(b"a\nb\n")


@pytest.mark.parametrize("other", [b"a\nc\n", b"a\n b\n", b"a\nb", b""])
def test_a_digest_changes_with_the_text(other: bytes):
    assert digest(other) != digest(b"a\nb\n")


def test_a_missing_file_has_no_digest(tmp_path: Path):
    assert file_digest(tmp_path / "gone.py") == ""


def test_the_manifest_keeps_the_shipped_tests_when_the_test_file_is_edited(course: Course):
    kata = course.katas[0]
    (course.root / MANIFEST).write_text(manifest_text(course), encoding="utf-8")
    kata.tests.write_text("def test_easy(): ...\n", encoding="utf-8")
    shipped = shipped_tests(course)[kata.name]
    assert len(shipped.names) == 3
    assert shipped.digest == digest(SOURCE.encode()) != file_digest(kata.tests)


def test_the_manifest_lists_every_kata(course: Course):
    assert json.loads(manifest_text(course)) == {
        "k00_zoo": {
            "digest": digest(SOURCE.encode()),
            "tests": ["test_zebra", "test_apple_is_round", "TestGroup::test_in_a_group"],
        }
    }


@pytest.mark.parametrize(
    "manifest",
    ["", "<<<<<<< HEAD", "[]", "null", '{"k00_zoo": null}', '{"k00_zoo": {"digest": "x"}}', '{"k09_x": {}}'],
)
def test_without_a_usable_manifest_the_test_file_is_used(course: Course, manifest: str):
    (course.root / MANIFEST).write_text(manifest, encoding="utf-8")
    shipped = shipped_tests(course)["k00_zoo"]
    assert (len(shipped.names), shipped.digest) == (3, digest(SOURCE.encode()))


def test_a_kata_missing_from_the_manifest_is_read_from_its_file(course: Course):
    (course.root / MANIFEST).write_text('{"k09_x": {"digest": "d", "tests": []}}', encoding="utf-8")
    assert shipped_tests(course).keys() == {"k00_zoo"}
    assert len(shipped_tests(course)["k00_zoo"].names) == 3
