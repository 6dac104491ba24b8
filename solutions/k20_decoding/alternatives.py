"""Other correct ways to write this kata; its tests must accept every one."""

import heapq
import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from katas.k01_attention.attention import softmax
from katas.k07_sampling.sampling import apply_temperature, greedy, sample_next, top_k_filter, top_p_filter
from katas.k12_modern.modern import ModernLM
from katas.k14_cache.cache import forward_cached, new_caches
from katas.k20_decoding.decoding import accept_draft, min_p_filter, residual


def min_p_filter__of_probabilities(
    logits: Float[Tensor, "*batch vocab"], p: float
) -> Float[Tensor, "*batch vocab"]:
    """The definition, word by word."""
    if not (p >= 0 and p <= 1):
        raise ValueError(f"min-p must be in [0, 1]: {p}")
    probabilities = softmax(logits, dim=-1)
    enough = probabilities >= p * probabilities.max(dim=-1, keepdim=True).values
    return torch.where(enough, logits, -math.inf)


def min_p_filter__of_ratios(logits: Float[Tensor, "*batch vocab"], p: float) -> Float[Tensor, "*batch vocab"]:
    """The ratio to the likeliest, by an exponential that is at most 1."""
    if p != p or p < 0 or p > 1:
        raise ValueError(f"not from 0 to 1: p = {p}")
    ratio = (logits - logits.max(-1, keepdim=True)[0]).exp()
    kept = logits.clone()
    kept[ratio < p] = float("-inf")
    return kept


def acceptance_rate__from_the_distance(
    target: Float[Tensor, "*batch vocab"], draft: Float[Tensor, "*batch vocab"]
) -> Float[Tensor, "*batch"]:
    """One minus the total variation distance."""
    return 1 - (target - draft).abs().sum(-1) / 2


def acceptance_rate__expected_acceptance(
    target: Float[Tensor, "*batch vocab"], draft: Float[Tensor, "*batch vocab"]
) -> Float[Tensor, "*batch"]:
    """The mean of min(1, target / draft) over what the draft draws."""
    ratio = torch.where(draft > 0, target / draft, 0.0)
    return (draft * ratio.clamp(max=1)).sum(-1)


def residual__without_what_is_common(
    target: Float[Tensor, "*batch vocab"], draft: Float[Tensor, "*batch vocab"]
) -> Float[Tensor, "*batch vocab"]:
    """The target less the common part, over the probability of a rejection."""
    rest = target - torch.minimum(target, draft)
    rejected = rest.sum(-1, keepdim=True)
    equal = (rejected == 0).expand_as(rest)
    return (rest / rejected).masked_fill(equal, 0.0) + target * equal


def residual__normalised_by_pytorch(
    target: Float[Tensor, "*batch vocab"], draft: Float[Tensor, "*batch vocab"]
) -> Float[Tensor, "*batch vocab"]:
    """ReLU, and a division by the sum of absolute values that spares rows of zeros."""
    rest = F.normalize(F.relu(target - draft), p=1, dim=-1, eps=1e-30)
    return torch.where(rest.any(dim=-1, keepdim=True), rest, target)


def accept_draft__all_at_once(
    target: Float[Tensor, "rows vocab"],
    draft: Float[Tensor, "steps vocab"],
    ids: Int[Tensor, " steps"],
    generator: torch.Generator | None = None,
) -> tuple[int, int]:
    """All decisions in one comparison; those after the first rejection are of no account."""
    steps = len(ids)
    place = torch.arange(steps, device=ids.device)
    numbers = torch.rand(steps, generator=generator, device=ids.device).to(target.dtype)
    accepted = numbers * draft[place, ids] < target[place, ids]
    count = int(accepted.long().cumprod(0).sum())
    row = target[steps] if count == steps else residual(target[count], draft[count])
    return count, torch.multinomial(row, 1, generator=generator).item()


def accept_draft__by_bernoulli(
    target: Float[Tensor, "rows vocab"],
    draft: Float[Tensor, "steps vocab"],
    ids: Int[Tensor, " steps"],
    generator: torch.Generator | None = None,
) -> tuple[int, int]:
    """A coin for each draft, and kata 07's draw from logarithms."""
    count = 0
    while count < ids.shape[0]:
        token = ids[count]
        chance = (target[count, token] / draft[count, token]).clamp(max=1)
        if not torch.bernoulli(chance, generator=generator):
            break
        count += 1
    row = target[-1] if count == ids.shape[0] else residual(target[count], draft[count])
    return count, int(sample_next(row.log(), generator))


