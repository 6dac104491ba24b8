"""Tests of the statement of a test that failed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.explain.statements import class_named, failed_statement, read_statement, subject_of

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


SUBJECTS = """
assert tokenizer.vocab_size == 5
assert actual == 5
assert (layer.bias is None) == (bias is None), "words"
torch.testing.assert_close(kept.double().mean().item(), 0.3, rtol=0, atol=0.1)
assert_close(expected=1, actual=share)
assert_close(actual, 3)
assert all(x)
check(x)
x = 1
"""


@pytest.mark.parametrize(
    ("line", "subject"),
    [
        (2, "tokenizer.vocab_size"),
        (3, ""),
        (4, "layer.bias is None"),
        (5, "kept.double().mean().item()"),
        (6, "share"),
        (7, ""),
        (8, ""),
        (9, ""),
        (10, ""),
        (11, ""),
    ],
)
def test_the_subject_of_an_assertion_is_its_actual_value(line: int, subject: str, tmp_path: Path) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(SUBJECTS)
    assert subject_of(str(path), line) == subject


def test_a_long_subject_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(f"assert {'x' * 200} == 1")
    assert subject_of(str(path), 1) == ""


ASSIGNED = """
actual = 0

def test_it():
    actual = other(1)
    actual = evaluate(model, tokens)
    x = f(LONG)
    assert actual == 5
    assert x == 5
    actual, found = 1, 2
    assert found == 5
"""


@pytest.mark.parametrize(("line", "subject"), [(8, "evaluate(model, tokens)"), (9, "f(…)"), (11, "")])
def test_a_variable_that_says_nothing_is_what_was_assigned_to_it(
    line: int, subject: str, tmp_path: Path
) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(ASSIGNED.replace("LONG", "x" * 120))
    assert subject_of(str(path), line) == subject
