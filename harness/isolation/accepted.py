"""Skips the check of a call's types where the same types have been accepted before.

Whether a signature accepts a call depends on the types of its arguments and its result, the dtypes and shapes
of tensors, and the values of some others. A loop calls the same functions with the same shapes again and
again, and checking takes longer than computing with small tensors does.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

from harness.isolation.typecheck import checked

_MOST = 1000  # fingerprints that are kept of one function
_BY_VALUE = (int, str, type(None), type)  # what an axis, a Literal or a class may be compared with
_AXIS_OF_A_PARAMETER = re.compile(r"\{\w+\}")  # as in Float[Tensor, "seq {num_classes}"]


def remember_accepted(module: ModuleType) -> None:
    """Let the checked functions and methods of a module remember the types that they have accepted."""
    classes = [value for value in vars(module).values() if _is_own_class(value, module)]
    for owner in (module, *classes):
        for name, value in list(vars(owner).items()):
            if _is_checked(value) and not _looks_deeper(value.__wrapped__):
                setattr(owner, name, remembering(value))


def remembering(check: Callable[..., Any]) -> Callable[..., Any]:
    """Return a checked function that calls the function behind it directly where its types are known."""
    function: Callable[..., Any] = check.__wrapped__  # type: ignore[attr-defined]  # made by jaxtyping
    accepted: dict[Hashable, set[Hashable]] = {}  # by the arguments' fingerprint, those of results
    check_result = _ResultCheck(function)

    @functools.wraps(check)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        given = _fingerprint((*args, *kwargs.items()))
        if given is None or not (results := accepted.get(given)):
            result = check(*args, **kwargs)
            _remember(accepted, given, _fingerprint(result))
            return result
        result = function(*args, **kwargs)
        if (returned := _fingerprint(result)) not in results:
            check_result(result, args, kwargs)
            _remember(accepted, given, returned)
        return result

    return call


def _remember(accepted: dict[Hashable, set[Hashable]], given: Hashable, returned: Hashable) -> None:
    from jaxtyping import config

    if given is None or returned is None or config.jaxtyping_disable:  # disabled, it has checked nothing
        return
    if len(accepted) >= _MOST:
        accepted.clear()
    accepted.setdefault(given, set()).add(returned)


class _ResultCheck:
    """Checks what a function has returned against its signature, without calling it again."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._given = threading.local()

    def __call__(self, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        __tracebackhide__ = True
        self._given.result = result
        try:
            self._repeat(*args, **kwargs)
        finally:
            del self._given.result

    @functools.cached_property
    def _repeat(self) -> Callable[..., Any]:
        """A checked function of the same signature; made once, as that takes longer than many checks."""
        from jaxtyping import jaxtyped

        @functools.wraps(self._function)
        def repeat(*args: Any, **kwargs: Any) -> Any:
            return self._given.result

        checked_repeat: Callable[..., Any] = jaxtyped(typechecker=checked)(repeat)
        return checked_repeat


def _fingerprint(value: Any) -> Any:
    """Return what the check of a value depends on; None if it may depend on more."""
    try:
        return _READERS[type(value)](value)
    except _Deeper:
        return None


class _Deeper(Exception):
    """A value is a container, whose items count."""


class _Readers(dict[type, Callable[[Any], Any]]):
    """By type, the functions that read what counts of a value; each is chosen when it is first needed."""

    def __missing__(self, kind: type) -> Callable[[Any], Any]:
        self[kind] = _reader(kind)
        return self[kind]


_READERS = _Readers()


def _reader(kind: type) -> Callable[[Any], Any]:
    from torch import Tensor
    from torch.nn import Module

    if issubclass(kind, Tensor):
        return lambda tensor: (kind, tensor.dtype, tensor.shape)
    if issubclass(kind, _BY_VALUE):
        return lambda value: (kind, value)
    if issubclass(kind, tuple):
        return _items
    if hasattr(kind, "__getitem__") and not issubclass(kind, Module):
        return _refuse
    return lambda _: kind


def _items(values: tuple[Any, ...]) -> Hashable:
    return (type(values), *[_READERS[type(value)](value) for value in values])


def _refuse(container: object) -> Hashable:
    raise _Deeper


def _is_own_class(value: object, module: ModuleType) -> bool:
    return isinstance(value, type) and value.__module__ == module.__name__


def _is_checked(value: object) -> bool:
    """True for what jaxtyping has made of a function."""
    return isinstance(value, FunctionType) and value.__globals__.get("__name__") == "jaxtyping._decorator"


def _looks_deeper(function: FunctionType) -> bool:
    """True if a fingerprint may lack what this function's signature or body finds out about types."""
    import jaxtyping

    # isinstance(x, Float[…]) in the body compares with the axes of the signature.
    kinds = [name for name in function.__code__.co_names if name[:1].isupper() and hasattr(jaxtyping, name)]
    text = _AXIS_OF_A_PARAMETER.sub("", " ".join(map(str, function.__annotations__.values())))
    return bool(kinds) or "{" in text or "Annotated" in text
