"""Labels of figures, and messages about arguments that do not fit one."""

from __future__ import annotations

LOSS = "loss (nats per token)"
LOSS_PER_CHARACTER = "validation loss (nats per character)"
SECONDS = "seconds of training"


def wrong_weights_shape(shape: tuple[int, ...]) -> str:
    return f"weights of shape {shape}: give (queries, keys) or (heads, queries, keys)"


def wrong_count(given: int, name: str, needed: int, of: str) -> str:
    return f"{given} {name} for {needed} {of}: give one for each"
