"""The call that returned a value, and its names for the axes."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, get_args, get_origin

from harness.explain.axes import Binding, compare
from harness.explain.type_errors import axis_tokens
from harness.isolation.calls import Call


@dataclass(frozen=True)
class Origin:
    """The function that returned a value, the names of the value's axes, and the sizes in the call."""

    code: CodeType | None = None
    axes: Sequence[str] = ()  # one name for each axis; "" for an axis without its own name
    sizes: Mapping[str, int] = field(default_factory=dict)
    call: Call | None = None


def origin(value: Any, calls: Sequence[Call]) -> Origin:
    """Return the last call that returned a tensor, or else the same numbers in the same shape."""
    for same in (_is_it, _equals_it):
        for call in reversed(calls):
            for position, result in _tensors(call.result):
                if same(value, result):
                    return _origin(call, position, value, calls)
    return Origin()


def call_to_show(actual: Any, known: Call | None, calls: Sequence[Call]) -> tuple[Call | None, bool]:
    """Return the call that returned a wrong value, and True; else the last call, and False."""
    found = known or (_returning(actual, calls) if type(actual) in (int, float) else None)
    return (found, True) if found else (last_call(calls), False)


def last_call(calls: Sequence[Call]) -> Call | None:
    """Return the last call that no other function of the kata made."""
    return next((call for call in reversed(calls) if not call.nested), None)


def _returning(number: float, calls: Sequence[Call]) -> Call | None:
    """Return the last call that returned this number."""
    return next((call for call in reversed(calls) if _is_number(call.result, number)), None)


def _is_number(result: Any, number: float) -> bool:
    return type(result) is type(number) and result == number


def _is_it(value: Any, result: Any) -> bool:
    return result is value


def _equals_it(value: Any, result: Any) -> bool:
    """True if only the dtype may differ, as in a mask converted to integers: the axes are the same."""
    if result.shape != value.shape or "meta" in (result.device.type, value.device.type):
        return False
    return bool((result.detach().cpu().double() == value.detach().cpu().double()).all())


def _tensors(result: Any) -> Iterator[tuple[int | None, Any]]:
    """Yield the tensors in a result with their positions: itself, or the members of a tuple."""
    if isinstance(result, tuple):
        yield from ((position, each) for position, each in enumerate(result) if hasattr(each, "detach"))
    elif hasattr(result, "detach"):
        yield None, result


def _origin(call: Call, position: int | None, value: Any, calls: Sequence[Call]) -> Origin:
    code = inspect.unwrap(call.function).__code__
    try:
        annotation = inspect.signature(call.function, eval_str=True).return_annotation
        axes = _names(axis_tokens(_member(annotation, position)), value.dim())
        own = _sizes(call)
    except (TypeError, NameError):  # annotations that cannot be evaluated here
        return Origin(code, call=call)
    for number, other in enumerate(calls):  # sizes in other calls, numbered if a name is ambiguous
        with contextlib.suppress(TypeError, NameError):
            more = {name: size for name, size in _sizes(other).items() if own.get(name) != size}
            own |= {f"{number} {name}" if name in own else name: size for name, size in more.items()}
    return Origin(code, axes, own, call)


def _sizes(call: Call) -> dict[str, int]:
    """Return the sizes of arguments, result and layer, by their names in the signature."""
    signature = inspect.signature(call.function, eval_str=True)
    arguments = signature.bind(*call.args, **call.kwargs).arguments
    bindings: dict[str, Binding] = {}
    for argument, given in arguments.items():
        _bind(signature.parameters[argument].annotation, given, argument, bindings, arguments)
    _bind(signature.return_annotation, call.result, "", bindings, arguments)
    sizes = {name: binding.size for name, binding in bindings.items() if name.isidentifier()}
    numbers = {argument: given for argument, given in arguments.items() if type(given) is int}
    return {**numbers, **_numbers_of(call), **sizes}


def _numbers_of(call: Call) -> dict[str, int]:
    """Return the sizes that a layer keeps: self.num_heads and the like."""
    kept = vars(call.args[0]) if call.args and hasattr(call.args[0], "named_parameters") else {}
    return {name: value for name, value in kept.items() if type(value) is int and not name.startswith("_")}


def _bind(
    annotation: Any, value: Any, source: str, bindings: dict[str, Binding], arguments: Mapping[str, Any]
) -> None:
    tokens = axis_tokens(annotation)
    if tokens and hasattr(value, "shape"):
        compare(tokens, tuple(value.shape), source, bindings, arguments)


def _member(annotation: Any, position: int | None) -> Any:
    if position is None or get_origin(annotation) is not tuple:
        return annotation
    members = get_args(annotation)
    return members[position] if position < len(members) and Ellipsis not in members else None


def _names(tokens: Sequence[str], dimensions: int) -> list[str]:
    """Return a name for each axis; "" for names that are ambiguous, repeated or expressions."""
    variadic = [index for index, token in enumerate(tokens) if token.lstrip("#?").startswith("*")]
    spread = dimensions - (len(tokens) - len(variadic))
    if not tokens or spread < 0 or (not variadic and spread):
        return []
    names = [_bare(token) for token in tokens]
    if variadic:
        at = variadic[0]
        names[at : at + 1] = [names[at]] if spread == 1 and names[at] == "batch" else [""] * spread
    if names[-2:] == ["seq", "seq"]:  # positions that attend to positions
        names[-2:] = ["queries", "keys"]
    return [name if names.count(name) == 1 else "" for name in names]


def _bare(token: str) -> str:
    name = token.lstrip("*#?_").strip("{}").split("=")[-1]
    return name if name.isidentifier() else ""
