"""What was seen of a value, kept so that it can be compared with what was seen in another run.

Two runs of one test see alike what the same computation gives: equal but for the rounding that another
order of the same operations brings. That is stricter than any test's own tolerance has to be.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

Snapshot = tuple[Any, ...]  # ("tensor", …), ("number", …), …: plain, and no longer tied to the value

OPAQUE: Snapshot = ("opaque",)  # nothing that two ways of writing a kata need have in common
_DEEPEST, _LONGEST = 5, 2000
TEMPORARY = "harness-replay-"  # how the name of a replay's own folder begins; it ends at random
_TEMPORARY = re.compile(TEMPORARY + r"\w{8}")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
# Relative noise by dtype: some sixteen roundings, far below what any mistake changes.
_NOISE = {"float64": 1e-10, "float32": 1e-5, "float16": 1e-2, "bfloat16": 5e-2}
_NEXT_TO_NOTHING = 0.02
_PYTHON_NOISE = 1e-6  # a Python float may have been a float32


def snapshot(value: object, depth: int = 0) -> Snapshot:
    """A copy of what can be compared of a value."""
    if value is None or isinstance(value, bool | int | float | complex):
        return ("number", value)
    if isinstance(value, str | PurePath):
        return ("text", _TEMPORARY.sub(TEMPORARY, str(value)))
    if isinstance(value, bytes):
        return ("bytes", value)
    if hasattr(value, "detach") and hasattr(value, "untyped_storage"):
        return _see_tensor(value)
    if type(value).__module__ == "numpy" and hasattr(value, "dtype"):
        return ("array", str(value.dtype), tuple(value.shape), value.copy())  # type: ignore[attr-defined]
    return _see_inside(value, depth) if depth < _DEEPEST else OPAQUE


def _see_tensor(value: Any) -> Snapshot:
    dtype = str(value.dtype).removeprefix("torch.")
    data = None if value.device.type == "meta" else value.detach().clone()
    return ("tensor", dtype, value.device.type, tuple(value.shape), data)


def _see_inside(value: object, depth: int) -> Snapshot:
    if isinstance(value, list | tuple) and len(value) <= _LONGEST:
        return ("many", [snapshot(item, depth + 1) for item in value])
    if isinstance(value, Mapping) and len(value) <= _LONGEST:
        return ("table", {repr(key): snapshot(item, depth + 1) for key, item in value.items()})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return ("table", {name: snapshot(getattr(value, name, None), depth + 1) for name in names})
    if isinstance(value, set | frozenset):
        return ("text", repr(sorted(map(repr, value))))
    return OPAQUE


def equivalent(one: Snapshot, other: Snapshot) -> bool:
    """Whether the same computation may have given both."""
    if OPAQUE in (one, other):
        return True
    if one[0] != other[0]:
        return False
    return bool(_ALIKE[one[0]](one, other))


def _numbers(one: Snapshot, other: Snapshot) -> bool:
    left, right = one[1], other[1]
    if isinstance(left, float) and isinstance(right, float | int) and not isinstance(right, bool):
        near = abs(left - right) <= _PYTHON_NOISE * max(abs(left), abs(right))
        return near or left == right or (left != left and right != right)
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _texts(one: Snapshot, other: Snapshot) -> bool:
    return bool(one[1] == other[1])


def _tensors(one: Snapshot, other: Snapshot) -> bool:
    if one[:4] != other[:4]:
        return False
    return one[4] is None or _entries_alike(one[1], one[4], other[4])


def _arrays(one: Snapshot, other: Snapshot) -> bool:
    if one[:3] != other[:3]:
        return False
    if one[1] not in _NOISE:
        return bool((one[3] == other[3]).all())
    import torch

    return _entries_alike(one[1], torch.as_tensor(one[3]), torch.as_tensor(other[3]))


def _entries_alike(dtype: str, left: Any, right: Any) -> bool:
    if dtype not in _NOISE:
        return bool((left == right).all())
    left, right = left.double(), right.double()
    finite = left.isfinite() & right.isfinite()
    if not ((left == right) | (left.isnan() & right.isnan()) | finite).all():
        return False
    return distance(left, right, _NOISE[dtype]) <= 1


def distance(left: Any, right: Any, noise: float) -> float:
    """The greatest difference of finite entries of two float64 tensors, in units of rounding noise."""
    finite = left.isfinite() & right.isfinite()
    if not finite.any():
        return 0.0
    left, right = left[finite], right[finite]
    sizes = left.abs().maximum(right.abs())
    allowed = noise * (sizes + sizes.max().clamp(max=1.0)).clamp(min=1e-300)
    return float(((left - right).abs() / allowed).max())


def _manies(one: Snapshot, other: Snapshot) -> bool:
    return len(one[1]) == len(other[1]) and all(map(equivalent, one[1], other[1]))


def _tables(one: Snapshot, other: Snapshot) -> bool:
    return one[1].keys() == other[1].keys() and all(
        equivalent(item, other[1][key]) for key, item in one[1].items()
    )


def _errors(one: Snapshot, other: Snapshot) -> bool:
    return bool(one[1] == other[1])  # the words are compared where an error ends a test


_ALIKE = {
    "number": _numbers,
    "text": _texts,
    "bytes": _texts,
    "tensor": _tensors,
    "array": _arrays,
    "many": _manies,
    "table": _tables,
    "words": _texts,
    "error": _errors,
}


def closer_than(one: Snapshot, other: Snapshot, expected: Snapshot) -> bool:
    """Whether what separates two values is next to nothing beside what separates them from `expected`."""
    if one[0] == "many" and len(one[1]) == len(other[1]) == len(expected[1]):
        return all(map(closer_than, one[1], other[1], expected[1]))
    if not all(each[0] == "tensor" and each[1] in _NOISE and each[4] is not None for each in (one, other)):
        return True
    if expected[0] != "tensor" or expected[3] != one[3] or expected[4] is None:
        return True
    mine, theirs, right = (each[4].double().nan_to_num() for each in (one, other, expected))
    return bool((mine - theirs).abs().sum() <= _NEXT_TO_NOTHING * (theirs - right).abs().sum())


def distinct_wrong_values(actual: Snapshot, expected: Snapshot) -> int:
    """How many different numbers stand where another one was expected.

    Those that come of themselves do not count: 0, ±1, NaN and ±∞ are what many mistakes give.
    """
    if actual[0] == "many" and expected[0] == "many":
        return max(map(distinct_wrong_values, actual[1], expected[1]), default=0)
    if actual[0] != "tensor" or actual[4] is None:
        return 0
    found = actual[4].double()
    if expected[3:4] == actual[3:4] and expected[4] is not None:
        right = expected[4].double()
        found = found[(found - right).abs() > _NOISE.get(actual[1], 0.0) * right.abs()]
    values = {round(value, 9) for value in found.flatten()[:64].tolist() if value - value == 0}
    return len(values - {0.0, 1.0, -1.0})


def message_snapshot(text: str, *, written: bool) -> Snapshot:
    """A message: as it is, but for rounding; of one `written` by the kata's author only what it names.

    Two people word the same refusal differently; which numbers and names they quote is the same.
    """
    text = _TEMPORARY.sub(TEMPORARY, text).partition("\nException raised from")[0]  # the C++ stack
    if written:
        quoted = re.findall(r"'([^']*)'|\"([^\"]*)\"", text)
        return ("words", {*_NUMBER.findall(text), *(single or double for single, double in quoted)})
    numbers = [("number", float(number)) for number in _NUMBER.findall(text)]
    return ("many", [("text", _NUMBER.sub("#", text)), ("many", numbers)])
