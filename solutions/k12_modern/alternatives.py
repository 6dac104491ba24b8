"""Other correct ways to write this kata; its tests must accept every one."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from katas.k00_shapes.shapes import Linear
from katas.k01_attention.attention import attention_weights, causal_mask
from katas.k02_multi_head.multi_head import merge_heads, split_heads
from katas.k04_embeddings.embeddings import TokenEmbedding
from katas.k12_modern.modern import (
    GatedFeedForward,
    ModernAttention,
    ModernBlock,
    ModernConfig,
    RMSNorm,
    SquaredReLUFeedForward,
    rotary_table,
    rotate,
)


class RMSNorm__pytorchs(nn.RMSNorm):
    """PyTorch's own layer, with another default for eps, and in float32 where the dtype is narrower."""

    def __init__(self, d_model: int, eps: float = 1e-5):
        super().__init__(d_model, eps=eps)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        if x.dtype in (torch.float16, torch.bfloat16):
            wide = F.rms_norm(x.float(), self.normalized_shape, self.weight.float(), self.eps)
            return wide.to(x.dtype)
        return super().forward(x)


class RMSNorm__as_in_the_docstring(nn.Module):
    """The formula, divided by the root; only narrow dtypes are widened, weight included."""

    def __init__(self, d_model: int, eps: float = 1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.eps = eps

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        dtype = x.dtype
        weight = self.weight
        if dtype != torch.float64:
            x, weight = x.float(), weight.float()
        y = x / torch.sqrt((x**2).mean(-1, keepdim=True) + self.eps) * weight
        return y.to(dtype)


class RMSNorm__product_of_each_row_with_itself(nn.Module):
    """The sum of squares as a dot product, and eps as a tensor in float32."""

    def __init__(self, d_model: int, eps: float = 1e-5):
        super().__init__()
        self.register_buffer("eps", torch.tensor(eps), persistent=False)
        self.weight = nn.Parameter(torch.full((d_model,), 1.0))

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        wide = x if torch.finfo(x.dtype).bits >= 32 else x.to(torch.float32)
        mean = torch.linalg.vecdot(wide, wide).unsqueeze(-1) / x.shape[-1]
        return (wide * (mean + self.eps.to(wide.dtype)) ** -0.5).type_as(x) * self.weight


def rotary_table__outer(
    max_len: int,
    d_head: int,
    base: float = 10000.0,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> tuple[Float[Tensor, "{max_len} half"], Float[Tensor, "{max_len} half"]]:
    """An outer product with one over the wavelength, moved by `to` and by torch.empty's defaults."""
    if d_head % 2 != 0:
        raise ValueError(f"odd d_head: {d_head}")
    exponent = torch.arange(d_head // 2, dtype=torch.float64, device="cpu") * 2 / d_head
    positions = torch.arange(max_len, dtype=torch.float64, device="cpu")
    angle = torch.outer(positions, 1 / base**exponent)
    like = torch.empty((), dtype=dtype, device=device)
    return torch.cos(angle).to(like), torch.sin(angle).to(like)


def rotary_table__complex(
    max_len: int,
    d_head: int,
    base: float = 10000.0,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> tuple[Float[Tensor, "{max_len} half"], Float[Tensor, "{max_len} half"]]:
    """The parts of complex numbers of length one, with the frequencies by an exponential."""
    if d_head & 1:
        raise ValueError(f"d_head is {d_head}, which is odd")
    with torch.device("cpu"):
        pairs = torch.arange(d_head // 2).double()
        angle = torch.arange(max_len).double()[:, None] * torch.exp(-2 * math.log(base) / d_head * pairs)
        unit = torch.polar(torch.ones_like(angle), angle)
    cos, sin = unit.real.contiguous(), unit.imag.contiguous()
    dtype, device = dtype or torch.get_default_dtype(), device or torch.get_default_device()
    return cos.to(dtype).to(device), sin.to(dtype).to(device)


def rotary_table__lists(
    max_len: int,
    d_head: int,
    base: float = 10000.0,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> tuple[Float[Tensor, "{max_len} half"], Float[Tensor, "{max_len} half"]]:
    """Python's own numbers, which have the digits of float64."""
    if d_head % 2 == 1:
        raise ValueError(f"d_head={d_head}")
    frequencies = [math.pow(base, -2 * i / d_head) for i in range(d_head // 2)]
    cos = [[math.cos(p * frequency) for frequency in frequencies] for p in range(max_len)]
    sin = [[math.sin(p * frequency) for frequency in frequencies] for p in range(max_len)]
    options = {"dtype": dtype, "device": device}
    return torch.tensor(cos, **options), torch.tensor(sin, **options)


def rotate__rotate_half(
    x: Float[Tensor, "*batch seq d_head"],
    cos: Float[Tensor, "seq half"],
    sin: Float[Tensor, "seq half"],
) -> Float[Tensor, "*batch seq d_head"]:
    """Tables as wide as the features, and x with its halves exchanged, as in Hugging Face's code."""
    first, second = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    cos, sin = torch.cat([cos, cos], dim=-1), torch.cat([sin, sin], dim=-1)
    return (x * cos + torch.cat([-second, first], dim=-1) * sin).to(x.dtype)


def rotate__complex(
    x: Float[Tensor, "*batch seq d_head"],
    cos: Float[Tensor, "seq half"],
    sin: Float[Tensor, "seq half"],
) -> Float[Tensor, "*batch seq d_head"]:
    """Complex numbers, which have no 16-bit dtype."""
    first, second = x.to(torch.promote_types(x.dtype, torch.float32)).chunk(2, dim=-1)
    unit = torch.complex(cos.to(first.dtype), sin.to(first.dtype))
    y = torch.complex(first.contiguous(), second.contiguous()) * unit
    return torch.cat([y.real, y.imag], dim=-1).to(x.dtype)


def rotate__matrices(
    x: Float[Tensor, "*batch seq d_head"],
    cos: Float[Tensor, "seq half"],
    sin: Float[Tensor, "seq half"],
) -> Float[Tensor, "*batch seq d_head"]:
    """A matrix of two by two for every position and pair."""
    turn = torch.stack([torch.stack([cos, -sin]), torch.stack([sin, cos])])  # (2, 2, seq, half)
    pairs = x.unflatten(-1, (2, -1))  # (*batch, seq, 2, half)
    return torch.einsum("abst,...sbt->...sat", turn.to(x.dtype), pairs).flatten(-2)


def rotate__written_into_halves(
    x: Float[Tensor, "*batch seq d_head"],
    cos: Float[Tensor, "seq half"],
    sin: Float[Tensor, "seq half"],
) -> Float[Tensor, "*batch seq d_head"]:
    """A product of the whole with the cosines, to which the sines are added half by half."""
    half, cos, sin = x.size(-1) // 2, cos.type_as(x), sin.type_as(x)
    y = x * cos.repeat(1, 2)
    y[..., :half] -= x[..., half:] * sin
    y[..., half:] += x[..., :half] * sin
    return y


class GatedFeedForward__sigmoid(nn.Module):
    """The silu written as a product, and PyTorch's linear layers."""

    def __init__(self, d_model: int, d_ff: int):
        super().__init__()
        self.up_proj = nn.Linear(d_model, d_ff, bias=False)
        self.gate_proj = nn.Linear(d_model, d_ff, bias=False)
        self.down_proj = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        gate = self.gate_proj(x)
        return self.down_proj(gate * torch.sigmoid(gate) * self.up_proj(x))


class GatedFeedForward__one_product(nn.Module):
    """Both projections in one matrix product."""

    def __init__(self, d_model: int, d_ff: int):
        super().__init__()
        self.gate_proj, self.up_proj = (Linear(d_model, d_ff, bias=False) for _ in range(2))
        self.down_proj = Linear(d_ff, d_model, bias=False)
        self.act = nn.SiLU()

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        weight = torch.cat([self.up_proj.weight, self.gate_proj.weight])
        up, gate = F.linear(x, weight).chunk(2, dim=-1)
        return self.down_proj(up * self.act(gate))


class SquaredReLUFeedForward__clamp(nn.Module):
    """The ReLU as a lower bound, and a power."""

    def __init__(self, d_model: int, d_ff: int):
        super().__init__()
        self.up_proj = nn.Linear(d_model, d_ff, bias=False)
        self.down_proj = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        return self.down_proj(self.up_proj(x).clamp(min=0) ** 2)


class SquaredReLUFeedForward__times_itself(nn.Module):
    """The ReLU of a number, times the number."""

    def __init__(self, d_model: int, d_ff: int):
        super().__init__()
        self.up_proj, self.down_proj = Linear(d_model, d_ff, False), Linear(d_ff, d_model, False)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        hidden = self.up_proj(x)
        return self.down_proj(F.relu(hidden) * hidden)


class ModernAttention__pytorchs_kernel(nn.Module):
    """PyTorch's attention, which can share heads by itself; norms made only if they are wanted."""

    def __init__(self, d_model: int, num_heads: int, num_kv_heads: int | None = None, qk_norm: bool = True):
        super().__init__()
        self.num_heads, self.num_kv_heads = num_heads, num_kv_heads or num_heads
        self.d_head, rest = divmod(d_model, num_heads)
        if rest:
            raise ValueError(f"num_heads {num_heads} does not divide d_model {d_model}")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_kv_heads {num_kv_heads} does not divide num_heads {num_heads}")
        self.query_proj = nn.Linear(d_model, d_model, bias=False)
        self.key_proj = nn.Linear(d_model, self.num_kv_heads * self.d_head, bias=False)
        self.value_proj = nn.Linear(d_model, self.num_kv_heads * self.d_head, bias=False)
        self.out_proj = nn.Linear(d_model, d_model, bias=False)
        self.query_norm = self.key_norm = None
        if qk_norm:
            self.query_norm, self.key_norm = RMSNorm(self.d_head), RMSNorm(self.d_head)

    def project(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        rotary: tuple[Float[Tensor, "seq half"], Float[Tensor, "seq half"]],
    ) -> tuple[
        Float[Tensor, "*batch heads seq d_head"],
        Float[Tensor, "*batch kv_heads seq d_head"],
        Float[Tensor, "*batch kv_heads seq d_head"],
    ]:
        cos, sin = rotary
        query = self.query_proj(x).unflatten(-1, (self.num_heads, self.d_head))
        key = self.key_proj(x).unflatten(-1, (self.num_kv_heads, self.d_head))
        value = self.value_proj(x).unflatten(-1, (self.num_kv_heads, self.d_head))
        if self.query_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        query, key, value = (part.transpose(-3, -2) for part in (query, key, value))
        return rotate(query, cos, sin), rotate(key, cos, sin), value

    def attend(
        self,
        query: Float[Tensor, "*batch heads queries d_head"],
        key: Float[Tensor, "*batch kv_heads keys d_head"],
        value: Float[Tensor, "*batch kv_heads keys d_head"],
        mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
    ) -> Float[Tensor, "*batch queries d_model"]:
        mask = None if mask is None else mask.unsqueeze(-3)
        heads = F.scaled_dot_product_attention(query, key, value, mask, enable_gqa=True)
        return self.out_proj(merge_heads(heads))

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        rotary: tuple[Float[Tensor, "seq half"], Float[Tensor, "seq half"]],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        query, key, value = self.project(x, rotary)
        return self.attend(query, key, value, mask)


class ModernAttention__groups(nn.Module):
    """Queries in groups, so that broadcasting shares the key heads; queries and keys turned together."""

    def __init__(self, d_model: int, num_heads: int, num_kv_heads: int | None = None, qk_norm: bool = True):
        super().__init__()
        if num_kv_heads is None:
            num_kv_heads = num_heads
        if num_heads % num_kv_heads or d_model % num_heads:
            raise ValueError(f"sizes {d_model}, {num_heads} and {num_kv_heads} do not fit")
        d_head = d_model // num_heads
        self.group, self.num_kv_heads, self.num_heads = num_heads // num_kv_heads, num_kv_heads, num_heads
        self.out_proj = Linear(d_model, d_model, False)
        self.value_proj = Linear(d_model, d_head * num_kv_heads, False)
        self.key_proj = Linear(d_model, d_head * num_kv_heads, False)
        self.query_proj = Linear(d_model, d_model, False)
        self.key_norm, self.query_norm = (RMSNorm(d_head) if qk_norm else None for _ in range(2))

    def project(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        rotary: tuple[Float[Tensor, "seq half"], Float[Tensor, "seq half"]],
    ) -> tuple[
        Float[Tensor, "*batch heads seq d_head"],
        Float[Tensor, "*batch kv_heads seq d_head"],
        Float[Tensor, "*batch kv_heads seq d_head"],
    ]:
        query = split_heads(self.query_proj(x), self.num_heads)
        key = split_heads(self.key_proj(x), self.num_kv_heads)
        if self.key_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        both = rotate(torch.cat([query, key], dim=-3), *rotary)
        query, key = both[..., : self.num_heads, :, :], both[..., self.num_heads :, :, :]
        return query, key, split_heads(self.value_proj(x), self.num_kv_heads)

    def attend(
        self,
        query: Float[Tensor, "*batch heads queries d_head"],
        key: Float[Tensor, "*batch kv_heads keys d_head"],
        value: Float[Tensor, "*batch kv_heads keys d_head"],
        mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
    ) -> Float[Tensor, "*batch queries d_model"]:
        groups = query.unflatten(-3, (self.num_kv_heads, self.group))  # (…, kv_heads, group, queries, d_head)
        scores = groups @ key.unsqueeze(-3).transpose(-2, -1) / math.sqrt(query.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask[..., None, None, :, :], -math.inf)
        heads = torch.softmax(scores, dim=-1) @ value.unsqueeze(-3)
        return self.out_proj(merge_heads(heads.flatten(-4, -3)))

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        rotary: tuple[Float[Tensor, "seq half"], Float[Tensor, "seq half"]],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        return self.attend(*self.project(x, rotary), mask=mask)


class ModernAttention__head_by_head(nn.Module):
    """A loop over the query heads, each with the key head that it reads."""

    def __init__(self, d_model: int, num_heads: int, num_kv_heads: int | None = None, qk_norm: bool = True):
        super().__init__()
        kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if d_model != num_heads * (d_model // num_heads):
            raise ValueError(f"{num_heads} heads for {d_model} features")
        if num_heads != kv_heads * (num_heads // kv_heads):
            raise ValueError(f"{kv_heads} key heads for {num_heads} query heads")
        self.d_head, self.heads, self.kv_heads = d_model // num_heads, num_heads, kv_heads
        self.query_proj = Linear(d_model, num_heads * self.d_head, bias=False)
        self.key_proj = Linear(d_model, kv_heads * self.d_head, bias=False)
        self.value_proj = Linear(d_model, kv_heads * self.d_head, bias=False)
        self.out_proj = Linear(num_heads * self.d_head, d_model, bias=False)
        self.query_norm, self.key_norm = None, None
        if qk_norm:
            self.query_norm, self.key_norm = RMSNorm(self.d_head), RMSNorm(self.d_head)

    def project(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        rotary: tuple[Float[Tensor, "seq half"], Float[Tensor, "seq half"]],
    ) -> tuple[
        Float[Tensor, "*batch heads seq d_head"],
        Float[Tensor, "*batch kv_heads seq d_head"],
        Float[Tensor, "*batch kv_heads seq d_head"],
    ]:
        queries = self.query_proj(x).split(self.d_head, dim=-1)
        keys = self.key_proj(x).split(self.d_head, dim=-1)
        values = self.value_proj(x).split(self.d_head, dim=-1)
        if self.query_norm is not None:
            queries, keys = [self.query_norm(q) for q in queries], [self.key_norm(k) for k in keys]
        queries, keys = [rotate(q, *rotary) for q in queries], [rotate(k, *rotary) for k in keys]
        return torch.stack(queries, dim=-3), torch.stack(keys, dim=-3), torch.stack(values, dim=-3)

    def attend(
        self,
        query: Float[Tensor, "*batch heads queries d_head"],
        key: Float[Tensor, "*batch kv_heads keys d_head"],
        value: Float[Tensor, "*batch kv_heads keys d_head"],
        mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
    ) -> Float[Tensor, "*batch queries d_model"]:
        read = []
        for head in range(self.heads):
            shared = head * self.kv_heads // self.heads
            weights = attention_weights(query[..., head, :, :], key[..., shared, :, :], mask)
            read.append(weights @ value[..., shared, :, :])
        return self.out_proj(torch.cat(read, dim=-1))

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        rotary: tuple[Float[Tensor, "seq half"], Float[Tensor, "seq half"]],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        query, key, value = self.project(x, rotary)
        return self.attend(query, key, value, mask)


class ModernBlock__chosen_by_name(nn.Module):
    """The network from a dictionary, and everything passed by name."""

    def __init__(self, config: ModernConfig):
        super().__init__()
        networks = {"gated": GatedFeedForward, "squared_relu": SquaredReLUFeedForward}
        self.attention_norm, self.feedforward_norm = RMSNorm(config.d_model), RMSNorm(config.d_model)
        self.feedforward = networks[config.feedforward](d_model=config.d_model, d_ff=config.d_ff)
        self.attention = ModernAttention(
            d_model=config.d_model,
            num_heads=config.num_heads,
            num_kv_heads=config.num_kv_heads,
            qk_norm=config.qk_norm,
        )

    def forward(
        self,
        x: Float[Tensor, "*batch seq d_model"],
        rotary: tuple[Float[Tensor, "seq half"], Float[Tensor, "seq half"]],
        mask: Bool[Tensor, "*#batch #seq #seq"] | None = None,
    ) -> Float[Tensor, "*batch seq d_model"]:
        after = x + self.attention(self.attention_norm(x), rotary=rotary, mask=mask)
        return after + self.feedforward(self.feedforward_norm(after))


class ModernLM__pytorchs_modules(nn.Module):
    """Embedding, norm and head from torch.nn; the first values are set kind by kind, by name."""

    def __init__(self, config: ModernConfig):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.blocks = nn.ModuleList([ModernBlock(config) for _ in range(config.num_layers)])
        self.final_norm = nn.RMSNorm(config.d_model, eps=1e-5)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        d_head = config.d_model // config.num_heads
        for name, table in zip(
            ("cos", "sin"), rotary_table(config.block_size, d_head, config.base), strict=True
        ):
            self.register_buffer(name, table, persistent=False)
        if config.tie_weights:
            self.token_embedding.weight = self.lm_head.weight
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name.endswith(("out_proj.weight", "down_proj.weight", "lm_head.weight")):
                    parameter.zero_()
                elif name == "token_embedding.weight":
                    parameter.normal_(std=0.02 if config.tie_weights else 1.0)

    def forward(self, ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
        _, seq = ids.shape
        if seq > self.config.block_size:
            raise ValueError(f"seq {seq} exceeds block_size {self.config.block_size}")
        mask = torch.ones(seq, seq, dtype=torch.bool, device=ids.device).tril()
        x = self.token_embedding(ids)
        for block in self.blocks:
            x = block(x, (self.cos[:seq], self.sin[:seq]), mask)
        return self.lm_head(self.final_norm(x))


class ModernLM__one_table(nn.Module):
    """Matrices are drawn once more, and the mask has an axis for the batch."""

    def __init__(self, config: ModernConfig):
        super().__init__()
        self.config = config
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        self.final_norm = RMSNorm(config.d_model)
        self.blocks = nn.ModuleList()
        for _ in range(config.num_layers):
            self.blocks.append(ModernBlock(config))
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._draw()
        tables = torch.stack(
            rotary_table(config.block_size, config.d_model // config.num_heads, base=config.base)
        )
        self.register_buffer("cos", tables[0].clone(), persistent=False)
        self.register_buffer("sin", tables[1].clone(), persistent=False)

    @torch.no_grad()
    def _draw(self) -> None:
        for module in self.modules():
            if isinstance(module, Linear):
                bound = module.weight.shape[1] ** -0.5
                module.weight.uniform_(-bound, bound)
        for block in self.blocks:
            block.attention.out_proj.weight *= 0
            block.feedforward.down_proj.weight.fill_(0)
        self.lm_head.weight.zero_()
        self.token_embedding.weight.normal_()
        if self.config.tie_weights:
            self.token_embedding.weight.mul_(0.02)

    def forward(self, ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
        length = ids.size(1)
        if length > len(self.cos):
            raise ValueError(f"sequence of {length} tokens, block_size of {len(self.cos)}")
        x = self.token_embedding(ids)
        rotary = (self.cos.narrow(0, 0, length), self.sin.narrow(0, 0, length))
        mask = causal_mask(length, device=ids.device).unsqueeze(0)
        for block in self.blocks:
            x = block(x, rotary, mask)
        return self.lm_head(self.final_norm(x))
