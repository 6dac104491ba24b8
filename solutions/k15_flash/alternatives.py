"""Other correct ways to write this kata; its tests must accept every one."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from katas.k01_attention.attention import causal_mask, scaled_dot_product_attention
from katas.k15_flash.flash import FlashAttention, Partial, absorb, flash_forward


def absorb__nan_replaced(
    partial: Partial,
    scores: Float[Tensor, "*batch queries block"],
    value: Float[Tensor, "*batch block d_v"],
) -> Partial:
    """-inf - (-inf) is let through as NaN, and replaced by the zero that it stands for."""
    maximum = torch.maximum(partial.maximum, scores.max(dim=-1).values)
    rescale = torch.nan_to_num(torch.exp(partial.maximum - maximum), nan=0.0)
    weights = torch.nan_to_num(torch.exp(scores - maximum.unsqueeze(-1)), nan=0.0)
    return Partial(
        maximum,
        partial.total * rescale + weights.sum(dim=-1),
        partial.output * rescale.unsqueeze(-1) + torch.einsum("...qb,...bd->...qd", weights, value),
    )


def absorb__lowest_finite_number(
    partial: Partial,
    scores: Float[Tensor, "*batch queries block"],
    value: Float[Tensor, "*batch block d_v"],
) -> Partial:
    """The number to subtract is bounded by the lowest finite one."""
    maximum = torch.cat([partial.maximum[..., None], scores], dim=-1).amax(dim=-1)
    shift = maximum.clamp(min=torch.finfo(scores.dtype).min)
    weights = (scores - shift[..., None]).exp()
    rescale = (partial.maximum - shift).exp()
    output = (rescale[..., None] * partial.output).add(weights @ value)
    return partial._replace(maximum=maximum, total=rescale * partial.total + weights.sum(-1), output=output)


def absorb__two_partials_merged(
    partial: Partial,
    scores: Float[Tensor, "*batch queries block"],
    value: Float[Tensor, "*batch block d_v"],
) -> Partial:
    """The block alone is a Partial as well; then two of them are merged."""

    def relative(x, maximum):
        return torch.where(maximum == -math.inf, 0.0, torch.exp(x - maximum))

    highest = scores.amax(dim=-1)
    weights = relative(scores, highest[..., None])
    maximum = torch.where(highest > partial.maximum, highest, partial.maximum)
    old, new = relative(partial.maximum, maximum), relative(highest, maximum)
    total = old * partial.total + new * weights.sum(dim=-1)
    return Partial(maximum, total, old[..., None] * partial.output + new[..., None] * (weights @ value))


def absorb__key_by_key(
    partial: Partial,
    scores: Float[Tensor, "*batch queries block"],
    value: Float[Tensor, "*batch block d_v"],
) -> Partial:
    """One key after the other."""
    maximum, total, output = partial
    for score, row in zip(scores.unbind(dim=-1), value.unbind(dim=-2), strict=True):
        higher = torch.maximum(maximum, score)
        safe = torch.where(higher.isneginf(), torch.zeros_like(higher), higher)
        rescale, weight = torch.exp(maximum - safe), torch.exp(score - safe)
        total = total * rescale + weight
        output = output * rescale[..., None] + weight[..., None] * row[..., None, :]
        maximum = higher
    return Partial(maximum, total, output)


def flash_forward__both_cut(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    value: Float[Tensor, "*batch keys d_v"],
    *,
    causal: bool,
    block: int,
) -> tuple[Float[Tensor, "*batch queries d_v"], Float[Tensor, "*batch queries"]]:
    """Queries in the outer loop and keys in the inner one, which ends where the last query stands."""
    if block <= 0:
        raise ValueError(f"block is {block}")
    (*batch, queries, d_k), keys = query.shape, key.shape[-2]
    outputs, logarithms = [], []
    for start in range(0, queries, block):
        rows = query[..., start : start + block, :]
        count = rows.shape[-2]
        positions = torch.arange(start, start + count, device=query.device) + keys - queries
        partial = Partial(
            query.new_full((*batch, count), -math.inf),
            query.new_zeros((*batch, count)),
            query.new_zeros((*batch, count, value.shape[-1])),
        )
        end = max(0, start + count + keys - queries) if causal else keys
        for at in range(0, end, block):
            columns = key[..., at : at + block, :]
            scores = torch.einsum("...qd,...kd->...qk", rows, columns) * d_k**-0.5
            if causal:
                own = torch.arange(at, at + columns.shape[-2], device=query.device)
                scores = torch.where(own <= positions.unsqueeze(1), scores, -math.inf)
            partial = absorb(partial, scores, value[..., at : at + block, :])
        outputs.append(torch.nan_to_num(partial.output / partial.total[..., None], nan=0.0))
        logarithms.append(partial.maximum + torch.log(partial.total))
    return torch.cat(outputs, dim=-2), torch.cat(logarithms, dim=-1)


def flash_forward__keys_split(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    value: Float[Tensor, "*batch keys d_v"],
    *,
    causal: bool,
    block: int,
) -> tuple[Float[Tensor, "*batch queries d_v"], Float[Tensor, "*batch queries"]]:
    """Keys by `split`, and new tensors instead of slices that are written to."""
    if block < 1:
        raise ValueError(f"a block of {block} keys")
    queries, keys = query.shape[-2], key.shape[-2]
    scaled = query / math.sqrt(query.shape[-1])
    partial, start = None, 0
    for some_keys, some_values in zip(key.split(block, dim=-2), value.split(block, dim=-2), strict=True):
        first = max(0, start - keys + queries) if causal else 0
        scores = scaled[..., first:, :] @ some_keys.transpose(-1, -2)
        if causal:
            positions = torch.arange(first, queries, device=query.device)[:, None] + keys - queries
            mask = torch.arange(some_keys.shape[-2], device=query.device) + start <= positions
            scores = scores.masked_fill(~mask, -math.inf)
        before = partial or Partial(
            torch.full_like(query[..., 0], -math.inf),
            torch.zeros_like(query[..., 0]),
            query.new_zeros(*query.shape[:-1], value.shape[-1]),
        )
        earlier = Partial(before[0][..., first:], before[1][..., first:], before[2][..., first:, :])
        now = absorb(earlier, scores, some_values)
        partial = Partial(
            torch.cat([before.maximum[..., :first], now.maximum], dim=-1),
            torch.cat([before.total[..., :first], now.total], dim=-1),
            torch.cat([before.output[..., :first, :], now.output], dim=-2),
        )
        start += block
    weight = torch.where(partial.total > 0, 1 / partial.total, 0.0)
    return partial.output * weight.unsqueeze(-1), partial.maximum + partial.total.log()


def flash_forward__queries_cut_only(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    value: Float[Tensor, "*batch keys d_v"],
    *,
    causal: bool,
    block: int,
) -> tuple[Float[Tensor, "*batch queries d_v"], Float[Tensor, "*batch queries"]]:
    """A block of queries against all the keys that it sees: no more entries in memory than the other way."""
    if block < 1:
        raise ValueError(f"block={block}")
    queries, keys = query.shape[-2], key.shape[-2]
    output = query.new_zeros(*query.shape[:-1], value.shape[-1])
    logarithm = torch.full_like(query[..., 0], -math.inf)
    for start in range(0, queries, block):
        stop = min(start + block, queries)
        end = stop + keys - queries if causal else keys
        if end > 0:
            scores = query[..., start:stop, :] @ key[..., :end, :].mT / math.sqrt(query.shape[-1])
            if causal:
                scores = scores.masked_fill(~causal_mask(stop - start, end, device=query.device), -math.inf)
            some = scores.logsumexp(dim=-1)
            logarithm[..., start:stop] = some
            weights = torch.exp(scores - some.masked_fill(some.isneginf(), 0.0)[..., None])
            output[..., start:stop, :] = weights @ value[..., :end, :]
    return output, logarithm


def flash_forward__root_as_a_float32_tensor(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    value: Float[Tensor, "*batch keys d_v"],
    *,
    causal: bool,
    block: int,
) -> tuple[Float[Tensor, "*batch queries d_v"], Float[Tensor, "*batch queries"]]:
    """√d_k as a tensor, a list of the parts of each query, and the queries one by one in the outer loop."""
    if block < 1:
        raise ValueError(f"block: {block}")
    root = torch.sqrt(torch.tensor(query.shape[-1], device=query.device))
    queries, keys = query.shape[-2], key.shape[-2]
    outputs, logarithms = [], []
    for i in range(queries):
        end = min(keys, max(0, i + 1 + keys - queries)) if causal else keys
        row = query[..., i : i + 1, :]
        zero = torch.zeros_like(row[..., 0])
        partial = Partial(zero - math.inf, zero, zero[..., None] * torch.zeros_like(value[..., :1, :]))
        for j in range(0, end, block):
            stop = min(j + block, end)
            scores = row @ key[..., j:stop, :].transpose(-2, -1) / root
            partial = absorb(partial, scores, value[..., j:stop, :])
        outputs.append(partial.output / torch.where(partial.total == 0, 1.0, partial.total)[..., None])
        logarithms.append(partial.total.log() + partial.maximum)
    return torch.cat(outputs, dim=-2), torch.cat(logarithms, dim=-1)


class FlashAttention__queries_cut(torch.autograd.Function):
    """Backward in blocks of queries, each against all the keys that it sees."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Float[Tensor, "*batch queries d_k"],
        key: Float[Tensor, "*batch keys d_k"],
        value: Float[Tensor, "*batch keys d_v"],
        causal: bool,
        block: int,
    ) -> Float[Tensor, "*batch queries d_v"]:
        output, log_sum = flash_forward(query, key, value, causal=causal, block=block)
        ctx.save_for_backward(query, key, value, output, log_sum)
        ctx.options = causal, block
        return output

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
        query, key, value, output, log_sum = ctx.saved_tensors
        causal, block = ctx.options
        queries, keys, scale = query.shape[-2], key.shape[-2], query.shape[-1] ** -0.5
        log_sum = torch.where(log_sum.isneginf(), math.inf, log_sum)  # its weights become exp(-inf)
        dq, dk, dv = torch.zeros_like(query), torch.zeros_like(key), torch.zeros_like(value)
        for start in range(0, queries, block):
            stop = min(start + block, queries)
            end = max(0, stop + keys - queries) if causal else keys
            q, do = query[..., start:stop, :], grad_output[..., start:stop, :]
            k, v = key[..., :end, :], value[..., :end, :]
            p = torch.exp(scale * q @ k.mT - log_sum[..., start:stop].unsqueeze(-1))
            if causal and end:
                p = p * causal_mask(stop - start, end, device=p.device)
            d = torch.linalg.vecdot(do, output[..., start:stop, :]).unsqueeze(-1)
            ds = p * (do @ v.mT - d)
            dq[..., start:stop, :] = scale * ds @ k
            dk[..., :end, :] += scale * ds.mT @ q
            dv[..., :end, :] += p.mT @ do
        return dq, dk, dv, None, None


