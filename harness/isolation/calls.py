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
from itertools import chain, cycle, islice
from types import FunctionType, GeneratorType, ModuleType
from typing import Any, NamedTuple

_KEPT = 16  # the last calls: enough to find the one whose result a failing assertion compares


class Call(NamedTuple):
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
    declares_changes = function.__name__.endswith("_")

    # A kata's tests make thousands of calls: what is needed only for a change is done only after one.
    @functools.wraps(function)
    def logged(*args: Any, **kwargs: Any) -> Any:
        if not log.depth:
            log.called.append((function.__module__, function.__qualname__))
        before = _versions(args, kwargs)
        result = None
        log.depth += 1  # not by `nesting`, which takes a third of the wrapper's time
        try:
            result = function(*args, **kwargs)
            return iterated_in(log.nesting, result) if type(result) is GeneratorType else result
        finally:
            log.depth -= 1
            log.calls.append(Call(function, args, kwargs, result, log.depth > 0))
            if before != (after := _versions(args, kwargs)) and not declares_changes:
                names = chain(_positional_names(function, len(args)), kwargs)
                changes = zip(names, before, after, strict=False)
                log.changed += [(function.__qualname__, name) for name, old, new in changes if old != new]

    return logged


def _positional_names(function: Callable[..., Any], count: int) -> Iterator[str]:
    """Return the names of a call's first arguments; those of a variadic parameter share its name."""
    parameters = inspect.signature(function).parameters.values()
    names = [each.name for each in parameters if each.kind <= each.POSITIONAL_OR_KEYWORD]
    rest = [each.name for each in parameters if each.kind == each.VAR_POSITIONAL]
    return islice(chain(names, cycle(rest)), count)


def _logged_constructor(function: Callable[..., Any], log: CallLog) -> Callable[..., Any]:
    @functools.wraps(function)
    def logged(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)
        log.calls.append(Call(function, args, kwargs, None, log.depth > 0))

    return logged


def _versions(args: Iterable[Any], kwargs: Mapping[str, Any]) -> list[int | None]:
    return [_version(value) for value in chain(args, kwargs.values())]


def _version(value: Any) -> int | None:
    """Return how often a tensor has been modified; None for other objects and tensors without a counter."""
    if not _IS_TENSOR[type(value)]:
        return None
    try:
        counter: int = value._version
    except Exception:  # a tensor of inference mode has no counter
        return None
    return counter


class _IsTensor(dict[type, bool]):
    """Whether the values of a type are tensors; asked once for each type."""

    def __missing__(self, kind: type) -> bool:
        self[kind] = hasattr(kind, "untyped_storage")
        return self[kind]


_IS_TENSOR = _IsTensor()
