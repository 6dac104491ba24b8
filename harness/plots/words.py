"""Messages about arguments that do not fit a figure."""

from __future__ import annotations


def wrong_weights_shape(shape: tuple[int, ...]) -> str:
    return f"weights of shape {shape}: give (queries, keys) or (heads, queries, keys)"


def wrong_count(given: int, name: str, needed: int, of: str) -> str:
    return f"{given} {name} for {needed} {of}: give one for each"
