"""Multi-head attention: several attentions side by side, each in a slice of the features.

A single attention gives each position one set of weights, so one way of reading the sequence. Here
the features of queries, keys and values are dealt out to heads; each head attends on its own, and a
last linear map mixes what the heads have found. True in a mask means "may attend", as in kata 01.

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device.
"""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from katas.k00_shapes.shapes import Linear
from katas.k01_attention.attention import attention_weights


def split_heads(
    x: Float[Tensor, "*batch seq d_model"], num_heads: int
) -> Float[Tensor, "*batch {num_heads} seq d_head"]:
    """Return the features of every position dealt out to heads, each head a sequence of its own.

    out[…, h, s, i] = x[…, s, h · d_head + i], where d_head = d_model / num_heads

    So each head holds all positions, and of their features a run of neighbours: the first head gets
    the first d_head of them, the next head the next.

    Raises ValueError naming d_model and num_heads if num_heads does not divide d_model.
    Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.2.
    """
    raise NotImplementedError


def merge_heads(x: Float[Tensor, "*batch heads seq d_head"]) -> Float[Tensor, "*batch seq d_model"]:
    """Return the features of all heads side by side again, position by position.

    out[…, s, h · d_head + i] = x[…, h, s, i], so that merge_heads(split_heads(x, num_heads)) = x

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.2 (there "Concat").
    """
    raise NotImplementedError


class MultiHeadAttention(nn.Module):
    """Self-attention in heads: every position of a sequence reads the others in num_heads ways.

    headₕ = softmax(qₕ kₕᵀ / √d_head) vₕ
    out = out_proj([head₀, head₁, …])

    where q = query_proj(x), k = key_proj(x) and v = value_proj(x), qₕ is what `split_heads` gives
    head h of q, and the brackets stand for `merge_heads`.

    The four projections are linear maps from d_model features to d_model features. Each is a
    submodule with a parameter `weight`, of shape (out, in), and a parameter `bias`.

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.2.
    """

    def __init__(self, d_model: int, num_heads: int, bias: bool = True, dropout: float = 0.0):
        """Create query_proj, key_proj, value_proj and out_proj; nothing else is in the state dict.

        With bias=False no projection has a bias. `dropout` is the share of the attention weights
        that is dropped in training.

        Raises ValueError naming d_model and num_heads if num_heads does not divide d_model.
        Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.2, for the
        projections.
        """
        raise NotImplementedError

    def attention_weights(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch heads seq seq"]:
        """Return how much each position attends to each other one, in every head.

        softmax(qₕ kₕᵀ / √d_head), over the keys, with the queries and keys of head h

        `mask` says which position (next-to-last axis) may attend to which (last axis), and holds
        for every head alike. It broadcasts: where an axis has size 1 or is missing, one entry
        serves all. Where it is False the weight is exactly zero; a position for which it is False
        everywhere gets zeros. Nothing is dropped here, not even in
        training: that is left to `forward`.

        Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.2.
        """
        raise NotImplementedError

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        """Return for each position what all heads have read for it, mixed by the output projection.

        out_proj([head₀, head₁, …]), where headₕ = softmax(qₕ kₕᵀ / √d_head) vₕ

        `mask` is read as in `attention_weights`. A position that may attend to nothing reads zeros,
        and so gets the bias of out_proj.

        In training every attention weight is set to zero with probability `dropout`, and the others
        are divided by 1 - dropout, which keeps the expected value; in evaluation none is dropped.

        Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.2; Srivastava et al.,
        Dropout: A Simple Way to Prevent Neural Networks from Overfitting (2014).
        """
        raise NotImplementedError
