"""Notices what a test asks of the learner's functions, what they give, and when one writes into an argument.

No kata's function may do the latter.
"""

from __future__ import annotations

import functools
import inspect
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, cycle
from types import FunctionType, ModuleType
from typing import Any

_KEPT = 16  # calls, the last ones: enough to tell which of them a failing comparison is about


@dataclass(frozen=True)
class Call:
    """A call of a kata's function or method, and what it gave."""

    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    result: Any


@dataclass
class CallLog:
    """What has been noticed since the test began."""

    changed: list[tuple[str, str]] = field(default_factory=list)  # (function, argument) written to in place
    called: list[tuple[str, str]] = field(default_factory=list)  # (module, function), not those within others
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=_KEPT))  # that have returned
    depth: int = 0  # of watched calls that have not returned

    def clear(self) -> None:
        self.changed.clear()
        self.called.clear()
        self.calls.clear()
        self.depth = 0


def log_calls(module: ModuleType, names: Iterable[str], notes: CallLog) -> None:
    """Let a module's public functions and methods note that they are called, and what they write to.

    They only note: the tests decide what is wrong, and a failing one can then say why and where. Names that
    end in an underscore say themselves that they write in place.
    """
    for owner, name, function in public_functions(module, names, module.__name__):
        if not name.endswith("_"):
            setattr(owner, name, _watched(function, notes))


def public_functions(
    module: ModuleType, names: Iterable[str], defined_in: str
) -> list[tuple[Any, str, FunctionType]]:
    """Return the owner, name and value of the functions with these names, and of their classes' methods.

    Of classes only those count whose module starts with `defined_in`: the versions of a kata that a
    diagnosis tries have names that continue its own.
    """
    found: list[tuple[Any, str, FunctionType]] = []
    for name in names:
        value = getattr(module, name, None)
        if inspect.isfunction(value):
            found.append((module, name, value))
        elif inspect.isclass(value) and value.__module__.startswith(defined_in):
            public = [(key, each) for key, each in vars(value).items() if not key.startswith("_")]
            found += [(value, key, each) for key, each in public if inspect.isfunction(each)]
    return found


def _watched(function: Callable[..., Any], notes: CallLog) -> Callable[..., Any]:
    parameters = inspect.signature(function).parameters.values()
    names = [each.name for each in parameters if each.kind <= each.POSITIONAL_OR_KEYWORD]
    rest = [each.name for each in parameters if each.kind == each.VAR_POSITIONAL]

    @functools.wraps(function)
    def watched(*args: Any, **kwargs: Any) -> Any:
        given = [*zip(chain(names, cycle(rest)), args, strict=False), *kwargs.items()]
        if not notes.depth:
            notes.called.append((function.__module__, function.__qualname__))
        notes.depth += 1
        before = [(name, value, version) for name, value in given if (version := _version(value)) is not None]
        try:
            result = function(*args, **kwargs)
            notes.calls.append(Call(function, args, kwargs, result))
            return result
        finally:
            notes.depth -= 1
            notes.changed.extend(
                (function.__qualname__, name) for name, value, version in before if _version(value) != version
            )

    return watched


def _version(value: object) -> int | None:
    """How often a tensor has been written to; None for what is no tensor or does not count."""
    try:
        return value._version if hasattr(value, "untyped_storage") else None  # type: ignore[attr-defined]
    except Exception:  # tensors made in inference mode do not count; a stand-in raises its own error
        return None
