"""The modern transformer: the model of kata 05 with the parts that replaced those of GPT-2.

The plan is the same: a residual stream to which attention and a feed-forward network add. The parts
have changed. The norm no longer centres; positions turn queries and keys instead of being added to
tokens; the feed-forward network squares or gates; queries and keys are normalised; several query
heads may share one key head; and no layer has a bias.

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import silu

from katas.k00_shapes.shapes import Linear
from katas.k01_attention.attention import causal_mask, scaled_dot_product_attention
from katas.k02_multi_head.multi_head import merge_heads, split_heads
from katas.k04_embeddings.embeddings import TokenEmbedding
from katas.k05_model.model import ModelConfig


@dataclass(frozen=True)
class ModernConfig:  # given
    """The sizes of a modern model, and which parts it has. Invalid values raise ValueError."""

    vocab_size: int  # how many tokens there are to choose from
    block_size: int  # the longest sequence that the model reads, in tokens
    d_model: int = 128  # the width of the residual stream
    num_heads: int = 4  # query heads in each block's attention; they divide d_model among them
    num_layers: int = 4  # blocks
    num_kv_heads: int | None = None  # heads of keys and values, a divisor of num_heads; by default as many
    d_ff: int | None = None  # the width inside the networks; by default 4 · d_model, gated 8/3 · d_model
    feedforward: str = "squared_relu"  # the feed-forward network: squared_relu or gated
    qk_norm: bool = True  # whether the queries and keys of every head are normalised
    base: float = 10000.0  # of the rotary angles; the slowest pair turns by about 1/base per position
    tie_weights: bool = False  # whether the head shares its weight with the token embedding

    def __post_init__(self) -> None:
        if self.feedforward not in ("squared_relu", "gated"):
            raise ValueError(f"feedforward must be squared_relu or gated, not {self.feedforward!r}")
        if self.num_kv_heads is None:
            object.__setattr__(self, "num_kv_heads", self.num_heads)  # the dataclass is frozen
        if self.d_ff is None:
            object.__setattr__(self, "d_ff", self._default_d_ff(4 * self.d_model, self.feedforward))
        for name in (
            "vocab_size",
            "block_size",
            "d_model",
            "num_heads",
            "num_layers",
            "num_kv_heads",
            "d_ff",
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a positive integer, not {value!r}")
        if self.d_model % (2 * self.num_heads) != 0:
            raise ValueError(
                f"d_model = {self.d_model} cannot be divided into pairs among num_heads = {self.num_heads}"
            )
        if self.num_heads % self.num_kv_heads != 0:
            raise ValueError(
                f"num_kv_heads = {self.num_kv_heads} must be a divisor of num_heads = {self.num_heads}"
            )
        if not self.base > 1:
            raise ValueError(f"base must be greater than 1, not {self.base}")

    @staticmethod
    def _default_d_ff(width: int, feedforward: str) -> int:
        # A gated network has three matrices instead of two: with two thirds of the width it has as
        # many parameters, 8/3 · d_model for 4 · d_model. Rounded up to a multiple of 8.
        return 8 * -(-width // 12) if feedforward == "gated" else width

    @classmethod
    def like(cls, config: ModelConfig, **changes: Any) -> "ModernConfig":
        """Return a configuration with the sizes of kata 05's `config`, except for the `changes`.

        The sizes are vocab_size, block_size, d_model, num_heads, num_layers and d_ff; if the network
        is gated, two thirds of d_ff, rounded up to a multiple of 8. All else has its default.
        """
        names = ("vocab_size", "block_size", "d_model", "num_heads", "num_layers")
        sizes = {name: getattr(config, name) for name in names}
        d_ff = cls._default_d_ff(config.d_ff, changes.get("feedforward", "squared_relu"))
        return cls(**{**sizes, "d_ff": d_ff, **changes})


class RMSNorm(nn.Module):
    """Divides the features of every position by their root mean square, then scales each feature.

    y = x / √(mean(x²) + eps) · weight

    The mean runs over the features of one position, the last axis. Nothing is centred, and there is
    no bias.

    Source: Zhang and Sennrich, Root Mean Square Layer Normalization (2019), section 4; eps is later
    practice.
    """

    def __init__(self, d_model: int, eps: float = 1e-5):
        """Create the parameter `weight`, all ones, of shape (d_model,); nothing else is stored."""
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Return the features of every position over their root mean square, times the weight.

        x / √(mean(x²) + eps) · weight

        A position whose features are all zero gets zeros, with finite gradients. For dtypes narrower
        than float32 the mean square is computed in float32: in float16, 300² is infinite already.

        Source: Zhang and Sennrich, Root Mean Square Layer Normalization (2019), section 4.
        """
        wide = x.float() if x.dtype.itemsize < 4 else x
        mean_square = (wide * wide).mean(dim=-1, keepdim=True)  # (*batch, 1)
        # The root of that short tensor, in place, so that the long one is only multiplied.
        normalised = wide * mean_square.add_(self.eps).rsqrt_()
        return normalised.type_as(x) * self.weight