def accept_draft__the_rest_by_itself(
    target: Float[Tensor, "rows vocab"],
    draft: Float[Tensor, "steps vocab"],
    ids: Int[Tensor, " steps"],
    generator: torch.Generator | None = None,
) -> tuple[int, int]:
    """The first draft here, and the others by the function itself; drawn by a cumulative sum."""

    def draw(row):
        number = torch.rand(1, generator=generator, dtype=torch.float64)
        place = torch.searchsorted(row.double().cumsum(0), number * row.double().sum(), right=True)
        return int(place.clamp(max=len(row) - 1))

    if len(ids) == 0:
        return 0, draw(target[0])
    p, q = target[0, ids[0]].item(), draft[0, ids[0]].item()
    if p < q and torch.rand(1, generator=generator).item() >= p / q:
        return 0, draw(residual(target[0], draft[0]))
    count, token = accept_draft__the_rest_by_itself(target[1:], draft[1:], ids[1:], generator)
    return count + 1, token


def speculative_generate__of_lists(
    target: ModernLM,
    draft: ModernLM,
    ids: Int[Tensor, "1 seq"],
    max_new_tokens: int,
    lookahead: int = 4,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Int[Tensor, "1 total"], float]:
    """The text as a list; the draft also reads its last proposal, which costs it a pass in each round."""
    text, total = ids[0].tolist(), ids.shape[1] + max_new_tokens
    smallest = min(target.config.block_size, draft.config.block_size)
    if total > smallest:
        raise ValueError(f"a text of {total} is too long for block_size = {smallest}")

    def read(model, caches, tokens):
        new = torch.tensor([tokens[caches[0].length :]], dtype=ids.dtype, device=ids.device)
        logits = forward_cached(model, new, caches)[0]
        if temperature == 0:
            return F.one_hot(greedy(logits), logits.shape[-1]).to(logits.dtype)
        logits = apply_temperature(logits, temperature)
        logits = logits if top_k is None else top_k_filter(logits, top_k)
        logits = logits if top_p is None else top_p_filter(logits, top_p)
        logits = logits if min_p is None else min_p_filter(logits, min_p)
        return logits.softmax(-1)

    caches = new_caches(target, 1, total)
    drafting = new_caches(draft, 1, total)
    passes = 0
    while len(text) < total:
        count = max(min(lookahead, total - len(text) - 1), 0)
        row, rows, proposed = read(draft, drafting, text)[-1], [], []
        for _ in range(count):
            rows.append(row)
            proposed.append(int(torch.multinomial(row, 1, generator=generator)))
            row = read(draft, drafting, text + proposed)[-1]
        checked = read(target, caches, text + proposed)
        passes += 1
        drafted = torch.stack(rows) if rows else checked[:0]
        new = torch.tensor(proposed, dtype=torch.int64, device=ids.device)
        accepted, token = accept_draft(checked[len(checked) - count - 1 :], drafted, new, generator)
        text += [*proposed[:accepted], token]
        for cache in caches + drafting:
            cache.truncate(min(len(text) - 1, cache.length))
    result = torch.tensor([text], dtype=ids.dtype, device=ids.device)
    return result, 0.0 if max_new_tokens == 0 else passes / max_new_tokens


def speculative_generate__of_readers(
    target: ModernLM,
    draft: ModernLM,
    ids: Int[Tensor, "1 seq"],
    max_new_tokens: int,
    lookahead: int = 4,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Int[Tensor, "1 total"], float]:
    """Joined tensors, and an object for each model with its caches."""

    class Reader:
        def __init__(self, model, room, options):
            self.model, self.caches, self.options = model, new_caches(model, 1, room), options

        def rows(self, text):
            temperature, top_k, top_p, min_p = self.options
            logits = forward_cached(self.model, text[:, self.caches[0].length :], self.caches).squeeze(0)
            if temperature == 0:
                return (torch.arange(logits.shape[-1]) == greedy(logits)[:, None]).to(logits.dtype)
            logits = top_k_filter(apply_temperature(logits, temperature), top_k or logits.shape[-1])
            logits = top_p_filter(logits, 1.0 if top_p is None else top_p)
            return softmax(min_p_filter(logits, min_p or 0.0), dim=-1)

        def forget(self, length):
            for cache in self.caches:
                if cache.length > length:
                    cache.truncate(length)

    room = ids.shape[1] + max_new_tokens
    for model in (draft, target):
        if model.config.block_size < room:
            raise ValueError(f"block_size {model.config.block_size}, text {room}")
    options = (temperature, top_k, top_p, min_p)
    large, small = Reader(target, room, options), Reader(draft, room, options)
    text, passes = ids.clone(), 0
    while (missing := room - text.shape[1]) > 0:
        guessed, proposals = text, []
        for _ in range(min(lookahead, missing - 1)):
            proposals.append(small.rows(guessed)[-1:])
            new = torch.multinomial(proposals[-1], 1, generator=generator)
            guessed = torch.cat([guessed, new.to(ids.dtype)], dim=1)
        checked = large.rows(guessed)[-1 - len(proposals) :]
        compared = torch.cat([checked[:0], *proposals])
        count, token = accept_draft(checked, compared, guessed[0, text.shape[1] :], generator)
        text = torch.cat([guessed[:, : text.shape[1] + count], ids.new_tensor([[token]])], dim=1)
        passes += 1
        large.forget(text.shape[1] - 1)
        small.forget(text.shape[1] - 1)
    return text, passes / max_new_tokens if passes else 0.0


