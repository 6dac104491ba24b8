"""Other correct ways to write this kata; its tests must accept every one."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from katas.k01_attention.attention import softmax
from katas.k07_sampling.sampling import (
    apply_temperature,
    greedy,
    sample_next,
    top_k_filter,
    top_p_filter,
)


def greedy__max(logits: Float[Tensor, "*batch vocab"]) -> Int[Tensor, "*batch"]:
    """The places that `max` returns beside the values."""
    return torch.max(logits, dim=-1).indices


def greedy__first_of_the_sorted(logits: Float[Tensor, "*batch vocab"]) -> Int[Tensor, "*batch"]:
    """The first place in descending order."""
    return logits.argsort(dim=-1, descending=True)[..., 0]


def greedy__last_of_equals(logits: Float[Tensor, "*batch vocab"]) -> Int[Tensor, "*batch"]:
    """Searched from the back, so that of equal logits the last one wins."""
    return logits.shape[-1] - 1 - logits.flip(-1).argmax(-1)


def greedy__top_one(logits: Float[Tensor, "*batch vocab"]) -> Int[Tensor, "*batch"]:
    """By the one place of the highest value that topk gives."""
    return logits.topk(1, dim=-1)[1].squeeze(-1)


def apply_temperature__reciprocal(
    logits: Float[Tensor, "*batch vocab"], temperature: float
) -> Float[Tensor, "*batch vocab"]:
    """Multiplied by one over the temperature."""
    if not math.isfinite(temperature) or temperature <= 0:
        raise ValueError(f"temperature is {temperature}")
    return logits * (1 / temperature)


def apply_temperature__tensor(
    logits: Float[Tensor, "*batch vocab"], temperature: float
) -> Float[Tensor, "*batch vocab"]:
    """Divided by a tensor, which is in float32: its seven digits are all that float64 logits get."""
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature={temperature}")
    return logits / torch.tensor(temperature, dtype=torch.float32, device=logits.device)


def apply_temperature__copy_divided_in_place(
    logits: Float[Tensor, "*batch vocab"], temperature: float
) -> Float[Tensor, "*batch vocab"]:
    """A copy, which is then divided in place."""
    if not temperature > 0 or temperature == math.inf:
        raise ValueError(f"the temperature has to be above zero, and finite: {temperature}")
    return logits.clone().div_(temperature)


def top_k_filter__hugging_face(
    logits: Float[Tensor, "*batch vocab"], k: int
) -> Float[Tensor, "*batch vocab"]:
    """Hugging Face's filter, which keeps all equals: so the logits are replaced by their ranks."""
    from transformers import TopKLogitsWarper  # here, because it takes a second

    ranks = logits.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    scores = TopKLogitsWarper(top_k=k)(None, -ranks.to(logits.dtype))
    return torch.where(scores == -math.inf, -math.inf, logits)


def top_k_filter__ranks(logits: Float[Tensor, "*batch vocab"], k: int) -> Float[Tensor, "*batch vocab"]:
    """Every logit's rank, by sorting the order itself."""
    rank = logits.argsort(dim=-1, descending=True).argsort(dim=-1)
    return logits.masked_fill(rank >= k, float("-inf"))


def top_k_filter__mask_of_places(
    logits: Float[Tensor, "*batch vocab"], k: int
) -> Float[Tensor, "*batch vocab"]:
    """True at the places of the highest, and -inf where it is not."""
    places = torch.topk(logits, min(k, logits.size(-1))).indices
    kept = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, places, True)
    return torch.where(kept, logits, float("-inf"))


def top_k_filter__lowest_taken_out(
    logits: Float[Tensor, "*batch vocab"], k: int
) -> Float[Tensor, "*batch vocab"]:
    """Not the k highest kept, but the vocab - k lowest taken out, of a copy."""
    logits = logits.clone()
    lowest = logits.argsort(dim=-1)[..., : max(0, logits.shape[-1] - k)]
    return logits.scatter_(-1, lowest, -math.inf)


def top_k_filter__row_by_row(logits: Float[Tensor, "*batch vocab"], k: int) -> Float[Tensor, "*batch vocab"]:
    """Rows one by one, with Python's sorting."""
    out = torch.full_like(logits, -math.inf)
    for row, into in zip(logits.reshape(-1, logits.shape[-1]), out.view(-1, logits.shape[-1]), strict=True):
        kept = sorted(range(len(row)), key=row.tolist().__getitem__, reverse=True)[:k]
        into[kept] = row[kept]
    return out


