"""Notices when a function writes into the tensors it is given, which no kata's function may do."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from itertools import chain, cycle
from types import ModuleType
from typing import Any


def watch_arguments(module: ModuleType, names: Iterable[str], changed: list[tuple[str, str]]) -> None:
    """Let a module's public functions and methods note (function, argument) in `changed`.

    It only notes: the tests decide what is wrong, and a failing one can then say why. Names that end in an
    underscore say themselves that they write in place.
    """
    for name in names:
        value = getattr(module, name)
        if inspect.isfunction(value) and not name.endswith("_"):
            setattr(module, name, _watched(value, changed))
        elif inspect.isclass(value) and value.__module__ == module.__name__:
            _watch_methods(value, changed)


def _watch_methods(owner: type, changed: list[tuple[str, str]]) -> None:
    for name, value in list(vars(owner).items()):
        if inspect.isfunction(value) and not name.startswith("_") and not name.endswith("_"):
            setattr(owner, name, _watched(value, changed))


def _watched(function: Callable[..., Any], changed: list[tuple[str, str]]) -> Callable[..., Any]:
    parameters = inspect.signature(function).parameters.values()
    names = [each.name for each in parameters if each.kind <= each.POSITIONAL_OR_KEYWORD]
    rest = [each.name for each in parameters if each.kind == each.VAR_POSITIONAL]

    @functools.wraps(function)
    def watched(*args: Any, **kwargs: Any) -> Any:
        given = [*zip(chain(names, cycle(rest)), args, strict=False), *kwargs.items()]
        before = [(name, value, version) for name, value in given if (version := _version(value)) is not None]
        try:
            return function(*args, **kwargs)
        finally:
            changed.extend(
                (function.__qualname__, name) for name, value, version in before if _version(value) != version
            )

    return watched


def _version(value: object) -> int | None:
    """How often a tensor has been written to; None for what is no tensor or does not count."""
    try:
        return value._version if hasattr(value, "untyped_storage") else None  # type: ignore[attr-defined]
    except Exception:  # tensors made in inference mode do not count; a stand-in raises its own error
        return None
