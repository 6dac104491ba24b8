"""Tensors that differ in known ways, and what is observed about them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.explain.observation import Observation
from harness.explain.observations import (
    observe,
)
from harness.explain.side_by_side import Tolerance

CLOSE = Tolerance(rtol=0.0, atol=1e-12)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seen(expected: Tensor, actual: Tensor, tolerance: Tolerance = CLOSE, **sizes: int) -> list[Any]:
    return observe(expected, actual, tolerance, (), sizes)


def kinds(expected: Tensor, actual: Tensor, tolerance: Tolerance = CLOSE) -> list[type[Observation]]:
    return [type(each) for each in seen(expected, actual, tolerance)]


X = normal(2, 5, 3, 7)


SQUARE = normal(2, 5, 5)


WEIGHTS = (3 * normal(2, 5, 7)).softmax(-1)


def changed(tensor: Tensor, *index: Any, by: float = 1.0) -> Tensor:
    copy = tensor.clone()
    copy[index] += by
    return copy
