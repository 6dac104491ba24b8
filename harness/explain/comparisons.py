"""What a failed comparison leaves behind: the two values, and what can be seen in them.

The names in the test tell more: which tensor a gradient is of, and, where a test changes one position of
its input, which outputs took notice. For that a test has these names: `changed` is a copy of another
tensor of its own with one position changed, and what it compares are the outputs that differ, as 0 and 1
for each batch row and position or as a list of such pairs; a loop over gradients has `name` and `gradient`,
one over parameters `name` and `weight`; or the gradients are taken with respect to `inputs`.
"""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import CodeType, TracebackType
from typing import Any

from harness.explain import attention
from harness.explain.containers import differences
from harness.explain.observations import MOST, comparable, observe
from harness.explain.origin import Origin, origin
from harness.explain.places import frames_of
from harness.explain.relations import Fact
from harness.explain.side_by_side import Tolerance, is_tensor, side_by_side
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
    """The arguments of the torch.testing.assert_close that an error came through, "actual" and "expected"."""
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


def read(compared: ComparedValues, names: Mapping[str, Any], calls: Sequence[Call] = ()) -> Fact:
    """The values as text ("table"), by what they were compared, and what can be seen in them.

    That is: "seen", "axes" and "shape" to say it with, and "heat", a map of attention. `names` are the
    test's variables, `calls` the last calls of the katas' functions: one of them may have given the value.
    """
    facts: Fact = {"by": compared.by, "table": _table(compared)}
    with contextlib.suppress(Exception):  # As below; of what cannot be looked at nothing is seen.
        facts |= _look(
            compared, names, origin(compared.actual, calls) if is_tensor(compared.actual) else None
        )
    return facts


def _table(compared: ComparedValues) -> Sequence[str]:
    expected, actual = compared.expected, compared.actual
    try:
        return differences(expected, actual) or side_by_side(expected, actual, compared.tolerance)
    except Exception as error:  # A value whose own methods fail must not hide the failure itself.
        return [f"(the values cannot be shown: {type(error).__name__}: {text_of(error)})"]


def _look(compared: ComparedValues, names: Mapping[str, Any], source: Origin | None) -> Fact:
    expected, actual = compared.expected, compared.actual
    if read := _reading(compared, names):
        return {"seen": read, "axes": [], "shape": []}
    if source is None or not is_tensor(expected):
        return {}
    of = _gradient_of(compared, names)
    if of and _is_zero(actual) and not _is_zero(expected):
        seen = [{"kind": "no_gradient", "of": of}]
    else:
        seen = [{"kind": "gradient", "of": of}] if of else _named(compared, names)
        seen += observe(expected, actual, compared.tolerance, source.axes, source.sizes)
    return {
        "seen": seen[:MOST],
        "axes": list(source.axes),
        "shape": list(expected.shape),
        **_map(compared, source.axes),
    }


def _map(compared: ComparedValues, axes: Sequence[str]) -> Fact:
    """A map of attention, if the values are the weights that queries give to keys."""
    if not attention.have_queries_and_keys(axes) or compared.expected.shape != compared.actual.shape:
        return {}
    pair = comparable(compared.expected, compared.actual, compared.tolerance)
    if pair is None or not attention.are_weights(pair.expected):
        return {}
    heat = attention.heatmap(pair)
    return {"heat": heat} if heat else {}


def _is_zero(value: Any) -> bool:
    return value.device.type != "meta" and not bool(value.detach().any())


# --- what the test's own names tell ----------------------------------------------------------------


def names_in(traceback: TracebackType | None, code: CodeType | None) -> dict[str, Any]:
    """The variables of the test, or of the function beside it that compares for it, when it failed."""
    frames = frames_of(traceback, code.co_filename) if code else []
    return dict(frames[-1][0].f_locals) if frames else {}


def _gradient_of(compared: ComparedValues, names: Mapping[str, Any]) -> str:
    """The variable or the parameter that a gradient is of; "" for what is none, or of none that is known."""
    actual = compared.actual
    if names.get("gradient") is actual and isinstance(names.get("name"), str):
        return str(names["name"])
    for name, value in names.items():
        if is_tensor(value) and value.is_leaf and value.grad is actual:
            return name
    if len(compared.item) == 1 and any(
        "gradient" in name and _holds(value, actual) for name, value in names.items()
    ):
        return _input_name(names, compared.item[0])
    return ""


def _named(compared: ComparedValues, names: Mapping[str, Any]) -> list[Fact]:
    """What a loop over named tensors calls the one that is wrong."""
    looped = names.get("weight")
    known = looped is not None and (looped is compared.expected or looped is compared.actual)
    return [{"kind": "named", "of": names["name"]}] if known and isinstance(names.get("name"), str) else []


def _holds(value: Any, actual: Any) -> bool:
    return isinstance(value, tuple | list) and any(each is actual for each in value)


def _input_name(names: Mapping[str, Any], index: Any) -> str:
    """What the test calls its input at this index."""
    inputs = names.get("inputs")
    if not isinstance(inputs, tuple | list) or not isinstance(index, int) or not index < len(inputs):
        return ""
    return next((name for name, value in names.items() if value is inputs[index]), "")


def _reading(compared: ComparedValues, names: Mapping[str, Any]) -> list[Fact]:
    """Which positions took notice of the one that the test changed, though they should not, or did not."""
    place = _changed_place(names)
    should, does = _places(compared.expected), _places(compared.actual)
    if place is None or should is None or does is None:
        return []
    row, position = place
    readers = sorted(at for other, at in does - should if other == row)
    deaf = sorted(at for other, at in should - does if other == row)
    rows = sorted({other for other, _ in does - should} - {row})
    found = [
        {"kind": "reads", "readers": readers, "read": position},
        {"kind": "reads_other_row", "rows": rows, "read": row},
        {"kind": "deaf", "positions": deaf, "read": position},
    ]
    return [fact for fact, any_such in zip(found, (readers, rows, deaf), strict=True) if any_such]


def _places(value: Any) -> set[tuple[int, int]] | None:
    """The (batch row, position) pairs in a list, or those at which a tensor of zeros and ones is one."""
    if isinstance(value, list):
        pairs = all(isinstance(each, tuple) and [type(n) for n in each] == [int, int] for each in value)
        return set(value) if pairs else None
    if not is_tensor(value) or value.is_floating_point() or value.dim() != 2:
        return None
    if not bool((value == value.bool()).all()):
        return None
    return {(row, position) for row, position in value.nonzero().tolist()}


def _changed_place(names: Mapping[str, Any]) -> tuple[int, int] | None:
    """(batch row, position) at which `changed` differs from the tensor it was copied from."""
    changed = names.get("changed")
    if not is_tensor(changed) or changed is None or changed.dim() < 2:
        return None
    places = set()
    for name, value in names.items():
        alike = is_tensor(value) and value.shape == changed.shape and value.dtype == changed.dtype
        if alike and name not in ("changed", "before", "after"):
            differs = (value != changed).flatten(2).any(-1) if changed.dim() > 2 else value != changed
            found = differs.nonzero().tolist()
            if len(found) == 1:
                places.add((found[0][0], found[0][1]))
    return places.pop() if len(places) == 1 else None
