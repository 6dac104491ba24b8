"""A log of the calls of a learner's functions, with the arguments they modify.

A kata's function must not modify its arguments.
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

_KEPT = 16  # the last calls: enough to find the one whose result a failing assertion compares


@dataclass(frozen=True)
class Call:
    """A call of a kata's function or method, and its result: None if it raised an error."""

    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    result: Any
    nested: bool = False  # made by another logged call


@dataclass
class CallLog:
    """The calls logged since the test began."""

    changed: list[tuple[str, str]] = field(default_factory=list)  # (function, argument) modified in place
    called: list[tuple[str, str]] = field(default_factory=list)  # (module, function), outermost calls only
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=_KEPT))  # that have ended
    depth: int = 0  # of logged calls that have not returned

    def clear(self) -> None:
        self.changed.clear()
        self.called.clear()
        self.calls.clear()
        self.depth = 0


def log_calls(module: ModuleType, names: Iterable[str], log: CallLog) -> None:
    """Make a module's public functions, methods and constructors log their calls.

    The log explains failures; only the tests decide what is wrong.
    """
    for owner, name, function in public_functions(module, names, module.__name__):
        setattr(owner, name, _logged(function, log))
    for owner in _classes(module, names, module.__name__):
        if inspect.isfunction(constructor := vars(owner).get("__init__")):
            owner.__init__ = _logged_constructor(constructor, log)  # type: ignore[misc]  # the learner's class


def public_functions(
    module: ModuleType, names: Iterable[str], defined_in: str
) -> list[tuple[Any, str, FunctionType]]:
    """Return the owner, name and value of the functions with these names, and of their classes' methods.

    Of classes only those count whose module starts with `defined_in`: the versions of a kata that a
    diagnosis tries have names that continue its own.
    """
    found: list[tuple[Any, str, FunctionType]] = [
        (module, name, value) for name in names if inspect.isfunction(value := getattr(module, name, None))
    ]
    for owner in _classes(module, names, defined_in):
        public = [(key, each) for key, each in vars(owner).items() if not key.startswith("_")]
        found += [(owner, key, each) for key, each in public if inspect.isfunction(each)]
    return found


def _classes(module: ModuleType, names: Iterable[str], defined_in: str) -> list[type]:
    values = [getattr(module, name, None) for name in names]
    return [each for each in values if inspect.isclass(each) and each.__module__.startswith(defined_in)]


def _logged(function: Callable[..., Any], log: CallLog) -> Callable[..., Any]:
    parameters = inspect.signature(function).parameters.values()
    names = [each.name for each in parameters if each.kind <= each.POSITIONAL_OR_KEYWORD]
    rest = [each.name for each in parameters if each.kind == each.VAR_POSITIONAL]
    declares_changes = function.__name__.endswith("_")

    @functools.wraps(function)
    def logged(*args: Any, **kwargs: Any) -> Any:
        arguments = [*zip(chain(names, cycle(rest)), args, strict=False), *kwargs.items()]
        if not log.depth:
            log.called.append((function.__module__, function.__qualname__))
        log.depth += 1
        before = [] if declares_changes else [(name, value, _version(value)) for name, value in arguments]
        result = None
        try:
            result = function(*args, **kwargs)
            return result
        finally:
            log.depth -= 1
            log.calls.append(Call(function, args, kwargs, result, nested=log.depth > 0))
            log.changed.extend(
                (function.__qualname__, name)
                for name, value, version in before
                if version is not None and _version(value) != version
            )

    return logged


def _logged_constructor(function: Callable[..., Any], log: CallLog) -> Callable[..., Any]:
    @functools.wraps(function)
    def logged(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)
        log.calls.append(Call(function, args, kwargs, None, nested=log.depth > 0))

    return logged


def _version(value: object) -> int | None:
    """Return how often a tensor has been modified; None for other objects and tensors without a counter."""
    try:
        return value._version if hasattr(value, "untyped_storage") else None  # type: ignore[attr-defined]
    except Exception:  # a tensor of inference mode has no counter; a stand-in raises its own error
        return None
