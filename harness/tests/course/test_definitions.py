"""Definitions are found with their decorators and docstrings."""

from __future__ import annotations

import ast

import pytest

from harness.course.definitions import docstring_lines, find_definition, first_line, split_lines

SOURCE = '''
@first
@second
class Linear:
    """One
    two."""

    def forward(self):
        return 1


async def wait(): ...
'''
BODY = ast.parse(SOURCE).body


@pytest.mark.parametrize(
    ("name", "first", "docstring"),
    [("Linear", 2, [5, 6]), ("Linear.forward", 8, []), ("wait", 12, [])],
)
def test_a_definition_begins_with_its_decorators(name: str, first: int, docstring: list[int]) -> None:
    node = find_definition(BODY, name)
    assert node is not None
    assert first_line(node) == first
    assert list(docstring_lines(node)) == docstring


@pytest.mark.parametrize("name", ["Linear.backward", "forward", "", "Linear.forward.x"])
def test_an_unknown_name_has_no_definition(name: str) -> None:
    assert find_definition(BODY, name) is None


def test_lines_are_those_that_ast_counts() -> None:
    source = "x = '\x0c\u2028'\r\ny = 1\r"
    assert split_lines(source) == ["x = '\x0c\u2028'", "y = 1", ""]
    assert ast.parse(source).body[-1].lineno == 2
