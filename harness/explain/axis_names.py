"""Words for the axes of a tensor and for the indices along them."""

from __future__ import annotations

from collections.abc import Sequence

# The word for one index along an axis, by the axis's name; for other axes, the name itself.
_NOUNS = {
    "batch": "batch row",
    "heads": "head",
    "num_heads": "head",
    "seq": "position",
    "seq_len": "position",
    "max_len": "position",
    "half": "pair",
    "tokens": "position",
    "total": "position",
    "block_size": "position",
    "queries": "query",
    "keys": "key",
    "vocab": "token",
    "vocab_size": "token",
    "num_classes": "class",
    **dict.fromkeys(("d", "d_k", "d_v", "d_model", "d_head", "d_ff", "features"), "feature"),
    **dict.fromkeys(("in_features", "out_features"), "feature"),
}
_PLURALS = {"query": "queries", "class": "classes", "entry": "entries", "index": "indices"}


class AxisNames:
    """The names of a tensor's axes, and words for the indices along them."""

    def __init__(self, names: Sequence[str], shape: Sequence[int]) -> None:
        self.shape = list(shape)
        self.names = list(names) if len(names) == len(shape) else [""] * len(shape)

    def noun(self, axis: int) -> str:
        """Return the word for one index along the axis."""
        name = self.names[axis]
        if name:
            return _NOUNS.get(name, name)
        if len(self.shape) <= 2:
            return ("row", "column")[axis] if len(self.shape) == 2 else "entry"
        return ""

    def plural(self, axis: int) -> str:
        return plural_of(self.noun(axis)) or f"axis {axis}"

    def called(self, axis: int) -> str:
        """Return the axis's name in the signature, or else its position."""
        return self.names[axis] or self.ordinal(axis)

    def ordinal(self, axis: int) -> str:
        back = axis - len(self.shape)
        return {-1: "the last axis", -2: "the second-last axis"}.get(back, f"axis {axis}")

    def both(self, one: int, other: int) -> str:
        """Return two axes: "queries and keys", "the last two axes", "axes 0 and 2"."""
        if self.names[one] and self.names[other]:
            return f"{self.names[one]} and {self.names[other]}"
        if (one, other) == (len(self.shape) - 2, len(self.shape) - 1):
            return "the last two axes"
        return f"axes {one} and {other}"

    def indices(self, axis: int, which: Sequence[int]) -> str:
        """Return some indices along an axis: "positions 3 to 5", "heads 0 and 2", "index 1 of axis 0"."""
        noun = self.noun(axis)
        numbers = numbers_in_words(which)
        if not noun:
            return f"{'index' if len(which) == 1 else 'indices'} {numbers} of axis {axis}"
        return f"{noun if len(which) == 1 else plural_of(noun)} {numbers}"

    def place(self, index: Sequence[int]) -> str:
        """Return one entry: "batch row 0, head 1, query 2, key 3"."""
        return ", ".join(self.indices(axis, [number]) for axis, number in enumerate(index))


def plural_of(noun: str) -> str:
    return _PLURALS.get(noun, f"{noun}s") if noun else ""


def numbers_in_words(which: Sequence[int]) -> str:
    if len(which) > 2 and which[-1] - which[0] + 1 == len(which):
        return f"{which[0]} to {which[-1]}"
    return listed([str(number) for number in which])


def listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
