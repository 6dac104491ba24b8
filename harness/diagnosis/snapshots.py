"""Snapshots of values, comparable between two runs.

The snapshots that two runs of a test take are equivalent if the same computation may have produced them: they
are equal up to the rounding errors of reordered operations. That is stricter than any test's tolerance needs
to be.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

Snapshot = tuple[Any, ...]  # ("tensor", …), ("number", …), …: plain data, independent of the value

OPAQUE: Snapshot = ("opaque",)  # may differ between two correct solutions
_DEEPEST, _LONGEST = 5, 2000
_MOST_BYTES = 1 << 26  # a view may claim far more than there is memory for a copy
TEMPORARY = "harness-replay-"  # prefix of the name of a replay's own folder; the rest is random
_TEMPORARY = re.compile(TEMPORARY + r"\w{8}")
# Python words it by the types of the numbers, and in other ways in other versions.
_BY_ZERO = re.compile(r"(?:\w+ )*(?:division|modulo) by zero")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
# Relative noise by dtype: about sixteen roundings, far below the effect of any mistake.
_NOISE = {"float64": 1e-10, "float32": 1e-5, "float16": 1e-2, "bfloat16": 5e-2}
_ZIP = b"PK"  # how an archive begins, such as a file of torch.save
_NEGLIGIBLE = 0.02  # of the distance between a wrong value and the expected one
_PYTHON_NOISE = 1e-6  # a Python float may have been a float32


class AuthorsText(str):
    """A text that a kata's function has returned, and that its author was free to word."""

    __slots__ = ()


def snapshot(value: object, depth: int = 0) -> Snapshot:
    """Return a copy of the comparable parts of a value."""
    if isinstance(value, AuthorsText):
        return OPAQUE
    if value is None or isinstance(value, bool | int | float | complex):
        return ("number", value)
    if isinstance(value, str | PurePath):
        return ("text", _TEMPORARY.sub(TEMPORARY, str(value)))
    if isinstance(value, bytes):
        return ("bytes", value)
    if getattr(value, "nbytes", 0) > _MOST_BYTES:
        return OPAQUE
    if hasattr(value, "detach") and hasattr(value, "untyped_storage"):
        return _tensor_snapshot(value)
    if type(value).__module__ == "numpy" and hasattr(value, "dtype"):
        return ("array", str(value.dtype), tuple(value.shape), value.copy())  # type: ignore[attr-defined]
    return _container_snapshot(value, depth) if depth < _DEEPEST else OPAQUE


def _tensor_snapshot(value: Any) -> Snapshot:
    dtype = str(value.dtype).removeprefix("torch.")
    data = None if value.device.type == "meta" else value.detach().clone()
    return ("tensor", dtype, value.device.type, tuple(value.shape), data)


def _container_snapshot(value: object, depth: int) -> Snapshot:
    if isinstance(value, list | tuple) and len(value) <= _LONGEST:
        return ("many", [snapshot(item, depth + 1) for item in value])
    if isinstance(value, Mapping) and len(value) <= _LONGEST:
        return ("table", {repr(key): snapshot(item, depth + 1) for key, item in value.items()})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return ("table", {name: snapshot(getattr(value, name, None), depth + 1) for name in names})
    if isinstance(value, set | frozenset):
        if any(isinstance(item, AuthorsText) for item in value):
            return ("many", [OPAQUE] * len(value))
        return ("text", repr(sorted(map(repr, value))))
    return OPAQUE


def equivalent(one: Snapshot, other: Snapshot) -> bool:
    """True if the same computation may have produced both."""
    if OPAQUE in (one, other):
        return True
    if one[0] != other[0]:
        return False
    return bool(_EQUIVALENT[one[0]](one, other))


def _equivalent_numbers(one: Snapshot, other: Snapshot) -> bool:
    left, right = one[1], other[1]
    if isinstance(left, float) and isinstance(right, float | int) and not isinstance(right, bool):
        near = abs(left - right) <= _PYTHON_NOISE * max(abs(left), abs(right))
        return near or left == right or (left != left and right != right)
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _equal_data(one: Snapshot, other: Snapshot) -> bool:
    return bool(one[1] == other[1])


def _equivalent_bytes(one: Snapshot, other: Snapshot) -> bool:
    """True for equal bytes and for two archives: how one lays out its entries is its author's choice."""
    return bool(one[1] == other[1]) or all(each[1].startswith(_ZIP) for each in (one, other))


def _equivalent_tensors(one: Snapshot, other: Snapshot) -> bool:
    if one[:4] != other[:4]:
        return False
    return one[4] is None or _equivalent_entries(one[1], one[4], other[4])