class FlashAttention__autograd_again(torch.autograd.Function):
    """Backward runs kata 01 again on each block of queries, and lets autograd differentiate that."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Float[Tensor, "*batch queries d_k"],
        key: Float[Tensor, "*batch keys d_k"],
        value: Float[Tensor, "*batch keys d_v"],
        causal: bool,
        block: int,
    ) -> Float[Tensor, "*batch queries d_v"]:
        ctx.save_for_backward(query, key, value)
        ctx.causal, ctx.block = causal, block
        return flash_forward(query, key, value, causal=causal, block=block)[0]

    @staticmethod
    def backward(
        ctx: Any, grad_output: Float[Tensor, "*batch queries d_v"]
    ) -> tuple[
        Float[Tensor, "*batch queries d_k"],
        Float[Tensor, "*batch keys d_k"],
        Float[Tensor, "*batch keys d_v"],
        None,
        None,
    ]:
        query, key, value = ctx.saved_tensors
        queries, keys = query.shape[-2], key.shape[-2]
        gradients = [torch.zeros_like(x) for x in (query, key, value)]
        for start in range(0, queries, ctx.block):
            stop = min(start + ctx.block, queries)
            end = max(0, stop + keys - queries) if ctx.causal else keys
            if not end:
                continue
            cuts = slice(start, stop), slice(end), slice(end)
            with torch.enable_grad():
                parts = [
                    x.detach()[..., cut, :].requires_grad_()
                    for x, cut in zip((query, key, value), cuts, strict=True)
                ]
                mask = causal_mask(stop - start, end, device=query.device) if ctx.causal else None
                output = scaled_dot_product_attention(*parts, mask)
            found = torch.autograd.grad(output, parts, grad_output[..., start:stop, :])
            for gradient, cut, part in zip(gradients, cuts, found, strict=True):
                gradient[..., cut, :] += part
        return gradients[0], gradients[1], gradients[2], None, None


class FlashAttention__both_cut(torch.autograd.Function):
    """Both axes are cut in backward, and hidden tiles are skipped one by one."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Float[Tensor, "*batch queries d_k"],
        key: Float[Tensor, "*batch keys d_k"],
        value: Float[Tensor, "*batch keys d_v"],
        causal: bool,
        block: int,
    ) -> Float[Tensor, "*batch queries d_v"]:
        results = flash_forward(query, key, value, causal=causal, block=block)
        ctx.save_for_backward(query, key, value, *results)
        ctx.causal, ctx.block = causal, block
        return results[0]

    @staticmethod
    def backward(
        ctx: Any, grad_output: Float[Tensor, "*batch queries d_v"]
    ) -> tuple[
        Float[Tensor, "*batch queries d_k"],
        Float[Tensor, "*batch keys d_k"],
        Float[Tensor, "*batch keys d_v"],
        None,
        None,
    ]:
        query, key, value, output, log_sum = ctx.saved_tensors
        queries, keys, block = query.size(-2), key.size(-2), ctx.block
        scaled = query / math.sqrt(query.size(-1))
        safe = torch.nan_to_num(log_sum, neginf=0.0)[..., None]
        rows = torch.einsum("...qd,...qd->...q", grad_output, output)[..., None]
        dq, dk, dv = query.new_zeros(query.shape), key.new_zeros(key.shape), value.new_zeros(value.shape)
        for i in range(0, queries, block):
            for j in range(0, keys, block):
                last_query = min(i + block, queries) - 1 + keys - queries
                if ctx.causal and j > last_query:
                    break
                at, to = slice(i, min(i + block, queries)), slice(j, min(j + block, keys))
                scores = scaled[..., at, :] @ key[..., to, :].mT
                if ctx.causal:
                    query_at = torch.arange(at.start, at.stop, device=query.device) + (keys - queries)
                    key_at = torch.arange(to.start, to.stop, device=query.device)
                    scores = scores.masked_fill(key_at[None, :] > query_at[:, None], -math.inf)
                weights = (scores - safe[..., at, :]).exp()
                inner = weights * (grad_output[..., at, :] @ value[..., to, :].mT - rows[..., at, :])
                dv[..., to, :] += weights.mT @ grad_output[..., at, :]
                dk[..., to, :] += inner.mT @ scaled[..., at, :]
                dq[..., at, :] += inner @ key[..., to, :]
        return dq / math.sqrt(query.size(-1)), dk, dv, None, None


def flash_attention__by_keyword(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    value: Float[Tensor, "*batch keys d_v"],
    *,
    causal: bool = False,
    block: int = 64,
) -> Float[Tensor, "*batch queries d_v"]:
    """The refusal stands here as well, and no block is larger than the keys."""
    if block < 1:
        raise ValueError(f"block has to be positive: {block}")
    attend = FlashAttention.apply
    return attend(query, key, value, causal, min(block, key.shape[-2]))
