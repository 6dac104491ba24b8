"""Other correct ways to write this kata; its tests must accept every one."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from katas.k00_shapes.shapes import Linear
from katas.k01_attention.attention import scaled_dot_product_attention, softmax
from katas.k02_multi_head.multi_head import MultiHeadAttention, merge_heads, split_heads


def split_heads__view_permute(
    x: Float[Tensor, "*batch seq d_model"], num_heads: int
) -> Float[Tensor, "*batch {num_heads} seq d_head"]:
    """With all batch axes made one, and the axes numbered from the front."""
    *batch, seq, d_model = x.shape
    if d_model % num_heads:
        raise ValueError(f"{num_heads} heads cannot share {d_model} features")
    heads = x.contiguous().view(-1, seq, num_heads, d_model // num_heads).permute(0, 2, 1, 3)
    return heads.reshape(*batch, num_heads, seq, d_model // num_heads)


def split_heads__stacked_chunks(
    x: Float[Tensor, "*batch seq d_model"], num_heads: int
) -> Float[Tensor, "*batch {num_heads} seq d_head"]:
    """Cut into slices, which are then stacked along a new axis."""
    d_model = x.shape[-1]
    if d_model % num_heads:
        raise ValueError(f"d_model={d_model} is no multiple of num_heads={num_heads}")
    return torch.stack(x.chunk(num_heads, dim=-1), dim=-3)


def split_heads__sliced(
    x: Float[Tensor, "*batch seq d_model"], num_heads: int
) -> Float[Tensor, "*batch {num_heads} seq d_head"]:
    """Slice by slice, into a tensor made beforehand."""
    if x.shape[-1] % num_heads:
        raise ValueError(f"cannot split {x.shape[-1]} features into {num_heads} heads")
    d_head = x.shape[-1] // num_heads
    out = x.new_empty(*x.shape[:-2], num_heads, x.shape[-2], d_head)
    for head in range(num_heads):
        out[..., head, :, :] = x[..., head * d_head : (head + 1) * d_head]
    return out


def split_heads__columns(
    x: Float[Tensor, "*batch seq d_model"], num_heads: int
) -> Float[Tensor, "*batch {num_heads} seq d_head"]:
    """Turned over first, so that the features, now rows, are split where they should stand."""
    d_model = x.shape[-1]
    if d_model % num_heads:
        raise ValueError(f"d_model {d_model}, num_heads {num_heads}")
    return x.mT.unflatten(-2, (num_heads, d_model // num_heads)).mT


def merge_heads__concatenated(
    x: Float[Tensor, "*batch heads seq d_head"],
) -> Float[Tensor, "*batch seq d_model"]:
    """The heads one by one, concatenated along the features."""
    return torch.cat(x.unbind(dim=-3), dim=-1)


def merge_heads__contiguous_view(
    x: Float[Tensor, "*batch heads seq d_head"],
) -> Float[Tensor, "*batch seq d_model"]:
    """A view, which needs a contiguous copy first."""
    *batch, heads, seq, d_head = x.shape
    return x.transpose(-3, -2).contiguous().view(*batch, seq, heads * d_head)


def merge_heads__rows(
    x: Float[Tensor, "*batch heads seq d_head"],
) -> Float[Tensor, "*batch seq d_model"]:
    """The features as rows, flattened with the heads and turned back."""
    return x.mT.flatten(-3, -2).mT


def merge_heads__einsum(
    x: Float[Tensor, "*batch heads seq d_head"],
) -> Float[Tensor, "*batch seq d_model"]:
    """Axes exchanged by einsum."""
    return torch.einsum("...hsi->...shi", x).reshape(*x.shape[:-3], x.shape[-2], -1)


class MultiHeadAttention__fused(nn.Module):
    """One matrix product with the three weights on top of each other, then cut in three."""

    def __init__(self, d_model: int, num_heads: int, bias: bool = True, dropout: float = 0.0):
        super().__init__()
        if d_model % num_heads:
            raise ValueError(f"d_model {d_model} and num_heads {num_heads} do not go together")
        self.heads, self.p = num_heads, dropout
        self.query_proj = nn.Linear(d_model, d_model, bias=bias)
        self.key_proj = nn.Linear(d_model, d_model, bias=bias)
        self.value_proj = nn.Linear(d_model, d_model, bias=bias)
        self.out_proj = nn.Linear(d_model, d_model, bias=bias)

    def _query_key_value(self, x: Tensor) -> Tensor:
        parts = (self.query_proj, self.key_proj, self.value_proj)
        weight = torch.cat([part.weight for part in parts])
        bias = None if self.out_proj.bias is None else torch.cat([part.bias for part in parts])
        fused = F.linear(x, weight, bias).unflatten(-1, (3, self.heads, -1))
        return fused.movedim(-3, 0).transpose(-3, -2)  # (3, *batch, heads, seq, d_head)

    def attention_weights(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch heads seq seq"]:
        query, key, _ = self._query_key_value(x)
        scores = query @ key.mT * query.shape[-1] ** -0.5
        if mask is not None:
            scores = torch.where(mask[..., None, :, :], scores, -math.inf)
        return softmax(scores, dim=-1)

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        weights = F.dropout(self.attention_weights(x, mask), self.p, training=self.training)
        return self.out_proj((weights @ self._query_key_value(x)[2]).transpose(-3, -2).flatten(-2))


class MultiHeadAttention__pytorchs_kernel(nn.Module):
    """PyTorch's fused attention for the output; the weights are computed only when asked for."""

    def __init__(self, d_model: int, num_heads: int, bias: bool = True, dropout: float = 0.0):
        super().__init__()
        if d_model % num_heads:
            raise ValueError(f"d_model={d_model}, num_heads={num_heads}")
        self.num_heads, self.dropout = num_heads, dropout
        for name in ("query_proj", "key_proj", "value_proj", "out_proj"):
            self.add_module(name, Linear(d_model, d_model, bias=bias))

    def attention_weights(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch heads seq seq"]:
        query = split_heads(self.query_proj(x), self.num_heads)
        key = split_heads(self.key_proj(x), self.num_heads)
        identity = torch.eye(x.shape[-2], dtype=x.dtype, device=x.device)
        values = identity.expand(*query.shape[:-1], -1)  # the output is then the weights themselves
        mask = None if mask is None else mask.unsqueeze(-3)
        return F.scaled_dot_product_attention(query, key, values, attn_mask=mask)

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        projections = (self.query_proj, self.key_proj, self.value_proj)
        heads = [split_heads(projection(x), self.num_heads) for projection in projections]
        mask = None if mask is None else mask.unsqueeze(-3)
        p = self.dropout if self.training else 0.0
        read = F.scaled_dot_product_attention(*heads, attn_mask=mask, dropout_p=p)
        return self.out_proj(merge_heads(read))


class MultiHeadAttention__einsum(nn.Module):
    """The weights of the projections as (heads, d_head, d_model); no tensor is ever split."""

    def __init__(self, d_model: int, num_heads: int, bias: bool = True, dropout: float = 0.0):
        super().__init__()
        if d_model % num_heads:
            raise ValueError(f"{d_model=} {num_heads=}")
        self.num_heads = num_heads
        self.query_proj = Linear(d_model, d_model, bias)
        self.key_proj = Linear(d_model, d_model, bias)
        self.value_proj = Linear(d_model, d_model, bias)
        self.out_proj = Linear(d_model, d_model, bias)
        self.drop = nn.Dropout(dropout)

    def _project(self, projection: nn.Module, x: Tensor) -> Tensor:
        weight = projection.weight.unflatten(0, (self.num_heads, -1))
        y = torch.einsum("...sm,him->...hsi", x, weight)
        if projection.bias is None:
            return y
        return y + projection.bias.unflatten(0, (self.num_heads, 1, -1))

    def attention_weights(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch heads seq seq"]:
        query, key = self._project(self.query_proj, x), self._project(self.key_proj, x)
        scores = torch.einsum("...qi,...ki->...qk", query / math.sqrt(query.shape[-1]), key)
        if mask is None:
            return scores.softmax(dim=-1)
        visible = mask.unsqueeze(-3)
        # A finite number first, then zero: no row is ever NaN, and no gradient.
        lowest = torch.finfo(scores.dtype).min
        return scores.masked_fill(~visible, lowest).softmax(dim=-1).masked_fill(~visible, 0.0)

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        weights = self.drop(self.attention_weights(x, mask))
        read = torch.einsum("...hqk,...hki->...hqi", weights, self._project(self.value_proj, x))
        weight = self.out_proj.weight.unflatten(1, (self.num_heads, -1))
        out = torch.einsum("...hqi,mhi->...qm", read, weight)
        return out if self.out_proj.bias is None else out + self.out_proj.bias


class MultiHeadAttention__loop_over_heads(nn.Module):
    """One attention after another, each on its own slices."""

    def __init__(self, d_model: int, num_heads: int, bias: bool = True, dropout: float = 0.0):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"cannot make {num_heads} heads of {d_model} features")
        self.d_head = d_model // num_heads
        self.dropout = dropout
        self.query_proj, self.key_proj, self.value_proj, self.out_proj = (
            Linear(d_model, d_model, bias) for _ in range(4)
        )

    def attention_weights(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch heads seq seq"]:
        queries = self.query_proj(x).split(self.d_head, dim=-1)
        keys = self.key_proj(x).split(self.d_head, dim=-1)
        seq = x.shape[-2]
        identity = torch.eye(seq, dtype=x.dtype, device=x.device).expand(*x.shape[:-1], seq)
        heads = [
            scaled_dot_product_attention(query, key, identity, mask)
            for query, key in zip(queries, keys, strict=True)
        ]
        return torch.stack(heads, dim=-3)

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        values = self.value_proj(x).split(self.d_head, dim=-1)
        read = []
        for weights, value in zip(self.attention_weights(x, mask).unbind(-3), values, strict=True):
            if self.training and self.dropout > 0:
                kept = torch.rand_like(weights) >= self.dropout
                weights = weights * kept / (1 - self.dropout)
            read.append(weights @ value)
        return self.out_proj(torch.cat(read, dim=-1))


class MultiHeadAttention__heads_in_the_batch(nn.Module):
    """Heads and sequences in one batch axis, with a copy of the mask for each head."""

    def __init__(self, d_model: int, num_heads: int, bias: bool = True, dropout: float = 0.0):
        super().__init__()
        if d_model % num_heads:
            raise ValueError(f"d_model is {d_model}, num_heads is {num_heads}")
        self.num_heads = num_heads
        self.query_proj = nn.Linear(d_model, d_model, bias)
        self.key_proj = nn.Linear(d_model, d_model, bias)
        self.value_proj = nn.Linear(d_model, d_model, bias)
        self.out_proj = nn.Linear(d_model, d_model, bias)
        self.dropout = nn.Dropout(dropout)

    def _heads(self, projection: nn.Module, x: Tensor) -> Tensor:
        return split_heads(projection(x), self.num_heads).flatten(0, -3)  # (sequences · heads, …)

    def attention_weights(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch heads seq seq"]:
        *batch, seq, _ = x.shape
        query, key = self._heads(self.query_proj, x), self._heads(self.key_proj, x)
        scores = torch.bmm(query, key.transpose(1, 2)) / math.sqrt(query.shape[-1])
        if mask is not None:
            each = mask.expand(*batch, seq, seq).unsqueeze(-3)
            each = each.expand(*batch, self.num_heads, seq, seq).flatten(0, -3)
            hide = torch.zeros_like(scores).masked_fill(~each, -math.inf)
            scores = scores + hide  # an additive mask
        return softmax(scores, dim=-1).reshape(*batch, self.num_heads, seq, seq)

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        weights = self.dropout(self.attention_weights(x, mask).flatten(0, -3))
        read = torch.bmm(weights, self._heads(self.value_proj, x))
        heads = read.reshape(*x.shape[:-2], self.num_heads, x.shape[-2], -1)
        return self.out_proj(merge_heads(heads))


class MultiHeadAttention__root_as_a_float32_tensor(MultiHeadAttention):
    """Scores of its own, divided by a root in float32, whose seven digits are all that float64 gets."""

    def __init__(self, d_model: int, num_heads: int, bias: bool = True, dropout: float = 0.0):
        super().__init__(d_model, num_heads, bias, dropout)

    def attention_weights(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch heads seq seq"]:
        query, key = (split_heads(part(x), self.num_heads) for part in (self.query_proj, self.key_proj))
        root = torch.sqrt(torch.tensor(query.shape[-1], dtype=torch.float32, device=x.device))
        scores = query @ key.transpose(-2, -1) / root
        if mask is not None:
            scores = scores.masked_fill(~mask.unsqueeze(-3), float("-inf"))
        return softmax(scores, dim=-1)
