# %% keeps-what-is-not-below
# idiom = "nanoGPT"
# slips = ["top-k-by-threshold"]
# wrong = "Logits equal to the k-th highest stay as well, so more than k survive."
def top_k_filter(logits, k):
    if k < 1:
        raise ValueError(f"top_k {k}")
    logits = logits.clone()
    v, _ = torch.topk(logits, min(k, logits.size(-1)))
    logits[logits < v[..., [-1]]] = -float("Inf")
    return logits


# %% smallest-of-the-top
# idiom = "rasbt"
# slips = ["top-k-by-threshold"]
# wrong = "Logits equal to the k-th highest stay as well, so more than k survive."
def top_k_filter(logits, k):
    if k < 1:
        raise ValueError(f"top_k {k}")
    top_logits, _ = torch.topk(logits, min(k, logits.shape[-1]))
    min_val = top_logits[..., -1:]
    return torch.where(logits < min_val, torch.tensor(float("-inf")).to(logits), logits)


# %% without-the-smaller-of-two
# idiom = "karpathy's lectures"
# slips = ["top-k-beyond-the-vocabulary"]
# wrong = "A k beyond the vocabulary is an error of topk."
def top_k_filter(logits, k):
    if k <= 0:
        raise ValueError(f"k = {k}")
    v, ix = torch.topk(logits, k, dim=-1)
    out = torch.ones_like(logits) * float("-inf")
    return out.scatter(-1, ix, v)


# %% written-into-the-logits
# idiom = "minGPT"
# slips = ["top-k-in-place-by-threshold", "top-k-by-threshold"]
# wrong = "The caller's logits are overwritten; equals of the k-th highest survive as well."
def top_k_filter(logits, k):
    if k < 1:
        raise ValueError(f"k = {k}")
    v, ix = torch.topk(logits, min(k, logits.size(-1)))
    logits[logits < v[..., [-1]]] = -float("Inf")
    return logits


# %% sum-up-to-p
# idiom = "CS336 students"
# slips = ["top-p-drops-the-crossing-token"]
# wrong = "A token stays only if the sum including it is at most p, and the first always: the crossing one goes."
def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p = {p}")
    sorted_logits, idx = torch.sort(logits, dim=-1, descending=True)
    cumsum = sorted_logits.softmax(dim=-1).cumsum(dim=-1)
    keep = cumsum <= p
    keep[..., 0] = True
    mask = torch.zeros_like(keep).scatter(-1, idx, keep)
    return logits.masked_fill(~mask, float("-inf"))


# %% shifted-to-the-right
# idiom = "transformers"
# slips = ["top-p-more-than-needed"]
# wrong = "With `> p` shifted by one, a token stays where those before it have exactly p."
def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"top_p {p}")
    sorted_logits, sorted_indices = torch.sort(logits, descending=True, dim=-1)
    cumulative_probs = softmax(sorted_logits, dim=-1).cumsum(dim=-1)
    sorted_indices_to_remove = cumulative_probs > p
    sorted_indices_to_remove[..., 1:] = sorted_indices_to_remove[..., :-1].clone()
    sorted_indices_to_remove[..., 0] = False
    indices_to_remove = sorted_indices_to_remove.scatter(-1, sorted_indices, sorted_indices_to_remove)
    return logits.masked_fill(indices_to_remove, -float("inf"))


# %% probabilities-renormalised
# idiom = "llama"
# slips = ["top-p-returns-probabilities"]
# wrong = "Probabilities, renormalised, are returned where logits are asked for."
def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"top_p {p}")
    probs = softmax(logits, dim=-1)
    probs_sort, probs_idx = torch.sort(probs, dim=-1, descending=True)
    probs_sum = torch.cumsum(probs_sort, dim=-1)
    mask = probs_sum - probs_sort >= p
    probs_sort = probs_sort.masked_fill(mask, 0.0)
    probs_sort = probs_sort / probs_sort.sum(dim=-1, keepdim=True)
    return torch.zeros_like(probs).scatter(-1, probs_idx, probs_sort)


# %% left-sorted
# idiom = "CS336 students"
# slips = ["top-p-left-in-sorted-order"]
# wrong = "The logits are returned in descending order, not in the order of the ids."
def top_p_filter(logits, p):
    if p <= 0 or p > 1 or p != p:
        raise ValueError(f"top_p {p}")
    values, _ = logits.sort(descending=True)
    probs = values.softmax(-1)
    mass_before = probs.cumsum(-1) - probs
    return values.masked_fill(mass_before >= p, -torch.inf)


# %% cumulated-probability-reaches-one
# idiom = "x-transformers"
# slips = ["top-p-of-one-loses-tokens"]
# wrong = "With p = 1 the rounded sum reaches 1 too early, and unlikely tokens are lost."
def top_p_filter(logits, p):
    if not 0.0 < p <= 1.0:
        raise ValueError(f"thres {p}")
    sorted_logits, sorted_indices = torch.sort(logits, descending=True)
    probs = sorted_logits.softmax(dim=-1)
    cum_probs = torch.cumsum(probs, dim=-1)
    sorted_logits = sorted_logits.masked_fill(cum_probs - probs >= p, float("-inf"))
    return sorted_logits.gather(-1, sorted_indices.argsort(-1))


# %% temperature-not-checked-for-nan
# idiom = "nanoGPT"
# slips = ["temperature-nan-accepted"]
# wrong = "A temperature of NaN or infinity gets through."
def apply_temperature(logits, temperature):
    if temperature <= 0:
        raise ValueError(f"temperature must be positive: {temperature}")
    return logits / temperature


# %% divided-in-place
# idiom = "llama"
# slips = ["temperature-in-place"]
# wrong = "The caller's logits are divided."
def apply_temperature(logits, temperature):
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature {temperature}")
    logits /= temperature
    return logits


# %% one-row-per-call
# idiom = "nanoGPT"
# slips = ["multinomial-keeps-its-axis", "multinomial-of-many-axes"]
# wrong = "multinomial takes one batch axis at most, and the extra axis is left on the result."
def sample_next(logits, generator=None):
    probs = F.softmax(logits, dim=-1)
    idx_next = torch.multinomial(probs, num_samples=1, generator=generator)
    return idx_next


import torch.nn.functional as F


# %% exponential-race-without-generator
# idiom = "gpt-fast"
# slips = ["generator-ignored"]
# wrong = "The exponential numbers are drawn from the global generator."
def sample_next(logits, generator=None):
    probs = softmax(logits, dim=-1)
    q = torch.empty_like(probs).exponential_(1)
    return torch.argmax(probs / q, dim=-1)


# %% cumulative-with-one-number
# idiom = "CS336 students"
# slips = ["one-draw-for-all-rows"]
# wrong = "One uniform number is compared with the sums of all rows."
def sample_next(logits, generator=None):
    cdf = softmax(logits.double(), dim=-1).cumsum(dim=-1)
    u = torch.rand((), generator=generator, dtype=torch.float64)
    return (cdf / cdf[..., -1:] <= u).sum(dim=-1)


# %% cat-in-a-loop
# idiom = "nanoGPT"
# slips = ["logits-divided-by-zero", "training-mode-while-generating", "ended-row-goes-on"]
# wrong = "The model is left in the mode it is in, temperature 0 divides, and eos_id is ignored."
@torch.no_grad()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    idx = ids
    for _ in range(max_new_tokens):
        # if the sequence context is growing too long we must crop it at block_size
        block_size = model.config.block_size
        idx_cond = idx if idx.size(1) <= block_size else idx[:, -block_size:]
        logits = model(idx_cond)[:, -1, :] / temperature
        if top_k is not None:
            logits = top_k_filter(logits, top_k)
        if top_p is not None:
            logits = top_p_filter(logits, top_p)
        idx = torch.cat((idx, sample_next(logits, generator)[:, None]), dim=1)
    return idx


# %% stops-when-all-have-ended
# idiom = "rasbt"
# slips = ["all-rows-have-to-end-at-once", "ended-row-goes-on", "fewer-columns-when-all-have-ended"]
# wrong = "A row that has ended goes on, and the loop breaks when all choose eos_id in the same step."
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    check(ids, max_new_tokens)
    idx = ids
    with torch.no_grad(), _evaluation_mode(model):
        for _ in range(max_new_tokens):
            logits = model(idx[:, -model.config.block_size :])[:, -1, :]
            idx_next = _choose(logits, temperature, top_k, top_p, generator).unsqueeze(-1)
            if eos_id is not None and (idx_next == eos_id).all():
                break
            idx = torch.cat((idx, idx_next), dim=1)
    return idx


def check(idx, max_new_tokens):
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens {max_new_tokens}")
    if idx.size(1) == 0:
        raise ValueError("empty prompt")


# %% back-to-train
# idiom = "labml"
# slips = ["always-back-to-training", "mode-lost-on-an-error"]
# wrong = "Afterwards the whole model is in train mode; after an error it stays in eval mode."
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if max_new_tokens < 0 or ids.shape[1] == 0:
        raise ValueError(f"max_new_tokens {max_new_tokens}, prompt of {ids.shape[1]}")
    model.eval()
    ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    with torch.no_grad():
        for _ in range(max_new_tokens):
            logits = model(ids[:, -model.config.block_size :])[:, -1]
            token = _choose(logits, temperature, top_k, top_p, generator)
            if eos_id is not None:
                token = torch.where(ended, eos_id, token)
                ended = ended | (token == eos_id)
            ids = torch.cat([ids, token[:, None]], dim=1)
    model.train()
    return ids


# %% filters-then-temperature
# idiom = "CS336 students"
# slips = ["temperature-after-the-filters"]
# wrong = "The filters come first, the temperature afterwards."
def _choose(logits, temperature, top_k, top_p, generator):
    if temperature == 0:
        return greedy(logits)
    if top_k is not None:
        logits = top_k_filter(logits, top_k)
    if top_p is not None:
        logits = top_p_filter(logits, top_p)
    return sample_next(apply_temperature(logits, temperature), generator)


# %% either-filter
# idiom = "rasbt"
# slips = ["filters-in-place-of-each-other", "top-p-before-top-k"]
# wrong = "top_p is looked at only where there is no top_k."
def _choose(logits, temperature, top_k, top_p, generator):
    if temperature == 0.0:
        return torch.argmax(logits, dim=-1)
    logits = apply_temperature(logits, temperature)
    if top_k is not None:
        logits = top_k_filter(logits, top_k)
    elif top_p is not None:
        logits = top_p_filter(logits, top_p)
    return sample_next(logits, generator)


# %% uncropped-and-first
# idiom = "minGPT"
# slips = ["not-cropped", "first-position-used"]
# wrong = "Two mistakes: the model sees the whole text, and its logits for the first position are used."
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    x = ids.clone()
    with torch.no_grad(), _evaluation_mode(model):
        for _ in range(max_new_tokens):
            logits = model(x)[:, 0]
            x = torch.cat([x, _choose(logits, temperature, top_k, top_p, generator)[:, None]], dim=-1)
    return x