def beam_search__of_tuples(
    model: ModernLM,
    ids: Int[Tensor, "1 seq"],
    steps: int,
    width: int,
    length_penalty: float = 0.0,
    eos_id: int | None = None,
) -> tuple[Int[Tensor, "beams total"], Float[Tensor, "beams"]]:
    """Texts as tuples, one pass of the model for each, and a heap for the best."""
    if width <= 0:
        raise ValueError(f"a beam needs a width above 0, not {width}")
    prompt, weight = tuple(ids[0].tolist()), model.lm_head.weight
    beam = [(0.0, 0.0, ())]  # score, log-probability, new tokens
    for _ in range(steps):
        candidates = []
        for score, log_p, new in beam:
            if new and new[-1] == eos_id:
                candidates.append((score, log_p, new))
                continue
            window = torch.tensor([(prompt + new)[-model.config.block_size :]], device=ids.device)
            with torch.inference_mode():
                row = model(window)[0, -1].log_softmax(-1).tolist()
            for token, added in enumerate(row):
                total = log_p + added
                candidates.append((total / (len(new) + 1) ** length_penalty, total, (*new, token)))
        possible = [each for each in candidates if each[0] > -math.inf]
        beam = heapq.nlargest(width, possible)
    padded = [(*prompt, *new, *[eos_id] * (steps - len(new))) for _, _, new in beam]
    scores = torch.tensor([score for score, _, _ in beam], dtype=weight.dtype, device=weight.device)
    return torch.tensor(padded, dtype=ids.dtype, device=ids.device), scores


def beam_search__ended_apart(
    model: ModernLM,
    ids: Int[Tensor, "1 seq"],
    steps: int,
    width: int,
    length_penalty: float = 0.0,
    eos_id: int | None = None,
) -> tuple[Int[Tensor, "beams total"], Float[Tensor, "beams"]]:
    """Ended texts beside those that go on, which alone the model is shown."""
    if not width >= 1:
        raise ValueError(f"width = {width}")
    seq, end = ids.shape[1], -1 if eos_id is None else eos_id
    going_on, log_p = ids, model.lm_head.weight.detach().new_zeros(1)
    ended, ended_scores = ids.new_zeros(0, seq + steps), log_p[:0]
    for step in range(1, steps + 1):
        if len(going_on) == 0:
            break
        with torch.no_grad():
            rows = model(going_on[:, -model.config.block_size :])[:, -1].log_softmax(-1)
        sums = log_p.unsqueeze(1) + rows
        parents, tokens = torch.where(sums > -math.inf)
        sums = sums[parents, tokens]
        texts = torch.cat([going_on[parents], tokens.to(ids.dtype).unsqueeze(1)], dim=1)
        scores = torch.cat([ended_scores, sums / step**length_penalty])
        order = scores.argsort(descending=True)[:width]
        kept, fresh = order[order < len(ended)], order[order >= len(ended)] - len(ended)
        done = fresh[tokens[fresh] == end]
        padding = ids.new_full((len(done), steps - step), end)
        new_scores = torch.cat([ended_scores[kept], sums[done] / step**length_penalty])
        ended = torch.cat([ended[kept], torch.cat([texts[done], padding], dim=1)])
        ended_scores = new_scores
        fresh = fresh[tokens[fresh] != end]
        going_on, log_p = texts[fresh], sums[fresh]
    if len(going_on):
        ended = torch.cat([ended, going_on])
        ended_scores = torch.cat([ended_scores, log_p / max(steps, 1) ** length_penalty])
    order = ended_scores.argsort(descending=True)
    return ended[order], ended_scores[order]
