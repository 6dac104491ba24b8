"""Scaled dot-product attention: how one position of a sequence reads the others.

Each position asks with a query, every position offers a key and a value; the better a key matches
the query, the more of its value is read. Masks say who may read whom. In every mask True
means "may attend". No function here looks at the values in its tensors to decide what to do, so all
of them also run on PyTorch's `meta` device, which keeps shapes and dtypes but no numbers.

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from katas.k00_shapes.shapes import pairwise_dot


def softmax(x: Float[Tensor, "*dims"], dim: int) -> Float[Tensor, "*dims"]:
    """Return weights along axis `dim`: never negative, with sum 1, larger where `x` is larger.

    softmax(x)ᵢ = exp(xᵢ) / Σⱼ exp(xⱼ), the sum running along `dim` only; `dim` may be negative.

    Scores may be of any size: rows around 10,000 and rows around -10,000, in one tensor, get the
    weights that they would get alone. A score of -inf gets weight zero. Where all scores along
    `dim` are -inf the quotient is 0/0: there return zeros, with finite gradients.

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 4.1.
    """
    # Adding a constant to a row does not change its softmax. With the highest score moved to zero
    # no exponential overflows, and one of them is exp(0) = 1, so the sum cannot vanish. The shift
    # cancels, so no gradient has to flow through it.
    highest = x.detach().amax(dim=dim, keepdim=True)
    # A row of nothing but -inf is shifted by the lowest number: -inf - (-inf) would be NaN.
    highest.clamp_(min=torch.finfo(x.dtype).min)
    exponentials = (x - highest).exp_()  # in place, for the difference is our own: memory costs time
    total = exponentials.sum(dim=dim, keepdim=True)
    # Such a row sums to zero, the others to 1 or more. Bounded here, before the division: a NaN that is
    # replaced after it is gone from the result, but comes back in the gradient, as zero times infinity.
    # Times the short tensor of reciprocals: half the work of dividing, backward above all.
    return exponentials * total.clamp_(min=1.0).reciprocal_()


def causal_mask(
    queries: int, keys: int | None = None, device: torch.device | str | None = None
) -> Bool[Tensor, "{queries} keys"]:
    """Return the mask that shows each query its own position and all earlier ones, none later.

    The queries are the last positions of the sequence that the keys cover: the last query lines up
    with the last key. `keys` defaults to `queries`. With fewer queries than keys, as when only the
    newest token of a text asks, every query also sees the keys from before the first query; with
    more queries than keys the first queries see nothing.

    The mask is made on `device`, by default on PyTorch's default device.

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.3.
    """
    keys = queries if keys is None else keys
    # Both are counted from the first key, so the first query may stand before or after it.
    query_positions = torch.arange(queries, device=device) + (keys - queries)
    key_positions = torch.arange(keys, device=device)
    return key_positions <= query_positions[:, None]  # (queries, keys)


def padding_mask(lengths: Int[Tensor, "batch"], max_len: int) -> Bool[Tensor, "batch 1 {max_len}"]:
    """Return the mask that shows the first `lengths[b]` positions of sequence b, not its padding.

    Each length lies in 0 … max_len. The axis of size 1 stands where the queries would: padding is
    hidden from every query alike. The mask is made on the device of `lengths`.
    """
    positions = torch.arange(max_len, device=lengths.device)
    return positions < lengths[:, None, None]  # (batch, 1, max_len)


def attention_weights(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
) -> Float[Tensor, "*batch queries keys"]:
    """Return how much each query attends to each key.

    softmax(q kᵀ / √d_k), over the keys: the weights of one query sum to 1. The product q kᵀ is what
    `pairwise_dot` of kata 00 computes.

    Where `mask` is False the weight is exactly zero, and the others are what they would be if that
    key did not exist. A query for which `mask` is False everywhere gets zeros, with finite
    gradients. The mask broadcasts: where an axis has size 1 or is missing, one entry serves all.

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.1.
    """
    # The dot product of d_k independent pairs of variance 1 has variance d_k. Divided by its
    # standard deviation, the softmax starts out soft, however wide the vectors are.
    # The queries are scaled rather than the scores, because there are fewer numbers in them.
    scores = pairwise_dot(query / math.sqrt(query.shape[-1]), key)  # (*batch, queries, keys)
    if mask is not None:
        # Before the softmax, so that what remains visible still sums to 1; and -inf rather than a
        # large negative number, which a large score would outweigh.
        scores = scores.masked_fill(~mask, float("-inf"))
    return softmax(scores, dim=-1)


def scaled_dot_product_attention(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    value: Float[Tensor, "*batch keys d_v"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
) -> Float[Tensor, "*batch queries d_v"]:
    """Return for each query the average of the values, weighted by its attention to their keys.

    softmax(q kᵀ / √d_k) v

    `mask` is read as in `attention_weights`. A query that may attend to nothing gets zeros.

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.1, equation 1.
    """
    return attention_weights(query, key, mask) @ value  # (*batch, queries, d_v)
