"""Other correct ways to write this kata; its tests must accept every one."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from katas.k00_shapes.shapes import Linear
from katas.k02_multi_head.multi_head import MultiHeadAttention
from katas.k03_transformer_blocks.transformer_blocks import FeedForward, LayerNorm, gelu


def gelu__pytorchs(
    x: Float[Tensor, "*dims"], approximate: Literal["none", "tanh"] = "none"
) -> Float[Tensor, "*dims"]:
    """PyTorch's own kernel."""
    return F.gelu(x, approximate=approximate)


def gelu__as_in_the_docstring(
    x: Float[Tensor, "*dims"], approximate: Literal["none", "tanh"] = "none"
) -> Float[Tensor, "*dims"]:
    """Both formulas as they are written."""
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3))
        return 0.5 * x * (1 + torch.tanh(inner))
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def gelu__root_as_a_tensor(
    x: Float[Tensor, "*dims"], approximate: Literal["none", "tanh"] = "none"
) -> Float[Tensor, "*dims"]:
    """Roots of tensors, which are in float32: their seven digits are all that float64 gets."""
    if approximate == "tanh":
        factor = torch.sqrt(torch.tensor(2.0 / torch.pi, dtype=torch.float32, device=x.device))
        return 0.5 * x * (1 + torch.tanh(factor * (x + 0.044715 * x**3)))
    return x * 0.5 * (1 + torch.erf(x / torch.sqrt(torch.tensor(2.0, dtype=torch.float32, device=x.device))))


def gelu__factor_with_ten_digits(
    x: Float[Tensor, "*dims"], approximate: Literal["none", "tanh"] = "none"
) -> Float[Tensor, "*dims"]:
    """The constants as numbers with as many digits as papers print."""
    if approximate == "tanh":
        return 0.5 * x * (1 + torch.tanh(0.7978845608 * x * (1 + 0.044715 * x * x)))
    return 0.5 * x * (1 + torch.erf(0.7071067812 * x))


def gelu__normal_distribution(
    x: Float[Tensor, "*dims"], approximate: Literal["none", "tanh"] = "none"
) -> Float[Tensor, "*dims"]:
    """Φ from a library; the cubic by Horner's rule."""
    if approximate == "none":
        return x * torch.special.ndtr(x)
    inner = x * (0.7978845608028654 + 0.035677408136300125 * x * x)
    return x / 2 + x / 2 * inner.tanh()


def gelu__complementary(
    x: Float[Tensor, "*dims"], approximate: Literal["none", "tanh"] = "none"
) -> Float[Tensor, "*dims"]:
    """With the tail of the distribution, which keeps its digits far below zero."""
    match approximate:
        case "none":
            return x * torch.erfc(x * -math.sqrt(0.5)) / 2
        case "tanh":
            z = math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)
            return x * F.logsigmoid(2 * z).exp()


class LayerNorm__pytorchs(nn.LayerNorm):
    """PyTorch's own layer under this name."""

    def __init__(self, d_model: int, eps: float = 1e-5, bias: bool = True):
        super().__init__(d_model, eps=eps, bias=bias)


class LayerNorm__functional(nn.Module):
    """PyTorch's function with parameters made here."""

    def __init__(self, d_model: int, eps: float = 1e-5, bias: bool = True):
        super().__init__()
        self.epsilon = eps
        self.weight = nn.Parameter(torch.empty(d_model).fill_(1.0))
        self.bias = nn.Parameter(torch.empty(d_model).fill_(0.0)) if bias else None

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.epsilon)


class LayerNorm__as_in_the_docstring(nn.Module):
    """The formula as it is written: a mean, a variance, a root, a quotient."""

    def __init__(self, d_model: int, eps: float = 1e-5, bias: bool = True):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        mean = x.mean(dim=-1, keepdim=True)
        variance = x.var(dim=-1, keepdim=True, correction=0)
        y = (x - mean) / torch.sqrt(variance + self.eps) * self.weight
        return y if self.bias is None else y + self.bias


