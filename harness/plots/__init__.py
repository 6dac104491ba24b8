"""Matplotlib figures for notebooks and pages."""

from harness.plots.figures import (
    attention_maps,
    draw_bars,
    draw_losses,
    embedding_similarity,
    sampling_distributions,
    smoothed,
    training_curves,
)

__all__ = [
    "attention_maps",
    "draw_bars",
    "draw_losses",
    "embedding_similarity",
    "sampling_distributions",
    "smoothed",
    "training_curves",
]
