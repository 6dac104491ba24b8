# %% exponentials-of-the-difference
# idiom = "CS336 students"
# slips = ["softmax-of-nothing-is-nan"]
# wrong = "In a row of nothing but -inf the difference is -inf - (-inf), so all of it is NaN."
def softmax(x, dim):
    x_max = torch.max(x, dim=dim, keepdim=True).values
    x_exp = torch.exp(x - x_max)
    return x_exp / torch.sum(x_exp, dim=dim, keepdim=True)


# %% one-maximum-for-all
# idiom = "CS336 students"
# slips = ["softmax-shifted-by-the-highest-of-all", "softmax-of-nothing-is-nan"]
# wrong = "The maximum of the whole tensor is subtracted: a row far below it becomes 0/0."
def softmax(x, dim):
    stable = x - x.max()
    num = stable.exp()
    den = num.sum(dim=dim, keepdim=True)
    return num.div(den)


# %% exponentials-over-axis-one
# idiom = "d2l"
# slips = ["softmax-not-shifted"]
# wrong = "It always sums over axis 1, whatever dim is; and nothing is subtracted, so large scores overflow."
def softmax(x, dim):
    X_exp = torch.exp(x)
    partition = X_exp.sum(1, keepdims=True)
    return X_exp / partition


# %% nan-to-num-around-torch
# idiom = "labml"
# slips = ["softmax-repaired-too-late"]
# wrong = "The NaN of a row of nothing but -inf is replaced after the division, so the gradient is still NaN."
from torch import nn


def softmax(x, dim):
    return torch.nan_to_num(nn.functional.softmax(x, dim=dim), nan=0.0)


# %% epsilon-in-the-denominator
# idiom = "CS336 students"
# slips = ["softmax-of-nothing-is-nan"]
# wrong = "1e-9 is added to the sum, so the weights do not sum to 1; and a row of nothing but -inf is NaN."
def softmax(x, dim):
    z = x - x.amax(dim, keepdim=True)
    e = z.exp()
    return e / (e.sum(dim, keepdim=True) + 1e-9)


# %% minus-a-billion-by-einsum
# idiom = "labml"
# slips = ["mask-not-low-enough"]
# wrong = "Hidden scores are -1e9: a query that may attend to nothing gets even weights."
def attention_weights(query, key, mask=None):
    scores = get_scores(query, key)
    scores *= 1 / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(mask == 0, -1e9)
    return softmax(scores, dim=-1)


def get_scores(query, key):
    return torch.einsum("...id,...jd->...ij", query, key)


# %% one-attention-for-both
# idiom = "annotated transformer"
# slips = ["mask-not-low-enough"]
# whole = true
# wrong = "Hidden scores are -1e9: a query that may attend to nothing gets even weights."
def attention(query, key, value, mask=None):
    d_k = query.size(-1)
    scores = torch.matmul(query, key.transpose(-2, -1)) / math.sqrt(d_k)
    if mask is not None:
        scores = scores.masked_fill(mask == 0, -1e9)
    p_attn = softmax(scores, dim=-1)
    return torch.matmul(p_attn, value) if value is not None else None, p_attn


def scaled_dot_product_attention(query, key, value, mask=None):
    return attention(query, key, value, mask)[0]


def attention_weights(query, key, mask=None):
    return attention(query, key, None, mask)[1]


def subsequent_mask(rows, columns, shift, device):
    ahead = torch.ones((rows, columns), device=device).triu(diagonal=1 + shift).type(torch.uint8)
    return ahead == 0


def causal_mask(queries, keys=None, device=None):
    if keys is None:
        keys = queries
    return subsequent_mask(queries, keys, keys - queries, device)


def padding_mask(lengths, max_len):
    steps = torch.arange(max_len, device=lengths.device)
    return (steps.unsqueeze(0) < lengths.unsqueeze(1)).unsqueeze(-2)


def softmax(x, dim):
    dead = torch.all(x == float("-inf"), dim=dim, keepdim=True)
    return x.masked_fill(dead, 0.0).softmax(dim=dim) * (~dead).type_as(x)


# %% lowest-finite-number
# idiom = "x-transformers"
# slips = ["mask-not-low-enough"]
# wrong = "Hidden scores are the lowest finite number: a query that may attend to nothing gets even weights."
def attention_weights(query, key, mask=None):
    scale = query.shape[-1] ** -0.5
    sim = torch.einsum("... i d, ... j d -> ... i j", query, key) * scale
    if exists(mask):
        mask_value = -torch.finfo(sim.dtype).max
        sim = sim.masked_fill(~mask, mask_value)
    return softmax(sim, dim=-1)