class LayerNorm__var_mean(nn.Module):
    """Mean and variance in one call; weight and root joined before they meet the features."""

    def __init__(self, d_model: int, eps: float = 1e-5, bias: bool = True):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones((d_model,)))
        if bias:
            self.bias = nn.Parameter(torch.zeros((d_model,)))
        else:
            self.register_parameter("bias", None)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        variance, mean = torch.var_mean(x, dim=-1, unbiased=False, keepdim=True)
        y = (x - mean) * ((variance + self.eps) ** -0.5 * self.weight)
        if self.bias is not None:
            y += self.bias  # in place, but in a tensor of our own
        return y


class LayerNorm__matrix(nn.Module):
    """Centring as a linear map, I - 1/n, and the variance as a dot product."""

    def __init__(self, d_model: int, eps: float = 1e-5, bias: bool = True):
        super().__init__()
        self.d_model, self.eps = d_model, eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.register_parameter("bias", nn.Parameter(torch.zeros(d_model)) if bias else None)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        # Less the first feature to begin with: the map would round what is far from zero.
        near = x - x[..., :1]
        identity = torch.eye(self.d_model, dtype=x.dtype, device=x.device)
        centred = near @ (identity - 1 / self.d_model)
        variance = torch.einsum("...i,...i->...", centred, centred) / self.d_model
        y = centred / (variance + self.eps).sqrt().unsqueeze(-1)
        return y * self.weight + (0.0 if self.bias is None else self.bias)


class FeedForward__pytorchs(nn.Module):
    """PyTorch's own layers, one after the other."""

    def __init__(self, d_model: int, d_ff: int, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        self.up_proj = nn.Linear(d_model, d_ff, bias=bias)
        self.activation = nn.GELU()
        self.down_proj = nn.Linear(d_ff, d_model, bias=bias)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        for layer in (self.up_proj, self.activation, self.down_proj, self.drop):
            x = layer(x)
        return x


class FeedForward__functional(nn.Module):
    """The projections only hold the parameters; dropout by a function that has to be told."""

    def __init__(self, d_model: int, d_ff: int, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        self.p = dropout
        self.up_proj, self.down_proj = Linear(d_model, d_ff, bias), Linear(d_ff, d_model, bias)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        hidden = F.gelu(F.linear(x, self.up_proj.weight, self.up_proj.bias))
        out = F.linear(hidden, self.down_proj.weight, self.down_proj.bias)
        return F.dropout(out, p=self.p, training=self.training)


class FeedForward__own_draws(nn.Module):
    """einsum, and a mask for dropout drawn here."""

    def __init__(self, d_model: int, d_ff: int, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        self.dropout = dropout
        self.add_module("up_proj", nn.Linear(d_model, d_ff, bias))
        self.add_module("down_proj", nn.Linear(d_ff, d_model, bias))

    def _project(self, x: Tensor, layer: nn.Module) -> Tensor:
        y = torch.einsum("...i,oi->...o", x, layer.weight)
        return y if layer.bias is None else y + layer.bias

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        out = self._project(gelu(self._project(x, self.up_proj)), self.down_proj)
        if self.training and self.dropout > 0:
            kept = torch.bernoulli(torch.full_like(out, 1 - self.dropout))
            out = out * kept / (1 - self.dropout)
        return out


class FeedForward__position_by_position(nn.Module):
    """All positions in one long axis, and the hidden features in two halves."""

    def __init__(self, d_model: int, d_ff: int, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        self.up_proj = Linear(d_model, d_ff, bias=bias)
        self.down_proj = Linear(d_ff, d_model, bias=bias)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        rows = x.reshape(-1, x.shape[-1])
        half = self.up_proj.weight.shape[0] // 2
        first, second = gelu(self.up_proj(rows)).tensor_split([half], dim=-1)
        weight = self.down_proj.weight
        out = first @ weight[:, :half].T + second @ weight[:, half:].T
        if self.down_proj.bias is not None:
            out = out + self.down_proj.bias
        return self.dropout(out).reshape(x.shape)


class TransformerBlock__dropout_in_one_place(nn.Module):
    """One dropout for both sub-layers; the feed-forward network is made without."""

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        dropout: float = 0.0,
        norm_first: bool = True,
        bias: bool = True,
    ):
        super().__init__()
        self.norm_first = norm_first
        self.attention_norm = LayerNorm(d_model, bias=bias)
        self.feedforward_norm = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, num_heads, bias=bias, dropout=dropout)
        self.feedforward = FeedForward(d_model, d_ff, bias=bias)
        self.residual_dropout = nn.Dropout(dropout)

    def _attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.residual_dropout(self.attention(x, mask=mask))

    def _think(self, x: Tensor) -> Tensor:
        return self.residual_dropout(self.feedforward(x))

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        if self.norm_first:
            attended = x + self._attend(self.attention_norm(x), mask)
            return attended + self._think(self.feedforward_norm(attended))
        attended = self.attention_norm(x + self._attend(x, mask))
        return self.feedforward_norm(attended + self._think(attended))


class TransformerBlock__pytorchs_parts(nn.Module):
    """PyTorch's norms, linear layers and activation; only attention is from kata 02."""

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        dropout: float = 0.0,
        norm_first: bool = True,
        bias: bool = True,
    ):
        super().__init__()
        self.norm_first, self.p = norm_first, dropout
        self.attention_norm = nn.LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, num_heads, bias, dropout)
        self.feedforward_norm = nn.LayerNorm(d_model, bias=bias)
        self.feedforward = nn.Module()
        self.feedforward.up_proj = nn.Linear(d_model, d_ff, bias)
        self.feedforward.down_proj = nn.Linear(d_ff, d_model, bias)

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        read = self.attention(self.attention_norm(x) if self.norm_first else x, mask)
        x = x + F.dropout(read, self.p, self.training)
        if not self.norm_first:
            x = self.attention_norm(x)
        hidden = F.gelu(self.feedforward.up_proj(self.feedforward_norm(x) if self.norm_first else x))
        x = x + F.dropout(self.feedforward.down_proj(hidden), self.p, self.training)
        return x if self.norm_first else self.feedforward_norm(x)


