"""The two values of a failed comparison, and what they show."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.explain import attention, variables
from harness.explain.attention_map import AttentionMap, attention_map
from harness.explain.call_text import call_lines
from harness.explain.containers import differences
from harness.explain.observation import Observation
from harness.explain.observations import MOST, RightUntil, comparable, observe, rounding
from harness.explain.origin import Origin, call_to_show, origin
from harness.explain.places import frames_of
from harness.explain.shown import Shown
from harness.explain.side_by_side import (
    Tolerance,
    are_numbers,
    first_wrong,
    first_wrong_index,
    is_tensor,
    side_by_side,
)
from harness.explain.words import LAST_CALL, RETURNED_BY, values_cannot_be_shown
from harness.isolation.calls import Call
from harness.isolation.standins import text_of

_ITEM = re.compile(r"The failure occurred for item ((?:\[[^\]]*\])+)")


@dataclass(frozen=True)
class ComparedValues:
    """Two values that a test has found to differ, by `assert_close` or by `assert`."""

    expected: Any
    actual: Any
    tolerance: Tolerance
    by: str
    item: tuple[Any, ...] = ()  # where in the containers that the test compares


def by_assert_close(error: BaseException) -> ComparedValues | None:
    """The values that torch.testing.assert_close refused, those inside of tuples and mappings too."""
    values = refused_by_assert_close(error) if isinstance(error, AssertionError) else None
    if values is None:
        return None
    tolerance = Tolerance(values.get("rtol"), values.get("atol"))
    whole = ComparedValues(values["expected"], values["actual"], tolerance, "assert_close")
    return _item(whole, text_of(error))


def refused_by_assert_close(error: BaseException) -> Mapping[str, Any] | None:
    """Return the arguments of the torch.testing.assert_close that an error came through."""
    for frame, _ in frames_of(error.__traceback__):
        if frame.f_code.co_name == "assert_close" and {"actual", "expected"} <= frame.f_locals.keys():
            return frame.f_locals
    return None


def by_assert(error: BaseException, operator: str, left: Any, right: Any) -> ComparedValues | None:
    """The values of a failed `assert actual == expected`."""
    if not isinstance(error, AssertionError) or operator not in ("==", "is"):
        return None
    return ComparedValues(right, left, Tolerance(0.0, 0.0), "assert")


def _item(whole: ComparedValues, message: str) -> ComparedValues:
    """The member of two containers that the message is about."""
    found = _ITEM.search(message)
    if not found:
        return whole
    expected, actual, path = whole.expected, whole.actual, []
    try:
        for text in re.findall(r"\[([^\]]*)\]", found[1]):
            path.append(_key(text))
            expected, actual = expected[path[-1]], actual[path[-1]]
    except (LookupError, TypeError):
        return whole
    return replace(whole, expected=expected, actual=actual, item=tuple(path))


def _key(text: str) -> Any:
    """A key as torch's message writes it: an index, or a name, with or without quotes."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def show(compared: ComparedValues, names: Mapping[str, Any], calls: Sequence[Call] = ()) -> Shown:
    """Return what two compared values show.

    `names`: the test's variables; `calls`: the last calls of the katas' functions, one of which may have
    returned the value.
    """
    shown = Shown(compared.by, tuple(_table(compared)))
    with contextlib.suppress(Exception):  # best effort: if a value cannot be inspected, observe nothing
        source = origin(compared.actual, calls) if is_tensor(compared.actual) else None
        shown = _observed(shown, compared, names, source)
        shown = replace(shown, call=_call(compared, source, calls))
    return shown


def _call(compared: ComparedValues, source: Origin | None, calls: Sequence[Call]) -> tuple[str, ...]:
    """Return the call whose arguments help to understand the value, in words."""
    value = first_wrong(compared.expected, compared.actual)
    known = source.call if source else None
    call, returned_it = call_to_show(value, known, calls)
    return tuple(call_lines(call, RETURNED_BY if returned_it else LAST_CALL)) if call else ()


def _table(compared: ComparedValues) -> Sequence[str]:
    expected, actual = compared.expected, compared.actual
    try:
        return differences(expected, actual) or side_by_side(expected, actual, compared.tolerance)
    except Exception as error:  # a value whose own methods fail must not hide the failure itself
        return [values_cannot_be_shown(type(error).__name__, text_of(error))]


def _observed(
    shown: Shown, compared: ComparedValues, names: Mapping[str, Any], source: Origin | None
) -> Shown:
    expected, actual = compared.expected, compared.actual
    if read := variables.reading(expected, actual, names):
        return replace(shown, observations=tuple(read))
    if source is None or not is_tensor(expected):
        return replace(shown, observations=(*variables.item_name(compared.item), *_of_numbers(compared)))
    found = variables.tensor_names(expected, actual, compared.item, names)
    if not any(isinstance(each, variables.NoGradient) for each in found):
        found += observe(expected, actual, compared.tolerance, source.axes, source.sizes)
    return replace(
        shown,
        observations=tuple(found[:MOST]),
        axes=tuple(source.axes),
        shape=tuple(expected.shape),
        map=_map(compared, source.axes),
        is_mask=_is_mask(expected) and _is_mask(actual),
    )


def _of_numbers(compared: ComparedValues) -> list[Observation]:
    """Return that numbers, or lists of them, differ by rounding alone, or from which index on."""
    import torch

    within = getattr(compared.expected, "expected", compared.expected)  # of a pytest.approx
    if not are_numbers(within) or not are_numbers(compared.actual):
        return []
    pair = [torch.tensor(each, dtype=torch.float64).reshape(-1) for each in (within, compared.actual)]
    if pair[0].shape != pair[1].shape:
        return []
    if found := rounding(pair[0], pair[1], Tolerance(0.0, 0.0)):
        return [found]
    first = first_wrong_index(compared.expected, compared.actual)
    return [RightUntil(first)] if first else []


def _is_mask(value: Any) -> bool:
    """True if all entries are 0 or 1."""
    return (
        value.device.type != "meta" and not value.is_floating_point() and bool((value == value.bool()).all())
    )


def _map(compared: ComparedValues, axes: Sequence[str]) -> AttentionMap | None:
    """Return a map of attention, if the values are the weights that queries give to keys."""
    if not attention.have_queries_and_keys(axes) or compared.expected.shape != compared.actual.shape:
        return None
    pair = comparable(compared.expected, compared.actual, compared.tolerance)
    if pair is None or not attention.are_weights(pair.expected):
        return None
    return attention_map(pair)
