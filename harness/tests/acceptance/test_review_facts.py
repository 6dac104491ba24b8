"""Measured facts in the answers to review questions."""

from __future__ import annotations

import math

from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature
from harness.tests.support.references import solved

MEASURE = (
    solved()
    + """
import torch
from katas.k05_model.model import ModelConfig, TransformerLM
from katas.k06_training.training import cross_entropy
torch.manual_seed(0)
model = TransformerLM(ModelConfig(vocab_size=65, block_size=64))
ids = torch.randint(65, (8, 65))
logits = model(ids[:, :-1])
print(cross_entropy(logits, ids[:, :-1]).item(), cross_entropy(logits, ids[:, 1:]).item())
weight = torch.nn.Parameter(torch.zeros(1))
optimizer = torch.optim.AdamW([weight], lr=1.0, betas=(0.9, 0.95), weight_decay=0.0)
for step in range(200):
    before = weight.item()
    weight.grad = torch.tensor([100.0 if step == 100 else 1.0])
    optimizer.step()
    if step in (99, 130, 160):
        print(before - weight.item())
"""
)


def measured() -> list[float]:
    done = Miniature(REPOSITORY).python("-c", MEASURE)
    assert done.code == 0, done.err
    return list(map(float, done.out.split()))


def test_models_and_optimizers_behave_as_the_answers_say() -> None:
    unshifted, shifted, ordinary, soon, later = measured()
    assert abs(unshifted - 3.2) < 0.1  # kata 05, question 1: a tied head and targets that are not shifted
    assert abs(shifted - math.log(65)) < 0.1
    assert abs(ordinary - 1) < 0.01  # kata 06, question 3: steps before one gradient of 100 among ones,
    assert soon < 0.3 and later < 0.3  # 30 and 60 steps after it
