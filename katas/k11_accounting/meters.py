"""Meters: what a computation really costs, counted while it runs. This module is given.

`plain_logits` is the model that kata 11 accounts for: every step is the one function that PyTorch has for
it, applied to the weights of your own model. Your own forward pass may cost more: theory.md says why.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from katas.k04_embeddings.embeddings import sinusoidal_positions


def counted_flops(run: Callable[[], Any]) -> int:
    """Return the FLOPs of all matrix products that PyTorch computes while `run()` runs.

    It also works on the `meta` device, so the largest models can be counted without a GPU.
    """
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def kept_bytes(run: Callable[[], Tensor], model: nn.Module) -> int:
    """Return the bytes that autograd keeps for the backward pass of what `run()` returns.

    Parameters of `model` do not count, as they are there anyway; memory that several tensors share
    counts once.
    """
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, Tensor] = {}  # by address; the tensors stay alive, so that no address is used twice

    def keep(tensor: Tensor) -> Tensor:
        address = tensor.untyped_storage().data_ptr()
        if address not in weights:
            kept.setdefault(address, tensor)
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        result = run()
    assert result.requires_grad, "without gradients nothing is kept"
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def plain_logits(model: nn.Module, ids: Tensor) -> Tensor:
    """Return the logits of `model` in evaluation mode, each step being one function of PyTorch's."""
    seq, config = ids.shape[1], model.config
    x = F.embedding(ids, model.token_embedding.weight)
    if config.positions == "learned":
        x = x + model.position_embedding.weight[:seq]
    elif config.positions == "sinusoidal":
        x = x + sinusoidal_positions(seq, config.d_model, dtype=x.dtype, device=x.device)
    hidden = torch.ones(seq, seq, dtype=torch.bool, device=x.device).triu(1)
    for block in model.blocks:
        if config.norm_first:
            x = x + _attention(block.attention, _norm(block.attention_norm, x), config.num_heads, hidden)
            x = x + _feedforward(block.feedforward, _norm(block.feedforward_norm, x))
        else:
            x = _norm(block.attention_norm, x + _attention(block.attention, x, config.num_heads, hidden))
            x = _norm(block.feedforward_norm, x + _feedforward(block.feedforward, x))
    return _map(model.lm_head, _norm(model.final_norm, x))


def plain_loss(model: nn.Module, ids: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of `plain_logits`."""
    return F.cross_entropy(plain_logits(model, ids).flatten(0, 1), targets.flatten())


def _attention(layer: nn.Module, x: Tensor, num_heads: int, hidden: Tensor) -> Tensor:
    heads = (num_heads, x.shape[-1] // num_heads)
    query, key, value = (
        _map(projection, x).unflatten(-1, heads).transpose(1, 2)  # (batch, heads, seq, d_head)
        for projection in (layer.query_proj, layer.key_proj, layer.value_proj)
    )
    scores = query @ key.transpose(-2, -1) / math.sqrt(heads[1])
    weights = torch.softmax(scores.masked_fill(hidden, -math.inf), dim=-1)
    return _map(layer.out_proj, (weights @ value).transpose(1, 2).flatten(-2))


def _feedforward(layer: nn.Module, x: Tensor) -> Tensor:
    return _map(layer.down_proj, F.gelu(_map(layer.up_proj, x)))


def _norm(layer: nn.Module, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], layer.weight, getattr(layer, "bias", None), 1e-5)


def _map(layer: nn.Module, x: Tensor) -> Tensor:
    return F.linear(x, layer.weight, getattr(layer, "bias", None))
