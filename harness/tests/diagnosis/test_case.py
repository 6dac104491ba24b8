"""Tests of cases: which parameters, fixtures and functions a replay needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from harness.course.katas import Kata
from harness.diagnosis.case import CannotReplay, case_of, chosen_parameters

KATA = Kata(Path("/course"), "k00_parts")
VALUE = object()


@pytest.mark.parametrize("x", [1, pytest.param(VALUE, id="object"), 1.0])
@pytest.mark.parametrize(("y", "z"), [(1, 2), (3, 4)])
def parametrised(x: object, y: int, z: int) -> None: ...


@pytest.mark.parametrize(argnames="x, y", argvalues=[(1, 2), (1, 3)])
def by_keyword(x: int, y: int) -> None: ...


@pytest.mark.parametrize("x", [1], indirect=True)
def indirect(x: int) -> None: ...


@pytest.mark.skipif(False, reason="any mark but parametrize")
def marked() -> None: ...


def plain() -> None: ...


def item(function: Callable[..., None], params: dict[str, Any] | None = None, **more: object) -> Any:
    """Return the attributes of an item of pytest that a case is made from."""
    module = more.pop("module", ModuleType("test_parts"))
    callspec = {} if params is None else {"callspec": SimpleNamespace(params=params)}
    return SimpleNamespace(function=function, module=module, nodeid="id", **callspec, **more)


@pytest.mark.parametrize(
    ("function", "params", "choice"),
    [
        (parametrised, {"x": VALUE, "y": 1, "z": 2}, (0, 1)),
        (parametrised, {"x": 1, "y": 3, "z": 4}, (1, 0)),
        (by_keyword, {"x": 1, "y": 3}, (1,)),
        (plain, None, ()),
    ],
)
def test_the_parameters_of_a_case_are_found_again(
    function: Callable[..., None], params: dict[str, Any] | None, choice: tuple[int, ...]
) -> None:
    case = case_of(item(function, params), KATA)
    assert case.choice == choice
    assert chosen_parameters(function, case.choice) == (params or {})


@pytest.mark.parametrize(
    ("function", "params"),
    [
        (indirect, {"x": 1}),
        (marked, None),
        (plain, {"elsewhere": 1}),
        (parametrised, {"x": 5, "y": 1, "z": 2}),
        (print, None),
    ],
    ids=["indirect", "another mark", "a parameter of a fixture", "an unknown value", "not a function"],
)
def test_a_case_that_needs_more_of_pytest_cannot_be_replayed(
    function: Callable[..., None], params: dict[str, Any] | None
) -> None:
    with pytest.raises(CannotReplay):
        case_of(item(function, params), KATA)


def test_a_method_cannot_be_replayed() -> None:
    with pytest.raises(CannotReplay):
        case_of(item(plain, cls=object), KATA)


def test_a_case_keeps_the_code_of_its_files_own_functions_only() -> None:
    module = ModuleType("test_parts")
    exec(compile("def test_it(): ...\nvalue = 3", str(KATA.tests), "exec"), vars(module))
    module.plain = plain  # type: ignore[attr-defined]
    case = case_of(item(plain, module=module, fixturenames=["tmp_path"]), KATA)
    assert list(case.codes) == ["test_it"]
    assert case.fixtures == ("tmp_path",)
