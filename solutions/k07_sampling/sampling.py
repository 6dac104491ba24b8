"""Sampling: from the logits of a language model to text.

A model answers with a logit for every token of its vocabulary, and somebody has to choose. The
functions here change logits (colder or warmer, fewer candidates), draw a token from what is left,
and repeat that token by token. In logits "impossible" is written -inf, whose exponential is zero.

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from katas.k01_attention.attention import softmax


def greedy(logits: Float[Tensor, "*batch vocab"]) -> Int[Tensor, "*batch"]:
    """Return the id of the token with the highest logit; among equals, of any one of them.

    Source: Jurafsky and Martin, Speech and Language Processing (3rd edition, draft), on greedy
    decoding in the chapter on large language models.
    """
    return logits.argmax(dim=-1)


def apply_temperature(
    logits: Float[Tensor, "*batch vocab"], temperature: float
) -> Float[Tensor, "*batch vocab"]:
    """Return the logits divided by the temperature.

    A temperature below 1 favours the likely tokens, one above 1 the unlikely ones; 1 changes nothing.

    Raises ValueError naming temperature if it is not a positive, finite number.
    Source: Holtzman et al., The Curious Case of Neural Text Degeneration (2020), section 3.3.
    """
    # Infinity would turn a logit of -inf into NaN. NaN itself fails every comparison.
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive and finite, not {temperature}")
    return logits / temperature


def top_k_filter(logits: Float[Tensor, "*batch vocab"], k: int) -> Float[Tensor, "*batch vocab"]:
    """Return the logits with the k highest unchanged and all others set to -inf.

    Exactly min(k, vocab) tokens survive in every row; k is at least 1. Where equal logits compete
    for the last places, any of them may get these.

    Source: Fan, Lewis and Dauphin, Hierarchical Neural Story Generation (2018), section 5.4.
    """
    # Places, not a threshold: a threshold would let every logit through that is equal to it.
    values, places = logits.topk(min(k, logits.shape[-1]), dim=-1)
    return torch.full_like(logits, -math.inf).scatter_(-1, places, values)


def top_p_filter(logits: Float[Tensor, "*batch vocab"], p: float) -> Float[Tensor, "*batch vocab"]:
    """Return the logits with the fewest tokens that together reach probability p; others at -inf.

    The survivors of a row are its likeliest tokens, up to and including the one with which the sum
    of their probabilities, softmax(logits), is at least p. So one token always survives, and with
    p = 1 all do, however small their probabilities. Where equal logits compete for the last places,
    any of them may get these.

    Raises ValueError naming p if it is outside (0, 1].
    Source: Holtzman et al., The Curious Case of Neural Text Degeneration (2020), section 3.1.
    """
    if not 0 < p <= 1:
        raise ValueError(f"p must be greater than 0 and at most 1, not {p}")
    if p == 1:
        return logits.clone()  # a rounded sum may reach 1 before the last token
    ordered, places = logits.sort(dim=-1, descending=True)
    probabilities = softmax(ordered, dim=-1)
    # A token is spare if those before it have p already. Before the first there is nothing.
    before = probabilities.cumsum(dim=-1) - probabilities
    ordered = ordered.masked_fill(before >= p, -math.inf)
    return torch.empty_like(logits).scatter_(-1, places, ordered)  # each back to its own place


def sample_next(
    logits: Float[Tensor, "*batch vocab"], generator: torch.Generator | None = None
) -> Int[Tensor, "*batch"]:
    """Return for every row an id drawn with the probabilities softmax(logits), rows independently.

    A token whose logit is -inf is never drawn. All randomness comes from `generator`, by default
    from PyTorch's global one.

    Source: Jurafsky and Martin, Speech and Language Processing (3rd edition, draft), on sampling
    in the chapter on large language models.
    """
    probabilities = softmax(logits, dim=-1)
    rows = probabilities.reshape(-1, logits.shape[-1])  # multinomial takes one batch axis at most
    return torch.multinomial(rows, num_samples=1, generator=generator).reshape(logits.shape[:-1])


def generate(
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
    """Return the prompts, each continued by max_new_tokens tokens that the model chose.

    `model` maps ids (batch, seq) to logits (batch, seq, vocab) and takes no more than
    `model.config.block_size` positions: it is shown the last ones. Its logits for the last position
    are divided by `temperature`, then go through `top_k_filter` with `top_k` and `top_p_filter`
    with `top_p`, where given, and one token is drawn with `generator`. Temperature 0 means greedy:
    always the highest logit, whatever the filters are.

    A row in which `eos_id` was chosen has ended: its remaining columns are eos_id, while other rows
    go on. The result always has seq + max_new_tokens columns. An eos_id in the prompt ends nothing.

    The model works in evaluation mode and without gradients; afterwards, also after an error, each
    of its modules is back in its own mode. The prompt is not modified.

    Raises ValueError, as the functions that it calls do, if temperature is negative, infinite or
    NaN, or if top_p is outside (0, 1].
    Source: Jurafsky and Martin, Speech and Language Processing (3rd edition, draft), on generating
    text in the chapter on large language models.
    """
    batch, seq = ids.shape
    # The whole result at once: joining each token to what there is would copy the text every time.
    padding = 0 if eos_id is None else eos_id
    text = ids.new_full((batch, seq + max_new_tokens), padding)
    text[:, :seq] = ids
    ended = ids.new_zeros(batch, dtype=torch.bool)
    with torch.no_grad(), _evaluation_mode(model):
        for end in range(seq, seq + max_new_tokens):
            window = text[:, max(0, end - model.config.block_size) : end]
            chosen = _choose(model(window)[:, -1], temperature, top_k, top_p, generator)
            text[:, end] = chosen.masked_fill(ended, padding)
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
        return greedy(logits)  # whatever the filters leave, the highest logit is among it
    logits = apply_temperature(logits, temperature)
    if top_k is not None:
        logits = top_k_filter(logits, top_k)
    if top_p is not None:
        logits = top_p_filter(logits, top_p)
    return sample_next(logits, generator)


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    # Parts of a model may be in different modes, so each is put back by itself.
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