def exists(val):
    return val is not None


# %% ten-thousand-added
# idiom = "BERT"
# slips = ["mask-added-as-minus-ten-thousand"]
# wrong = "-10,000 is added to hidden scores: a score of a million still gets through, and a hidden row is not zero."
def attention_weights(query, key, mask=None):
    attention_scores = torch.matmul(query, key.transpose(-1, -2))
    attention_scores = attention_scores / math.sqrt(query.shape[-1])
    if mask is not None:
        extended = (1.0 - mask.to(attention_scores.dtype)) * -10000.0
        attention_scores = attention_scores + extended
    return softmax(attention_scores, dim=-1)


# %% hides-the-lower-triangle
# idiom = "rasbt"
# slips = ["mask-inverted"]
# wrong = "masked_fill is given the mask itself, in which True means visible: what may be seen is hidden."
def attention_weights(query, key, mask=None):
    attn_scores = query @ key.transpose(-2, -1)
    if mask is not None:
        mask_bool = mask.bool()
        attn_scores.masked_fill_(mask_bool, -torch.inf)
    return softmax(attn_scores / key.shape[-1] ** 0.5, dim=-1)


# %% infinity-times-the-mask
# idiom = "CS336 students"
# slips = ["mask-times-minus-infinity"]
# wrong = "Zero times -inf is NaN: visible scores become NaN."
def attention_weights(query, key, mask=None):
    attn = query @ key.mT / query.shape[-1] ** 0.5
    if mask is not None:
        attn = attn + (~mask) * float("-inf")
    return softmax(attn, -1)


# %% weights-times-mask-divided-again
# idiom = "d2l"
# slips = ["mask-after-softmax-and-divided-again"]
# wrong = "Masked after the softmax and divided by the new sum: 0/0 where a hidden score had all of the weight."
def attention_weights(query, key, mask=None):
    d = query.shape[-1]
    scores = torch.matmul(query, key.transpose(-2, -1)) / math.sqrt(d)
    weights = softmax(scores, dim=-1)
    if mask is None:
        return weights
    kept = weights * mask
    return kept / kept.sum(dim=-1, keepdim=True)


# %% the-batch-unpacked
# idiom = "nanoGPT"
# slips = ["three-axes-unpacked"]
# wrong = "Exactly three axes are unpacked: it stops at a query without a batch axis."
def attention_weights(query, key, mask=None):
    B, T, C = query.size()
    att = (query @ key.transpose(-2, -1)) * (1.0 / math.sqrt(C))
    if mask is not None:
        att = att.masked_fill(mask == 0, float("-inf"))
    return softmax(att, dim=-1)


# %% scale-is-the-root
# idiom = "x-transformers"
# slips = ["scores-multiplied-by-root-d"]
# wrong = "The scale is the root of d_k, and the scores are multiplied by it."
def attention_weights(query, key, mask=None):
    scale = query.shape[-1] ** 0.5
    dots = torch.einsum("...id,...jd->...ij", query, key) * scale
    if mask is not None:
        dots.masked_fill_(~mask, float("-inf"))
    return softmax(dots, dim=-1)


# %% axis-one-for-the-keys
# idiom = "CS336 students"
# slips = ["softmax-over-axis-one", "softmax-over-queries"]
# wrong = "The softmax runs along axis 1, which with a batch axis is that of the queries."
def attention_weights(query, key, mask=None):
    scores = query.matmul(key.transpose(-1, -2)) / math.sqrt(key.size(-1))
    if mask is not None:
        scores = torch.where(mask, scores, -math.inf)
    return softmax(scores, dim=1)


# %% query-scaled-in-place
# idiom = "x-transformers"
# slips = ["query-scaled-in-place"]
# wrong = "query is divided in place: the caller's tensor changes."
def attention_weights(query, key, mask=None):
    query /= math.sqrt(query.shape[-1])
    sim = query @ key.transpose(-1, -2)
    if mask is not None:
        sim = sim.masked_fill(~mask, float("-inf"))
    return softmax(sim, dim=-1)


# %% tril-of-ones
# idiom = "minGPT"
# slips = ["causal-mask-aligned-at-the-start"]
# wrong = "The triangle starts in the upper left corner, whatever the number of keys: query 0 is put at key 0."
def causal_mask(queries, keys=None, device=None):
    T = queries
    S = T if keys is None else keys
    bias = torch.tril(torch.ones(T, S, device=device))
    return bias == 1


