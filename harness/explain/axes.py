"""Comparison of a shape with the axes of a jaxtyping annotation.

The notation is jaxtyping's: names bind sizes, `*name` any number of axes, `#` marks axes that may
broadcast, `{argument}` takes its size from an argument, a leading `_` binds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ORDINALS = {-1: "last", -2: "second-last", -3: "third-last"}


@dataclass(frozen=True)
class WrongAxis:
    """An axis whose size contradicts the signature."""

    name: str
    where: str  # "last", "second-last", …
    expected: int
    got: int
    bound_by: str  # the argument that fixed the expected size; empty if the signature itself fixes it


@dataclass(frozen=True)
class Binding:
    """The size that an earlier argument gave to a name."""

    size: int
    source: str  # the argument


def compare(
    tokens: Sequence[str],
    shape: Sequence[int],
    source: str,
    bindings: dict[str, Binding],
    arguments: Mapping[str, Any],
) -> tuple[str | None, list[WrongAxis]]:
    """Return (expected shape, wrong axes), or (None, []) if the shape fits; then bind the free names."""
    aligned = _align(tokens, shape)
    sizes = [_known_size(token, bindings, arguments) for token in tokens]
    texts = [_shown(token, size, bindings) for token, size in zip(tokens, sizes, strict=True)]
    joined = ", ".join(filter(None, texts))
    shown = f"({joined},)" if joined and "," not in joined else f"({joined})"
    if aligned is None:
        return shown, []
    wrong = []
    bound = dict(bindings)  # plus what this shape itself binds: "n n" needs the same size twice
    for token, axis, got in aligned:
        known = _known_size(token, bound, arguments)
        if known is None:
            if _binds(token):
                bound[_name(token)] = Binding(got, source)
        elif got != known and not ("#" in token and got == 1):
            by = bound[_name(token)].source if _name(token) in bound else ""
            wrong.append(WrongAxis(_name(token), _ORDINALS.get(axis, f"axis {axis}"), known, got, by))
    variadic_problem = _variadic_mismatch(tokens, shape, bindings)
    if wrong or variadic_problem:
        return shown, wrong
    _bind(aligned, tokens, shape, source, bindings)
    return None, []


def wrong_count(
    tokens: Sequence[str], shape: Sequence[int], bindings: Mapping[str, Binding]
) -> tuple[int, int] | None:
    """Return (axes wanted, axes got) if these differ, or None; also None if any number would do."""
    wanted = 0
    for token in tokens:
        bound = bindings.get(token.replace("#", "")) if _is_variadic(token) else None
        if _is_variadic(token) and bound is None:
            return None
        wanted += bound.size if bound else 1
    fewer_will_do = any(_is_variadic(token) and "#" in token for token in tokens)
    if len(shape) == wanted or (fewer_will_do and len(shape) < wanted):
        return None
    return wanted, len(shape)


def _align(tokens: Sequence[str], shape: Sequence[int]) -> list[tuple[str, int, int]] | None:
    """Return (token, axis counted from the end, size) for each axis, or None if their number cannot fit."""
    variadic = [i for i, token in enumerate(tokens) if _is_variadic(token)]
    if len(shape) < len(tokens) - len(variadic) or (not variadic and len(shape) != len(tokens)):
        return None
    before = tokens[: variadic[0]] if variadic else tokens
    after = tokens[variadic[0] + 1 :] if variadic else []
    head = [(token, i - len(shape), shape[i]) for i, token in enumerate(before)]
    tail = [(t, i - len(after), shape[len(shape) - len(after) + i]) for i, t in enumerate(after)]
    return head + tail


def _bind(
    aligned: Sequence[tuple[str, int, int]],
    tokens: Sequence[str],
    shape: Sequence[int],
    source: str,
    bindings: dict[str, Binding],
) -> None:
    for token, _, size in aligned:
        if _binds(token):
            bindings.setdefault(_name(token), Binding(size, source))
    for token in tokens:
        if _is_variadic(token) and _binds(token):
            for i, size in enumerate(_variadic_shape(tokens, shape)):
                bindings.setdefault(f"{token}[{i}]", Binding(size, source))
            bindings.setdefault(token, Binding(len(_variadic_shape(tokens, shape)), source))


def _variadic_shape(tokens: Sequence[str], shape: Sequence[int]) -> tuple[int, ...]:
    index = next(i for i, token in enumerate(tokens) if _is_variadic(token))
    return tuple(shape[index : len(shape) - (len(tokens) - index - 1)])


def _bound_shape(token: str, bindings: Mapping[str, Binding]) -> tuple[int, ...] | None:
    bare = token.replace("#", "")
    if bare not in bindings:
        return None
    return tuple(bindings[f"{bare}[{i}]"].size for i in range(bindings[bare].size))


def _variadic_mismatch(tokens: Sequence[str], shape: Sequence[int], bindings: Mapping[str, Binding]) -> bool:
    for token in tokens:
        if _is_variadic(token) and token != "...":
            bound = _bound_shape(token, bindings)
            got = _variadic_shape(tokens, shape)
            if bound is not None and not _agrees(got, bound, broadcast="#" in token):
                return True
    return False


def _agrees(got: tuple[int, ...], bound: tuple[int, ...], *, broadcast: bool) -> bool:
    if not broadcast:
        return got == bound
    pairs = zip(reversed(got), reversed(bound), strict=False)
    return len(got) <= len(bound) and all(g in (b, 1) for g, b in pairs)


def _known_size(token: str, bindings: Mapping[str, Binding], arguments: Mapping[str, Any]) -> int | None:
    name = _name(token)
    if name.isdigit():
        return int(name)
    if name.startswith("{"):
        value = arguments.get(name.strip("{}"))
        return value if isinstance(value, int) else None
    return bindings[name].size if name in bindings and not _is_variadic(token) else None


def _shown(token: str, size: int | None, bindings: Mapping[str, Binding]) -> str:
    bound = _bound_shape(token, bindings) if _is_variadic(token) else None
    if bound is not None:
        return ", ".join(map(str, bound))
    return str(size) if size is not None else _name(token) if not _is_variadic(token) else "…"


def _name(token: str) -> str:
    return token.lstrip("*#?").split("=")[-1]


def _binds(token: str) -> bool:
    """True if an axis fixes its size for later arguments: "_" and "_x" are anonymous."""
    return _name(token).isidentifier() and not _name(token).startswith("_") and "#" not in token


def _is_variadic(token: str) -> bool:
    return token.lstrip("#?").startswith("*") or token == "..."
