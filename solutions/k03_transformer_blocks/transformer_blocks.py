"""Transformer blocks: the layer that a language model stacks, and the parts it is made of.

Attention lets positions read each other; a feed-forward network then works on what each of them has
read, position by position. Both only add to what they are given, so the input of a block runs
through it as a stream that its two sub-layers write to, and a norm keeps the numbers they compute
with at one scale. That is what makes dozens of blocks on top of each other trainable.

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device.
"""

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from katas.k00_shapes.shapes import Linear
from katas.k02_multi_head.multi_head import MultiHeadAttention


def gelu(x: Float[Tensor, "*dims"], approximate: Literal["none", "tanh"] = "none") -> Float[Tensor, "*dims"]:
    """Return every number times the chance that a standard normal number lies below it.

    gelu(x) = x · Φ(x), where Φ(x) = ½ · (1 + erf(x / √2))

    With approximate="tanh" it is ½ · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³))), the form that
    GPT-2 was trained with; the two are never further than 5e-4 apart. Both work for numbers of any
    size: at 10,000 the result is x, with slope 1, and at -10,000 it is zero, with slope 0.

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units (2016), section 2.
    """
    if approximate == "tanh":
        # ½ · (1 + tanh(z)) is the sigmoid of 2z, which saves two passes over the memory.
        return x * torch.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3))
    # Φ(x). In place, for these numbers are our own: fresh memory costs more than the arithmetic.
    below = torch.erf(x * math.sqrt(0.5)).add_(1).mul_(0.5)
    return x * below


class LayerNorm(nn.Module):
    """Gives the features of every position mean 0 and variance 1, then a learned scale and shift.

    y = (x - mean(x)) / √(var(x) + eps) · weight + bias

    mean and var run over the features of one position, the last axis; var divides by their number.

    Source: Ba, Kiros and Hinton, Layer Normalization (2016), section 3.
    """

    def __init__(self, d_model: int, eps: float = 1e-5, bias: bool = True):
        """Create the parameters `weight`, all ones, and `bias`, all zeros, both of shape (d_model,).

        With bias=False the attribute `bias` is None and the state dict holds `weight` only.
        """
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        # An absent parameter is registered all the same: the module knows the name, stores nothing.
        self.register_parameter("bias", nn.Parameter(torch.zeros(d_model)) if bias else None)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Return the features of every position, normalised, times the weight, plus the bias.

        (x - mean(x)) / √(var(x) + eps) · weight + bias

        A position whose features are all equal gets the bias. Rows around 10,000 keep their
        precision in float32: the variance is the mean square of what is left after centring.

        Source: Ba, Kiros and Hinton, Layer Normalization (2016), section 3, equations
        3 and 4; eps is later practice.
        """
        centred = x - x.mean(dim=-1, keepdim=True)
        # mean(x²) - mean(x)² would be one pass less, and the difference of two huge numbers for a
        # row far from zero.
        variance = centred.square().mean(dim=-1, keepdim=True)  # (*batch, 1)
        # The root of that short tensor, so that the long one is only multiplied.
        normalised = centred * torch.rsqrt(variance + self.eps)
        if self.bias is None:
            return normalised * self.weight
        return torch.addcmul(self.bias, normalised, self.weight)  # product and sum in one pass


class FeedForward(nn.Module):
    """Two linear maps with a GELU between them, applied to every position on its own.

    out = down_proj(gelu(up_proj(x)))

    The first map widens the d_model features to d_ff, the second brings them back.

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.3 (there with a ReLU).
    """

    def __init__(self, d_model: int, d_ff: int, dropout: float = 0.0, bias: bool = True):
        """Create the projections `up_proj` and `down_proj`; nothing else is in the state dict.

        Each is a linear map with a parameter `weight`, of shape (out, in), and a parameter `bias`;
        with bias=False neither has a bias. `dropout` is the share of the output that is dropped in
        training.
        """
        super().__init__()
        self.up_proj = Linear(d_model, d_ff, bias)
        self.down_proj = Linear(d_ff, d_model, bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Return what the network makes of the features of every position.

        down_proj(gelu(up_proj(x))), with the exact GELU

        In training every entry of that is set to zero with probability `dropout`, and the others
        are divided by 1 - dropout; in evaluation none is dropped.

        Source: Vaswani et al., Attention Is All You Need (2017), sections 3.3 and 5.4.
        """
        hidden = gelu(self.up_proj(x))  # (*batch, d_ff)
        return self.dropout(self.down_proj(hidden))  # (*batch, d_model)


class TransformerBlock(nn.Module):
    """Attention and a feed-forward network, each added to what it was given.

    norm_first=True (pre-norm, as in GPT-2):
        x = x + attention(attention_norm(x))
        x = x + feedforward(feedforward_norm(x))

    norm_first=False (post-norm, as in the first transformer):
        x = attention_norm(x + attention(x))
        x = feedforward_norm(x + feedforward(x))

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.1, for post-norm; Xiong et
    al., On Layer Normalization in the Transformer Architecture (2020), table 1, for both.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        dropout: float = 0.0,
        norm_first: bool = True,
        bias: bool = True,
    ):
        """Create `attention_norm`, `attention`, `feedforward_norm` and `feedforward`, nothing else.

        They are a `LayerNorm`, a `MultiHeadAttention`, another `LayerNorm` and a `FeedForward`. (Their
        `bias`, `dropout` and `eps` come in different orders: pass them by name.) The norms have the
        default eps. With bias=False none of the four has a bias anywhere. `dropout`
        is the share that is dropped in training: of the attention weights, and of what each of the
        two sub-layers is about to add.
        """
        super().__init__()
        self.norm_first = norm_first
        self.attention_norm = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, num_heads, bias, dropout)
        self.feedforward_norm = LayerNorm(d_model, bias=bias)
        self.feedforward = FeedForward(d_model, d_ff, dropout, bias)
        # For the output of attention, which drops only its weights; feedforward sees to its own.
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        """Return x with what attention and the feed-forward network have added to it.

        The formulas are those of the class. `mask` says which position (next-to-last axis) may
        attend to which (last axis), as in `MultiHeadAttention`.

        In training every entry of what a sub-layer adds is set to zero with probability `dropout`
        before the addition, and the others are divided by 1 - dropout, once; attention also drops
        its weights. In evaluation nothing is dropped.

        Source: Vaswani et al., Attention Is All You Need (2017), sections 3.1 and 5.4; Xiong et
        al., On Layer Normalization in the Transformer Architecture (2020), table 1.
        """
        # x = x + …, never x += …, which would write into the tensor of the caller.
        if self.norm_first:
            x = x + self.dropout(self.attention(self.attention_norm(x), mask))
            return x + self.feedforward(self.feedforward_norm(x))
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        return self.feedforward_norm(x + self.feedforward(x))
