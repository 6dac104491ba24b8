"""What the test's own variables add to a comparison: which tensor it is about, and who reads whom.

A test that changes one position of its input has these names: `changed` is a copy of another of its tensors
with one position changed, and it compares the outputs that differ, as 0 and 1 for each batch row and position
or as a list of such pairs. A loop over gradients has `name` and `gradient`, one over parameters `name` and
`weight`; or the gradients are taken with respect to `inputs`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, TracebackType
from typing import Any

from harness.explain.axis_names import AxisNames, numbers_in_words
from harness.explain.observation import Observation
from harness.explain.places import frames_of
from harness.explain.side_by_side import is_tensor

_PLURAL = re.compile(r"the \w*[^aisu\W]s\b")  # "the scores", but not "the loss" or "the bias"


@dataclass(frozen=True)
class Reads(Observation):
    """Positions depend on one that they should not depend on."""

    readers: tuple[int, ...]
    read: int

    def sentence(self, axes: AxisNames) -> str:
        one = len(self.readers) == 1
        who = f"Position{'' if one else 's'} {numbers_in_words(self.readers)} depend{'s' if one else ''} on"
        is_future = all(reader < self.read for reader in self.readers)
        return f"{who} position {self.read}, {'which comes later' if is_future else 'but should not'}."


@dataclass(frozen=True)
class ReadsOtherRow(Observation):
    """Batch rows depend on another one."""

    readers: tuple[int, ...]
    read: int

    def sentence(self, axes: AxisNames) -> str:
        one = len(self.readers) == 1
        who = f"Batch row{'' if one else 's'} {numbers_in_words(self.readers)} depend{'s' if one else ''} on"
        return f"{who} batch row {self.read}, but should not."


@dataclass(frozen=True)
class Ignores(Observation):
    """Positions do not depend on one that they should depend on."""

    readers: tuple[int, ...]
    read: int

    def sentence(self, axes: AxisNames) -> str:
        one = len(self.readers) == 1
        who = f"Position{'' if one else 's'} {numbers_in_words(self.readers)} do{'es' if one else ''}"
        return f"{who} not depend on position {self.read}, but should."


@dataclass(frozen=True)
class NoGradient(Observation):
    """A gradient is zero everywhere."""

    of: str

    def sentence(self, axes: AxisNames) -> str:
        return f"The gradient of {self.of} is zero everywhere, but should not be."


@dataclass(frozen=True)
class GradientOf(Observation):
    """The value is the gradient of a variable or parameter."""

    of: str

    def sentence(self, axes: AxisNames) -> str:
        return f"This is the gradient of {self.of}."


@dataclass(frozen=True)
class NamedTensor(Observation):
    """The value is a parameter."""

    of: str

    def sentence(self, axes: AxisNames) -> str:
        return f"{'These are' if _PLURAL.match(self.of) else 'This is'} {self.of}."


def variables_of(traceback: TracebackType | None, code: CodeType | None) -> dict[str, Any]:
    """Return the variables of the test, or of the function in its file that compares for it."""
    file = code.co_filename if code else ""
    frames = frames_of(traceback, file)
    return dict(frames[-1][0].f_locals) if frames else {}


def tensor_names(
    expected: Any, actual: Any, item: Sequence[Any], names: Mapping[str, Any]
) -> list[Observation]:
    """Return which tensor the comparison is about; `item`: where it is in the containers compared."""
    of = _gradient_of(actual, item, names)
    if of and _is_zero(actual) and not _is_zero(expected):
        return [NoGradient(of)]
    return [GradientOf(of)] if of else _named(expected, actual, names) or item_name(item)


def item_name(item: Sequence[Any]) -> list[Observation]:
    """Return the name of an entry, if the test compares a mapping."""
    names = [f"the {key}" if _is_words(key) else key for key in item if isinstance(key, str)]
    return [NamedTensor(", ".join(names))] if names else []


def _is_words(key: str) -> bool:
    """True for "mean" or "mean of blocks.0.weight", which need an article, and not for "head.weight"."""
    first = key.split(" ")[0]
    return first.isalpha() and first.islower() and first != "the"


def _is_zero(value: Any) -> bool:
    return value.device.type != "meta" and not bool(value.detach().any())


def _gradient_of(actual: Any, item: Sequence[Any], names: Mapping[str, Any]) -> str:
    """Return the variable or parameter that a gradient belongs to; "" if it is not known."""
    if names.get("gradient") is actual and isinstance(names.get("name"), str):
        return str(names["name"])
    for name, value in names.items():
        if is_tensor(value) and value.is_leaf and value.grad is actual:
            return name
    if len(item) == 1 and any(
        "gradient" in name and _contains_identical(value, actual) for name, value in names.items()
    ):
        return _input_name(names, item[0])
    return ""


def _named(expected: Any, actual: Any, names: Mapping[str, Any]) -> list[Observation]:
    """Return the name that a loop over named tensors gives to the wrong one."""
    looped = names.get("weight")
    known = looped is not None and (looped is expected or looped is actual)
    return [NamedTensor(names["name"])] if known and isinstance(names.get("name"), str) else []


def _contains_identical(value: Any, actual: Any) -> bool:
    return isinstance(value, tuple | list) and any(each is actual for each in value)


def _input_name(names: Mapping[str, Any], index: Any) -> str:
    """Return the test's name for its input at this index."""
    inputs = names.get("inputs")
    if not isinstance(inputs, tuple | list) or not isinstance(index, int) or not index < len(inputs):
        return ""
    return next((name for name, value in names.items() if value is inputs[index]), "")


def reading(expected: Any, actual: Any, names: Mapping[str, Any]) -> list[Observation]:
    """Return which positions depend on the one that the test changed but should not, or should but do not."""
    place = _changed_place(names)
    if place is None:
        return []
    should, does = (_places(value, names["changed"].shape[:2]) for value in (expected, actual))
    if should is None or does is None:
        return []
    row, position = place
    found = (
        Reads(tuple(sorted(at for other, at in does - should if other == row)), position),
        ReadsOtherRow(tuple(sorted({other for other, _ in does - should} - {row})), row),
        Ignores(tuple(sorted(at for other, at in should - does if other == row)), position),
    )
    return [each for each in found if each.readers]


def _places(value: Any, sizes: Sequence[int]) -> set[tuple[int, int]] | None:
    """Return the (batch row, position) pairs in a list, or those at which a tensor of 0 and 1 is 1.

    `sizes`: how many batch rows and positions there are; None if these are other pairs, or another tensor.
    """
    if isinstance(value, list):
        pairs = all(isinstance(each, tuple) and [type(n) for n in each] == [int, int] for each in value)
        inside = pairs and all(row < sizes[0] and position < sizes[1] for row, position in value)
        return set(value) if inside else None
    if not is_tensor(value) or value.is_floating_point() or tuple(value.shape) != tuple(sizes):
        return None
    if not bool((value == value.bool()).all()):
        return None
    return {(row, position) for row, position in value.nonzero().tolist()}


def _changed_place(names: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the (batch row, position) at which `changed` differs from the tensor it was copied from."""
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
