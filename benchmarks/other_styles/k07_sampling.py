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
# wrong = "The caller's logits are overwritten; equals of the k-th highest survive as well."
# slips = ["top-k-by-threshold"]
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
# slips = ["training-mode-while-generating", "temperature-zero-divides"]
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
# slips = ["fewer-columns-when-all-have-ended", "ended-row-goes-on"]
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
