"""Differences between collections or texts too long for one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from itertools import zip_longest
from typing import Any

from harness.explain.side_by_side import is_tensor, side_by_side, summary

LINES = 8  # shown at most
_NAME, _VALUE = 30, 28  # characters at most: with the words around them, 80 columns
_AROUND = 24  # characters of a text before and after the first difference
_ABSENT = object()


def differences(expected: Any, actual: Any) -> list[str]:
    """Return lines that name the entries that differ; none for values better shown side by side.

    "bias: missing; expected (3,)", "mask: (5, 5); not expected", "weight: (3, 4); expected (4, 3)"
    """
    if _is_short(expected) and _is_short(actual):
        return []
    lines = _different_entries(expected, actual)
    return lines if len(lines) <= LINES else [*lines[: LINES - 1], f"… and {len(lines) - LINES + 1} more"]


def _different_entries(expected: Any, actual: Any) -> list[str]:
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        names = [*expected, *(name for name in actual if name not in expected)]
        pairs = [(_name(name), expected.get(name, _ABSENT), actual.get(name, _ABSENT)) for name in names]
        return [line for pair in pairs if _differ(*pair[1:]) for line in _entry(*pair)]
    if isinstance(expected, Set) and isinstance(actual, Set):
        return _members("missing", expected - actual) + _members("not expected", actual - expected)
    if isinstance(expected, str | bytes) and type(expected) is type(actual):
        return _texts(expected, actual)
    if isinstance(expected, list | tuple) and type(expected) is type(actual):
        return _sequences(expected, actual)
    return []


def _is_short(value: Any) -> bool:
    if isinstance(value, Mapping) and any(map(is_tensor, value.values())):
        return False
    return not isinstance(value, Mapping | Set | str | bytes | list | tuple) or len(repr(value)) <= 66


def _have_equal_shapes(expected: Any, actual: Any) -> bool:
    return is_tensor(expected) and is_tensor(actual) and expected.shape == actual.shape


def _differ(expected: Any, actual: Any) -> bool:
    """True if two entries differ; tensors, if any of their numbers do."""
    if _have_equal_shapes(expected, actual):
        return expected.dtype != actual.dtype or bool((expected != actual).any())
    if is_tensor(expected) or is_tensor(actual):
        return True
    return bool(expected != actual)


def _entry(name: str, expected: Any, actual: Any) -> list[str]:
    if actual is _ABSENT:
        return [f"{name}: missing; expected {_short(expected)}"]
    if expected is _ABSENT:
        return [f"{name}: {_short(actual)}; not expected"]
    if _have_equal_shapes(expected, actual):
        return [f"{name}:", *side_by_side(expected, actual)]
    if (
        isinstance(expected, Mapping)
        and isinstance(actual, Mapping)
        and _short(expected) != summary(expected)
    ):
        return _entries_within(name, expected, actual)
    return [f"{name}: {_short(actual)}; expected {_short(expected)}"]


def _entries_within(name: str, expected: Mapping[Any, Any], actual: Mapping[Any, Any]) -> list[str]:
    """Return the differences in a mapping too long for one line: "[1]['loss']: '0.3'; expected 'nan'"."""
    names = [*expected, *(key for key in actual if key not in expected)]
    pairs = [(key, expected.get(key, _ABSENT), actual.get(key, _ABSENT)) for key in names]
    found = [(_fitted(_member(name, key), _NAME), *pair) for key, *pair in pairs if _differ(*pair)]
    return [line for entry in found for line in _entry(*entry)]


def _member(name: str, key: Any) -> str:
    """Return the name of an entry in a row: "step 7, loss", "[1]['loss']"."""
    return f"{name}, {key}" if name.startswith("step ") else f"{name}[{key!r}]"


def _members(what: str, members: Set[Any]) -> list[str]:
    return [f"{what}: {name}" for name in sorted(map(_name, members))]


def _sequences(expected: Sequence[Any], actual: Sequence[Any]) -> list[str]:
    pairs = enumerate(zip_longest(expected, actual, fillvalue=_ABSENT))
    lines = [line for i, pair in pairs if _differ(*pair) for line in _entry(_place_of(i, pair), *pair)]
    if len(expected) == len(actual):
        return lines
    return [f"{len(actual)} entries; expected {len(expected)}", *lines]


def _place_of(index: int, pair: Sequence[Any]) -> str:
    """Return an index; for the row of a log, the step that it is about."""
    steps = [each["step"] for each in pair if isinstance(each, Mapping) and "step" in each]
    same = steps and all(step == steps[0] for step in steps)
    return f"step {str(steps[0]).removesuffix('.0')}" if same else f"[{index}]"


def _texts(expected: str | bytes, actual: str | bytes) -> list[str]:
    """Return both texts from shortly before their first difference."""
    pairs = enumerate(zip(expected, actual, strict=False))
    first = next((i for i, (one, other) in pairs if one != other), min(len(expected), len(actual)))
    part = slice(max(0, first - _AROUND), first + _AROUND)
    lines = [f"expected  {_cut(expected, part)}", f"actual    {_cut(actual, part)}"]
    unit = "character" if isinstance(expected, str) else "byte"
    return [f"They differ from {unit} {first} on:", *lines]


def _cut(text: str | bytes, part: slice) -> str:
    return f"{'…' if part.start else ''}{text[part]!r}{'…' if part.stop < len(text) else ''}"


def _name(key: Any) -> str:
    return _fitted(key if isinstance(key, str) else repr(key), _NAME)


def _short(value: Any) -> str:
    return _fitted(summary(value), _VALUE)


def _fitted(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else f"{text[: width - 1]}…"