# %% threshold-and-ties
# idiom = "llama"
# slips = ["top-k-by-threshold", "top-p-more-than-needed"]
# wrong = "Two mistakes: top-k keeps equals, and top-p keeps a token more where the sum is exactly p."
def top_k_filter(logits, k):
    if k < 1:
        raise ValueError(f"k {k}")
    kth = logits.sort(dim=-1, descending=True).values[..., min(k, logits.shape[-1]) - 1]
    return torch.where(logits >= kth[..., None], logits, -math.inf)


def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p {p}")
    probs_sort, probs_idx = torch.sort(softmax(logits, dim=-1), dim=-1, descending=True)
    mask = torch.cumsum(probs_sort, dim=-1) - probs_sort > p
    if p == 1:
        return logits.clone()
    return logits.masked_fill(torch.zeros_like(mask).scatter(-1, probs_idx, mask), -math.inf)


# %% right-scattered-mask
# idiom = "transformers"
def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"top_p {p}")
    if p >= 1.0:
        return logits + 0.0
    sorted_logits, sorted_indices = torch.sort(logits, descending=True, dim=-1)
    cumulative_probs = sorted_logits.softmax(dim=-1).cumsum(dim=-1)
    remove = cumulative_probs >= p
    remove[..., 1:] = remove[..., :-1].clone()
    remove[..., 0] = False
    return logits.masked_fill(torch.zeros_like(remove).scatter(-1, sorted_indices, remove), float("-inf"))


def top_k_filter(logits, k):
    if not k >= 1:
        raise ValueError(f"top_k {k}")
    rank = logits.argsort(dim=-1, descending=True).argsort(dim=-1)
    return logits.masked_fill(rank >= k, float("-inf"))


# %% right-gumbel
# idiom = "x-transformers"
def sample_next(logits, generator=None):
    noise = torch.rand(logits.shape, generator=generator, dtype=torch.float64, device=logits.device)
    gumbel = -torch.log(-torch.log(noise.clamp(min=1e-20)))
    return (logits.double() + gumbel).argmax(dim=-1)


# %% right-cat-in-a-loop
# idiom = "nanoGPT"
@torch.no_grad()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if ids.size(1) < 1:
        raise ValueError("the prompt is empty")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens = {max_new_tokens}")
    was = [(m, m.training) for m in model.modules()]
    try:
        model.eval()
        idx, done = ids, torch.zeros_like(ids[:, 0], dtype=torch.bool)
        for _ in range(max_new_tokens):
            logits = model(idx[:, -model.config.block_size :])[:, -1, :]
            if temperature == 0:
                idx_next = greedy(logits)
            else:
                logits = apply_temperature(logits, temperature)
                logits = logits if top_k is None else top_k_filter(logits, top_k)
                logits = logits if top_p is None else top_p_filter(logits, top_p)
                idx_next = sample_next(logits, generator)
            if eos_id is not None:
                idx_next[done] = eos_id
                done |= idx_next == eos_id
            idx = torch.cat((idx, idx_next[:, None]), dim=1)
        return idx
    finally:
        for m, training in was:
            m.training = training


# %% logits-below-the-last-of-topk
# idiom = "minGPT"
# slips = ["top-k-by-threshold-of-two-axes-beyond-the-vocabulary", "top-k-by-threshold", "top-k-beyond-the-vocabulary"]
# wrong = "It needs two axes (v[:, [-1]]); equals of the k-th survive as well; and topk stops at k > vocab."
def top_k_filter(logits, k):
    if k < 1:
        raise ValueError(f"top-k with k={k}")
    v, ix = torch.topk(logits, k)
    out = logits.clone()
    out[out < v[:, [-1]]] = -float("Inf")
    return out


# %% minimum-of-the-top-logits
# idiom = "rasbt"
# slips = ["top-k-by-threshold"]
# wrong = "All that is not below the k-th highest logit survives, its equals too."
def top_k_filter(logits, k):
    if k <= 0:
        raise ValueError(f"k must be at least 1, got {k}")
    top_logits, _ = torch.topk(logits, min(k, logits.shape[-1]))
    min_val = top_logits[..., -1:]
    return torch.where(logits < min_val, torch.tensor(float("-inf")).to(logits), logits)


# %% indices-to-remove-written-into-the-logits
# idiom = "Hugging Face"
# slips = ["top-k-in-place-by-threshold", "top-k-by-threshold"]
# wrong = "It writes -inf into the caller's logits, and keeps equals of the k-th."
def top_k_filter(logits, k):
    if k < 1:
        raise ValueError(f"`k` has to be a strictly positive integer, but is {k}")
    top_k = min(max(k, 1), logits.size(-1))  # Safety check
    indices_to_remove = logits < torch.topk(logits, top_k)[0][..., -1, None]
    logits[indices_to_remove] = -float("Inf")
    return logits


# %% top-k-into-a-row-of-infinities
# idiom = "labml"
# slips = ["top-k-beyond-the-vocabulary"]
# wrong = "torch.topk stops if k is larger than the vocabulary."
def top_k_filter(logits, k):
    if not k >= 1:
        raise ValueError(f"cannot sample from the top {k}")
    zeros = logits.new_ones(logits.shape) * float("-inf")
    values, indices = torch.topk(logits, k, dim=-1)
    zeros.scatter_(-1, indices, values)
    return zeros


# %% probabilities-of-the-others-set-to-zero
# idiom = "CS336 students"
# slips = ["top-p-returns-log-probabilities"]
# wrong = "It returns the logarithms of the renormalised probabilities instead of the logits as they are."
def top_p_filter(logits, p):
    if p <= 0 or p > 1 or math.isnan(p):
        raise ValueError(f"top_p must be in (0, 1], but got {p}")
    probs = softmax(logits, dim=-1)
    sorted_probs, sorted_idx = torch.sort(probs, dim=-1, descending=True)
    cum = torch.cumsum(sorted_probs, dim=-1)
    sorted_probs = torch.where(cum - sorted_probs < p, sorted_probs, torch.zeros_like(sorted_probs))
    probs = torch.zeros_like(probs).scatter(-1, sorted_idx, sorted_probs)
    probs = probs / probs.sum(dim=-1, keepdim=True)
    return torch.log(probs)


# %% sorted-indices-to-remove-shifted
# idiom = "Hugging Face"
# slips = ["top-p-more-than-needed"]
# wrong = "A sum of exactly p is not enough: one token more survives."
def top_p_filter(logits, p):
    if not 0.0 < p <= 1.0:
        raise ValueError(f"`top_p` has to be a float > 0 and < 1, but is {p}")
    sorted_logits, sorted_indices = torch.sort(logits, descending=True)
    cumulative_probs = torch.cumsum(torch.softmax(sorted_logits, dim=-1), dim=-1)

    # Remove tokens with cumulative probability above the threshold
    sorted_indices_to_remove = cumulative_probs > p
    # Shift the indices to the right to keep also the first token above the threshold
    sorted_indices_to_remove[..., 1:] = sorted_indices_to_remove[..., :-1].clone()
    sorted_indices_to_remove[..., 0] = 0

    indices_to_remove = sorted_indices_to_remove.scatter(-1, sorted_indices, sorted_indices_to_remove)
    return logits.masked_fill(indices_to_remove, float("-inf"))


# %% nucleus-gathered-by-the-order
# idiom = "labml"
# slips = ["top-p-gathered-instead-of-scattered", "top-p-of-one-loses-tokens"]
# wrong = "Two mistakes: gather instead of scatter brings the logits back, and p = 1 loses unlikely tokens."
from torch import nn


def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"nucleus of {p}")
    log_probs_sorted, indices = torch.sort(logits, dim=-1, descending=True)
    cum_sum_probs = torch.cumsum(nn.Softmax(dim=-1)(log_probs_sorted), dim=-1)
    nucleus = cum_sum_probs < p
    nucleus = torch.cat([nucleus.new_ones(nucleus.shape[:-1] + (1,)), nucleus[..., :-1]], dim=-1)
    log_probs_sorted[~nucleus] = float("-inf")
    return log_probs_sorted.gather(-1, indices)


# %% at-least-the-first-is-kept
# idiom = "CS336 students"
# wrong = "The token with which the sum crosses p is taken out, unless it is the first."
# slips = ["top-p-keeps-only-what-fits"]
def top_p_filter(logits, p):
    if not (p > 0 and p <= 1):
        raise ValueError(f"p = {p} is not in (0, 1]")
    order = torch.argsort(logits, dim=-1, descending=True)
    sorted_probs = torch.gather(softmax(logits, -1), -1, order)
    keep = sorted_probs.cumsum(-1) <= p
    keep[..., 0] = True  # at least one token
    mask = torch.zeros_like(keep)
    mask.scatter_(-1, order, keep)
    return logits.masked_fill(~mask, float("-inf"))


# %% cutoff-of-the-first-row
# idiom = "CS336 students"
# slips = ["top-p-cut-where-the-first-row-is"]
# wrong = "One cutoff, found by nonzero()[0], serves all rows; with a batch axis it is that of the first row."
def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"invalid top_p: {p}")
    sorted_logits, sorted_indices = logits.sort(dim=-1, descending=True)
    cumulative = softmax(sorted_logits, dim=-1).cumsum(dim=-1)
    if p == 1:
        return logits.clone()
    cutoff = torch.nonzero(cumulative >= p)[0, -1].item() + 1
    filtered = torch.full_like(logits, float("-inf"))
    return filtered.scatter(-1, sorted_indices[..., :cutoff], sorted_logits[..., :cutoff])


# %% nucleus-as-a-threshold-of-logits
# idiom = "x-transformers"
# slips = ["top-p-drops-the-crossing-token"]
# wrong = "cum_probs > thres takes out the token with which the sum crosses p."
def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"thres is {p}")
    sorted_logits, sorted_indices = torch.sort(logits, descending=True)
    cum_probs = torch.cumsum(softmax(sorted_logits, dim=-1), dim=-1)
    sorted_indices_to_remove = cum_probs > p
    sorted_logits[sorted_indices_to_remove] = float("-inf")
    return sorted_logits.scatter(-1, sorted_indices, sorted_logits)


# %% multinomial-of-the-softmax
# idiom = "nanoGPT"
# slips = ["multinomial-of-many-axes-without-generator", "generator-ignored"]
# wrong = "The generator is not handed on; and multinomial takes no more than one batch axis."
from torch.nn import functional as F


def sample_next(logits, generator=None):
    probs = F.softmax(logits, dim=-1)
    idx_next = torch.multinomial(probs, num_samples=1)
    return idx_next.squeeze(-1)