def _equivalent_arrays(one: Snapshot, other: Snapshot) -> bool:
    if one[:3] != other[:3]:
        return False
    if one[1] not in _NOISE:
        return bool((one[3] == other[3]).all())
    import torch

    return _equivalent_entries(one[1], torch.as_tensor(one[3]), torch.as_tensor(other[3]))


def _equivalent_entries(dtype: str, left: Any, right: Any) -> bool:
    if dtype not in _NOISE:
        return bool((left == right).all())
    left, right = left.double(), right.double()
    same = _same_special_values(left, right)
    return same and distance(left, right, _NOISE[dtype]) <= 1


def _same_special_values(left: Any, right: Any) -> bool:
    """True if two tensors have the same infinities and NaN in the same places."""
    finite = left.isfinite() & right.isfinite()
    return bool(((left == right) | (left.isnan() & right.isnan()) | finite).all())


def distance(left: Any, right: Any, noise: float) -> float:
    """Return the greatest difference of finite entries of two float64 tensors, in units of rounding noise."""
    finite = left.isfinite() & right.isfinite()
    if not finite.any():
        return 0.0
    left, right = left[finite], right[finite]
    sizes = left.abs().maximum(right.abs())
    allowed = noise * (sizes + sizes.max().clamp(max=1.0)).clamp(min=1e-300)
    return float(((left - right).abs() / allowed).max())


def _equivalent_lists(one: Snapshot, other: Snapshot) -> bool:
    return len(one[1]) == len(other[1]) and all(map(equivalent, one[1], other[1]))


def _equivalent_tables(one: Snapshot, other: Snapshot) -> bool:
    return one[1].keys() == other[1].keys() and all(
        equivalent(item, other[1][key]) for key, item in one[1].items()
    )


_EQUIVALENT = {
    "number": _equivalent_numbers,
    "text": _equal_data,
    "bytes": _equivalent_bytes,
    "tensor": _equivalent_tensors,
    "array": _equivalent_arrays,
    "many": _equivalent_lists,
    "table": _equivalent_tables,
    "words": _equal_data,
    "error": _equal_data,  # its type; messages are compared only if an error ends the test
}


def reproducible(one: Snapshot, other: Snapshot) -> Snapshot:
    """Return a snapshot without what is different in another run of the same code, such as measured times."""
    if equivalent(one, other):
        return one
    if one[0] == other[0] == "many" and len(one[1]) == len(other[1]):
        return ("many", list(map(reproducible, one[1], other[1])))
    if one[0] == other[0] == "table" and one[1].keys() == other[1].keys():
        return ("table", {key: reproducible(item, other[1][key]) for key, item in one[1].items()})
    return OPAQUE


def closer_than(one: Snapshot, other: Snapshot, expected: Snapshot) -> bool:
    """True if the distance between two values is negligible compared with their distance from `expected`.

    A NaN or an infinity that `expected` does not have is infinitely far from it; `equivalent` decides whether
    `one` and `other` have theirs in the same places. Of several values those count that are wrong: two right
    ones may differ by as much as they differ from `expected`, by rounding.
    """
    if one[0] == "many" and len(one[1]) == len(other[1]) == len(expected[1]):
        items = list(zip(one[1], other[1], expected[1], strict=True))
        wrong = [each for each in items if not equivalent(each[1], each[2])]
        return all(closer_than(*each) for each in wrong or items)
    if not all(each[0] == "tensor" and each[1] in _NOISE and each[4] is not None for each in (one, other)):
        return True
    if expected[0] != "tensor" or expected[3] != one[3] or expected[4] is None:
        return True
    mine, theirs, right = (each[4].double() for each in (one, other, expected))
    if not _same_special_values(theirs, right):
        return True
    mine, theirs, right = (each.nan_to_num() for each in (mine, theirs, right))
    return bool((mine - theirs).abs().sum() <= _NEGLIGIBLE * (theirs - right).abs().sum())


def distinct_wrong_values(actual: Snapshot, expected: Snapshot) -> int:
    """Return how many distinct numbers there are among the wrong entries.

    Trivial values are ignored: many mistakes produce 0, ±1, NaN and ±∞.
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


def message_snapshot(text: str, *, by_author: bool) -> Snapshot:
    """Return a message whose numbers compare up to rounding; `by_author`, only the numbers and names in it.

    The authors of two versions word the same refusal differently, but quote the same numbers and names.
    """
    text = _TEMPORARY.sub(TEMPORARY, text).partition("\nException raised from")[0]  # the C++ stack
    if by_author:
        quoted = re.findall(r"'([^']*)'|\"([^\"]*)\"", text)
        return ("words", {*_NUMBER.findall(text), *(single or double for single, double in quoted)})
    text = _BY_ZERO.sub("division by zero", text)
    numbers = [("number", float(number)) for number in _NUMBER.findall(text)]
    return ("many", [("text", _NUMBER.sub("#", text)), ("many", numbers)])