class TransformerBlock__loop_over_sub_layers(nn.Module):
    """The two sub-layers treated alike, with norms and dropout chosen beforehand."""

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        dropout: float = 0.0,
        norm_first: bool = True,
        bias: bool = True,
    ):
        super().__init__()
        self.attention_norm = LayerNorm(d_model, 1e-5, bias)
        self.attention = MultiHeadAttention(d_model, num_heads, bias, dropout)
        self.feedforward_norm = LayerNorm(d_model, 1e-5, bias)
        self.feedforward = FeedForward(d_model, d_ff, 0.0, bias)
        self.dropouts = nn.ModuleList([nn.Dropout(dropout), nn.Dropout(dropout)])
        self.before = norm_first

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        steps = [
            (self.attention_norm, lambda y: self.attention(y, mask)),
            (self.feedforward_norm, self.feedforward),
        ]
        for (norm, sub_layer), dropout in zip(steps, self.dropouts, strict=True):
            added = dropout(sub_layer(norm(x) if self.before else x))
            x = x + added if self.before else norm(x + added)
        return x


class TransformerBlock__own_copy(nn.Module):
    """Additions in place, but in a copy; what is added is drawn and dropped by hand."""

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        dropout: float = 0.0,
        norm_first: bool = True,
        bias: bool = True,
    ):
        super().__init__()
        self.dropout, self.norm_first = dropout, norm_first
        self.attention_norm = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, num_heads, bias, dropout)
        self.feedforward_norm = LayerNorm(d_model, bias=bias)
        self.feedforward = FeedForward(d_model, d_ff, dropout, bias)

    def _dropped(self, x: Tensor) -> Tensor:
        if not self.training or self.dropout == 0:
            return x
        return torch.where(torch.rand_like(x) < self.dropout, 0.0, x / (1 - self.dropout))

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        stream = x.clone()
        if self.norm_first:
            stream += self._dropped(self.attention(self.attention_norm(x), mask))
            stream = torch.add(stream, self.feedforward(self.feedforward_norm(stream)))
        else:
            stream += self._dropped(self.attention(x, mask))
            stream = self.attention_norm(stream)
            stream = self.feedforward_norm(torch.add(stream, self.feedforward(stream)))
        return stream
