"""Other correct ways to write this kata; its tests must accept every one."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from katas.k01_attention.attention import causal_mask
from katas.k02_multi_head.multi_head import merge_heads, split_heads
from katas.k07_sampling.sampling import (
    apply_temperature,
    generate,
    greedy,
    sample_next,
    top_k_filter,
    top_p_filter,
)
from katas.k12_modern.modern import ModernConfig, ModernLM, rotary_table, rotate
from katas.k14_cache.cache import KVCache, forward_cached, new_caches


class KVCache__two_tensors(KVCache):  # a subclass, because the annotations mean the original
    """Keys and values apart, zeros at first, and pieces taken by `narrow`."""

    def __init__(
        self,
        batch: int,
        kv_heads: int,
        max_len: int,
        d_head: int,
        *,
        dtype: torch.dtype,
        device: torch.device | str,
    ):
        self.keys = torch.zeros(batch, kv_heads, max_len, d_head, dtype=dtype, device=device)
        self.values = torch.zeros_like(self.keys)
        self.length = 0

    def append(
        self,
        key: Float[Tensor, "batch kv_heads new d_head"],
        value: Float[Tensor, "batch kv_heads new d_head"],
    ) -> tuple[Float[Tensor, "batch kv_heads total d_head"], Float[Tensor, "batch kv_heads total d_head"]]:
        new = key.size(2)
        if self.length + new > self.keys.size(2):
            raise ValueError(f"{self.length + new} > {self.keys.size(2)}")
        with torch.no_grad():
            self.keys.narrow(2, self.length, new).copy_(key)
            self.values.narrow(2, self.length, new).copy_(value)
        self.length += new
        return self.keys.narrow(2, 0, self.length), self.values.narrow(2, 0, self.length)

    def truncate(self, length: int) -> None:
        if length < 0 or length > self.length:
            raise ValueError(f"cannot keep {length} of {self.length}")
        self.length = length


class KVCache__positions_first(KVCache):
    """Memory in which a position lies in one piece; what is returned is a view with its axes exchanged."""

    def __init__(
        self,
        batch: int,
        kv_heads: int,
        max_len: int,
        d_head: int,
        *,
        dtype: torch.dtype,
        device: torch.device | str,
    ):
        place = {"dtype": dtype, "device": device}
        self.memory = [torch.empty(max_len, batch, kv_heads, d_head, **place) for _ in "kv"]
        self.length, self.max_len = 0, max_len

    @torch.no_grad()
    def append(
        self,
        key: Float[Tensor, "batch kv_heads new d_head"],
        value: Float[Tensor, "batch kv_heads new d_head"],
    ) -> tuple[Float[Tensor, "batch kv_heads total d_head"], Float[Tensor, "batch kv_heads total d_head"]]:
        start, end = self.length, self.length + key.shape[2]
        if end > self.max_len:
            raise ValueError(f"max_len {self.max_len} is less than {end}")
        for memory, new in zip(self.memory, (key, value), strict=True):
            memory[start:end] = new.permute(2, 0, 1, 3)
        self.length = end
        keys, values = (memory[:end].permute(1, 2, 0, 3) for memory in self.memory)
        return keys, values

    def truncate(self, length: int) -> None:
        if length not in range(self.length + 1):
            raise ValueError(f"length {length}")
        self.length = length


class KVCache__module(KVCache, nn.Module):
    """A module whose buffers are the memory, written to by index."""

    def __init__(
        self,
        batch: int,
        kv_heads: int,
        max_len: int,
        d_head: int,
        *,
        dtype: torch.dtype,
        device: torch.device | str,
    ):
        nn.Module.__init__(self)
        for name in ("keys", "values"):
            memory = torch.full((batch, kv_heads, max_len, d_head), torch.nan, dtype=dtype, device=device)
            self.register_buffer(name, memory, persistent=False)
        self.length = 0

    def append(
        self,
        key: Float[Tensor, "batch kv_heads new d_head"],
        value: Float[Tensor, "batch kv_heads new d_head"],
    ) -> tuple[Float[Tensor, "batch kv_heads total d_head"], Float[Tensor, "batch kv_heads total d_head"]]:
        end, room = self.length + key.shape[-2], self.keys.shape[-2]
        if end > room:
            raise ValueError(f"{end} positions, max_len {room}")
        at = torch.arange(self.length, end, device=key.device)
        self.keys.index_copy_(2, at, key.data)
        self.values.index_copy_(2, at, value.data)
        self.length = end
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def truncate(self, length: int) -> None:
        if not 0 <= length <= self.length:
            raise ValueError(f"not a length up to {self.length}: {length}")
        self.keys[:, :, length:] = torch.nan
        self.values[:, :, length:] = torch.nan
        self.length = length


class KVCache__position_by_position(KVCache):
    """One tensor in which a key lies next to its value, and a loop over the new positions."""

    def __init__(
        self,
        batch: int,
        kv_heads: int,
        max_len: int,
        d_head: int,
        *,
        dtype: torch.dtype,
        device: torch.device | str,
    ):
        self.both = torch.empty((batch, kv_heads, max_len, 2 * d_head), dtype=dtype, device=device)
        self.max_len, self.d_head, self.length = max_len, d_head, 0

    def append(
        self,
        key: Float[Tensor, "batch kv_heads new d_head"],
        value: Float[Tensor, "batch kv_heads new d_head"],
    ) -> tuple[Float[Tensor, "batch kv_heads total d_head"], Float[Tensor, "batch kv_heads total d_head"]]:
        if (needed := self.length + key.shape[2]) > self.max_len:
            raise ValueError(f"{needed} positions in {self.max_len}")
        for one in torch.cat([key, value], dim=-1).detach().unbind(dim=2):
            self.both[:, :, self.length] = one
            self.length += 1
        keys, values = self.both[:, :, : self.length].split(self.d_head, dim=-1)
        return keys, values

    def truncate(self, length: int) -> None:
        if length < 0 or length > self.length:
            raise ValueError(f"{length} is not in 0 … {self.length}")
        self.length = length


def new_caches__as_the_layers_are(model: ModernLM, batch: int, max_len: int) -> list[KVCache]:
    """The sizes of each block's own key projection."""
    caches = []
    for block in model.blocks:
        weight, heads = block.attention.key_proj.weight, block.attention.num_kv_heads
        sizes = (batch, heads, max_len, weight.shape[0] // heads)
        caches.append(KVCache(*sizes, dtype=weight.dtype, device=weight.device))
    return caches


def new_caches__of_the_buffers(model: ModernLM, batch: int, max_len: int) -> list[KVCache]:
    """A head has as many pairs as the table of angles has columns."""
    cos, heads = model.cos, model.config.num_kv_heads
    place = {"dtype": next(model.parameters()).dtype, "device": cos.device}
    return [KVCache(batch, heads, max_len, 2 * cos.shape[1], **place) for _ in range(model.config.num_layers)]


@torch.no_grad()
def forward_cached__always_masked(
    model: ModernLM, ids: Int[Tensor, "batch new"], caches: list[KVCache]
) -> Float[Tensor, "batch new vocab"]:
    """A mask from positions, also for a single token; the blocks by index."""
    past = caches[-1].length
    positions = torch.arange(past, past + ids.shape[1], device=ids.device)
    if past + ids.shape[1] > model.config.block_size:
        raise ValueError(f"{past + ids.shape[1]} > block_size {model.config.block_size}")
    mask = positions[:, None] >= torch.arange(past + ids.shape[1], device=ids.device)
    x = model.token_embedding(ids)
    for i in range(len(model.blocks)):
        block = model.blocks[i]
        q, k, v = block.attention.project(
            block.attention_norm(x), (model.cos[positions], model.sin[positions])
        )
        x = x + block.attention.attend(q, *caches[i].append(k, v), mask)
        x = x + block.feedforward(block.feedforward_norm(x))
    return model.lm_head(model.final_norm(x))


def forward_cached__token_by_token(
    model: ModernLM, ids: Int[Tensor, "batch new"], caches: list[KVCache]
) -> Float[Tensor, "batch new vocab"]:
    """One position after the other, so that no mask is needed."""
    length, block_size = caches[0].length, model.config.block_size
    if length + ids.shape[1] > block_size:
        raise ValueError(f"{length + ids.shape[1]} tokens, block_size {block_size}")
    logits = []
    with torch.inference_mode():
        for position in range(length, length + ids.shape[1]):
            rotary = model.cos[position : position + 1], model.sin[position : position + 1]
            x = model.token_embedding(ids[:, position - length : position - length + 1])
            for block, cache in zip(model.blocks, caches, strict=True):
                query, key, value = block.attention.project(block.attention_norm(x), rotary)
                x = x + block.attention.attend(query, *cache.append(key, value))
                x = x + block.feedforward(block.feedforward_norm(x))
            logits.append(model.lm_head(model.final_norm(x)))
    return torch.cat(logits, dim=1).clone()


def forward_cached__by_pytorchs_attention(
    model: ModernLM, ids: Int[Tensor, "batch new"], caches: list[KVCache]
) -> Float[Tensor, "batch new vocab"]:
    """Projections by hand, angles computed anew, and PyTorch's attention with grouped queries."""
    config, start = model.config, caches[0].length
    end = start + ids.shape[1]
    if end > config.block_size:
        raise ValueError(f"block_size is {config.block_size}, too few for {end}")
    place = {"dtype": model.cos.dtype, "device": ids.device}
    table = rotary_table(end, config.d_model // config.num_heads, config.base, **place)
    cos, sin = (each[start:] for each in table)
    visible = torch.ones(ids.shape[1], end, dtype=torch.bool, device=ids.device).tril(start)
    with torch.no_grad():
        x = model.token_embedding(ids)
        for block, cache in zip(model.blocks, caches, strict=True):
            layer, y = block.attention, block.attention_norm(x)
            query = split_heads(layer.query_proj(y), config.num_heads)
            key = split_heads(layer.key_proj(y), config.num_kv_heads)
            value = split_heads(layer.value_proj(y), config.num_kv_heads)
            if config.qk_norm:
                query, key = layer.query_norm(query), layer.key_norm(key)
            keys, values = cache.append(rotate(key, cos, sin), value)
            query, shared = rotate(query, cos, sin), {"attn_mask": visible, "enable_gqa": True}
            x = x + layer.out_proj(merge_heads(F.scaled_dot_product_attention(query, keys, values, **shared)))
            x = x + block.feedforward(block.feedforward_norm(x))
        logits = model.lm_head(model.final_norm(x))
    return logits


def forward_cached__detached_at_the_end(
    model: ModernLM, ids: Int[Tensor, "batch new"], caches: list[KVCache]
) -> Float[Tensor, "batch new vocab"]:
    """A graph within one call, cut off where keys are stored and where the logits leave."""
    seen, new = caches[0].length, ids.size(1)
    if seen + new > model.config.block_size:
        raise ValueError(f"{seen + new} is beyond block_size = {model.config.block_size}")
    x = model.token_embedding(ids)
    rotary = model.cos.narrow(0, seen, new), model.sin.narrow(0, seen, new)
    for block, cache in zip(model.blocks, caches, strict=True):
        query, key, value = block.attention.project(block.attention_norm(x), rotary)
        keys, values = cache.append(key.detach(), value.detach())
        x = x + block.attention.attend(query, keys, values, causal_mask(new, seen + new, ids.device))
        x = x + block.feedforward(block.feedforward_norm(x))
    return model.lm_head(model.final_norm(x)).detach()


def generate_cached__by_generate(
    model: ModernLM,
    ids: Int[Tensor, "batch seq"],
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos_id: int | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "batch total"]:
    """The loop of kata 07, which is given a model that remembers."""

    class Remembering(nn.Module):
        def __init__(self, model, batch):
            super().__init__()
            self.config, self.model, self.batch, self.caches = model.config, model, batch, None

        def forward(self, window):
            if not self.caches or self.caches[0].length == self.config.block_size:
                self.caches = new_caches(self.model, self.batch, self.config.block_size)
            return forward_cached(self.model, window[:, self.caches[0].length :], self.caches)

    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "eos_id": eos_id}
    return generate(Remembering(model, ids.shape[0]), ids, max_new_tokens, **options, generator=generator)


def generate_cached__concatenated(
    model: ModernLM,
    ids: Int[Tensor, "batch seq"],
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos_id: int | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "batch total"]:
    """Tokens joined to the text, caches made for block_size, and the model itself where the window slides."""
    ids, block_size = ids.clone(), model.config.block_size
    caches = new_caches(model, ids.shape[0], block_size)
    done = torch.zeros_like(ids[:, 0], dtype=torch.bool)
    for _ in range(max_new_tokens):
        if ids.shape[1] <= block_size:
            logits = forward_cached(model, ids[:, caches[0].length :], caches)
        else:
            with torch.no_grad():
                logits = model(ids[:, -block_size:])
        logits = logits[:, -1]
        if temperature == 0:
            new = greedy(logits)
        else:
            logits = apply_temperature(logits, temperature)
            logits = top_k_filter(logits, top_k) if top_k is not None else logits
            logits = top_p_filter(logits, top_p) if top_p is not None else logits
            new = sample_next(logits, generator)
        if eos_id is not None:
            new = torch.where(done, eos_id, new)
            done = done | (new == eos_id)
        ids = torch.cat([ids, new.unsqueeze(1)], dim=1)
    return ids


def generate_cached__prompt_first(
    model: ModernLM,
    ids: Int[Tensor, "batch seq"],
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos_id: int | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "batch total"]:
    """The prompt before the loop, columns in a list, new caches where the window slides."""
    columns, size = list(ids.unbind(1)), model.config.block_size
    alive = [True] * ids.shape[0]
    if max_new_tokens == 0:
        return ids.clone()
    caches = new_caches(model, ids.shape[0], size)
    logits = forward_cached(model, ids[:, -size:], caches)[:, -1]
    for left in reversed(range(max_new_tokens)):
        if temperature == 0:
            column = greedy(logits)
        else:
            logits = apply_temperature(logits, temperature)
            logits = top_k_filter(logits, logits.shape[-1] if top_k is None else top_k)
            logits = top_p_filter(logits, 1.0 if top_p is None else top_p)
            column = sample_next(logits, generator)
        for row in range(len(alive)):
            if not alive[row]:
                column[row] = eos_id
            alive[row] = alive[row] and column[row].item() != eos_id
        columns.append(column)
        if left and len(columns) <= size:
            logits = forward_cached(model, column[:, None], caches)[:, -1]
        elif left:
            caches = new_caches(model, ids.shape[0], size)
            logits = forward_cached(model, torch.stack(columns[-size:], 1), caches)[:, -1]
    return torch.stack(columns, 1)


def cache_bytes__two_tensors_a_block(
    config: ModernConfig, batch: int, seq: int, bytes_per_number: int = 2
) -> int:
    """The width of a position's keys, counted block by block."""
    width = config.d_model * config.num_kv_heads // config.num_heads
    return sum(2 * batch * seq * width * bytes_per_number for _ in range(config.num_layers))


def cache_bytes__of_tensors(config: ModernConfig, batch: int, seq: int, bytes_per_number: int = 2) -> int:
    """The size of tensors that have shapes and no numbers."""
    shape = (config.num_layers, batch, config.num_kv_heads, seq, config.d_model // config.num_heads)
    keys = torch.empty(shape, device="meta")
    return (keys.numel() + torch.empty_like(keys).numel()) * bytes_per_number
