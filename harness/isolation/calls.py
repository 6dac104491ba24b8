"""A log of the calls of a learner's functions, with the arguments they modify.

A kata's function must not modify its arguments.
"""

from __future__ import annotations

import functools
import inspect
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
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

    @contextmanager
    def nesting(self) -> Iterator[None]:
        """Log the calls of this block as nested."""
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    def clear(self) -> None:
        self.changed.clear()
        self.called.clear()
        self.calls.clear()
        self.depth = 0


@dataclass(frozen=True)
class PublicFunction:
    """A function of a kata, or the one behind a method, a class method or a property, and where it is."""

    owner: Any
    name: str
    function: FunctionType
    original: Any  # the attribute itself: the function, or what is wrapped around it

    def replace(self, function: Callable[..., Any]) -> None:
        """Put another function in its place."""
        if isinstance(self.original, property):
            setattr(self.owner, self.name, self.original.getter(function))
        elif isinstance(self.original, classmethod | staticmethod):
            setattr(self.owner, self.name, type(self.original)(function))
        else:
            setattr(self.owner, self.name, function)

    def restore(self) -> None:
        setattr(self.owner, self.name, self.original)


def log_calls(module: ModuleType, names: Iterable[str], log: CallLog) -> None:
    """Make a module's public functions, methods and constructors log their calls.

    The log explains failures; only the tests decide what is wrong.
    """
    for public in public_functions(module, names, module.__name__):
        if not isinstance(public.original, property):  # it reads as an attribute, and explains no failure
            public.replace(_logged(public.function, log))
    for constructor in constructors(module, names, module.__name__):
        constructor.replace(_logged_constructor(constructor.function, log))


def public_functions(module: ModuleType, names: Iterable[str], defined_in: str) -> list[PublicFunction]:
    """Return the functions with these names, and the methods and properties of the classes.

    Of classes only those count whose module starts with `defined_in`: the versions of a kata that a
    diagnosis tries have names that continue its own.
    """
    found: list[tuple[Any, str, Any]] = [(module, name, getattr(module, name, None)) for name in names]
    for owner in _classes(module, names, defined_in):
        found += [(owner, key, each) for key, each in vars(owner).items() if not key.startswith("_")]
    return [
        PublicFunction(owner, name, function, value)
        for owner, name, value in found
        if inspect.isfunction(function := _function_of(value))
    ]


def constructors(module: ModuleType, names: Iterable[str], defined_in: str) -> list[PublicFunction]:
    """Return the `__init__` of each class with one of these names, as `public_functions` does the rest."""
    found = [(owner, vars(owner).get("__init__")) for owner in _classes(module, names, defined_in)]
    return [
        PublicFunction(owner, "__init__", value, value) for owner, value in found if inspect.isfunction(value)
    ]


def _function_of(value: object) -> object:
    """Return the function behind a class method, a static method or a property; other objects themselves."""
    if isinstance(value, classmethod | staticmethod):
        return value.__func__
    return value.fget if isinstance(value, property) else value


def iterated_in(
    block: Callable[[], AbstractContextManager[None]], iterator: Iterator[Any]
) -> Generator[Any, None, Any]:
    """Yield what a generator yields, and run each of its steps within a block of this kind.

    The calls that a generator makes happen in the caller's loop, long after it was itself called.
    """
    while True:
        with block():
            try:
                item = next(iterator)
            except StopIteration as stop:
                return stop.value
        yield item


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
        before = [] if declares_changes else [(name, value, _version(value)) for name, value in arguments]
        result = None
        log.depth += 1  # not by `nesting`, which takes a third of the wrapper's time
        try:
            result = function(*args, **kwargs)
            return iterated_in(log.nesting, result) if inspect.isgenerator(result) else result
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