# %% upper-triangle-as-mask
# idiom = "rasbt"
# slips = ["causal-mask-inverted", "causal-mask-aligned-at-the-start"]
# wrong = "True stands for the future, and the triangle ignores that the last query is at the last key."
def causal_mask(queries, keys=None, device=None):
    num_tokens = keys if keys is not None else queries
    mask = torch.triu(torch.ones(queries, num_tokens, device=device), diagonal=1)
    return mask.bool()


# %% positions-up-to-the-length
# idiom = "d2l"
# slips = ["padding-mask-one-too-many"]
# wrong = "Position n of a sequence of length n is shown, which is padding."
def padding_mask(lengths, max_len):
    valid_lens = lengths.reshape(-1, 1, 1)
    steps = torch.arange((max_len), dtype=lengths.dtype, device=lengths.device)[None, None, :]
    return ~(steps > valid_lens)


# %% mask-without-the-query-axis
# idiom = "d2l"
# slips = ["padding-mask-without-the-query-axis"]
# wrong = "The result has shape (batch, max_len): the axis of the queries is missing."
def padding_mask(lengths, max_len):
    return torch.arange(max_len, device=lengths.device)[None, :] < lengths[:, None]


# %% torch-with-the-negated-mask
# idiom = "nanoGPT"
# slips = ["mask-handed-on-inverted"]
# wrong = "PyTorch's attention reads True as visible too; given ~mask it shows what is hidden."
import torch.nn.functional as F


def scaled_dot_product_attention(query, key, value, mask=None):
    return F.scaled_dot_product_attention(query, key, value, attn_mask=None if mask is None else ~mask)


# %% unscaled-and-nan
# idiom = "minGPT"
# slips = ["scores-not-scaled", "softmax-of-nothing-is-nan"]
# wrong = "Two mistakes: the scores are not divided by √d_k, and a row of nothing but -inf is NaN."
def attention_weights(query, key, mask=None):
    att = query @ key.transpose(-2, -1)
    if mask is not None:
        att = att.masked_fill(mask == 0, float("-inf"))
    return softmax(att, dim=-1)


def softmax(x, dim):
    e = torch.exp(x - x.max(dim, keepdim=True).values)
    return e / e.sum(dim, keepdim=True)


# %% inverted-with-a-finite-number
# idiom = "labml"
# slips = ["mask-inverted", "mask-not-low-enough"]
# wrong = "Two mistakes: hidden and visible are exchanged, and the hidden scores are -1e4."
def attention_weights(query, key, mask=None):
    scores = torch.einsum("...qd,...kd->...qk", query, key) * query.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(mask, -1e4)
    return softmax(scores, dim=-1)


# %% right-other-order
# idiom = "nanoGPT"
# whole = true
import torch.nn.functional as F


def scaled_dot_product_attention(query, key, value, mask=None):
    y = attention_weights(query, key, mask) @ value  # (B, nh, T, T) x (B, nh, T, hs)
    return y


def attention_weights(query, key, mask=None):
    att = (query @ key.transpose(-2, -1)) * (1.0 / math.sqrt(key.size(-1)))
    if mask is not None:
        att = att.masked_fill(mask == 0, float("-inf"))
    return softmax(att, dim=-1)


def padding_mask(lengths, max_len):
    idx = torch.arange(max_len, device=lengths.device).view(1, 1, max_len)
    return idx < lengths.view(-1, 1, 1)


def causal_mask(queries, keys=None, device=None):
    T = queries if keys is None else keys
    full = torch.tril(torch.ones(max(T, queries), max(T, queries), device=device)).bool()
    return full[full.size(0) - queries :, full.size(1) - T :]


def softmax(x, dim):
    nothing = (x == float("-inf")).all(dim=dim, keepdim=True)
    return F.softmax(x.masked_fill(nothing, 0.0), dim=dim).masked_fill(nothing, 0.0)


# %% right-max-finite
# idiom = "x-transformers"
def attention_weights(query, key, mask=None):
    scale = query.shape[-1] ** -0.5
    sim = torch.einsum("... i d, ... j d -> ... i j", query * scale, key)
    if mask is None:
        return sim.softmax(dim=-1)
    sim = sim.masked_fill(~mask, -torch.finfo(sim.dtype).max)
    return sim.softmax(dim=-1).masked_fill(~mask, 0.0)


