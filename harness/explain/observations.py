"""What can be seen in expected and actual values when a test fails, most telling first.

An observation is a fact that was checked on all entries within the assertion's tolerance, as plain JSON.
Nothing is guessed at: where nothing of note is true, there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.explain import attention, regions
from harness.explain.relations import Fact, Pair, along_one_axis, relation
from harness.explain.side_by_side import Tolerance

MOST = 3  # observations that are told
_MOST_ENTRIES = 2**18  # of a larger tensor nothing is said: looking would take seconds
_EXACT_INTEGERS = 2**53  # beyond, a double does not hold every integer


def observe(
    expected: Any,
    actual: Any,
    tolerance: Tolerance,
    names: Sequence[str] = (),
    sizes: Mapping[str, int] | None = None,
) -> list[Fact]:
    """What is true of two tensors that should agree.

    `names` are those of the axes of `actual`, by the signature; `sizes` may explain a factor.
    """
    pair = comparable(expected, actual, tolerance)
    if pair is None:
        return []
    at_hand = {**(sizes or {}), **{f" {axis}": size for axis, size in enumerate(expected.shape)}}
    known = {name: size for name, size in at_hand.items() if size > 1}
    if expected.shape != actual.shape:
        return list(_of_shapes(pair, names, known))
    if relation_found := _of_type(expected, actual, pair) or _explained(pair, known):
        return [relation_found]
    return list(_of_values(pair, names))[:MOST]


def comparable(expected: Any, actual: Any, tolerance: Tolerance) -> Pair | None:
    """Two tensors whose values can be looked at, in float64; integers are compared exactly."""
    for each in (expected, actual):
        if each.device.type == "meta" or each.is_complex() or not 0 < each.numel() <= _MOST_ENTRIES:
            return None
    left, right = expected.detach().cpu(), actual.detach().cpu()
    whole = not (left.is_floating_point() or right.is_floating_point())
    if whole and max(float(each.double().abs().max()) for each in (left, right)) >= _EXACT_INTEGERS:
        return None
    return Pair(left.double(), right.double(), Tolerance(0.0, 0.0) if whole else tolerance)


def _of_shapes(pair: Pair, names: Sequence[str], sizes: Mapping[str, int]) -> Iterator[Fact]:
    """What two shapes that differ have in common."""
    shape, own = list(pair.expected.shape), list(pair.actual.shape)
    if len(own) != len(shape) and [size for size in own if size > 1] == [size for size in shape if size > 1]:
        alike = pair.agree(pair.expected, pair.actual.reshape(shape))
        yield {"kind": "ones", "more": len(own) > len(shape), "right": alike}
    elif found := relation(pair, sizes):
        yield found
    elif sorted(shape) == sorted(own) and len(set(shape)) == len(shape):
        yield {"kind": "shape_order", "order": [own.index(size) for size in shape]}
    elif len(own) < len(shape):
        lost = [axis for axis in range(len(shape)) if shape[:axis] + shape[axis + 1 :] == own]
        if len(lost) == 1 and len(own) == len(shape) - 1:
            yield {"kind": "lost_axis", "axis": lost[0]}


def _of_type(expected: Any, actual: Any, pair: Pair) -> Fact | None:
    """Whether the dtype alone is wrong, or numbers have been through float32 on their way to float64."""
    if expected.dtype != actual.dtype and pair.agree(pair.expected, pair.actual):
        return {"kind": "only_dtype"}
    if str(actual.dtype) != "torch.float64" or pair.actual.numel() < 2:
        return None
    if not bool((pair.actual == pair.actual.float().double()).all()):
        return None
    if bool((pair.expected == pair.expected.float().double()).all()):
        return None  # expected values that are short numbers: float32 holds them too
    near = Tolerance(rtol=1e-5, atol=1e-6)
    return {"kind": "float32"} if bool(near.accepts(pair.expected, pair.actual).all()) else None


def _explained(pair: Pair, sizes: Mapping[str, int]) -> Fact | None:
    """One relation that explains everything: nothing else needs to be said."""
    if pair.expected.numel() < 2:
        return None  # of two numbers, each is the other times something
    return relation(pair, sizes) or attention.sharpened(pair, sizes)


def _has_diagonal(differs: Any, names: Sequence[str]) -> bool:
    """Whether the last two axes count the same things: positions that read positions."""
    square = differs.dim() >= 2 and differs.shape[-1] == differs.shape[-2]
    return attention.have_queries_and_keys(names) or (square and not any(names[-2:]))


def _of_values(pair: Pair, names: Sequence[str]) -> Iterator[Fact]:
    """Where nothing explains all of it: what is true of parts, most telling first."""
    differs = ~pair.tolerance.accepts(pair.expected, pair.actual)
    if lost := regions.not_finite(pair.expected, pair.actual):
        yield lost
    if pair.expected.numel() < 2:
        return
    if flat := _flat(pair):
        yield flat
        return
    if summed := attention.sums(pair):
        yield summed
        if summed["along"] is not None:
            return
    if rows := along_one_axis(pair):
        yield rows
    if differs.any():
        masked = attention.are_meant_as_weights(pair.expected)
        special = regions.special(pair.expected, pair.actual, differs, masked=masked)
        diagonal = regions.diagonal(differs) if _has_diagonal(differs, names) else None
        place = None if diagonal else regions.where(differs)
        yield from (found for found in (special, diagonal, place) if found)


def _flat(pair: Pair) -> Fact | None:
    """Whether all values are one number, or alike along an axis, where the expected ones are not."""
    if not pair.actual.isfinite().all() or pair.is_constant(pair.expected):
        return None
    first = pair.actual.reshape(-1)[0]
    if bool((pair.actual == first).all()):
        return {"kind": "constant", "value": float(first)}
    for axis in range(pair.actual.dim()):
        if pair.actual.shape[axis] < 2:
            continue
        alike, meant = (each == each.narrow(axis, 0, 1) for each in (pair.actual, pair.expected))
        if bool(alike.all()) and not bool(meant.all()):
            return {"kind": "alike", "axis": axis}
    return None