def top_p_filter__hugging_face(
    logits: Float[Tensor, "*batch vocab"], p: float
) -> Float[Tensor, "*batch vocab"]:
    """Hugging Face's filter, which takes rows; with top_p = 1 Hugging Face does not make one either."""
    from transformers import TopPLogitsWarper  # here, because it takes a second

    if not 0 < p <= 1:
        raise ValueError(f"p={p}")
    if p == 1:
        return logits
    rows = logits.reshape(-1, logits.shape[-1])
    return TopPLogitsWarper(top_p=float(p))(None, rows).reshape(logits.shape)


def top_p_filter__shifted_sum(
    logits: Float[Tensor, "*batch vocab"], p: float
) -> Float[Tensor, "*batch vocab"]:
    """What has to go is found in the sorted row, moved on by one place, and scattered back as a mask."""
    if p <= 0 or p > 1 or math.isnan(p):
        raise ValueError(f"p is {p}")
    ordered, places = torch.sort(logits, descending=True, dim=-1)
    spare = F.softmax(ordered, dim=-1).cumsum(dim=-1) >= p
    spare = torch.cat([torch.zeros_like(spare[..., :1]), spare[..., :-1]], dim=-1)
    spare = torch.zeros_like(spare).scatter(-1, places, spare)
    return logits if p == 1 else logits.masked_fill(spare, -math.inf)


def top_p_filter__gathered_back(
    logits: Float[Tensor, "*batch vocab"], p: float
) -> Float[Tensor, "*batch vocab"]:
    """Back by gathering at each token's rank, instead of scattering to its place."""
    if not (p > 0 and p <= 1):
        raise ValueError(f"{p} is no probability to reach")
    places = logits.argsort(dim=-1, descending=True)
    rank = places.argsort(dim=-1)
    probabilities = softmax(logits, -1).gather(-1, places)
    needed = (probabilities.cumsum(-1) < p).sum(-1, keepdim=True) + 1
    return torch.where((rank < needed) | (p == 1), logits, -math.inf)


def top_p_filter__ascending(logits: Float[Tensor, "*batch vocab"], p: float) -> Float[Tensor, "*batch vocab"]:
    """From the unlikeliest on, as long as what is taken out leaves at least p."""
    if not 0 < p <= 1:
        raise ValueError(f"top_p {p}")
    ordered, places = logits.sort(dim=-1)
    spare = ordered.softmax(-1).cumsum(-1) <= 1 - p
    if p == 1:  # also those whose probability is rounded to zero
        spare = torch.zeros_like(spare)
    spare[..., -1] = False
    return logits.masked_fill(torch.empty_like(spare).scatter_(-1, places, spare), -math.inf)


def top_p_filter__token_by_token(
    logits: Float[Tensor, "*batch vocab"], p: float
) -> Float[Tensor, "*batch vocab"]:
    """A loop over the tokens of each row, from the likeliest on."""
    if not 0 < p <= 1:
        raise ValueError(f"top_p {p}")
    vocab = logits.shape[-1]
    out = torch.full_like(logits, -math.inf)
    for row, into in zip(logits.reshape(-1, vocab), out.view(-1, vocab), strict=True):
        mass = 0.0
        for id in row.argsort(descending=True).tolist():
            if mass >= p and p < 1:
                break
            into[id] = row[id]
            mass += row.softmax(-1)[id].item()
    return out


def sample_next__torch_softmax(
    logits: Float[Tensor, "*batch vocab"], generator: torch.Generator | None = None
) -> Int[Tensor, "*batch"]:
    """PyTorch's softmax, with all batch axes flattened into one."""
    probabilities = F.softmax(logits, dim=-1)
    if logits.dim() == 1:
        return torch.multinomial(probabilities, 1, generator=generator).squeeze(0)
    ids = torch.multinomial(probabilities.flatten(0, -2), 1, generator=generator)
    return ids.squeeze(-1).unflatten(0, logits.shape[:-1])


def sample_next__gumbel(
    logits: Float[Tensor, "*batch vocab"], generator: torch.Generator | None = None
) -> Int[Tensor, "*batch"]:
    """The highest logit after Gumbel noise was added to each."""
    noise = torch.empty_like(logits, memory_format=torch.contiguous_format).exponential_(generator=generator)
    return (logits - noise.log()).argmax(dim=-1)


def sample_next__exponential_race(
    logits: Float[Tensor, "*batch vocab"], generator: torch.Generator | None = None
) -> Int[Tensor, "*batch"]:
    """The token that arrives first, each waiting an exponential time with its probability as rate."""
    probabilities = softmax(logits, dim=-1)
    return (probabilities / torch.empty_like(probabilities).exponential_(generator=generator)).argmax(-1)


