"""Every case of a refusal is named by the function and its arguments."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.course.katas import Kata, load_course

ROOT = Path(__file__).parents[3]
OPAQUE = {"call", "function", "module", "arguments", "named", "make"}  # pytest would number their values


def unnamed(source: str) -> Iterator[str]:
    """Yield the tests with a parametrize mark of such arguments that gives no ids."""
    for test in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)):
        for mark in (each for each in test.decorator_list if isinstance(each, ast.Call)):
            if ast.unparse(mark.func) != "pytest.mark.parametrize" or "pytest.param" in ast.unparse(mark):
                continue
            names = {node.value for node in ast.walk(mark.args[0]) if isinstance(node, ast.Constant)}
            if names & OPAQUE and not any(keyword.arg == "ids" for keyword in mark.keywords):
                yield test.name


@pytest.mark.parametrize("kata", load_course(ROOT).katas, ids=lambda kata: kata.name)
def test_no_case_is_named_by_python_objects(kata: Kata) -> None:
    assert list(unnamed(kata.tests.read_text(encoding="utf-8"))) == []


def test_a_mark_without_ids_is_found() -> None:
    source = '@pytest.mark.parametrize(("call", "n"), [(f, 1)])\ndef test_it(call, n): ...\n'
    assert list(unnamed(source)) == ["test_it"]
    assert list(unnamed(source.replace("])", "], ids=['f(1)'])"))) == []