def rotary_table(
    max_len: int,
    d_head: int,
    base: float = 10000.0,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> tuple[Float[Tensor, "{max_len} half"], Float[Tensor, "{max_len} half"]]:
    """Return the cosine and the sine of the angle by which each pair turns at each position.

    cos[p, i] = cos(p · base^(-2i / d_head))
    sin[p, i] = sin(p · base^(-2i / d_head))

    for positions p = 0 … max_len - 1 and pairs i = 0 … d_head / 2 - 1. The angles are computed in
    float64, so that the table stays precise for large p; rounding to `dtype` comes last. None means
    torch's default dtype and torch's default device, as in torch.zeros.

    Raises ValueError naming d_head if that is odd.
    Source: Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding (2021), section
    3.2.2.
    """
    if d_head % 2:
        raise ValueError(f"d_head must be even, as features turn in pairs, not {d_head}")
    # A float32 has 7 digits: at position 100,000 two are left after the point. Computed on the CPU,
    # because not every device has float64.
    exact = {"dtype": torch.float64, "device": "cpu"}
    position = torch.arange(max_len, **exact).unsqueeze(-1)  # (max_len, 1)
    frequency = base ** (-torch.arange(0, d_head, 2, **exact) / d_head)  # (half)
    angle = position * frequency  # (max_len, half)
    place = {"dtype": dtype or torch.get_default_dtype(), "device": device or torch.get_default_device()}
    return angle.cos().to(**place), angle.sin().to(**place)


def rotate(
    x: Float[Tensor, "*batch seq d_head"],
    cos: Float[Tensor, "seq half"],
    sin: Float[Tensor, "seq half"],
) -> Float[Tensor, "*batch seq d_head"]:
    """Return x with each of its pairs of features turned by the angle of its position.

    out[…, s, i]        = x[…, s, i] · cos[s, i] - x[…, s, i + half] · sin[s, i]
    out[…, s, i + half] = x[…, s, i + half] · cos[s, i] + x[…, s, i] · sin[s, i]

    A pair is a feature of the first half, i, and the one in the same place of the second half,
    i + half, where half = d_head / 2. Row s of the tables belongs to row s of x, whichever position
    in the text that is. The result has the dtype of x.

    Source: Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding (2021), section
    3.2.2, where neighbours make a pair; Black et al., GPT-NeoX-20B: An Open-Source Autoregressive
    Language Model (2022), and most models since, pair the halves.
    """
    cos, sin = cos.type_as(x), sin.type_as(x)  # themselves, if they have it already
    first, second = x.chunk(2, dim=-1)  # (*batch, seq, half) each
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class SquaredReLUFeedForward(nn.Module):
    """Two linear maps with a squared ReLU between them, applied to every position on its own.

    out = down_proj(max(0, up_proj(x))²)

    Source: So et al., Primer: Searching for Efficient Transformers for Language Modeling (2021).
    """

    def __init__(self, d_model: int, d_ff: int):
        """Create `up_proj` (d_model to d_ff features) and `down_proj` (back), without biases.

        Nothing else is in the state dict.
        """
        super().__init__()
        self.up_proj = Linear(d_model, d_ff, bias=False)
        self.down_proj = Linear(d_ff, d_model, bias=False)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Return down_proj(max(0, up_proj(x))²)."""
        hidden = self.up_proj(x).relu().square()  # (*batch, d_ff)
        return self.down_proj(hidden)  # (*batch, d_model)


class GatedFeedForward(nn.Module):
    """Two linear maps up, of which one gates the other, and one down; each position on its own.

    out = down_proj(silu(gate_proj(x)) · up_proj(x)), where silu(z) = z / (1 + exp(-z))

    Source: Shazeer, GLU Variants Improve Transformer (2020), section 2 (there "SwiGLU").
    """

    def __init__(self, d_model: int, d_ff: int):
        """Create `gate_proj`, `up_proj` (d_model to d_ff features) and `down_proj` (back), no biases.

        Nothing else is in the state dict.
        """
        super().__init__()
        self.gate_proj = Linear(d_model, d_ff, bias=False)
        self.up_proj = Linear(d_model, d_ff, bias=False)
        self.down_proj = Linear(d_ff, d_model, bias=False)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Return down_proj(silu(gate_proj(x)) · up_proj(x))."""
        hidden = silu(self.gate_proj(x)) * self.up_proj(x)  # (*batch, d_ff)
        return self.down_proj(hidden)  # (*batch, d_model)


class ModernAttention(nn.Module):
    """Self-attention with rotary positions, normalised queries and keys, and shared key heads.

    headₕ = softmax(qₕ kᵍᵀ / √d_head) vᵍ, where g = h // (num_heads / num_kv_heads), rounded down
    out = out_proj([head₀, head₁, …])

    Each run of num_heads / num_kv_heads query heads shares one head of keys and values. With qk_norm
    every query and every key is normalised within its own head; after that, both are turned by the
    angles of their positions. Values are neither normalised nor turned.

    `forward` is `project`, then `attend`: a cache of keys and values fits between the two.

    Source: Ainslie et al., GQA: Training Generalized Multi-Query Transformer Models from Multi-Head
    Checkpoints (2023), section 2.2; Henry et al., Query-Key Normalization for Transformers (2020);
    Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding (2021), section 3.2.2.
    """

    def __init__(self, d_model: int, num_heads: int, num_kv_heads: int | None = None, qk_norm: bool = True):
        """Create query_proj, key_proj, value_proj, out_proj, query_norm and key_norm, nothing else.

        The projections are linear maps without a bias: query_proj and out_proj from d_model features
        to d_model, key_proj and value_proj from d_model to num_kv_heads · d_head, where
        d_head = d_model / num_heads. num_kv_heads is num_heads if left out. query_norm and key_norm
        are an `RMSNorm` of d_head features each, used for all heads; with qk_norm=False both are None.

        Raises ValueError naming d_model and num_heads if num_heads does not divide d_model, and
        num_heads and num_kv_heads if num_kv_heads does not divide num_heads.
        """
        super().__init__()
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if d_model % num_heads != 0:
            raise ValueError(f"d_model = {d_model} cannot be divided among num_heads = {num_heads}")
        if num_heads % num_kv_heads != 0:
            raise ValueError(f"num_heads = {num_heads} cannot share num_kv_heads = {num_kv_heads} evenly")
        d_head = d_model // num_heads
        self.num_heads, self.num_kv_heads = num_heads, num_kv_heads
        self.query_proj = Linear(d_model, d_model, bias=False)
        self.key_proj = Linear(d_model, num_kv_heads * d_head, bias=False)
        self.value_proj = Linear(d_model, num_kv_heads * d_head, bias=False)
        self.out_proj = Linear(d_model, d_model, bias=False)
        self.query_norm = RMSNorm(d_head) if qk_norm else None
        self.key_norm = RMSNorm(d_head) if qk_norm else None

    def project(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        rotary: tuple[Float[Tensor, "seq half"], Float[Tensor, "seq half"]],
    ) -> tuple[
        Float[Tensor, "*batch heads seq d_head"],
        Float[Tensor, "*batch kv_heads seq d_head"],
        Float[Tensor, "*batch kv_heads seq d_head"],
    ]:
        """Return the queries, keys and values of x in heads, as attention compares them.

        Queries and keys are projected, split into heads, normalised if there are norms, and turned.
        Values are projected and split. `rotary` holds the cosines and the sines, as `rotate` takes
        them: row s of each belongs to row s of x.
        """
        query = split_heads(self.query_proj(x), self.num_heads)  # (*batch, heads, seq, d_head)
        key = split_heads(self.key_proj(x), self.num_kv_heads)  # (*batch, kv_heads, seq, d_head)
        value = split_heads(self.value_proj(x), self.num_kv_heads)
        if self.query_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        return rotate(query, *rotary), rotate(key, *rotary), value

    def attend(
        self,
        query: Float[Tensor, "*batch heads queries d_head"],
        key: Float[Tensor, "*batch kv_heads keys d_head"],
        value: Float[Tensor, "*batch kv_heads keys d_head"],
        mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
    ) -> Float[Tensor, "*batch queries d_model"]:
        """Return what the queries read, from as many keys and values as there are.

        The formulas are those of the class. `mask` says which query may attend to which key, in all
        heads alike, as in `MultiHeadAttention` of kata 02. A query that may attend to nothing gets
        zeros.
        """
        group = self.num_heads // self.num_kv_heads
        if group > 1:
            # Each head as often as it has readers, one right after the other: 0 0 0 1 1 1, not 0 1 0 1 0 1.
            key, value = (x.repeat_interleave(group, dim=-3) for x in (key, value))
        if mask is not None:
            mask = mask.unsqueeze(-3)  # (*batch, 1, queries, keys)
        heads = scaled_dot_product_attention(query, key, value, mask)  # (*batch, heads, queries, d_head)
        return self.out_proj(merge_heads(heads))

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        rotary: tuple[Float[Tensor, "seq half"], Float[Tensor, "seq half"]],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        """Return what each position has read: `attend` of what `project` makes of x and `rotary`."""
        return self.attend(*self.project(x, rotary), mask)


class ModernBlock(nn.Module):
    """Attention and a feed-forward network, each reading a normalised stream and adding to it.

    x = x + attention(attention_norm(x), rotary, mask)
    x = x + feedforward(feedforward_norm(x))
    """

    def __init__(self, config: ModernConfig):
        """Create `attention_norm`, `attention`, `feedforward_norm` and `feedforward`, nothing else.

        They are an `RMSNorm`, a `ModernAttention`, another `RMSNorm`, and a `SquaredReLUFeedForward`
        or a `GatedFeedForward`, as config.feedforward says, of the sizes that `config` gives. The
        norms have the default eps.
        """
        super().__init__()
        self.attention_norm = RMSNorm(config.d_model)
        self.attention = ModernAttention(
            config.d_model, config.num_heads, config.num_kv_heads, config.qk_norm
        )
        self.feedforward_norm = RMSNorm(config.d_model)
        kind = GatedFeedForward if config.feedforward == "gated" else SquaredReLUFeedForward
        self.feedforward = kind(config.d_model, config.d_ff)

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        rotary: tuple[Float[Tensor, "seq half"], Float[Tensor, "seq half"]],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        """Return x with what attention and the feed-forward network have added to it."""
        x = x + self.attention(self.attention_norm(x), rotary, mask)
        return x + self.feedforward(self.feedforward_norm(x))


class ModernLM(nn.Module):
    """A language model of modern parts: reads ids, and scores which token comes next.

    x = token_embedding(ids)
    x = block(x), for every block in turn, each position reading itself and the earlier ones
    logits = lm_head(final_norm(x))

    Nothing is added to the tokens for their positions: all blocks turn their queries and keys by the
    same angles.

    Source: Touvron et al., LLaMA: Open and Efficient Foundation Language Models (2023), section 2.2,
    for the plan.
    """

    def __init__(self, config: ModernConfig):
        """Create the model that `config` describes, and keep it as the attribute `config`.

        The parts are `token_embedding` (TokenEmbedding), `blocks` (ModernBlock, num_layers of them,
        called blocks.0, blocks.1, … in the state dict), `final_norm` (RMSNorm) and `lm_head` (Linear,
        without a bias). With `tie_weights` the weight of lm_head is the very Parameter that
        token_embedding.weight is. The state dict holds the parameters and nothing else.

        `cos` and `sin` are buffers that are not persistent: the tables of `rotary_table` for
        block_size positions, the d_head of attention, and config.base.

        The parameters start as follows; what is drawn is drawn on PyTorch's global generator:

        - what writes into the residual stream, attention.out_proj and feedforward.down_proj, and the
          head: zero. So every block passes its input on, and all tokens are equally likely;
        - token embeddings: from N(0, 1). A tied table, which is the head as well, is drawn from
          N(0, 0.02) instead, where 0.02 is the standard deviation;
        - other matrices: from U(-1/√in_features, 1/√in_features), as `Linear` draws them;
        - weights of norms: 1.

        Source: Zhang, Dauphin and Ma, Fixup Initialization: Residual Learning Without Normalization
        (2019), section 3, for the zeros; Yang et al., Tensor Programs V: Tuning Large Neural Networks
        via Zero-Shot Hyperparameter Transfer (2022), for those of the head.
        """
        super().__init__()
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.blocks = nn.ModuleList(ModernBlock(config) for _ in range(config.num_layers))
        self.final_norm = RMSNorm(config.d_model)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        cos, sin = rotary_table(config.block_size, config.d_model // config.num_heads, config.base)
        # Buffers follow the model to its device and dtype. They can be computed again, so no file
        # has to hold them: a table of another length must not stand in the way of loading.
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for block in self.blocks:
            nn.init.zeros_(block.attention.out_proj.weight)
            nn.init.zeros_(block.feedforward.down_proj.weight)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
            nn.init.normal_(self.lm_head.weight, std=0.02)
        else:
            nn.init.zeros_(self.lm_head.weight)  # the table is drawn from N(0, 1) as it comes

    def forward(self, ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
        """Return at every position a logit for each token of the vocabulary, as the next one.

        The formulas are those of the class. Position s reads the ids 0 … s of its own sequence, and
        no later ones.

        Raises ValueError naming seq and block_size if the sequence is longer than block_size, and
        IndexError if an id is outside 0 … vocab_size - 1.
        """
        seq = ids.shape[-1]
        if seq > self.config.block_size:
            raise ValueError(f"{seq} tokens are more than the block_size of {self.config.block_size}")
        x = self.token_embedding(ids)  # (batch, seq, d_model)
        rotary = self.cos[:seq], self.sin[:seq]  # (seq, half) each, the same for all blocks
        mask = causal_mask(seq, device=ids.device)  # (seq, seq)
        for block in self.blocks:
            x = block(x, rotary, mask)
        return self.lm_head(self.final_norm(x))  # (batch, seq, vocab)