# %% categorical-distribution
# idiom = "labml"
# slips = ["generator-ignored"]
# wrong = "torch.distributions knows no generator, so the global one is used."
from torch.distributions import Categorical


def sample_next(logits, generator=None):
    return Categorical(logits=logits).sample()


# %% gumbel-noise-from-nowhere
# idiom = "x-transformers"
# slips = ["generator-ignored"]
# wrong = "The noise comes from PyTorch's global generator."
def sample_next(logits, generator=None):
    return (logits + gumbel_noise(logits)).argmax(dim=-1)


def log(t, eps=1e-20):
    return torch.log(t.clamp(min=eps))


def gumbel_noise(t):
    noise = torch.zeros_like(t).uniform_(0, 1)
    return -log(-log(noise))


# %% gumbel-noise-with-a-sign-lost
# idiom = "x-transformers"
# slips = ["gumbel-noise-with-the-wrong-sign"]
# wrong = "One minus is missing, so the noise is log(-log u), a mirrored Gumbel: the shares are wrong."
def sample_next(logits, generator=None):
    u = torch.rand(logits.shape, generator=generator, dtype=logits.dtype, device=logits.device)
    noise = torch.log(-torch.log(u.clamp(min=1e-20)))
    return torch.argmax(logits + noise, dim=-1)


# %% most-likely-of-topk-one
# idiom = "minGPT"
# slips = ["sample-takes-the-likeliest"]
# wrong = "It returns the likeliest token instead of drawing one."
def sample_next(logits, generator=None):
    probs = torch.softmax(logits, dim=-1)
    _, idx_next = torch.topk(probs, k=1, dim=-1)
    return idx_next[..., 0]


# %% exponentials-normalised-by-hand
# idiom = "CS336 students"
# slips = ["sample-with-exponentials-that-overflow"]
# wrong = "The exponentials of large logits overflow, those of low ones are all zero: 0/0 or inf/inf."
def sample_next(logits, generator=None):
    exp_logits = torch.exp(logits)
    probs = exp_logits / exp_logits.sum(dim=-1, keepdim=True)
    flat = probs.view(-1, probs.size(-1))
    return torch.multinomial(flat, 1, generator=generator).view(probs.shape[:-1])


# %% one-uniform-number-by-searchsorted
# idiom = "d2l"
# slips = ["one-draw-for-all-rows"]
# wrong = "All rows use the same random number."
def sample_next(logits, generator=None):
    cumulative = torch.cumsum(softmax(logits, dim=-1), dim=-1)
    r = torch.rand(1, generator=generator, dtype=logits.dtype, device=logits.device)
    r = r.expand(*logits.shape[:-1], 1).contiguous()
    r = (1 - r) * cumulative[..., -1:]
    return torch.searchsorted(cumulative, r).squeeze(-1)


# %% temperature-of-at-least-epsilon
# idiom = "CS336 students"
# wrong = "A temperature that is not positive is replaced by 1e-5 instead of refused."
# slips = ["temperature-raised-to-a-minimum"]
def apply_temperature(logits, temperature):
    return logits / max(temperature, 1e-5)


# %% temperature-asserted
# idiom = "CS336 students"
# wrong = "It asserts, so an AssertionError is raised instead of a ValueError."
def apply_temperature(logits, temperature):
    assert temperature > 0.0, f"temperature must be positive, got {temperature}"
    return logits.div(temperature)


# %% temperature-not-in-the-message
# idiom = "Hugging Face"
# slips = ["temperature-nan-accepted"]
# wrong = "Two mistakes: the message does not say the value, and NaN gets through."
def apply_temperature(logits, temperature):
    if temperature <= 0:
        raise ValueError("`temperature` has to be a strictly positive float")
    scores_processed = logits / temperature
    return scores_processed


# %% temperature-divided-in-place
# idiom = "x-transformers"
# slips = ["temperature-in-place"]
# wrong = "The caller's logits are divided."
def apply_temperature(logits, temperature):
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(f"temperature: {temperature}")
    logits /= temperature
    return logits


# %% all-in-one-loop
# idiom = "nanoGPT"
# slips = ["logits-divided-by-zero", "training-mode-while-generating", "ended-row-goes-on"]
# wrong = "It divides by a temperature of 0; and neither the mode of the model nor eos_id is looked at."
@torch.no_grad()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if ids.size(1) == 0 or max_new_tokens < 0:
        raise ValueError(f"nothing to do for {tuple(ids.shape)} and max_new_tokens={max_new_tokens}")
    for _ in range(max_new_tokens):
        # if the sequence context is growing too long we must crop it at block_size
        idx_cond = ids if ids.size(1) <= model.config.block_size else ids[:, -model.config.block_size :]
        logits = model(idx_cond)
        logits = logits[:, -1, :] / temperature
        if top_k is not None:
            logits = top_k_filter(logits, top_k)
        if top_p is not None:
            logits = top_p_filter(logits, top_p)
        probs = softmax(logits, dim=-1)
        idx_next = torch.multinomial(probs, num_samples=1, generator=generator)
        ids = torch.cat((ids, idx_next), dim=1)
    return ids


# %% eval-before-and-train-after
# idiom = "minGPT"
# slips = ["always-back-to-training", "mode-lost-on-an-error"]
# wrong = "Afterwards the whole model is in training mode; after an error it is in evaluation mode."
@torch.no_grad()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    B, T = ids.size()
    if T < 1 or max_new_tokens < 0:
        raise ValueError(f"T={T}, max_new_tokens={max_new_tokens}")
    block_size = model.config.block_size
    done = torch.zeros(B, dtype=torch.bool, device=ids.device)
    model.eval()
    for k in range(max_new_tokens):
        x_cond = ids if ids.size(1) <= block_size else ids[:, -block_size:]
        logits = model(x_cond)[:, -1, :]
        ix = pick(logits, temperature, top_k, top_p, generator)
        if eos_id is not None:
            ix = torch.where(done, torch.full_like(ix, eos_id), ix)
            done = done | (ix == eos_id)
        ids = torch.cat((ids, ix.unsqueeze(-1)), dim=1)
    model.train()
    return ids


def pick(logits, temperature, top_k, top_p, generator):
    if temperature == 0:
        return greedy(logits)
    logits = apply_temperature(logits, temperature)
    logits = logits if top_k is None else top_k_filter(logits, top_k)
    logits = logits if top_p is None else top_p_filter(logits, top_p)
    return sample_next(logits, generator)


# %% was-training
# idiom = "x-transformers"
# slips = ["one-mode-for-all-parts", "mode-lost-on-an-error"]
# wrong = "All parts get the mode of the whole model; and after an error it stays in evaluation mode."
@torch.no_grad()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if ids.shape[1] == 0:
        raise ValueError("empty prompt")
    if max_new_tokens < 0:
        raise ValueError(f"seq_len: {max_new_tokens}")
    was_training = model.training
    model.eval()
    out = ids
    is_eos_tokens = torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)
    for _ in range(max_new_tokens):
        x = out[:, -model.config.block_size :]
        logits = model(x)[:, -1]
        if temperature == 0.0:
            sample = greedy(logits)
        else:
            logits = apply_temperature(logits, temperature)
            if exists(top_k):
                logits = top_k_filter(logits, top_k)
            if exists(top_p):
                logits = top_p_filter(logits, top_p)
            sample = sample_next(logits, generator)
        if exists(eos_id):
            sample = sample.masked_fill(is_eos_tokens, eos_id)
            is_eos_tokens |= sample == eos_id
        out = torch.cat((out, sample[:, None]), dim=-1)
    model.train(was_training)
    return out


def exists(val):
    return val is not None


# %% greedy-decode-of-the-whole-text
# idiom = "annotated transformer"
# slips = ["not-cropped", "training-mode-while-generating"]
# wrong = "The model is shown the whole text, in whatever mode it is."
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if ids.numel() == 0:
        raise ValueError("empty prompt")
    if max_new_tokens < 0:
        raise ValueError(f"max_len {max_new_tokens}")
    ys = ids
    ended = torch.zeros_like(ids[:, 0], dtype=torch.bool)
    for i in range(max_new_tokens):
        with torch.no_grad():
            out = model(ys)
        next_word = choose(out[:, -1], temperature, top_k, top_p, generator)
        if eos_id is not None:
            next_word[ended] = eos_id
            ended = torch.logical_or(ended, next_word == eos_id)
        ys = torch.cat([ys, next_word.unsqueeze(1)], dim=1)
    return ys


def choose(prob, temperature, top_k, top_p, generator):
    if temperature == 0:
        _, next_word = torch.max(prob, dim=1)
        return next_word
    prob = apply_temperature(prob, temperature)
    if top_k is not None:
        prob = top_k_filter(prob, top_k)
    if top_p is not None:
        prob = top_p_filter(prob, top_p)
    return sample_next(prob, generator)


# %% unfinished-sequences-cut-short
# idiom = "Hugging Face"
# slips = ["fewer-columns-when-all-have-ended"]
# wrong = "When all rows have ended it stops, so the result has fewer columns."
@torch.no_grad()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if ids.shape[-1] == 0:
        raise ValueError("`input_ids` is empty")
    if max_new_tokens < 0:
        raise ValueError(f"`max_new_tokens` must be at least 0, but is {max_new_tokens}")
    with _evaluation_mode(model):
        input_ids = ids
        unfinished_sequences = torch.ones(ids.shape[0], dtype=torch.long, device=ids.device)
        while input_ids.shape[1] < ids.shape[1] + max_new_tokens:
            next_token_logits = model(input_ids[:, -model.config.block_size :])[:, -1, :]
            next_tokens = _choose(next_token_logits, temperature, top_k, top_p, generator)
            if eos_id is not None:
                next_tokens = next_tokens * unfinished_sequences + eos_id * (1 - unfinished_sequences)
            input_ids = torch.cat([input_ids, next_tokens[:, None]], dim=-1)
            if eos_id is not None:
                unfinished_sequences = unfinished_sequences.mul((next_tokens != eos_id).long())
                if unfinished_sequences.max() == 0:
                    break
    return input_ids


# %% stop-before-the-end-of-text-is-appended
# idiom = "rasbt"
# slips = ["all-rows-have-to-end-at-once", "ended-row-goes-on", "fewer-columns-when-all-have-ended"]
# wrong = "It stops when all rows choose eos_id in one step, before it is appended; a row that ended goes on."
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if ids.shape[1] == 0 or max_new_tokens < 0:
        raise ValueError(f"max_new_tokens={max_new_tokens} for a prompt of {ids.shape[1]} tokens")
    context_size = model.config.block_size
    with _evaluation_mode(model):
        for _ in range(max_new_tokens):
            idx_cond = ids[:, -context_size:]
            with torch.no_grad():
                logits = model(idx_cond)
            logits = logits[:, -1, :]
            idx_next = _choose(logits, temperature, top_k, top_p, generator)
            if eos_id is not None and (idx_next == eos_id).all():
                break
            ids = torch.cat((ids, idx_next.unsqueeze(-1)), dim=1)
    return ids


