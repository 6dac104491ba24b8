"""Flash attention: exact attention that never holds a matrix of all scores.

Attention needs a softmax over all keys, but a softmax can be computed as its scores come in, block by
block: keep the highest score so far, and rescale what was summed before whenever it rises. Backward
computes each block of scores again instead of keeping it. So memory grows with the length of the
sequence, not with its square.

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


class Partial(NamedTuple):  # given
    """The attention of each query to the keys absorbed so far, not yet divided by its total.

    With s for a query's scores and v for the values of these keys:

        maximum = max s,  total = Σ exp(s - maximum),  output = Σ exp(s - maximum) v

    A query that has seen nothing so far, because no key was absorbed or all scores were -inf, has
    maximum -inf, total 0 and output 0.
    """

    maximum: Float[Tensor, "*batch queries"]
    total: Float[Tensor, "*batch queries"]
    output: Float[Tensor, "*batch queries d_v"]


def absorb(
    partial: Partial,
    scores: Float[Tensor, "*batch queries block"],
    value: Float[Tensor, "*batch block d_v"],
) -> Partial:
    """Return the partial result after one more block of keys, given their scores and values.

    Its fields are those that `Partial` defines, for all keys absorbed so far, in whichever blocks and
    order they came. Scores may be of any size, such as 1,000 or -1,000. A score of -inf hides a key from
    a query; a block may be wholly hidden from a query, even before that query has seen any key. No field
    is ever NaN.

    Source: Milakov and Gimelshein, Online normalizer calculation for softmax (2018), algorithm 3;
    Dao et al., FlashAttention (2022), section 3.1.
    """
    raise NotImplementedError


def flash_forward(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    value: Float[Tensor, "*batch keys d_v"],
    *,
    causal: bool,
    block: int,
) -> tuple[Float[Tensor, "*batch queries d_v"], Float[Tensor, "*batch queries"]]:
    """Return the attention of each query, and the logarithm of its sum: log Σ exp(q kᵀ / √d_k).

    The output is that of `scaled_dot_product_attention` of kata 01; with `causal`, under its
    `causal_mask`, so that the last query lines up with the last key. A query that sees nothing gets zeros
    for output and -inf for the logarithm.

    The keys are absorbed in blocks of `block`, the last of which may be smaller. Whether the queries
    are cut into blocks as well is up to you. No tensor, not even a mask, ever has as many as
    queries × keys entries (per element of the batch) if `block` is much smaller than both. With
    `causal`, blocks that are wholly hidden are skipped: no scores are computed for them, which saves
    about half of the work.

    Raises ValueError naming block if it is less than 1.
    Source: Dao et al., FlashAttention (2022), algorithm 1; Dao, FlashAttention-2 (2023), algorithm 1.
    """
    raise NotImplementedError


def flash_attention(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    value: Float[Tensor, "*batch keys d_v"],
    *,
    causal: bool = False,
    block: int = 64,
) -> Float[Tensor, "*batch queries d_v"]:
    """Return for each query the average of the values, weighted by its attention to their keys.

    softmax(q kᵀ / √d_k) v, computed by `FlashAttention`: output and gradients are those of
    `scaled_dot_product_attention` of kata 01, without or with its `causal_mask`, whatever `block` is.

    Raises ValueError naming block, as `flash_forward` does.
    Source: Dao et al., FlashAttention (2022).
    """
    raise NotImplementedError


class FlashAttention(torch.autograd.Function):
    """Attention with a backward pass of its own, which computes the scores again, block by block.

    Left to itself, autograd would keep the weights of every block until backward, and the blocks together
    are the matrix that was to be avoided.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Float[Tensor, "*batch queries d_k"],
        key: Float[Tensor, "*batch keys d_k"],
        value: Float[Tensor, "*batch keys d_v"],
        causal: bool,
        block: int,
    ) -> Float[Tensor, "*batch queries d_v"]:
        """Return the output of `flash_forward`, and keep in `ctx` what backward needs.

        Tensors are kept with `ctx.save_for_backward`, so that PyTorch notices if one is modified before
        backward. Together they grow linearly with the number of queries and keys.
        """
        raise NotImplementedError

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_output: Float[Tensor, "*batch queries d_v"]
    ) -> tuple[
        Float[Tensor, "*batch queries d_k"],
        Float[Tensor, "*batch keys d_k"],
        Float[Tensor, "*batch keys d_v"],
        None,
        None,
    ]:
        """Return the gradients with respect to query, key and value; None for causal and block.

        With S = q kᵀ / √d_k, L for the logarithms of the sums, o for the output, and dx for the gradient
        with respect to x (do is grad_output):

            P = exp(S - L)
            dv = Pᵀ do
            dS = P * (do vᵀ - D), where each query has one number D = Σ do · o over its features
            dq = dS k / √d_k
            dk = dSᵀ q / √d_k

        Like the forward pass it takes one block at a time, makes no tensor of queries × keys entries,
        and skips the blocks that `causal` hides. A query that sees nothing gets zeros, and gives
        nothing to key and value. (`once_differentiable` refuses second derivatives, which would be
        wrong, as L is kept as a plain number.)

        Source: Dao et al., FlashAttention (2022), appendix B.2 and algorithm 4.
        """
        raise NotImplementedError