# %% right-where
# idiom = "CS336 students"
def softmax(x, dim):
    m = x.max(dim=dim, keepdim=True).values
    m = torch.where(torch.isinf(m), torch.zeros_like(m), m)
    num = torch.exp(x - m)
    den = num.sum(dim=dim, keepdim=True)
    return num / torch.where(den == 0, torch.ones_like(den), den)


def causal_mask(queries, keys=None, device=None):
    keys = keys or queries
    i = torch.arange(queries, device=device).unsqueeze(1)
    j = torch.arange(keys, device=device).unsqueeze(0)
    return i + keys - queries >= j


# %% right-the-root-a-tensor
# idiom = "CS336 students"
def attention_weights(query, key, mask=None):
    d_k = torch.tensor(query.shape[-1], dtype=query.dtype, device=query.device)
    scores = query @ key.transpose(-2, -1) / torch.sqrt(d_k)
    if mask is not None:
        scores = torch.where(mask, scores, torch.full_like(scores, -math.inf))
    return softmax(scores, dim=-1)


# %% mean-instead-of-max
# idiom = "Exercism"
# slips = ["softmax-shifted-by-the-mean", "softmax-of-nothing-is-nan"]
# wrong = "The mean of the row is subtracted, not its maximum, so exp still overflows; and a row of -inf is NaN."
def softmax(x, dim):
    shifted = x - x.mean(dim=dim, keepdim=True)
    numerator = torch.exp(shifted)
    denominator = torch.sum(numerator, dim=dim, keepdim=True)
    return numerator / denominator


# %% clamped-before-exp
# idiom = "LLM assistant"
# slips = ["softmax-of-clamped-scores", "softmax-of-nothing-is-nan"]
# wrong = "Scores are clamped to -80 … 80 before exp, so large scores that differ get equal weights."
def softmax(x, dim):
    # Clamp for numerical stability
    x = torch.clamp(x, min=-80.0, max=80.0)
    exps = x.exp()
    return exps / exps.sum(dim=dim, keepdim=True)


# %% maximum-put-back-at-the-end
# idiom = "CS336 students"
# slips = ["softmax-axis-put-back-at-the-end"]
# wrong = "The maximum and the sum get their axis back at the end, which is right for dim=-1 only."
def softmax(x, dim):
    m = torch.max(x, dim)[0].unsqueeze(-1)
    m = torch.where(torch.isinf(m), torch.zeros_like(m), m)
    e = torch.exp(x - m)
    s = e.sum(dim).unsqueeze(-1)
    return torch.where(s > 0, e / s.clamp(min=1e-30), e)


# %% exp-of-the-log-softmax
# idiom = "LLM assistant"
# slips = ["softmax-of-nothing-is-nan"]
# wrong = "A row of nothing but -inf is -inf - (-inf), so NaN."
def softmax(x, dim):
    log_probs = x - torch.logsumexp(x, dim=dim, keepdim=True)
    return torch.exp(log_probs)


# %% where-after-the-division
# idiom = "LLM assistant"
# slips = ["softmax-repaired-too-late"]
# wrong = "The zeros are put in after the division 0/0, so the gradient of a row of -inf is NaN."
def softmax(x, dim):
    row_max = x.amax(dim=dim, keepdim=True)
    is_empty = row_max == float("-inf")
    ex = torch.exp(x - torch.where(is_empty, torch.zeros_like(row_max), row_max))
    probs = ex / ex.sum(dim=dim, keepdim=True)
    return torch.where(is_empty, torch.zeros_like(probs), probs)


# %% detached-weights-of-the-last-axis
# idiom = "d2l"
# slips = ["softmax-dim-ignored"]
# wrong = "dim is ignored: the softmax always runs along the last axis."
def softmax(x, dim):
    m = x.detach().max(-1, keepdim=True).values
    m = m.masked_fill(m == -float("inf"), 0)
    X_exp = torch.exp(x - m)
    partition = X_exp.sum(-1, keepdim=True)
    return X_exp / partition.masked_fill(partition == 0, 1)


# %% strictly-earlier
# idiom = "CS336 students"
# slips = ["causal-mask-hides-own-position"]
# wrong = "A strict comparison: a query sees the earlier positions, not its own."
def causal_mask(queries, keys=None, device=None):
    if keys is None:
        keys = queries
    i = torch.arange(queries, device=device)[:, None] + (keys - queries)
    j = torch.arange(keys, device=device)[None, :]
    return j < i