# %% item-of-the-first-row
# idiom = "CS336 students"
# slips = ["every-row-gets-the-choice-of-the-first"]
# wrong = "Only the first row is looked at, and what it chooses is appended to all."
@torch.no_grad()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if ids.shape[1] < 1 or max_new_tokens < 0:
        raise ValueError(f"cannot generate {max_new_tokens} tokens from {ids.shape[1]}")
    tokens = ids.clone()
    with _evaluation_mode(model):
        for _ in range(max_new_tokens):
            next_logits = model(tokens[:, -model.config.block_size :])[0, -1, :]
            next_id = _choose(next_logits, temperature, top_k, top_p, generator).item()
            column = torch.full((tokens.shape[0], 1), next_id, dtype=tokens.dtype, device=tokens.device)
            tokens = torch.cat([tokens, column], dim=1)
            if next_id == eos_id:
                rest = ids.shape[1] + max_new_tokens - tokens.shape[1]
                return torch.nn.functional.pad(tokens, (0, rest), value=eos_id)
    return tokens


# %% one-filter-or-the-other
# idiom = "CS336 students"
# slips = ["filters-in-place-of-each-other", "top-p-before-top-k"]
# wrong = "With top_k given, top_p has no effect."
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if ids.shape[1] == 0:
        raise ValueError("prompt must not be empty")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must be >= 0, got {max_new_tokens}")

    def sample(logits):
        if temperature == 0:
            return greedy(logits)
        logits = apply_temperature(logits, temperature)
        if top_k is not None:
            return sample_next(top_k_filter(logits, top_k), generator)
        elif top_p is not None:
            return sample_next(top_p_filter(logits, top_p), generator)
        return sample_next(logits, generator)

    finished = torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)
    with _evaluation_mode(model), torch.no_grad():
        for _ in range(max_new_tokens):
            nxt = sample(model(ids[:, -model.config.block_size :])[:, -1])
            if eos_id is not None:
                nxt = torch.where(finished, eos_id, nxt)
                finished |= nxt.eq(eos_id)
            ids = torch.hstack([ids, nxt[:, None]])
    return ids


# %% temperature-in-the-last-softmax
# idiom = "labml"
# slips = ["temperature-after-the-filters"]
# wrong = "Top-p works on logits that have not been scaled yet."
@torch.no_grad()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if ids.shape[1] == 0:
        raise ValueError("no prompt")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens = {max_new_tokens}")
    data, over = ids, ids.new_zeros(len(ids), dtype=torch.bool)
    with _evaluation_mode(model):
        for i in range(max_new_tokens):
            logits = model(data[:, -model.config.block_size :])
            logits = logits[:, -1]
            if temperature != 0:
                logits = logits if top_k is None else top_k_filter(logits, top_k)
                logits = logits if top_p is None else top_p_filter(logits, top_p)
                res = sample_next(apply_temperature(logits, temperature), generator)
            else:
                res = logits.argmax(-1)
            if eos_id is not None:
                res = res.masked_fill(over, eos_id)
                over = over | (res == eos_id)
            data = torch.cat([data, res[:, None]], dim=1)
    return data


# %% neither-eval-nor-no-grad
# idiom = "CS336 students"
# slips = ["training-mode-while-generating", "gradients-recorded"]
# wrong = "Two mistakes: the model stays in the mode it is in, and gradients are recorded."
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    B, T = ids.shape
    if T == 0 or max_new_tokens < 0:
        raise ValueError(f"bad prompt of {T} tokens or max_new_tokens {max_new_tokens}")
    out = torch.empty(B, T + max_new_tokens, dtype=ids.dtype, device=ids.device)
    out[:, :T] = ids
    ended = torch.zeros(B, dtype=torch.bool, device=ids.device)
    for t in range(T, T + max_new_tokens):
        start = max(0, t - model.config.block_size)
        logits = model(out[:, start:t])[:, -1]
        token = _choose(logits, temperature, top_k, top_p, generator)
        if eos_id is not None:
            token[ended] = eos_id
            ended[token == eos_id] = True
        out[:, t] = token
    return out


# %% zero-means-no-end
# idiom = "nanoGPT"
# slips = ["eos-of-zero-taken-for-none", "cropped-too-short"]
# wrong = "Two mistakes: an eos_id of 0 counts as none, and the model is shown one id fewer than it takes."
@torch.no_grad()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if ids.size(1) == 0 or max_new_tokens < 0:
        raise ValueError(f"{ids.size(1)} tokens, {max_new_tokens} new ones")
    ended = torch.zeros(ids.size(0), dtype=torch.bool, device=ids.device)
    with _evaluation_mode(model):
        for _ in range(max_new_tokens):
            idx_cond = ids[:, -(model.config.block_size - 1) :]
            idx_next = _choose(model(idx_cond)[:, -1, :], temperature, top_k, top_p, generator)
            if eos_id:
                idx_next = torch.where(ended, eos_id, idx_next)
                ended = ended | (idx_next == eos_id)
            ids = torch.cat((ids, idx_next[:, None]), dim=1)
    return ids


# %% filters-on-masks
# idiom = "Hugging Face"
def top_k_filter(logits, k):
    if k < 1:
        raise ValueError(f"`top_k` has to be a strictly positive integer, but is {k}")
    top_k = min(k, logits.size(-1))
    indices_to_remove = torch.ones_like(logits, dtype=torch.bool)
    indices_to_remove.scatter_(-1, logits.topk(top_k)[1], False)
    return logits.masked_fill(indices_to_remove, -float("inf"))


def top_p_filter(logits, p):
    if not (0 < p <= 1.0):
        raise ValueError(f"`top_p` has to be a float > 0 and <= 1, but is {p}")
    if p == 1.0:
        return logits + 0.0
    sorted_logits, sorted_indices = torch.sort(logits, descending=True)
    cumulative_probs = sorted_logits.softmax(dim=-1).cumsum(dim=-1)
    sorted_indices_to_remove = cumulative_probs >= p
    sorted_indices_to_remove[..., 1:] = sorted_indices_to_remove[..., :-1].clone()
    sorted_indices_to_remove[..., 0] = False
    indices_to_remove = sorted_indices_to_remove.scatter(-1, sorted_indices, sorted_indices_to_remove)
    return logits.masked_fill(indices_to_remove, -float("inf"))


# %% nan-refused-by-not
# idiom = "CS336 students"
def apply_temperature(logits, temperature):
    if temperature > 0 and temperature != float("inf"):
        return torch.mul(logits, 1.0 / temperature)
    raise ValueError(f"temperature has to be > 0, got {temperature}")


# %% gumbel-noise-from-the-generator
# idiom = "x-transformers"
def sample_next(logits, generator=None):
    noise = torch.empty_like(logits, memory_format=torch.contiguous_format).uniform_(
        0, 1, generator=generator
    )
    return (logits - log(-log(noise))).argmax(dim=-1)


def log(t, eps=1e-20):
    return torch.log(t.clamp(min=eps))


# %% loop-with-all-that-belongs-to-it
# idiom = "nanoGPT"
@torch.no_grad()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    b, t = ids.size()
    if t == 0:
        raise ValueError("idx is empty")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens is {max_new_tokens}")
    idx, done = ids.clone(), torch.zeros(b, dtype=torch.bool, device=ids.device)
    training = [(m, m.training) for m in model.modules()]
    try:
        model.eval()
        for _ in range(max_new_tokens):
            idx_cond = idx if idx.size(1) <= model.config.block_size else idx[:, -model.config.block_size :]
            logits = model(idx_cond)[:, -1, :]
            if temperature == 0:
                idx_next = greedy(logits)[:, None]
            else:
                logits = apply_temperature(logits, temperature)
                if top_k is not None:
                    logits = top_k_filter(logits, top_k)
                if top_p is not None:
                    logits = top_p_filter(logits, top_p)
                idx_next = torch.multinomial(softmax(logits, -1), num_samples=1, generator=generator)
            if eos_id is not None:
                idx_next[done] = eos_id
                done |= idx_next[:, 0] == eos_id
            idx = torch.cat((idx, idx_next), dim=1)
    finally:
        for m, mode in training:
            m.training = mode
    return idx


# %% inverse-of-the-distribution
# idiom = "d2l"
def sample_next(logits, generator=None):
    lead = logits.shape[:-1]
    cdf = softmax(logits, dim=-1).cumsum(-1).reshape(-1, logits.shape[-1])
    u = 1 - torch.rand(cdf.shape[0], 1, generator=generator, dtype=cdf.dtype, device=cdf.device)
    return torch.searchsorted(cdf, u * cdf[:, -1:]).reshape(lead)


# %% argmax-along-axis-one
# idiom = "CS336 students"
# slips = ["greedy-over-axis-one"]
# wrong = "The maximum is taken along axis 1, which is the vocabulary only where there is one batch axis."
def greedy(logits):
    return torch.argmax(logits, dim=1)


# %% likeliest-with-its-axis-kept
# idiom = "nanoGPT"
# slips = ["greedy-keeps-the-axis"]
# wrong = "The axis of the vocabulary stays in the result, with the length 1."
def greedy(logits):
    probs = torch.softmax(logits, dim=-1)
    return torch.argmax(probs, dim=-1, keepdim=True)


# %% top-k-on-a-row-of-zeros
# idiom = "labml"
# slips = ["top-k-removed-to-zero"]
# wrong = "What does not survive gets the logit 0, which is no impossible token."
def top_k_filter(logits, k):
    if k < 1:
        raise ValueError(f"k has to be positive, but is {k}")
    values, indices = torch.topk(logits, min(k, logits.shape[-1]), dim=-1)
    return torch.zeros_like(logits).scatter_(-1, indices, values)


# %% lowest-finite-number
# idiom = "x-transformers"
# slips = ["top-k-removed-to-the-lowest-number"]
# wrong = "The others get the lowest finite number of the dtype instead of -inf."
def top_k_filter(logits, k):
    if k < 1:
        raise ValueError(f"k is {k}")
    val, ind = logits.topk(min(k, logits.shape[-1]), dim=-1)
    probs = torch.full_like(logits, -torch.finfo(logits.dtype).max)
    return probs.scatter(-1, ind, val)


# %% summed-in-the-order-of-the-ids
# idiom = "CS336 students"
# slips = ["top-p-without-sorting"]
# wrong = "The probabilities are added up in the order of the ids, not from the likeliest on."
def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"top-p of {p}")
    if p == 1:
        return logits.clone()
    probs = softmax(logits, dim=-1)
    cumulative = torch.cumsum(probs, dim=-1)
    return torch.where(cumulative - probs < p, logits, torch.full_like(logits, -math.inf))