def sample_next__inverse_distribution(
    logits: Float[Tensor, "*batch vocab"], generator: torch.Generator | None = None
) -> Int[Tensor, "*batch"]:
    """One uniform number a row, looked up in the running sum of the probabilities."""
    sums = logits.softmax(dim=-1).cumsum(dim=-1)
    size = (*logits.shape[:-1], 1)
    uniform = torch.rand(size, dtype=logits.dtype, device=logits.device, generator=generator)
    # In (0, 1]: a zero would find a token of probability zero, if that stands first.
    return torch.searchsorted(sums, (1 - uniform) * sums[..., -1:]).squeeze(-1)


def sample_next__sums_compared(
    logits: Float[Tensor, "*batch vocab"], generator: torch.Generator | None = None
) -> Int[Tensor, "*batch"]:
    """How many running sums a uniform number has passed: the id of the token it fell on."""
    sums = torch.exp(logits - logits.amax(-1, keepdim=True)).cumsum(-1)
    uniform = logits.new_empty(logits.shape[:-1]).uniform_(generator=generator)
    return (sums <= uniform.unsqueeze(-1) * sums[..., -1:]).sum(-1)


def generate__concatenated(
    model: nn.Module,
    ids: Int[Tensor, "batch seq"],
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos_id: int | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "batch total"]:
    """Each token joined to the text so far; nothing stops early."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    ended = torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)
    try:
        for _ in range(max_new_tokens):
            with torch.no_grad():
                logits = model(ids[:, -model.config.block_size :])[:, -1, :]
            if temperature == 0:
                next_ids = greedy(logits)
            else:
                logits = apply_temperature(logits, temperature)
                logits = logits if top_k is None else top_k_filter(logits, top_k)
                logits = logits if top_p is None else top_p_filter(logits, top_p)
                next_ids = sample_next(logits, generator)
            if eos_id is not None:
                next_ids = torch.where(ended, eos_id, next_ids)
                ended = ended | (next_ids == eos_id)
            ids = torch.cat([ids, next_ids[:, None]], dim=1)
    finally:
        for module, mode in modes:
            module.train(mode)
    return ids.clone() if max_new_tokens == 0 else ids


def generate__inference_mode(
    model: nn.Module,
    ids: Int[Tensor, "batch seq"],
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos_id: int | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "batch total"]:
    """A list of columns, joined at the end, outside of inference mode; filters with nothing to do."""
    batch, seq = ids.shape
    if temperature < 0:
        raise ValueError(f"temperature is {temperature}")
    training = {name for name, module in model.named_modules() if module.training}
    columns, alive = list(ids.unbind(dim=1)), [True] * batch
    try:
        with torch.inference_mode():
            model.eval()
            while len(columns) < seq + max_new_tokens:
                logits = model(torch.stack(columns[-model.config.block_size :], dim=1))[:, -1]
                logits = logits.clone() if temperature == 0 else apply_temperature(logits, temperature)
                logits = top_k_filter(logits, logits.shape[-1] if top_k is None else top_k)
                logits = top_p_filter(logits, 1.0 if top_p is None else top_p)
                column = greedy(logits) if temperature == 0 else sample_next(logits, generator)
                for row in range(batch):
                    if not alive[row]:
                        column[row] = eos_id
                    alive[row] = alive[row] and column[row].item() != eos_id
                columns.append(column)
    finally:
        for name, module in model.named_modules():
            module.training = name in training
    return torch.stack(columns, dim=1).clone()


def generate__only_rows_that_go_on(
    model: nn.Module,
    ids: Int[Tensor, "batch seq"],
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos_id: int | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "batch total"]:
    """The model is shown only the rows that have not ended; greedy as a filter that leaves one."""
    rest = ids.new_full((ids.shape[0], max_new_tokens), -1 if eos_id is None else eos_id)
    text = torch.cat([ids, rest], dim=1)
    alive = torch.arange(ids.shape[0], device=ids.device)
    if temperature == 0:
        temperature, top_k = 1.0, 1
    modes = {module: module.training for module in model.modules()}
    model.train(False)
    grad = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    try:
        for at in range(ids.shape[1], text.shape[1]):
            if alive.numel() == 0:
                break
            first = max(0, at - model.config.block_size)
            logits = apply_temperature(model(text[alive, first:at])[:, -1], temperature)
            if top_k is not None:
                logits = top_k_filter(logits, top_k)
            if top_p is not None:
                logits = top_p_filter(logits, top_p)
            text[alive, at] = sample_next(logits, generator)
            if eos_id is not None:
                alive = alive[text[alive, at] != eos_id]
    finally:
        torch.set_grad_enabled(grad)
        for module, mode in modes.items():
            module.training = mode
    return text