# %% first-rows-of-the-square
# idiom = "nanoGPT"
# slips = ["causal-mask-aligned-at-the-start"]
# wrong = "The first rows of the square mask are taken, not the last: with fewer queries than keys, query 0 is at key 0."
def causal_mask(queries, keys=None, device=None):
    keys = keys or queries
    bias = torch.tril(torch.ones(max(queries, keys), max(queries, keys), device=device))
    return bias[:queries, :keys] == 1


# %% additive-mask-of-infinities
# idiom = "minGPT"
# slips = ["causal-mask-to-be-added"]
# wrong = "It is the float mask that is added to scores, 0 and -inf, not one of True and False."
def causal_mask(queries, keys=None, device=None):
    keys = queries if keys is None else keys
    mask = torch.full((queries, keys), float("-inf"), device=device)
    return torch.triu(mask, diagonal=keys - queries + 1)


# %% offset-the-other-way
# idiom = "LLM assistant"
# slips = ["causal-mask-shifted-the-wrong-way"]
# wrong = "The diagonal is shifted by queries - keys, so to the wrong side."
def causal_mask(queries, keys=None, device=None):
    if keys is None:
        keys = queries
    ones = torch.ones((queries, keys), dtype=torch.bool, device=device)
    return torch.tril(ones, diagonal=queries - keys)


# %% key-padding-mask-convention
# idiom = "Hugging Face"
# slips = ["padding-mask-inverted"]
# wrong = "True stands for padding, as in PyTorch's key_padding_mask."
def padding_mask(lengths, max_len):
    batch_size = lengths.shape[0]
    steps = torch.arange(max_len, device=lengths.device).expand(batch_size, max_len)
    return (steps >= lengths.unsqueeze(-1)).unsqueeze(1)


# %% axis-of-one-at-the-end
# idiom = "annotated transformer"
# slips = ["padding-mask-with-the-query-axis-last"]
# wrong = "The axis of size 1 comes last, so it has shape (batch, max_len, 1)."
def padding_mask(lengths, max_len):
    mask = torch.arange(max_len, device=lengths.device)[None, :] < lengths[:, None]
    return mask.unsqueeze(-1)


# %% loop-over-the-batch
# idiom = "Exercism"
# slips = ["padding-mask-looks-at-the-lengths", "padding-mask-on-the-default-device"]
# wrong = "A mask of zeros is filled in a loop on the values of lengths, so it is on the CPU and cannot run on meta."
def padding_mask(lengths, max_len):
    mask = torch.zeros(len(lengths), 1, max_len, dtype=torch.bool)
    for b, n in enumerate(lengths):
        mask[b, 0, : int(n)] = True
    return mask


# %% head-axis-added-to-the-mask
# idiom = "annotated transformer"
# slips = ["mask-with-an-axis-for-the-heads"]
# wrong = "The mask is given an axis for heads, which the scores do not have."
def attention_weights(query, key, mask=None):
    d_k = query.size(-1)
    scores = torch.matmul(query, key.transpose(-2, -1)) / math.sqrt(d_k)
    if mask is not None:
        mask = mask.unsqueeze(1)
        scores = scores.masked_fill(mask == 0, float("-inf"))
    return softmax(scores, dim=-1)


# %% scores-times-mask
# idiom = "Exercism"
# slips = ["scores-multiplied-by-the-mask"]
# wrong = "The scores are multiplied by the mask: a hidden score is 0, and still gets weight."
def attention_weights(query, key, mask=None):
    d_k = query.shape[-1]
    scores = query @ key.transpose(-1, -2) / d_k**0.5
    if mask is not None:
        scores = scores * mask.to(scores.dtype)
    return softmax(scores, dim=-1)


# %% root-of-the-sequence-length
# idiom = "CS336 students"
# slips = ["scores-scaled-by-the-number-of-keys"]
# wrong = "The scores are divided by the root of the number of keys, not of d_k."
from torch import einsum


def attention_weights(query, key, mask=None):
    scores = einsum("...qd,...kd->...qk", query, key)
    scores = scores / math.sqrt(key.shape[-2])
    if mask is not None:
        scores = torch.where(
            mask, scores, torch.tensor(float("-inf"), dtype=scores.dtype, device=scores.device)
        )
    return softmax(scores, dim=-1)