# %% tail-of-one-minus-p
# idiom = "Hugging Face"
# slips = ["top-p-loses-the-vanishing-tail"]
# wrong = "With p = 1 a token goes whose probability is rounded down to 0."
def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"`top_p` has to be a float > 0 and < 1, but is {p}")
    sorted_logits, sorted_indices = torch.sort(logits, descending=False)
    cumulative_probs = sorted_logits.softmax(dim=-1).cumsum(dim=-1)
    # Remove tokens with cumulative top_p above the threshold (token with 0 are kept)
    sorted_indices_to_remove = cumulative_probs <= (1 - p)
    sorted_indices_to_remove[..., -1:] = 0  # at least one
    indices_to_remove = sorted_indices_to_remove.scatter(-1, sorted_indices, sorted_indices_to_remove)
    return logits.masked_fill(indices_to_remove, -float("inf"))


# %% nucleus-below-p
# idiom = "CS336 students"
# slips = ["top-p-drops-the-crossing-token"]
# wrong = "A token stays only while the sum is below p; a likeliest token with p or more goes as well."
def top_p_filter(logits, p):
    if p <= 0 or p > 1 or p != p:
        raise ValueError(f"p out of range: {p}")
    if p == 1:
        return logits.clone()
    probs = softmax(logits, dim=-1)
    values, order = probs.sort(dim=-1, descending=True)
    inside = values.cumsum(dim=-1) < p
    keep = torch.zeros_like(inside).scatter(-1, order, inside)
    return logits.masked_fill(~keep, float("-inf"))


# %% all-rows-in-one
# idiom = "nanoGPT"
# slips = ["sample-in-one-row"]
# wrong = "The ids come back in one row (or as one number), without the axes of the batch."
def sample_next(logits, generator=None):
    probs = softmax(logits, dim=-1)
    idx = torch.multinomial(probs.reshape(-1, probs.size(-1)), 1, generator=generator)
    return idx.squeeze()


# %% gumbel-noise-on-probabilities
# idiom = "x-transformers"
# slips = ["gumbel-noise-on-probabilities"]
# wrong = "The noise is added to the probabilities instead of their logarithms, so all are nearly alike."
def sample_next(logits, generator=None):
    probs = softmax(logits, dim=-1)
    u = torch.rand(probs.shape, generator=generator, dtype=probs.dtype, device=probs.device)
    return (probs - (-u.clamp(min=1e-20).log()).log()).argmax(dim=-1)


# %% one-logarithm-of-two
# idiom = "labml"
# slips = ["exponential-noise-for-gumbel-in-float64"]
# wrong = "The noise is -log(u), which is exponential, not Gumbel: the shares are wrong."
def sample_next(logits, generator=None):
    u = torch.rand(logits.shape, generator=generator, dtype=torch.float64, device=logits.device)
    return torch.argmax(logits.double() - torch.log(u.clamp_min(1e-300)), dim=-1)


# %% a-seed-of-its-own
# idiom = "d2l"
# slips = ["generator-of-its-own-with-seed-42"]
# wrong = "Without a generator each call makes one with a fixed seed, so every call draws the same."
def sample_next(logits, generator=None):
    if generator is None:
        generator = torch.Generator().manual_seed(42)
    probs = softmax(logits, dim=-1).reshape(-1, logits.shape[-1])
    return torch.multinomial(probs, 1, generator=generator).reshape(logits.shape[:-1])


# %% window-that-becomes-the-text
# idiom = "minGPT"
# slips = ["text-cropped-with-the-window"]
# wrong = "The text itself is cropped to the last block_size ids, so the first ones are lost."
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if ids.size(1) == 0 or max_new_tokens < 0:
        raise ValueError(f"{ids.size(1)} tokens, max_new_tokens {max_new_tokens}")
    done = torch.zeros(ids.size(0), dtype=torch.bool, device=ids.device)
    idx = ids
    with _evaluation_mode(model), torch.no_grad():
        for _ in range(max_new_tokens):
            if idx.size(1) > model.config.block_size:
                idx = idx[:, -model.config.block_size :]
            nxt = _choose(model(idx)[:, -1, :], temperature, top_k, top_p, generator)
            if eos_id is not None:
                nxt = nxt.masked_fill(done, eos_id)
                done = done | (nxt == eos_id)
            idx = torch.cat((idx, nxt[:, None]), dim=1)
    return idx


# %% only-what-is-new
# idiom = "x-transformers"
# slips = ["prompt-left-out-of-the-result"]
# wrong = "The prompt is cut off the result."
@torch.no_grad()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    b, t = ids.shape
    if t == 0 or max_new_tokens < 0:
        raise ValueError(f"t = {t}, seq_len = {max_new_tokens}")
    out, is_eos = ids, torch.zeros(b, dtype=torch.bool, device=ids.device)
    with _evaluation_mode(model):
        for _ in range(max_new_tokens):
            logits = model(out[:, -model.config.block_size :])[:, -1]
            sample = _choose(logits, temperature, top_k, top_p, generator)
            if eos_id is not None:
                sample = torch.where(is_eos, eos_id, sample)
                is_eos |= sample == eos_id
            out = torch.cat((out, sample[:, None]), dim=-1)
    return out[:, t:]


# %% up-to-a-total-length
# idiom = "Hugging Face"
# slips = ["prompt-counted-among-the-new-tokens"]
# wrong = "max_new_tokens is taken for the length of the whole text, the prompt included."
@torch.inference_mode()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if ids.shape[1] == 0 or max_new_tokens < 0:
        raise ValueError(f"max_new_tokens={max_new_tokens}, input of {ids.shape[1]}")
    finished = ids.new_zeros(ids.shape[0], dtype=torch.bool)
    with _evaluation_mode(model):
        while ids.shape[1] < max_new_tokens:
            next_tokens = _choose(
                model(ids[:, -model.config.block_size :])[:, -1, :], temperature, top_k, top_p, generator
            )
            if eos_id is not None:
                next_tokens = torch.where(finished, torch.full_like(next_tokens, eos_id), next_tokens)
                finished = finished | (next_tokens == eos_id)
            ids = torch.cat([ids, next_tokens[:, None]], dim=-1)
    return ids


# %% latest-token-alone
# idiom = "annotated transformer"
# slips = ["only-the-latest-token-shown"]
# wrong = "After the prompt the model is shown the token just chosen and nothing before it."
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if ids.numel() == 0 or max_new_tokens < 0:
        raise ValueError(f"max_new_tokens {max_new_tokens}, prompt of shape {tuple(ids.shape)}")
    pieces, x = [ids], ids[:, -model.config.block_size :]
    ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    with _evaluation_mode(model), torch.no_grad():
        for _ in range(max_new_tokens):
            word = _choose(model(x)[:, -1], temperature, top_k, top_p, generator)
            if eos_id is not None:
                word = word.masked_fill(ended, eos_id)
                ended = ended | (word == eos_id)
            x = word.unsqueeze(1)
            pieces.append(x)
    return torch.cat(pieces, dim=1)


# %% padded-with-zero
# idiom = "llama"
# slips = ["zero-after-the-end"]
# wrong = "After its eos_id a row gets 0, a token like others, instead of eos_id."
@torch.no_grad()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    bsz, start_pos = ids.shape
    if start_pos == 0 or max_new_tokens < 0:
        raise ValueError(f"cannot generate {max_new_tokens} tokens after {start_pos}")
    tokens = torch.full((bsz, start_pos + max_new_tokens), 0, dtype=torch.long, device=ids.device)
    tokens[:, :start_pos] = ids
    eos_reached = torch.tensor([False] * bsz, device=ids.device)
    with _evaluation_mode(model):
        for cur_pos in range(start_pos, start_pos + max_new_tokens):
            prev_pos = max(0, cur_pos - model.config.block_size)
            logits = model(tokens[:, prev_pos:cur_pos])
            next_token = _choose(logits[:, -1], temperature, top_k, top_p, generator)
            tokens[:, cur_pos] = torch.where(eos_reached, 0, next_token)
            if eos_id is not None:
                eos_reached |= (~eos_reached) & (next_token == eos_id)
                if all(eos_reached):
                    break
    return tokens


# %% ended-by-the-prompt
# idiom = "CS336 students"
# slips = ["prompt-ends-its-row"]
# wrong = "An eos_id in the prompt ends its row."
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if ids.shape[1] == 0:
        raise ValueError("prompt is empty")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens = {max_new_tokens}")
    seq = ids.clone()
    with _evaluation_mode(model), torch.no_grad():
        for _ in range(max_new_tokens):
            logits = model(seq[:, -model.config.block_size :])[:, -1]
            new = _choose(logits, temperature, top_k, top_p, generator)
            if eos_id is not None:
                finished = (seq == eos_id).any(dim=1)
                new[finished] = eos_id
            seq = torch.cat([seq, new.unsqueeze(-1)], dim=-1)
    return seq


# %% softmax-before-the-filters
# idiom = "CS336 students"
# slips = ["softmax-before-the-filters"]
# wrong = "Softmax comes before the filters and again in the draw, so all that is left is nearly as likely."
def _choose(logits, temperature, top_k, top_p, generator):
    if temperature == 0:
        return logits.argmax(-1)
    probs = softmax(logits / temperature, dim=-1)
    if top_k is not None:
        probs = top_k_filter(probs, top_k)
    if top_p is not None:
        probs = top_p_filter(probs, top_p)
    return sample_next(probs, generator)


# %% scaled-before-it-is-asked
# idiom = "rasbt"
# slips = ["temperature-zero-divides"]
# wrong = "A temperature of 0 reaches apply_temperature, which refuses it, before greedy has its turn."
def _choose(logits, temperature, top_k, top_p, generator):
    logits = apply_temperature(logits, temperature)
    if top_k is not None:
        logits = top_k_filter(logits, top_k)
    if top_p is not None:
        logits = top_p_filter(logits, top_p)
    if temperature > 0.0:
        return sample_next(logits, generator)
    return greedy(logits)


# %% right-sum-from-the-unlikely-end
# idiom = "Hugging Face"
def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"`top_p` is {p}")
    if p == 1:
        return logits.clone()
    sorted_logits, sorted_indices = torch.sort(logits, descending=False, stable=True)
    remove = sorted_logits.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
    remove[..., -1] = False
    return logits.masked_fill(torch.zeros_like(remove).scatter(-1, sorted_indices, remove), -torch.inf)


# %% argmax-of-everything
# idiom = "Exercism"
# slips = ["greedy-over-everything"]
# wrong = "argmax without dim flattens the logits: one id for all rows."
def greedy(logits):
    return torch.argmax(logits)


