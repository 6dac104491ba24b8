"""Tests of the statement of a test that failed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.explain.statements import class_named, failed_statement, read_statement

STATEMENTS = """\
import pytest

def test_it():
    x = 1
    assert_close(
        f(x),
        g(x),
    )
    for y in (x, x):
        with pytest.raises(ValueError, match="much"):
            f(
                y,
            )
    with pytest.raises(IndexError): f(0)
    with open("file") as file:
        f(file)
    with pytest.raises(TypeError), pytest.warns(UserWarning):
        f(x)
    assert x == (
        1
    ), f"other words {x}"
"""


@pytest.mark.parametrize(
    ("line", "statement", "wanted"),
    [
        (4, "x = 1", ""),
        (5, "assert_close(\n    f(x),\n    g(x),\n)", ""),
        (6, "assert_close(\n    f(x),\n    g(x),\n)", ""),
        (10, 'with pytest.raises(ValueError, match="much"):\n    f(\n        y,\n    )', "ValueError"),
        (11, "f(\n    y,\n)", "ValueError"),
        (12, "f(\n    y,\n)", "ValueError"),
        (14, "with pytest.raises(IndexError): f(0)", "IndexError"),
        (16, "f(file)", ""),
        (18, "f(x)", "TypeError"),
        (19, "assert x == (\n    1\n)", ""),
        (99, "", ""),
    ],
)
def test_the_statement_at_a_line_and_the_error_expected_there(
    tmp_path: Path, line: int, statement: str, wanted: str
) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(STATEMENTS)
    assert read_statement(str(path), line) == (statement, wanted)


@pytest.mark.parametrize("text", ["def broken(:\n", ""])
def test_an_empty_or_invalid_file_has_no_statements(tmp_path: Path, text: str) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(text)
    assert read_statement(str(path), 1) == ("", "")
    assert read_statement(str(tmp_path / "missing.py"), 1) == ("", "")


@pytest.mark.parametrize(("raised_in_test", "statement"), [(True, "f(x)"), (False, "x = 1")])
def test_the_innermost_statement_failed_only_if_the_tests_file_raised_the_error(
    tmp_path: Path, raised_in_test: bool, statement: str
) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(STATEMENTS)
    code = compile(STATEMENTS, str(path), "exec")
    found = failed_statement([(code, 18), (code, 4)], raised_in_test=raised_in_test)
    assert found == (statement, "TypeError")


def test_a_variable_of_the_test_names_a_class() -> None:
    error, code = IndexError, sys._getframe().f_code
    with pytest.raises(ZeroDivisionError) as raised:
        1 / 0  # noqa: B018
    assert class_named("error", raised.tb, code) == error.__name__
    assert class_named("KeyError", raised.tb, code) == "KeyError"
