"""Other correct ways to write this kata; its tests must accept every one."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from katas.k01_attention.attention import attention_weights, softmax


def softmax__dead_rows_first(x: Float[Tensor, "*dims"], dim: int) -> Float[Tensor, "*dims"]:
    """PyTorch's own, with the rows of nothing but -inf taken out before it and zeroed after it."""
    dead = (x == float("-inf")).all(dim=dim, keepdim=True)
    return F.softmax(x.masked_fill(dead, 0.0), dim=dim).masked_fill(dead, 0.0)


def softmax__logsumexp(x: Float[Tensor, "*dims"], dim: int) -> Float[Tensor, "*dims"]:
    """Divides before it exponentiates: exp(x - log Σ exp(x)), the logarithm being stable already."""
    dead = torch.isneginf(x).all(dim=dim, keepdim=True)
    alive = torch.where(dead, 0.0, x)
    logarithms = alive - torch.logsumexp(alive, dim=dim, keepdim=True)
    return torch.where(dead, 0.0, torch.exp(logarithms))


def softmax__bounded(x: Float[Tensor, "*dims"], dim: int) -> Float[Tensor, "*dims"]:
    """Bounds instead of cases: the maximum by the lowest finite number, the sum by one."""
    highest = x.detach().amax(dim=dim, keepdim=True).clamp(min=torch.finfo(x.dtype).min)
    exponentials = (x - highest).exp()
    # The highest score of a row contributes exp(0) = 1, so only a row of -inf has a sum below one.
    return exponentials / exponentials.sum(dim=dim, keepdim=True).clamp(min=1.0)


def softmax__axis_moved_last(x: Float[Tensor, "*dims"], dim: int) -> Float[Tensor, "*dims"]:
    """Moves the axis to the end, works on rows, and moves it back."""
    rows = x.movedim(dim, -1)
    highest = torch.nan_to_num(rows.amax(dim=-1, keepdim=True), neginf=0.0)
    exponentials = torch.exp(rows - highest)
    total = exponentials.sum(dim=-1, keepdim=True)
    return (exponentials / torch.where(total > 0, total, 1.0)).movedim(-1, dim)


def softmax__guarded_sum(x: Float[Tensor, "*dims"], dim: int) -> Float[Tensor, "*dims"]:
    """A sum that is a billionth too large, so that it is never zero: nobody can see the difference."""
    finite = x.amax(dim=dim, keepdim=True).clamp(min=torch.finfo(x.dtype).min)
    exponentials = torch.exp(x - finite.detach())
    return exponentials / (exponentials.sum(dim=dim, keepdim=True) + 1e-9)


def causal_mask__tril(
    queries: int, keys: int | None = None, device: torch.device | str | None = None
) -> Bool[Tensor, "{queries} keys"]:
    """The lower triangle of a matrix of True, its diagonal moved so that it ends in the corner."""
    keys = queries if keys is None else keys
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(diagonal=keys - queries)


def causal_mask__future_hidden(
    queries: int, keys: int | None = None, device: torch.device | str | None = None
) -> Bool[Tensor, "{queries} keys"]:
    """Marks the future, which lies strictly above the diagonal, and negates."""
    keys = queries if keys is None else keys
    future = torch.ones(queries, keys, device=device).triu(diagonal=keys - queries + 1)
    return ~future.bool()


def causal_mask__corner_of_a_square(
    queries: int, keys: int | None = None, device: torch.device | str | None = None
) -> Bool[Tensor, "{queries} keys"]:
    """Cuts the last `queries` rows and the last `keys` columns out of a square causal mask."""
    keys = queries if keys is None else keys
    size = max(queries, keys)
    square = torch.ones(size, size, dtype=torch.bool, device=device).tril()
    return square[size - queries :, size - keys :]


def causal_mask__entry_by_entry(
    queries: int, keys: int | None = None, device: torch.device | str | None = None
) -> Bool[Tensor, "{queries} keys"]:
    """In plain Python: a key is visible if at least as many keys follow it as queries follow the query."""
    keys = queries if keys is None else keys
    rows = [[keys - key >= queries - query for key in range(keys)] for query in range(queries)]
    return torch.tensor(rows, dtype=torch.bool, device=device)


def padding_mask__unsqueeze(lengths: Int[Tensor, "batch"], max_len: int) -> Bool[Tensor, "batch 1 {max_len}"]:
    """Compares in two dimensions, and adds the axis for the queries at the end."""
    positions = torch.arange(max_len, device=lengths.device)
    return (positions.unsqueeze(0) < lengths.unsqueeze(1)).unsqueeze(1)


