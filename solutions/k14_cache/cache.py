"""A key-value cache: text, token by token, without computing the earlier tokens again.

In a causal model nothing that a position computes depends on later ones. So the keys and values of a
text stay the same while the text grows: each block keeps its own, and a new token computes only its own
query, key and value.

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device. A cache, which exists to be modified, is the exception.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from katas.k01_attention.attention import causal_mask
from katas.k07_sampling.sampling import (
    apply_temperature,
    greedy,
    sample_next,
    top_k_filter,
    top_p_filter,
)
from katas.k12_modern.modern import ModernConfig, ModernLM


class KVCache:
    """The keys and values of the positions that one attention has computed so far.

    All memory is reserved at the start; `length` says how many positions of it are in use.

    Source: Pope et al., Efficiently Scaling Transformer Inference (2022), section 2.
    """

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
        """Reserve memory for the keys and values of max_len positions; `length`, an attribute, is 0.

        That is 2 · batch · kv_heads · max_len · d_head numbers, and never any more.
        """
        shape = (2, batch, kv_heads, max_len, d_head)
        self._memory = torch.empty(shape, dtype=dtype, device=device)  # unread until it is written
        self.length = 0

    def append(
        self,
        key: Float[Tensor, "batch kv_heads new d_head"],
        value: Float[Tensor, "batch kv_heads new d_head"],
    ) -> tuple[Float[Tensor, "batch kv_heads total d_head"], Float[Tensor, "batch kv_heads total d_head"]]:
        """Add the keys and values of new positions, and return those of all positions, in their order.

        They are copied into the reserved memory behind the earlier ones, and `length` grows by `new`.
        The results are views of that memory: the earlier positions are not copied. Nothing in a cache
        requires a gradient, even if `key` does.

        Raises ValueError naming length + new and max_len, before anything changes, if not all fit.
        """
        total, max_len = self.length + key.shape[-2], self._memory.shape[-2]
        if total > max_len:
            raise ValueError(f"{total} positions do not fit into a cache with max_len = {max_len}")
        keys, values = self._memory[..., :total, :]  # (batch, kv_heads, total, d_head) each
        keys[..., self.length :, :] = key.detach()
        values[..., self.length :, :] = value.detach()
        self.length = total
        return keys, values

    def truncate(self, length: int) -> None:
        """Keep the first `length` positions and forget the others; 0 empties the cache.

        Nothing is copied or erased: what is appended next is written over what was forgotten.

        Raises ValueError naming length if it is outside 0 … the current length.
        """
        if not 0 <= length <= self.length:
            raise ValueError(f"length must be from 0 to the {self.length} positions kept, not {length}")
        self.length = length


def new_caches(model: ModernLM, batch: int, max_len: int) -> list[KVCache]:
    """Return an empty cache for each block of the model, in the model's dtype and on its device.

    Each has room for max_len positions of `batch` texts, and num_kv_heads heads: keys and values are
    stored once for all query heads that share them.
    """
    config, weight = model.config, model.token_embedding.weight
    d_head = config.d_model // config.num_heads
    return [
        KVCache(batch, config.num_kv_heads, max_len, d_head, dtype=weight.dtype, device=weight.device)
        for _ in model.blocks
    ]


def forward_cached(
    model: ModernLM, ids: Int[Tensor, "batch new"], caches: list[KVCache]
) -> Float[Tensor, "batch new vocab"]:
    """Return the logits that the model gives at new positions, which follow those in the caches.

    The result equals the last `new` rows of model(all ids so far). `caches` has one cache for each
    block, all of one length, and with empty ones the ids are the start of a text. The new positions
    are numbered from that length on, and each sees all positions in the caches, the new ones before
    it, and itself.

    Each cache gets the keys and values of the new positions as `project` of its block's attention
    returns them: normalised, turned, and in num_kv_heads heads. No gradients are recorded.

    Raises ValueError naming length + new and block_size, before anything changes, if the text would
    become longer than block_size.
    """
    start, new = caches[0].length, ids.shape[-1]
    end = start + new
    if end > model.config.block_size:
        raise ValueError(f"{end} tokens are more than the block_size of {model.config.block_size}")
    rotary = model.cos[start:end], model.sin[start:end]  # (new, half) each
    # The mask lines up at the end. A single position may see everything: it needs no mask.
    mask = causal_mask(new, end, device=ids.device) if new > 1 else None
    with torch.no_grad():
        x = model.token_embedding(ids)  # (batch, new, d_model)
        for block, cache in zip(model.blocks, caches, strict=True):
            query, key, value = block.attention.project(block.attention_norm(x), rotary)
            keys, values = cache.append(key, value)  # (batch, kv_heads, end, d_head)
            x = x + block.attention.attend(query, keys, values, mask)
            x = x + block.feedforward(block.feedforward_norm(x))
        return model.lm_head(model.final_norm(x))  # (batch, new, vocab)


def cache_bytes(config: ModernConfig, batch: int, seq: int, bytes_per_number: int = 2) -> int:
    """Return how many bytes the keys and values of seq positions take, in all blocks.

    2 · num_layers · batch · num_kv_heads · seq · d_head · bytes_per_number

    By default a number has two bytes, as in bfloat16.

    Source: Pope et al., Efficiently Scaling Transformer Inference (2022), section 2; Ainslie et al.,
    GQA (2023), section 2.2, for fewer heads.
    """
    d_head = config.d_model // config.num_heads
    numbers = config.num_layers * batch * config.num_kv_heads * seq * d_head
    return 2 * numbers * bytes_per_number  # keys and values


def generate_cached(
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
    """Return the prompts, each continued by max_new_tokens tokens: those of `generate` of kata 07.

    Every option means what it means there. Up to block_size the model computes every position once:
    first those of the prompt, then each new token to choose the one after it. That makes
    seq + max_new_tokens - 1 positions; nothing needs the last token's.

    Beyond block_size the model is shown the last block_size ids, as in `generate`. With each token
    this window slides, and all its ids change their positions. So none of the cached keys are right
    any more, and the whole window is computed again: each of these tokens costs a full forward, as
    in `generate`.

    The model's mode is left as it is, because no part of a ModernLM depends on it. The prompt is not
    modified.

    Raises ValueError, as the functions that it calls do, if temperature is negative, infinite or
    NaN, or if top_p is outside (0, 1].
    """
    batch, seq = ids.shape
    total, block_size = seq + max_new_tokens, model.config.block_size
    padding = 0 if eos_id is None else eos_id
    text = ids.new_full((batch, total), padding)
    text[:, :seq] = ids
    ended = ids.new_zeros(batch, dtype=torch.bool)
    caches = new_caches(model, batch, min(total, block_size))
    with torch.inference_mode():  # autograd's records, even empty ones, are a sixth of the time
        for end in range(seq, total):
            if end > block_size:  # the window slides: every id in it is at a new position
                for cache in caches:
                    cache.truncate(0)
            known = max(0, end - block_size) + caches[0].length
            logits = forward_cached(model, text[:, known:end], caches)[:, -1]
            chosen = _choose(logits, temperature, top_k, top_p, generator)
            text[:, end] = chosen if eos_id is None else chosen.masked_fill(ended, padding)
            if eos_id is not None:
                ended |= chosen == eos_id
                if ended.all():
                    break  # the rest is eos_id already
    return text


def _choose(
    logits: Tensor,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    generator: torch.Generator | None,
) -> Tensor:
    if temperature == 0:
        return greedy(logits)
    logits = apply_temperature(logits, temperature)
    if top_k is not None:
        logits = top_k_filter(logits, top_k)
    if top_p is not None:
        logits = top_p_filter(logits, top_p)
    return sample_next(logits, generator)