# %% divided-by-d-k
# idiom = "labml"
# slips = ["scores-divided-by-d"]
# wrong = "The scores are divided by d_k, without the root."
def attention_weights(query, key, mask=None):
    scale = 1 / query.shape[-1]
    scores = torch.einsum("...id,...jd->...ij", query, key) * scale
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    attn = softmax(scores, dim=-1)
    return attn


# %% float32-inside
# idiom = "Hugging Face"
# slips = ["weights-in-float32"]
# wrong = "The weights are computed in float32 and not brought back to the dtype of the query."
def attention_weights(query, key, mask=None):
    attn_weights = torch.matmul(query, key.transpose(-2, -1)) * (query.shape[-1] ** -0.5)
    if mask is not None:
        attn_weights = attn_weights.masked_fill(mask.logical_not(), float("-inf"))
    return softmax(attn_weights.to(torch.float32), -1)


# %% values-by-the-transposed-weights
# idiom = "CS336 students"
# slips = ["values-averaged-over-the-queries"]
# wrong = "An index mix-up in einsum: the weights are summed over the queries, not over the keys."
def scaled_dot_product_attention(query, key, value, mask=None):
    attn = attention_weights(query, key, mask)
    return torch.einsum("...qk,...kv->...qv", attn.transpose(-1, -2).reshape(attn.shape), value)


# %% mask-on-its-way-lost
# idiom = "rasbt"
# slips = ["mask-not-passed-on"]
# wrong = "The mask is not passed on: every query reads every value."
def scaled_dot_product_attention(query, key, value, mask=None):
    attn_weights = attention_weights(query, key)
    context_vec = attn_weights @ value
    return context_vec


# %% output-scaled-in-place-of-the-scores
# idiom = "Exercism"
# slips = ["output-scaled-instead-of-the-scores", "own-scores-not-scaled", "output-divided-by-root-d-as-well"]
# wrong = "Two mistakes: the scores are not scaled, and the output is scaled by √d_k in their place."
def scaled_dot_product_attention(query, key, value, mask=None):
    scores = pairwise_dot(query, key)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = softmax(scores, -1)
    return (weights @ value) / math.sqrt(query.shape[-1])


# %% masked-after-and-over-the-queries
# idiom = "LLM assistant"
# slips = ["softmax-over-queries", "mask-after-softmax"]
# wrong = "Two mistakes: the softmax comes before the mask, so weights do not sum to 1; and it runs over the queries."
def attention_weights(query, key, mask=None):
    scores = pairwise_dot(query, key) / math.sqrt(query.shape[-1])
    weights = softmax(scores, dim=-2)
    if mask is not None:
        weights = weights * mask
    return weights


# %% right-numpy-root
# idiom = "CS336 students"
import numpy as np


def attention_weights(query, key, mask=None):
    scores = (query / np.sqrt(query.shape[-1])) @ key.mT
    if mask is not None:
        scores.masked_fill_(mask == 0, -np.inf)
    return softmax(scores, dim=-1)


def scaled_dot_product_attention(query, key, value, mask=None):
    return torch.einsum("...qk,...kd->...qd", attention_weights(query, key, mask), value)


# %% right-nested-masks
# idiom = "x-transformers"
def exists(val):
    return val is not None


def default(val, d):
    return val if exists(val) else d


def causal_mask(queries, keys=None, device=None):
    j = default(keys, queries)
    return ~torch.ones((queries, j), device=device, dtype=torch.bool).triu(j - queries + 1)


def padding_mask(lengths, max_len):
    return torch.arange(max_len, device=lengths.device).lt(lengths[:, None])[:, None]


# %% maximum-not-kept
# idiom = "CS336 students"
# slips = ["softmax-maximum-without-its-axis"]
# wrong = "The maximum loses its axis, so it does not line up with the rows."
def softmax(x, dim):
    shifted = x - x.max(dim=dim).values
    exps = torch.exp(shifted)
    return exps / exps.sum(dim=dim, keepdim=True)


# %% nan-made-zero-before-exp
# idiom = "LLM assistant"
# slips = ["softmax-of-nothing-is-even"]
# wrong = "The NaN of -inf - (-inf) becomes 0 before exp, so a row of nothing but -inf gets even weights."
def softmax(x, dim):
    z = x - x.max(dim=dim, keepdim=True).values
    z = torch.nan_to_num(z, nan=0.0, neginf=-1e30)
    ez = torch.exp(z)
    return ez / ez.sum(dim=dim, keepdim=True)


