"""Attention weights are rows of shares that sum to one."""

from __future__ import annotations

import math

import pytest
import torch

from harness.explain.attention import Sharpened, Sums
from harness.tests.support.tensors import WEIGHTS, kinds, normal, seen


def test_weights_of_unscaled_scores_are_recognised() -> None:
    scores = normal(2, 5, 7)
    (fact,) = seen(scores.softmax(-1), (scores * math.sqrt(11)).softmax(-1), d_k=11)
    assert isinstance(fact, Sharpened)
    assert (fact.factor.form, fact.factor.name) == ("√{}", "d_k")


def test_weights_of_other_scores_are_not() -> None:
    assert Sharpened not in kinds(WEIGHTS, (3 * normal(2, 5, 7, seed=1)).softmax(-1))


def test_a_few_numbers_that_sum_to_one_by_chance_are_not_weights() -> None:
    assert kinds(torch.tensor([[1.0, 0.0]] * 3), torch.tensor([[0.0, 0.2]] * 3)) == []
    assert Sums not in kinds(torch.tensor([0.5, 0.25, 0.25]), torch.tensor([0.5, 0.5, 0.5]))


def test_sums_along_the_wrong_axis_name_it() -> None:
    (fact, *_) = seen(WEIGHTS, normal(2, 5, 7, seed=3).softmax(-2))
    assert isinstance(fact, Sums)
    assert (fact.axis, fact.along) == (2, 1)


def test_sums_that_are_not_one_come_with_their_range() -> None:
    (fact, *_) = seen(WEIGHTS, WEIGHTS * torch.linspace(0.5, 1, 5)[:, None])
    assert (fact.along, fact.low, fact.high) == (None, pytest.approx(0.5), pytest.approx(1.0))