def padding_mask__counted(lengths: Int[Tensor, "batch"], max_len: int) -> Bool[Tensor, "batch 1 {max_len}"]:
    """Counts the positions from one by a running sum: a position is shown while its count fits."""
    counts = torch.ones(len(lengths), 1, max_len, dtype=torch.int64, device=lengths.device).cumsum(dim=-1)
    return counts <= lengths.view(-1, 1, 1)


def padding_mask__looked_up(lengths: Int[Tensor, "batch"], max_len: int) -> Bool[Tensor, "batch 1 {max_len}"]:
    """Prepares the row for every possible length, 0 … max_len, and looks the lengths up in it."""
    table = torch.ones(max_len + 1, max_len, dtype=torch.bool, device=lengths.device).tril(diagonal=-1)
    return table[lengths.long()].unsqueeze(1)


def attention_weights__einsum(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
) -> Float[Tensor, "*batch queries keys"]:
    """The scores as a formula of indices, and the mask by torch.where."""
    scores = torch.einsum("...qd,...kd->...qk", query, key) * query.shape[-1] ** -0.5
    if mask is not None:
        scores = torch.where(mask, scores, float("-inf"))
    return softmax(scores, dim=-1)


def attention_weights__root_as_a_float32_tensor(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
) -> Float[Tensor, "*batch queries keys"]:
    """The root as a tensor in float32, whose seven digits are all that float64 scores get of it."""
    root = torch.sqrt(torch.tensor(query.shape[-1], dtype=torch.float32, device=query.device))
    scores = query @ key.transpose(-2, -1) / root
    if mask is not None:
        scores = scores.masked_fill(mask == 0, float("-inf"))
    return softmax(scores, dim=-1)


def attention_weights__query_scaled(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
) -> Float[Tensor, "*batch queries keys"]:
    """Scales the queries, which are fewer numbers than the scores, and writes into its own scores."""
    scores = (query / math.sqrt(query.shape[-1])) @ key.mT
    if mask is not None:
        scores.masked_fill_(mask.logical_not(), -math.inf)  # in place: nobody else has these scores
    return softmax(scores, dim=-1)


def attention_weights__additive_mask(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
) -> Float[Tensor, "*batch queries keys"]:
    """Adds the logarithm of the mask: log 1 = 0 changes nothing, and log 0 = -inf hides."""
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores + mask.to(scores.dtype).log()
    return softmax(scores, dim=-1)


def attention_weights__lowest_finite(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
) -> Float[Tensor, "*batch queries keys"]:
    """Hides with the lowest finite number, so that no NaN can arise, and clears what is left of it."""
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    if mask is None:
        return F.softmax(scores, dim=-1)
    weights = F.softmax(scores.masked_fill(~mask, torch.finfo(scores.dtype).min), dim=-1)
    return weights.masked_fill(~mask, 0.0)  # a query that sees nothing had even weights


def attention_weights__identity_as_values(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
) -> Float[Tensor, "*batch queries keys"]:
    """PyTorch's attention over the rows of the identity: averaged with the weights, they are the weights."""
    identity = torch.eye(key.shape[-2], dtype=key.dtype, device=key.device)
    value = identity.expand(*key.shape[:-1], key.shape[-2])
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def scaled_dot_product_attention__torch(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    value: Float[Tensor, "*batch keys d_v"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
) -> Float[Tensor, "*batch queries d_v"]:
    """PyTorch's own, which is faster than the formula and reads a boolean mask the same way."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def scaled_dot_product_attention__einsum(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    value: Float[Tensor, "*batch keys d_v"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
) -> Float[Tensor, "*batch queries d_v"]:
    """The average as a formula of indices: k, the keys, is summed over."""
    weights = attention_weights(query, key, mask)
    return torch.einsum("...qk,...kv->...qv", weights, value)


def scaled_dot_product_attention__query_by_query(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    value: Float[Tensor, "*batch keys d_v"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
) -> Float[Tensor, "*batch queries d_v"]:
    """One query at a time, with one row of weights in memory: queries do not influence one another."""
    rows = []
    for i, one_query in enumerate(query.split(1, dim=-2)):  # each (*batch, 1, d_k)
        shared = mask is None or mask.shape[-2] == 1  # one row of the mask for all queries
        weights = attention_weights(one_query, key, mask if shared else mask[..., i : i + 1, :])
        rows.append(weights @ value)
    return torch.cat(rows, dim=-2)


def scaled_dot_product_attention__divided_last(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    value: Float[Tensor, "*batch keys d_v"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
) -> Float[Tensor, "*batch queries d_v"]:
    """Sums the values with weights not yet divided, and divides the sum: the order of flash attention."""
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    highest = scores.detach().amax(dim=-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min)
    exponentials = torch.exp(scores - highest)
    total = exponentials.sum(dim=-1, keepdim=True)  # (*batch, queries, 1)
    return (exponentials @ value) / total.clamp(min=1.0)
