"""One case of a test, as it can be run again on other versions."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

from harness.course.katas import Kata

Item = pytest.Item


class CannotReplay(Exception):
    """The case needs something of pytest that is not imitated here."""


@dataclass(frozen=True)
class Case:
    """One case of a test function: all that is needed to run it again."""

    module: str  # the kata's
    tests: Path
    function: str
    fixtures: tuple[str, ...]  # all that pytest would set up, those of the whole file among them
    choice: tuple[int, ...]  # which of its sets of values each parametrize mark gives
    codes: Mapping[str, CodeType]  # the file's functions as pytest compiled them: failing asserts keep values
    kata_files: frozenset[str]


def case_of(item: Item, kata: Kata) -> Case:
    """The case that pytest ran as `item`. Raises CannotReplay."""
    function, callspec = getattr(item, "function", None), getattr(item, "callspec", None)
    if not isinstance(function, FunctionType) or getattr(item, "cls", None) is not None:
        raise CannotReplay(item.nodeid)
    written = {name: inspect.unwrap(each) for name, each in vars(item.module).items() if callable(each)}  # type: ignore[attr-defined]
    own = {name: each.__code__ for name, each in written.items() if isinstance(each, FunctionType)}
    return Case(
        module=kata.module,
        tests=kata.tests,
        function=function.__name__,
        fixtures=tuple(getattr(item, "fixturenames", ())),
        choice=_choice(function, callspec.params if callspec else {}),
        codes={name: code for name, code in own.items() if code.co_filename == str(kata.tests)},
        kata_files=frozenset({str(kata.stub), str(kata.solution)}),
    )


def _parametrised(function: Any) -> list[tuple[list[str], list[tuple[Any, ...]]]]:
    """For each parametrize mark of a test the names that it gives values to, and its sets of values."""
    return [_names_and_sets(mark) for mark in getattr(function, "pytestmark", ())]


def _names_and_sets(mark: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
    given = dict(zip(("argnames", "argvalues"), mark.args, strict=False)) | mark.kwargs
    if mark.name != "parametrize" or given.get("indirect"):
        raise CannotReplay(mark.name)
    names, sets = given["argnames"], []
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    for values in given["argvalues"]:
        if hasattr(values, "values") and hasattr(values, "marks"):  # pytest.param
            sets.append(tuple(values.values))
        else:
            sets.append(tuple(values) if len(names) > 1 else (values,))
    return names, sets


def _choice(function: Any, params: Mapping[str, Any]) -> tuple[int, ...]:
    """Which sets these parameters are from."""
    marks, found = _parametrised(function), []
    for names, sets in marks:
        wanted = [params.get(name) for name in names]
        same = (all(map(operator.is_, values, wanted)) for values in sets)
        found.append(next((at for at, is_it in enumerate(same) if is_it), -1))
    if -1 in found or {name for names, _ in marks for name in names} != params.keys():
        raise CannotReplay("parametrised elsewhere")
    return tuple(found)


def _parameters(function: Any, choice: Sequence[int]) -> dict[str, Any]:
    """The chosen values, from this version of the file."""
    marks = zip(_parametrised(function), choice, strict=True)
    return {name: value for (names, sets), at in marks for name, value in zip(names, sets[at], strict=True)}