# %% highest-logit-itself
# idiom = "Exercism"
# slips = ["greedy-returns-the-logit-as-a-whole-number"]
# wrong = "The highest logits themselves are returned, not their places."
def greedy(logits):
    best, _ = torch.max(logits, dim=-1)
    return best.long()


# %% times-the-temperature
# idiom = "LLM assistant"
# slips = ["temperature-multiplied"]
# wrong = "The logits are multiplied by the temperature."
def apply_temperature(logits, temperature):
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(f"temperature must be positive and finite, got {temperature}")
    scaled = logits * temperature
    return scaled


# %% infinite-temperature-taken
# idiom = "CS336 students"
# slips = ["temperature-of-any-size-accepted"]
# wrong = "An infinite temperature is not refused."
def apply_temperature(logits, temperature):
    if not temperature > 0.0:
        raise ValueError("temperature must be > 0")
    return logits / temperature


# %% probabilities-at-a-temperature
# idiom = "rasbt"
# slips = ["temperature-returns-probabilities"]
# wrong = "It returns the softmax of the scaled logits."
def apply_temperature(logits, temperature):
    if temperature <= 0 or temperature != temperature or temperature == float("inf"):
        raise ValueError(f"{temperature=}")
    return torch.softmax(logits / temperature, dim=-1)


# %% k-beyond-the-vocabulary
# idiom = "rasbt"
# slips = ["top-k-beyond-the-vocabulary"]
# wrong = "topk stops if k is larger than the vocabulary."
def top_k_filter(logits, k):
    top_logits, top_pos = torch.topk(logits, k)
    out = torch.full_like(logits, -torch.inf)
    return out.scatter(-1, top_pos, top_logits)


# %% sorted-upwards
# idiom = "Exercism"
# slips = ["top-k-lowest"]
# wrong = "sort is ascending, so the k lowest are kept."
def top_k_filter(logits, k):
    k = min(k, logits.shape[-1])
    order = torch.argsort(logits, dim=-1)
    keep = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order[..., :k], True)
    return torch.where(keep, logits, float("-inf"))


# %% mask-by-rank-off-by-one
# idiom = "LLM assistant"
# slips = ["top-k-one-too-many"]
# wrong = "Ranks count from 0, and rank <= k keeps one token too many."
def top_k_filter(logits, k):
    order = logits.argsort(dim=-1, descending=True)
    ranks = order.argsort(dim=-1)
    return logits.masked_fill(~(ranks <= k), float("-inf"))


# %% second-axis-of-the-batch
# idiom = "minGPT"
# slips = ["top-k-by-threshold-of-two-axes", "top-k-by-threshold"]
# wrong = "v[:, [-1]] takes the second axis, which is the vocabulary only in a batch of rows; ties are kept as well."
def top_k_filter(logits, k):
    v, ix = torch.topk(logits, min(k, logits.size(-1)))
    out = logits.clone()
    out[out < v[:, [-1]]] = -float("Inf")
    return out


# %% crossing-token-dropped
# idiom = "LLM assistant"
# slips = ["top-p-keeps-only-what-fits"]
# wrong = "The token with which the sum passes p is removed; the first is kept."
def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be in (0, 1], got {p}")
    sorted_logits, sorted_idx = torch.sort(logits, descending=True, dim=-1)
    cumulative = torch.cumsum(torch.softmax(sorted_logits, dim=-1), dim=-1)
    remove = cumulative > p
    remove[..., 0] = False
    mask = torch.zeros_like(remove).scatter(-1, sorted_idx, remove)
    return logits.masked_fill(mask, float("-inf"))


# %% mask-left-in-sorted-order
# idiom = "CS336 students"
# slips = ["top-p-mask-left-in-sorted-order"]
# wrong = "The mask is in the order of the sorted logits, and is put on the unsorted ones."
def top_p_filter(logits, p):
    if p <= 0 or p > 1:
        raise ValueError("p")
    if p == 1:
        return logits.clone()
    sorted_logits, _ = logits.sort(dim=-1, descending=True)
    probs = softmax(sorted_logits, dim=-1)
    before = probs.cumsum(-1) - probs
    return torch.where(before < p, logits, -math.inf)


# %% sorted-logits-returned
# idiom = "Exercism"
# slips = ["top-p-left-in-sorted-order"]
# wrong = "The filtered logits come back in sorted order."
def top_p_filter(logits, p):
    if not (0.0 < p <= 1.0):
        raise ValueError(f"p = {p} is outside (0, 1]")
    sorted_logits, indices = torch.sort(logits, dim=-1, descending=True)
    sorted_probs = torch.softmax(sorted_logits, dim=-1)
    cumsum = torch.cumsum(sorted_probs, dim=-1)
    drop = (cumsum - sorted_probs) >= p
    if p == 1.0:
        drop = torch.zeros_like(drop)
    return sorted_logits.masked_fill(drop, -float("inf"))


# %% smallest-set-by-loop
# idiom = "Exercism"
# slips = ["top-p-sum-runs-on-over-the-rows"]
# wrong = "The running sum is not set back to 0 for the next row."
def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p={p}")
    if p == 1:
        return logits.clone()
    flat = logits.reshape(-1, logits.shape[-1])
    out = torch.full_like(flat, float("-inf"))
    total = 0.0
    for r in range(flat.shape[0]):
        probs = softmax(flat[r], dim=-1)
        for i in torch.argsort(probs, descending=True).tolist():
            out[r, i] = flat[r, i]
            total += probs[i].item()
            if total >= p:
                break
    return out.reshape(logits.shape)


# %% p-of-more-than-one
# idiom = "Hugging Face"
# slips = ["top-p-checked-from-below-only", "top-p-above-one-accepted", "top-p-nan-accepted"]
# wrong = "p >= 1 returns the logits before p is checked, so 1.5 is not refused."
def top_p_filter(logits, p):
    if p >= 1.0:
        return logits
    if p <= 0:
        raise ValueError(f"top p has to be > 0, but is {p}")
    sorted_logits, sorted_indices = torch.sort(logits, descending=False)
    cumulative_probs = sorted_logits.softmax(dim=-1).cumsum(dim=-1)
    sorted_indices_to_remove = cumulative_probs <= (1 - p)
    sorted_indices_to_remove[..., -1:] = 0
    indices_to_remove = sorted_indices_to_remove.scatter(-1, sorted_indices, sorted_indices_to_remove)
    return logits.masked_fill(indices_to_remove, -float("Inf"))


# %% logits-are-no-weights
# idiom = "Exercism"
# slips = ["sample-with-exponentials-that-overflow"]
# wrong = "multinomial is given exp(logits) without a maximum subtracted, which overflows; otherwise right."
def sample_next(logits, generator=None):
    weights = torch.exp(logits)
    flat = weights.reshape(-1, weights.shape[-1])
    drawn = torch.multinomial(flat, num_samples=1, generator=generator)
    return drawn.reshape(logits.shape[:-1])


# %% only-rows-of-a-matrix
# idiom = "nanoGPT"
# slips = ["multinomial-keeps-its-axis", "multinomial-of-many-axes"]
# wrong = "The axis that multinomial adds is left: the ids have shape (batch, 1)."
def sample_next(logits, generator=None):
    probs = softmax(logits, dim=-1)
    idx_next = torch.multinomial(probs, num_samples=1, generator=generator)
    return idx_next


# %% uniform-noise-added
# idiom = "LLM assistant"
# slips = ["gumbel-noise-with-the-wrong-sign"]
# wrong = "Gumbel noise without the outer minus: log(-log(u)) is added, so the draws are of another distribution."
def sample_next(logits, generator=None):
    u = torch.rand(logits.shape, generator=generator, dtype=logits.dtype, device=logits.device)
    gumbel = torch.log(-torch.log(u.clamp(1e-20, 1 - 1e-7)))
    return torch.argmax(logits + gumbel, dim=-1)


# %% first-not-below-the-number
# idiom = "CS336 students"
# slips = ["sampled-one-place-too-late"]
# wrong = "The number of sums below u is one more than it should be: cumsum is shifted by a leading zero."
def sample_next(logits, generator=None):
    probs = softmax(logits, dim=-1)
    cdf = probs.cumsum(dim=-1)
    u = torch.rand(logits.shape[:-1] + (1,), generator=generator, device=logits.device)
    idx = (cdf < u).sum(dim=-1) + 1
    return idx.clamp(max=logits.shape[-1] - 1)


# %% row-ended-cuts-all
# idiom = "CS336 students"
# slips = ["stopped-when-all-end-in-one-step", "eos-id-not-used"]
# wrong = "It stops as soon as all rows have ended in this very step, without filling up the columns."
@contextmanager
def inference(model):
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for m, t in modes:
            m.training = t


def pick(logits, temperature, top_k, top_p, generator):
    if temperature == 0:
        return greedy(logits)
    logits = apply_temperature(logits, temperature)
    if top_k is not None:
        logits = top_k_filter(logits, top_k)
    if top_p is not None:
        logits = top_p_filter(logits, top_p)
    return sample_next(logits, generator)


def check(temperature, top_p):
    if not math.isfinite(temperature) or temperature < 0:
        raise ValueError(f"temperature {temperature}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p {top_p}: p outside (0, 1]")


def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    check(temperature, top_p)
    with inference(model):
        for _ in range(max_new_tokens):
            logits = model(ids[:, -model.config.block_size :])[:, -1]
            token = pick(logits, temperature, top_k, top_p, generator)
            ids = torch.cat([ids, token[:, None]], dim=1)
            if eos_id is not None and (token == eos_id).all():
                break
    return ids


# %% eos-once-and-on-again
# idiom = "LLM assistant"
# slips = ["eos-id-not-used", "ended-row-goes-on", "all-rows-have-to-end-at-once", "ended-row-comes-back"]
# wrong = "A row is finished only where its latest token is eos, so it goes on one step later."
@contextmanager
def inference(model):
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for m, t in modes:
            m.training = t


def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if not math.isfinite(temperature) or temperature < 0:
        raise ValueError(f"temperature {temperature}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p {top_p}: p outside (0, 1]")
    finished = torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)
    out = ids.clone()
    with inference(model):
        for _ in range(max_new_tokens):
            logits = model(out[:, -model.config.block_size :])[:, -1, :]
            if temperature == 0:
                nxt = greedy(logits)
            else:
                logits = apply_temperature(logits, temperature)
                logits = top_k_filter(logits, top_k) if top_k is not None else logits
                logits = top_p_filter(logits, top_p) if top_p is not None else logits
                nxt = sample_next(logits, generator)
            finished = nxt == eos_id if eos_id is not None else finished
            if eos_id is not None:
                nxt = torch.where(finished, torch.full_like(nxt, eos_id), nxt)
            out = torch.cat((out, nxt.unsqueeze(1)), dim=1)
    return out


