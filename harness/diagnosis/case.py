"""A case of a test that can be repeated on other versions."""

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
ParameterSets = tuple[
    list[str], list[tuple[Any, ...]]
]  # the names of a parametrize mark, and its sets of values


class CannotReplay(Exception):
    """The case needs a feature of pytest that is not imitated here."""


@dataclass(frozen=True)
class Case:
    """One case of a test function: everything needed to repeat it."""

    module: str  # the kata's
    tests: Path
    function: str
    fixtures: tuple[str, ...]  # all that pytest would set up, including those of the whole file
    choice: tuple[int, ...]  # for each parametrize mark the index of its set of values
    codes: Mapping[str, CodeType]  # the file's functions as pytest compiled them: failing asserts keep values
    kata_files: frozenset[str]


def case_of(item: Item, kata: Kata) -> Case:
    """Return the case that pytest ran as `item`. Raises CannotReplay."""
    function, callspec = getattr(item, "function", None), getattr(item, "callspec", None)
    if not isinstance(function, FunctionType) or getattr(item, "cls", None) is not None:
        raise CannotReplay(item.nodeid)
    return Case(
        module=kata.module,
        tests=kata.tests,
        function=function.__name__,
        fixtures=tuple(getattr(item, "fixturenames", ())),
        choice=_choice(function, callspec.params if callspec else {}),
        codes=_codes(vars(item.module), kata.tests),  # type: ignore[attr-defined]
        kata_files=frozenset({str(kata.stub), str(kata.solution)}),
    )


def _codes(namespace: Mapping[str, Any], file: Path) -> dict[str, CodeType]:
    """Return the code of each function that the file defines."""
    plain = {name: inspect.unwrap(value) for name, value in namespace.items() if callable(value)}
    codes = {name: value.__code__ for name, value in plain.items() if isinstance(value, FunctionType)}
    return {name: code for name, code in codes.items() if code.co_filename == str(file)}


def parameter_sets(function: Any) -> list[ParameterSets]:
    """Return the names and the sets of values of each parametrize mark of a test. Raises CannotReplay."""
    return [_names_and_sets(mark) for mark in getattr(function, "pytestmark", ())]


def _names_and_sets(mark: Any) -> ParameterSets:
    arguments = dict(zip(("argnames", "argvalues"), mark.args, strict=False)) | mark.kwargs
    if mark.name != "parametrize" or arguments.get("indirect"):
        raise CannotReplay(mark.name)
    names, sets = arguments["argnames"], []
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    for values in arguments["argvalues"]:
        if hasattr(values, "values") and hasattr(values, "marks"):  # pytest.param
            sets.append(tuple(values.values))
        else:
            sets.append(tuple(values) if len(names) > 1 else (values,))
    return names, sets


def _choice(function: Any, params: Mapping[str, Any]) -> tuple[int, ...]:
    """Return for each mark the index of the set that these parameters come from."""
    marks, choice = parameter_sets(function), []
    for names, sets in marks:
        wanted = [params.get(name) for name in names]
        matches = (all(map(operator.is_, values, wanted)) for values in sets)
        choice.append(next((index for index, match in enumerate(matches) if match), -1))
    if -1 in choice or {name for names, _ in marks for name in names} != params.keys():
        raise CannotReplay("parametrised elsewhere")
    return tuple(choice)


def chosen_parameters(function: Any, choice: Sequence[int]) -> dict[str, Any]:
    """Return the chosen values, as this version of the file defines them."""
    marks = zip(parameter_sets(function), choice, strict=True)
    return {name: value for (names, sets), at in marks for name, value in zip(names, sets[at], strict=True)}
