"""Kata 13's Muon beside the one of PyTorch, which older versions of it do not have."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.tests.support.references import reference


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this version of PyTorch has no Muon")
@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (7, 7)])
def test_muon_agrees_with_that_of_pytorch(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = nn.Parameter(torch.randn(shape, generator=generator))
    theirs = nn.Parameter(ours.detach().clone())
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.3}
    optimizers = (
        reference("13").Muon([ours], **options),
        # "original" is the root of rows over columns; the other choice fits the rates of AdamW.
        torch.optim.Muon([theirs], nesterov=True, ns_steps=5, adjust_lr_fn="original", **options),
    )
    for _ in range(5):
        ours.grad = torch.randn(shape, generator=generator)
        theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    # PyTorch's iterates in bfloat16, which has 8 bits: singular values near 1 are off by some percent. Five
    # steps of 0.1 make entries of up to 0.5; another order, or no look-ahead, shows at 0.05.
    torch.testing.assert_close(ours.detach(), theirs.detach(), rtol=0, atol=0.02)