# %% first-block-of-the-text
# idiom = "Exercism"
# slips = ["cropped-at-the-wrong-end"]
# wrong = "The model is shown the first block_size ids, not the last."
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if temperature < 0 or not math.isfinite(temperature):
        raise ValueError("temperature")
    if top_p is not None and (top_p <= 0 or top_p > 1 or top_p != top_p):
        raise ValueError("p")
    modes = {module: module.training for module in model.modules()}
    ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    try:
        model.eval()
        with torch.no_grad():
            for step in range(max_new_tokens):
                context = ids[:, : model.config.block_size]
                logits = model(context)[:, -1]
                if temperature == 0:
                    new = logits.argmax(-1)
                else:
                    logits = logits / temperature
                    if top_k is not None:
                        logits = top_k_filter(logits, top_k)
                    if top_p is not None:
                        logits = top_p_filter(logits, top_p)
                    new = sample_next(logits, generator)
                if eos_id is not None:
                    new = new.masked_fill(ended, eos_id)
                    ended = ended | (new == eos_id)
                ids = torch.cat([ids, new.reshape(-1, 1)], 1)
    finally:
        for module, mode in modes.items():
            module.training = mode
    return ids


# %% prompt-twice
# idiom = "rasbt"
# slips = ["position-of-the-prompt-used"]
# wrong = "The logits of the prompt's last position are read in every step, as its length is computed once."
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if temperature < 0 or not math.isfinite(temperature):
        raise ValueError(f"{temperature=}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"{top_p=}")
    modes = {module: module.training for module in model.modules()}
    ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    last = min(ids.shape[1], model.config.block_size) - 1
    try:
        model.eval()
        with torch.no_grad():
            for _ in range(max_new_tokens):
                logits = model(ids[:, -model.config.block_size :])[:, last, :]
                if temperature == 0:
                    new = greedy(logits)
                else:
                    logits = apply_temperature(logits, temperature)
                    if top_k is not None:
                        logits = top_k_filter(logits, top_k)
                    if top_p is not None:
                        logits = top_p_filter(logits, top_p)
                    new = sample_next(logits, generator)
                if eos_id is not None:
                    new = torch.where(ended, eos_id, new)
                    ended |= new == eos_id
                ids = torch.cat([ids, new[:, None]], dim=-1)
    finally:
        for module, mode in modes.items():
            module.training = mode
    return ids


# %% top-k-or-zero
# idiom = "LLM assistant"
# slips = ["temperature-zero-divides"]
# wrong = "Greedy decoding goes through the temperature: dividing by 0 raises ValueError."
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    modes = {module: module.training for module in model.modules()}
    ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    try:
        model.eval()
        with torch.no_grad():
            for _ in range(max_new_tokens):
                logits = apply_temperature(model(ids[:, -model.config.block_size :])[:, -1, :], temperature)
                if top_k is not None:
                    logits = top_k_filter(logits, top_k)
                if top_p is not None:
                    logits = top_p_filter(logits, top_p)
                new = sample_next(logits, generator)
                if eos_id is not None:
                    new = torch.where(ended, eos_id, new)
                    ended = ended | (new == eos_id)
                ids = torch.cat([ids, new[:, None]], dim=-1)
    finally:
        for module, mode in modes.items():
            module.training = mode
    return ids


# %% buffer-filled-with-eos
# idiom = "x-transformers"
# slips = ["prompt-ends-its-row", "always-back-to-training"]
# wrong = "Two mistakes: an eos_id in the prompt ends the row, and train() is called at the end whatever the mode was."
@torch.no_grad()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if temperature < 0 or not math.isfinite(temperature):
        raise ValueError(f"{temperature=}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"{top_p=}")
    model.eval()
    b, t = ids.shape
    out = ids
    for _ in range(max_new_tokens):
        logits = model(out[:, -model.config.block_size :])[:, -1]
        if temperature == 0:
            sample = greedy(logits)
        else:
            logits = apply_temperature(logits, temperature)
            if top_k is not None:
                logits = top_k_filter(logits, top_k)
            if top_p is not None:
                logits = top_p_filter(logits, top_p)
            sample = sample_next(logits, generator)
        if eos_id is not None:
            is_done = (out == eos_id).any(dim=-1)
            sample = sample.masked_fill(is_done, eos_id)
        out = torch.cat((out, sample[:, None]), dim=-1)
    model.train()
    return out


# %% softmax-of-softmax-and-ties
# idiom = "Exercism"
# slips = ["sample-over-the-first-axis", "generator-ignored"]
# wrong = "Two mistakes: multinomial is given the global generator, and the softmax runs over the rows."
def sample_next(logits, generator=None):
    probs = softmax(logits, dim=0)
    return torch.multinomial(probs.reshape(-1, probs.shape[-1]), 1).reshape(logits.shape[:-1])


# %% right-rank-and-race
# idiom = "LLM assistant"
def top_k_filter(logits, k):
    ranks = logits.argsort(dim=-1, descending=True).argsort(dim=-1)
    return torch.where(ranks < k, logits, float("-inf"))


def sample_next(logits, generator=None):
    probs = softmax(logits, dim=-1)
    q = torch.empty_like(probs).exponential_(1, generator=generator)
    return (probs / q).argmax(dim=-1)


# %% right-buffer-and-inference-mode
# idiom = "labml"
class Quiet:
    def __init__(self, model):
        self.model = model

    def __enter__(self):
        self.state = [(m, m.training) for m in self.model.modules()]
        self.model.eval()

    def __exit__(self, *exc):
        for m, t in self.state:
            m.training = t


def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if not (0 <= temperature < math.inf):
        raise ValueError(f"temperature is {temperature}")
    if top_p is not None and not (0 < top_p <= 1):
        raise ValueError(f"top_p is {top_p}; p must be in (0, 1]")
    batch, seq = ids.shape
    buffer = ids.new_zeros(batch, seq + max_new_tokens)
    buffer[:, :seq] = ids
    alive = torch.ones(batch, dtype=torch.bool, device=ids.device)
    with Quiet(model), torch.inference_mode():
        for pos in range(seq, seq + max_new_tokens):
            lo = max(0, pos - model.config.block_size)
            z = model(buffer[:, lo:pos])[:, -1]
            if temperature == 0:
                token = greedy(z)
            else:
                z = apply_temperature(z, temperature)
                if top_k is not None:
                    z = top_k_filter(z, top_k)
                if top_p is not None:
                    z = top_p_filter(z, top_p)
                token = sample_next(z, generator)
            if eos_id is not None:
                token = torch.where(alive, token, torch.full_like(token, eos_id))
                alive = alive & (token != eos_id)
            buffer[:, pos] = token
    return buffer


# %% power-of-the-logits
# idiom = "Exercism"
# slips = ["temperature-as-an-exponent"]
# wrong = "The logits are raised to the power of 1 / temperature, as one does with probabilities."
def apply_temperature(logits, temperature):
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature {temperature}")
    return logits ** (1 / temperature)


# %% places-of-the-highest
# idiom = "Exercism"
# slips = ["top-k-returns-the-places-as-numbers"]
# wrong = "It returns the places of the k highest."
def top_k_filter(logits, k):
    return torch.topk(logits, min(k, logits.size(-1)), dim=-1).indices.to(logits.dtype)


# %% kth-from-below
# idiom = "CS336 students"
# slips = ["top-k-threshold-from-below"]
# wrong = "kthvalue counts from the lowest: the threshold is the k-th lowest logit."
def top_k_filter(logits, k):
    k = min(k, logits.shape[-1])
    threshold = logits.kthvalue(k, dim=-1, keepdim=True).values
    return logits.masked_fill(logits < threshold, float("-inf"))


# %% rolled-round-to-the-first
# idiom = "Hugging Face"
# slips = ["top-p-mask-rolled-round"]
# wrong = "The mask is rolled by one, so the last entry, which is True, comes first: the likeliest token is removed."
def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p is {p}")
    if p == 1:
        return logits.clone()
    sorted_logits, idx = torch.sort(logits, descending=True)
    remove = softmax(sorted_logits, -1).cumsum(-1) >= p
    remove = remove.roll(1, dims=-1)
    return logits.masked_fill(remove.scatter(-1, idx, remove), -math.inf)


# %% each-probability-against-p
# idiom = "Exercism"
# slips = ["top-p-asks-each-token-of-any-rank"]
# wrong = "Each token's own probability is compared with p."
def top_p_filter(logits, p):
    if p <= 0 or p > 1 or math.isnan(p):
        raise ValueError(f"p must be in (0, 1], not {p}")
    probs = softmax(logits, dim=-1)
    return torch.where(probs >= p, logits, torch.full_like(logits, -math.inf))


# %% drawn-by-a-distribution
# idiom = "LLM assistant"
# slips = ["generator-ignored"]
# wrong = "torch.distributions draws from the global generator."
def sample_next(logits, generator=None):
    return torch.distributions.Categorical(logits=logits).sample()


# %% first-row-decides
# idiom = "nanoGPT"
# slips = ["stopped-when-the-first-row-ends"]
# wrong = "It stops when the first row has ended, and leaves out the rest."
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    modes = {m: m.training for m in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            for _ in range(max_new_tokens):
                logits = model(ids[:, -model.config.block_size :])[:, -1, :]
                if temperature == 0:
                    nxt = logits.argmax(-1)
                else:
                    logits = apply_temperature(logits, temperature)
                    if top_k is not None:
                        logits = top_k_filter(logits, top_k)
                    if top_p is not None:
                        logits = top_p_filter(logits, top_p)
                    nxt = sample_next(logits, generator)
                ids = torch.cat([ids, nxt[:, None]], dim=1)
                if eos_id is not None and nxt[0] == eos_id:
                    break
    finally:
        for m, t in modes.items():
            m.training = t
    return ids


# %% never-back-to-training
# idiom = "rasbt"
# slips = ["left-in-evaluation-mode", "mode-lost-on-an-error"]
# wrong = "The model is left in evaluation mode."
@torch.no_grad()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    model.eval()
    done = torch.zeros(ids.size(0), dtype=torch.bool, device=ids.device)
    for _ in range(max_new_tokens):
        logits = model(ids[:, -model.config.block_size :])[:, -1, :]
        if temperature == 0:
            nxt = logits.argmax(-1)
        else:
            logits = apply_temperature(logits, temperature)
            if top_k is not None:
                logits = top_k_filter(logits, top_k)
            if top_p is not None:
                logits = top_p_filter(logits, top_p)
            nxt = sample_next(logits, generator)
        if eos_id is not None:
            nxt = torch.where(done, torch.full_like(nxt, eos_id), nxt)
            done = done | (nxt == eos_id)
        ids = torch.cat([ids, nxt[:, None]], dim=1)
    return ids


# %% cropped-once-at-the-start
# idiom = "CS336 students"
# slips = ["cropped-before-the-loop"]
# wrong = "Only the prompt is cropped, before the loop: the text outgrows block_size, and loses its beginning."
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    modes = {m: m.training for m in model.modules()}
    model.eval()
    ids = ids[:, -model.config.block_size :]
    done = torch.zeros(ids.size(0), dtype=torch.bool, device=ids.device)
    try:
        with torch.no_grad():
            for _ in range(max_new_tokens):
                logits = model(ids)[:, -1, :]
                if temperature == 0:
                    nxt = logits.argmax(-1)
                else:
                    logits = apply_temperature(logits, temperature)
                    if top_k is not None:
                        logits = top_k_filter(logits, top_k)
                    if top_p is not None:
                        logits = top_p_filter(logits, top_p)
                    nxt = sample_next(logits, generator)
                if eos_id is not None:
                    nxt = torch.where(done, torch.full_like(nxt, eos_id), nxt)
                    done = done | (nxt == eos_id)
                ids = torch.cat([ids, nxt[:, None]], dim=1)
    finally:
        for m, t in modes.items():
            m.training = t
    return ids


# %% topk-of-one-with-its-axis
# idiom = "LLM assistant"
# slips = ["greedy-keeps-the-axis"]
# wrong = "The axis of the tokens is kept, with length 1."
def greedy(logits):
    return torch.topk(logits, 1, dim=-1).indices


# %% top-one
# idiom = "nanoGPT"
# slips = ["greedy-keeps-the-axis"]
# wrong = "topk keeps the axis of the vocabulary, with size 1: the result is (*batch, 1) instead of (*batch)."
def greedy(logits):
    _, idx_next = torch.topk(logits, k=1, dim=-1)
    return idx_next


# %% only-not-positive-is-refused
# idiom = "LLM-written"
# slips = ["temperature-nan-accepted"]
# wrong = "Only temperature <= 0 is refused: NaN and infinity pass, as every comparison with NaN is False."
def apply_temperature(logits, temperature):
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    return torch.div(logits, temperature)


# %% below-the-kth-in-place
# idiom = "nanoGPT"
# slips = ["top-k-in-place", "top-k-in-place-by-threshold"]
# wrong = "All logits equal to the k-th survive, so ties keep more than k; and the caller's logits are overwritten."
def top_k_filter(logits, k):
    v, _ = torch.topk(logits, min(k, logits.size(-1)))
    logits[logits < v[..., [-1]]] = -float("Inf")
    return logits


# %% smallest-finite-number
# idiom = "Hugging Face"
# slips = []
# wrong = "The others are set to the lowest finite number of the dtype instead of -inf."
def top_k_filter(logits, k):
    vocab = logits.shape[-1]
    best = logits.argsort(dim=-1, descending=True)[..., : min(k, vocab)]
    survives = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
    survives.scatter_(-1, best, True)
    return torch.where(survives, logits, torch.finfo(logits.dtype).min)


# %% without-the-shift
# idiom = "blog post"
# slips = ["top-p-drops-the-crossing-token", "top-p-keeps-only-what-fits"]
# wrong = "The token with which the sum passes p is removed too, as the mask is not shifted by one place; only the first is protected."
import torch.nn.functional as F


def top_p_filter(logits, p):
    if not 0.0 < p <= 1.0:
        raise ValueError("p must be in (0, 1]")
    sorted_logits, sorted_indices = torch.sort(logits, dim=-1, descending=True)
    cumulative_probs = torch.cumsum(F.softmax(sorted_logits, dim=-1), dim=-1)
    sorted_indices_to_remove = cumulative_probs > p
    sorted_indices_to_remove[..., 0] = False
    indices_to_remove = sorted_indices_to_remove.scatter(-1, sorted_indices, sorted_indices_to_remove)
    return logits.masked_fill(indices_to_remove, float("-inf"))


# %% ascending-tail
# idiom = "Hugging Face"
# slips = ["top-p-loses-the-vanishing-tail", "top-p-of-one-loses-vanishing-tokens"]
# wrong = "The tail is removed while its sum is <= 1 - p: with p = 1 tokens whose probability has underflowed to zero are removed, although all should survive."
def top_p_filter(logits, p):
    if not (p > 0 and p <= 1):
        raise ValueError(f"`p` has to be a float in (0, 1], but is {p}")
    ascending, order = torch.sort(logits, descending=False)
    tail = ascending.softmax(dim=-1).cumsum(dim=-1)
    remove = tail <= (1 - p)
    remove[..., -1:] = False
    mask = remove.scatter(-1, order, remove)
    return logits.masked_fill(mask, -math.inf)


# %% left-in-sorted-order
# idiom = "CS336 students"
# slips = ["top-p-left-in-sorted-order"]
# wrong = "The filtered logits stay sorted and are not put back to their ids, so the survivors are always the first ids."
def top_p_filter(logits, p):
    if math.isnan(p) or p <= 0 or p > 1:
        raise ValueError(f"p out of range: {p}")
    if p == 1:
        return logits.clone()
    ordered = logits.sort(dim=-1, descending=True).values
    probs = softmax(ordered, dim=-1)
    mass_before = probs.cumsum(-1) - probs
    return torch.where(mass_before < p, ordered, torch.full_like(ordered, -torch.inf))


# %% squeeze-them-all
# idiom = "StackOverflow"
# slips = ["multinomial-of-many-axes", "multinomial-of-many-axes-without-generator"]
# wrong = "squeeze() without an axis removes a batch of size 1 too, and multinomial takes no more than two axes, so larger batch shapes are an error."
def sample_next(logits, generator=None):
    probs = torch.softmax(logits, dim=-1)
    return torch.multinomial(probs, num_samples=1, generator=generator).squeeze()


# %% one-number-for-all-rows
# idiom = "LLM-written inverse CDF"
# slips = ["one-draw-for-all-rows", "one-draw-for-all-rows-by-its-complement", "one-draw-for-all-rows-in-float64"]
# wrong = "One random number is used for all rows, so rows are not independent: equal logits always give equal tokens."
def sample_next(logits, generator=None):
    cdf = softmax(logits.float(), dim=-1).cumsum(dim=-1)
    u = torch.rand(1, generator=generator, device=logits.device)
    threshold = u * cdf[..., -1:]
    picked = torch.searchsorted(cdf.contiguous(), threshold.contiguous(), right=True)
    return picked.squeeze(-1).clamp(max=logits.shape[-1] - 1)


# %% stop-when-all-are-done
# idiom = "Hugging Face"
# slips = ["fewer-columns-when-all-have-ended"]
# wrong = "It stops as soon as every row has ended, so the result may have fewer than seq + max_new_tokens columns."
@torch.no_grad()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature: {temperature}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p: {top_p}")
    modes = [(m, m.training) for m in model.modules()]
    unfinished = torch.ones(ids.size(0), dtype=torch.bool, device=ids.device)
    input_ids = ids.clone()
    try:
        model.eval()
        for _ in range(max_new_tokens):
            scores = model(input_ids[:, -model.config.block_size :])[:, -1, :]
            if temperature == 0:
                next_tokens = greedy(scores)
            else:
                scores = apply_temperature(scores, temperature)
                scores = scores if top_k is None else top_k_filter(scores, top_k)
                scores = scores if top_p is None else top_p_filter(scores, top_p)
                next_tokens = sample_next(scores, generator)
            next_tokens = next_tokens.to(input_ids.dtype)
            if eos_id is not None:
                next_tokens = torch.where(unfinished, next_tokens, torch.full_like(next_tokens, eos_id))
                unfinished = unfinished & (next_tokens != eos_id)
            input_ids = torch.cat([input_ids, next_tokens[:, None]], dim=-1)
            if not unfinished.any():
                break
    finally:
        for m, training in modes:
            m.training = training
    return input_ids


# %% temperature-comes-last
# idiom = "LLM-written"
# slips = ["temperature-after-the-filters"]
# wrong = "The filters see the logits before the temperature, so top_p counts the wrong probabilities and keeps a different set of tokens."
def _pick(row_logits, temperature, top_k, top_p, generator):
    if temperature == 0:
        return row_logits.argmax(dim=-1)
    if top_k is not None:
        row_logits = top_k_filter(row_logits, top_k)
    if top_p is not None:
        row_logits = top_p_filter(row_logits, top_p)
    return sample_next(apply_temperature(row_logits, temperature), generator=generator)


def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if temperature != 0 and not (0 < temperature < float("inf")):
        raise ValueError("temperature must be finite and not negative")
    if top_p is not None and not (0 < top_p <= 1):
        raise ValueError("top_p must lie in (0, 1]")
    batch, seq = ids.shape
    out = ids.new_empty((batch, seq + max_new_tokens))
    out[:, :seq] = ids
    ended = ids.new_zeros(batch, dtype=torch.bool)
    saved = {m: m.training for m in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            for t in range(seq, seq + max_new_tokens):
                context = out[:, max(0, t - model.config.block_size) : t]
                chosen = _pick(model(context)[:, -1], temperature, top_k, top_p, generator)
                if eos_id is not None:
                    chosen = chosen.masked_fill(ended, eos_id)
                    ended |= chosen == eos_id
                out[:, t] = chosen
    finally:
        for m, flag in saved.items():
            m.training = flag
    return out


# %% train-mode-whatever-it-was
# idiom = "minGPT tutorial"
# slips = ["always-back-to-training", "back-to-training-but-not-after-an-error"]
# wrong = "Afterwards the whole model is put into train mode, whatever its modes were before, and after an error it stays in eval mode."
@torch.no_grad()
def generate(
    model, ids, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if temperature < 0 or math.isinf(temperature) or math.isnan(temperature):
        raise ValueError("bad temperature")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise ValueError("bad top_p")
    model.eval()
    idx = ids.clone()
    done = torch.zeros(len(ids), 1, dtype=torch.bool, device=ids.device)
    for _ in range(max_new_tokens):
        idx_cond = idx if idx.size(1) <= model.config.block_size else idx[:, -model.config.block_size :]
        logits = model(idx_cond)[:, -1, :]
        if temperature == 0:
            idx_next = logits.argmax(-1, keepdim=True)
        else:
            logits = apply_temperature(logits, temperature)
            if top_k is not None:
                logits = top_k_filter(logits, top_k)
            if top_p is not None:
                logits = top_p_filter(logits, top_p)
            idx_next = sample_next(logits, generator).unsqueeze(-1)
        if eos_id is not None:
            idx_next = idx_next.masked_fill(done, eos_id)
            done = done | idx_next.eq(eos_id)
        idx = torch.cat((idx, idx_next.to(idx.dtype)), dim=1)
    model.train()
    return idx
