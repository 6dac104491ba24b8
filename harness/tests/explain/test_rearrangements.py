"""The same numbers in other places are found, and nothing else is."""

from __future__ import annotations

import torch

from harness.explain.rearrangements import Regrouped, Shifted
from harness.tests.support.tensors import SQUARE, X, changed, kinds, seen


def test_values_lost_at_one_end_do_not_hide_a_shift() -> None:
    actual = SQUARE.roll(1, 1)
    actual[:, 0] = 0
    assert seen(SQUARE, actual) == [Shifted(axis=1, by=1)]


def test_a_reshape_in_place_of_a_transpose_is_recognised() -> None:
    heads = X.transpose(1, 2)  # (2, 3, 5, 7)
    fact = Regrouped(shape=(2, 5, 3, 7), axes=(1, 2))
    assert seen(heads, X.reshape(2, 3, 5, 7)) == [fact]


def test_features_joined_in_another_order_are_recognised_by_their_groups() -> None:
    heads = X.transpose(1, 2)
    fact = Regrouped(shape=(2, 3, 5, 7), axes=(1, 2))
    assert seen(X.flatten(2), heads.reshape(2, 5, 21)) == [fact]


def test_integers_are_compared_exactly() -> None:
    ids = torch.arange(20).reshape(4, 5) ** 2
    assert seen(ids, ids.roll(-1, 1)) == [Shifted(axis=1, by=-1)]
    assert kinds(ids, changed(ids.roll(-1, 1), 0, 0, by=1)) != [Shifted]
