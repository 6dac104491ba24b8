"""A map of attention shows the first matrix that differs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness.explain.attention_map import AttentionMap, attention_map
from harness.tests.support.tensors import CLOSE, WEIGHTS, changed, normal


def mapped(expected: Tensor, actual: Tensor) -> AttentionMap | None:
    from harness.explain.observations import comparable

    pair = comparable(expected, actual, CLOSE)
    assert pair is not None
    return attention_map(pair)


def test_the_map_shows_the_first_matrix_that_differs() -> None:
    heat = mapped(WEIGHTS, torch.cat([WEIGHTS[:1], WEIGHTS[1:].flip(-1)]))
    assert heat is not None
    assert heat.index == (1,)
    assert heat.actual == tuple(row[::-1] for row in heat.expected)


def test_a_large_matrix_is_shown_around_what_differs() -> None:
    large = normal(40, 50).softmax(-1)
    heat = mapped(large, changed(large, 30, 45, by=0.5))
    assert heat is not None
    assert (heat.top, heat.left) == (29, 34)
    assert (len(heat.actual), len(heat.actual[0])) == (8, 16)
    assert heat.marks[1][11] == "*"


def test_without_a_visible_difference_there_is_no_map() -> None:
    assert mapped(WEIGHTS, changed(WEIGHTS, 0, 0, 0, by=1e-9)) is None


def test_values_that_are_not_shares_have_their_own_characters() -> None:
    expected = torch.eye(6)
    actual = torch.tensor([math.nan, 0.0, 1e-9, -0.1, 1.2, 0.95]).expand(6, 6)
    heat = mapped(expected, actual)
    assert heat is not None
    assert heat.actual[0] == "?.0-+9"