# %% counted-from-one
# idiom = "Exercism"
# slips = ["padding-mask-one-too-few"]
# wrong = "Positions are counted from 1, so the last one of each sequence is hidden."
def padding_mask(lengths, max_len):
    positions = torch.arange(1, max_len + 1, device=lengths.device)
    mask = positions.unsqueeze(0) < lengths.unsqueeze(1)
    return mask.unsqueeze(1)


# %% no-keys-given
# idiom = "nanoGPT"
# slips = []
# wrong = "keys is used as it is, which is None by default."
def causal_mask(queries, keys=None, device=None):
    return torch.tril(torch.ones(queries, keys, device=device), diagonal=keys - queries).bool()


# %% inverse-twice
# idiom = "labml"
# slips = ["scores-multiplied-by-root-d"]
# wrong = "Dividing by d_k to the power of -½ multiplies by the root."
def attention_weights(query, key, mask=None):
    scores = torch.einsum("...qd,...kd->...qk", query, key) / query.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return softmax(scores, -1)


# %% equal-to-one-hidden
# idiom = "annotated transformer"
# slips = ["mask-inverted"]
# wrong = "mask == 1 is filled with -inf: what may be seen is hidden."
def attention_weights(query, key, mask=None):
    d_k = query.size(-1)
    scores = query @ key.transpose(-2, -1) / math.sqrt(d_k)
    if mask is not None:
        scores = scores.masked_fill(mask == 1, float("-inf"))
    return softmax(scores, dim=-1)


# %% batched-product-of-three-axes
# idiom = "d2l"
# slips = ["values-by-bmm"]
# wrong = "torch.bmm takes exactly three axes."
def scaled_dot_product_attention(query, key, value, mask=None):
    return torch.bmm(attention_weights(query, key, mask), value)


# %% hidden-rows-times-zero
# idiom = "LLM assistant"
# slips = ["weights-by-pytorchs-softmax"]
# wrong = "The NaN of a query that sees nothing is multiplied by 0, and stays NaN."
def attention_weights(query, key, mask=None):
    scores = pairwise_dot(query, key) / query.shape[-1] ** 0.5
    if mask is None:
        return torch.softmax(scores, dim=-1)
    scores = scores.masked_fill(~mask, float("-inf"))
    weights = torch.softmax(scores, dim=-1)
    return weights * mask.any(dim=-1, keepdim=True)


# %% hidden-scores-of-zero
# idiom = "Exercism"
# slips = ["scores-multiplied-by-the-mask"]
# wrong = "The scores of hidden keys are replaced by 0 before the softmax, and exp(0) is 1."
def attention_weights(query, key, mask=None):
    scores = pairwise_dot(query, key) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = torch.where(mask, scores, torch.zeros_like(scores))
    return softmax(scores, dim=-1)


# %% four-axes-unpacked
# idiom = "minGPT"
# slips = ["four-axes-unpacked"]
# wrong = "Four axes are unpacked, batch and heads: there may be none."
def attention_weights(query, key, mask=None):
    B, nh, T, hs = query.size()
    att = (query @ key.transpose(-2, -1)) * (1.0 / math.sqrt(hs))
    if mask is not None:
        att = att.masked_fill(mask == 0, float("-inf"))
    return softmax(att, dim=-1)


# %% shift-along-the-last-axis
# idiom = "CS336 students"
# slips = []
# wrong = "The maximum is taken over the last axis whatever dim is, so for another dim the entries of one sum are shifted by different amounts and the weights are wrong."
def softmax(x, dim):
    row_max, _ = x.max(dim=-1, keepdim=True)
    row_max = torch.where(torch.isneginf(row_max), torch.zeros_like(row_max), row_max)
    upper = torch.exp(x - row_max)
    denom = upper.sum(dim=dim, keepdim=True)
    return upper / torch.where(denom == 0, torch.ones_like(denom), denom)


# %% float-and-never-back
# idiom = "llama"
# slips = []
# wrong = "The softmax is taken in float32 and not cast back, so bfloat16 and float64 inputs give a float32 result."
from torch.nn import functional as F


def softmax(x, dim):
    dead = (x == float("-inf")).all(dim=dim, keepdim=True)
    probs = F.softmax(x.float().masked_fill(dead, 0.0), dim=dim)
    return probs.masked_fill(dead, 0.0)


# %% clamped-against-overflow
# idiom = "StackOverflow"
# slips = []
# wrong = "Scores are capped at 80 instead of shifted: rows around 10,000 get even weights, and rows around -10,000 get none."
def softmax(x, dim):
    e = x.clamp(max=80.0).exp()
    total = e.sum(dim, keepdim=True)
    return e / total.masked_fill(total == 0, 1.0)


# %% mask-of-the-hidden-ones
# idiom = "nn.Transformer tutorial"
# slips = ["causal-mask-inverted"]
# wrong = "It marks the positions that must not be seen, as nn.Transformer wants it: True and False are swapped."
def causal_mask(queries, keys=None, device=None):
    if keys is None:
        keys = queries
    full = torch.ones((queries, keys), device=device)
    return torch.triu(full, diagonal=keys - queries + 1).bool()


# %% past-beside-the-triangle
# idiom = "LLM-written KV cache"
# slips = []
# wrong = "With more queries than keys the triangle is cut off on the right, so that the first query lines up with the first key instead of the last with the last."
def causal_mask(queries, keys=None, device=None):
    keys = queries if keys is None else keys
    past = torch.ones(queries, max(keys - queries, 0), dtype=torch.bool, device=device)
    present = torch.ones(queries, queries, dtype=torch.bool, device=device).tril()
    return torch.cat((past, present), dim=1)[:, :keys]


# %% keys-or-queries
# idiom = "blog post"
# slips = []
# wrong = "`keys or queries` takes keys=0 for a missing argument and returns a square mask instead of one without columns."
def causal_mask(queries, keys=None, device=None):
    n_keys = keys or queries
    offset = n_keys - queries
    rows = torch.arange(queries, device=device).view(-1, 1)
    cols = torch.arange(n_keys, device=device).view(1, -1)
    return cols.le(rows + offset)


# %% extended-attention-mask
# idiom = "Hugging Face"
# slips = ["padding-mask-with-an-axis-for-the-heads"]
# wrong = "The mask has an axis for the heads as well: its shape is (batch, 1, 1, max_len) instead of (batch, 1, max_len)."
def padding_mask(lengths, max_len):
    positions = torch.arange(max_len, device=lengths.device).expand(lengths.size(0), max_len)
    attention_mask = positions < lengths.unsqueeze(1)
    return attention_mask[:, None, None, :]


# %% rows-of-python-booleans
# idiom = "LLM-written"
# slips = []
# wrong = "The lengths are read into Python, which fails on the meta device, and the mask is made on the default device instead of that of lengths."
def padding_mask(lengths, max_len):
    rows = []
    for n in lengths.tolist():
        rows.append([True] * n + [False] * (max_len - n))
    return torch.tensor(rows, dtype=torch.bool).reshape(len(rows), 1, max_len)


# %% masked-and-renormalised
# idiom = "StackOverflow"
# slips = ["mask-after-softmax-and-divided-by-a-small-number"]
# wrong = "The mask is multiplied in after the softmax and the row divided by its sum: if a hidden key has a far higher score, the visible ones have underflowed to zero or lost to the 1e-12."
def attention_weights(query, key, mask=None):
    logits = torch.matmul(query, key.mT).div(math.sqrt(query.shape[-1]))
    alpha = softmax(logits, dim=-1)
    if mask is None:
        return alpha
    alpha = alpha * mask.to(alpha.dtype)
    return alpha / alpha.sum(dim=-1, keepdim=True).clamp_min(1e-12)


# %% scale-into-the-query
# idiom = "x-transformers"
# slips = ["query-scaled-in-place"]
# wrong = "The query is scaled in place, so the caller's tensor is changed (and a leaf that requires grad is an error)."
def attention_weights(query, key, mask=None):
    scale = query.size(-1) ** -0.5
    query *= scale
    sim = torch.einsum("...id,...jd->...ij", query, key)
    if mask is not None:
        sim = sim.masked_fill(~mask, float("-inf"))
    return softmax(sim, -1)


# %% scaled-here-and-there
# idiom = "CS336 students"
# slips = []
# wrong = "The query is divided by the root of d_k before attention_weights does that again, so the scores are q k / d_k."
def scaled_dot_product_attention(query, key, value, mask=None):
    d_k = query.shape[-1]
    q = query / d_k**0.5
    attn = attention_weights(q, key, mask)
    return torch.einsum("...qk,...kv->...qv", attn, value)


# %% causal-unless-told-otherwise
# idiom = "nanoGPT flash attention"
# slips = []
# wrong = "Without a mask it attends causally, although then every query may see every key."
import torch.nn.functional as nnf


def scaled_dot_product_attention(query, key, value, mask=None):
    return nnf.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=0.0, is_causal=mask is None
    )
