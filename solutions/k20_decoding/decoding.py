"""Decoding: other ways from a model's probabilities to a text.

Min-p drops what is unlikely beside the likeliest token. Speculative decoding lets a small model, the
draft, guess several tokens, which a large one, the target, checks in one pass: the text comes in fewer
passes and is still drawn from the target's distribution, exactly. Beam search follows several texts at
once, to find one that is likely as a whole.

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from katas.k01_attention.attention import softmax
from katas.k07_sampling.sampling import apply_temperature, greedy, top_k_filter, top_p_filter
from katas.k12_modern.modern import ModernLM
from katas.k14_cache.cache import KVCache, forward_cached, new_caches


def min_p_filter(logits: Float[Tensor, "*batch vocab"], p: float) -> Float[Tensor, "*batch vocab"]:
    """Return the logits with the tokens that are likely enough unchanged, and all others set to -inf.

    In every row those survive whose probability, softmax(logits), is at least p times that of the
    row's likeliest token. So the likeliest always survives, with p = 1 only those as likely as it,
    and with p = 0 all.

    Raises ValueError naming p if it is outside [0, 1].
    Source: Nguyen et al., Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs
    (2024), section 3.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p must be from 0 to 1, not {p}")
    # A ratio of probabilities is a difference of logits: no softmax is needed.
    lowest = logits.amax(dim=-1, keepdim=True) + (math.log(p) if p > 0 else -math.inf)
    return logits.masked_fill(logits < lowest, -math.inf)


def acceptance_rate(
    target: Float[Tensor, "*batch vocab"], draft: Float[Tensor, "*batch vocab"]
) -> Float[Tensor, "*batch"]:
    """Return the probability with which `accept_draft` accepts a token that was drawn from `draft`.

    rate = Σₓ min(target(x), draft(x))

    Both arguments hold probabilities, each row a distribution of its own. The rate is the share that
    the two have in common: 1 if they are equal, 0 if no token is possible in both.

    Source: Leviathan, Kalman and Matias, Fast Inference from Transformers via Speculative Decoding
    (2023), section 3.2.
    """
    return torch.minimum(target, draft).sum(dim=-1)


def residual(
    target: Float[Tensor, "*batch vocab"], draft: Float[Tensor, "*batch vocab"]
) -> Float[Tensor, "*batch vocab"]:
    """Return the distribution from which the next token is drawn after a draft was rejected.

    residual(x) = max(0, target(x) - draft(x)) / Σᵧ max(0, target(y) - draft(y))

    Both arguments hold probabilities, each row a distribution of its own. It is what the target gives
    to each token beyond what accepted drafts provide. A row in which nothing is left, because the two
    are equal, gets the target's probabilities.

    Source: Leviathan, Kalman and Matias, Fast Inference from Transformers via Speculative Decoding
    (2023), section 2.3 and appendix A.1.
    """
    left = (target - draft).clamp(min=0)
    total = left.sum(dim=-1, keepdim=True)
    return torch.where(total > 0, left / total, target)


def accept_draft(
    target: Float[Tensor, "rows vocab"],
    draft: Float[Tensor, "steps vocab"],
    ids: Int[Tensor, " steps"],
    generator: torch.Generator | None = None,
) -> tuple[int, int]:
    """Return how many of the drafted ids are accepted, from the first on, and the id that follows them.

    draft[i] holds the probabilities from which ids[i] was drawn, and target[i] those that the target
    gives at the same place; `target` has one row more, for the place after the last draft. In order:

    - ids[i] is accepted with probability min(1, target[i, ids[i]] / draft[i, ids[i]]);
    - if it is rejected, those after it are dropped, and the id that follows is drawn from
      residual(target[i], draft[i]);
    - if all are accepted, the id that follows is drawn from the last row of `target`.

    So every id, accepted or drawn, has the target's distribution. Each decision and the draw after it are
    independent: all use fresh randomness from `generator`, by default PyTorch's global one.

    Source: Leviathan, Kalman and Matias, Fast Inference from Transformers via Speculative Decoding
    (2023), algorithm 1; Chen et al., Accelerating Large Language Model Decoding with Speculative
    Sampling (2023), algorithm 2.
    """
    for step, token in enumerate(ids.tolist()):
        drawn = torch.rand((), generator=generator, dtype=target.dtype, device=target.device)
        # Without a division, which could be 0 / 0. `drawn` may be 0, but never 1.
        if drawn * draft[step, token] >= target[step, token]:
            return step, _draw(residual(target[step], draft[step]), generator)
    return len(ids), _draw(target[-1], generator)


def _draw(probabilities: Tensor, generator: torch.Generator | None) -> int:
    return int(torch.multinomial(probabilities, num_samples=1, generator=generator))


def speculative_generate(
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
    """Return the prompt, continued by max_new_tokens tokens of the target, and its passes per new token.

    The text has the distribution that the target has alone, with the same options. They mean what they
    mean in `generate` of kata 07: logits are divided by `temperature`, then go through `top_k_filter`,
    `top_p_filter` and `min_p_filter`, where given; temperature 0 means greedy, whatever the filters are.
    They apply to both models. There is no end token: a text may go on behind one.

    In each round the draft continues the text by `lookahead` tokens, drawn one by one, or by as many as
    are missing less one. Then the target computes the probabilities of all of them in one pass, and one
    call of `accept_draft` decides. The first round's pass reads the prompt as well; max_new_tokens = 0
    makes none. So every draft of an equal model is accepted, and each pass but the last gives
    lookahead + 1 tokens. The second result is the number of passes over max_new_tokens, or 0.0 without
    new tokens.

    Both models have caches, by `new_caches` and `forward_cached` of kata 14. After a round those keep
    the positions that are right: the prompt, what was accepted before, and the drafts accepted now. So
    after the first round a pass of the target reads lookahead + 1 ids at most, and one of the draft 2.

    Both models have the same vocabulary. Their modes are left as they are, because no part of a ModernLM
    depends on it. No gradients are recorded, and the prompt is not modified.

    Raises ValueError naming seq + max_new_tokens and block_size if the text would become longer than
    the block_size of either model; and, as the functions that it calls do, if temperature is negative,
    infinite or NaN, or top_p or min_p out of range.
    Source: Leviathan, Kalman and Matias, Fast Inference from Transformers via Speculative Decoding
    (2023), section 2 and, for the expected number of tokens per pass, section 3.1.
    """
    seq, total = ids.shape[1], ids.shape[1] + max_new_tokens
    for model in (target, draft):
        if total > model.config.block_size:
            raise ValueError(f"{total} tokens are more than the block_size of {model.config.block_size}")
    text = torch.cat([ids, ids.new_zeros(1, max_new_tokens)], dim=1)
    target_caches, draft_caches = (new_caches(model, 1, total) for model in (target, draft))
    options = (temperature, top_k, top_p, min_p)
    end, passes = seq, 0  # the text is text[:, :end]
    with torch.inference_mode():
        while end < total:
            steps = min(lookahead, total - end - 1)
            drafted = draft.token_embedding.weight.new_empty(steps, draft.config.vocab_size)
            for step in range(steps):  # each draft is written behind the text, and read to draw the next
                drafted[step] = _read(draft, text[:, : end + step], draft_caches, *options)[-1]
                text[0, end + step] = _draw(drafted[step], generator)
            checked = _read(target, text[:, : end + steps], target_caches, *options)[-(steps + 1) :]
            accepted, token = accept_draft(checked, drafted, text[0, end : end + steps], generator)
            text[0, end + accepted] = token  # what is behind it will be overwritten
            end, passes = end + accepted + 1, passes + 1
            for cache in (*target_caches, *draft_caches):
                cache.truncate(min(cache.length, end - 1))  # nothing has read the last token yet
    return text, passes / max(max_new_tokens, 1)


def _read(
    model: ModernLM, text: Tensor, caches: list[KVCache], *options: float | None
) -> Float[Tensor, "new vocab"]:
    """Return the probabilities after each position of the text that is not in the caches."""
    logits = forward_cached(model, text[:, caches[0].length :], caches)[0]  # (new, vocab)
    return _probabilities(logits, *options)


def _probabilities(
    logits: Tensor, temperature: float, top_k: int | None, top_p: float | None, min_p: float | None
) -> Tensor:
    if temperature == 0:
        return torch.zeros_like(logits).scatter_(-1, greedy(logits).unsqueeze(-1), 1.0)
    logits = apply_temperature(logits, temperature)
    if top_k is not None:
        logits = top_k_filter(logits, top_k)
    if top_p is not None:
        logits = top_p_filter(logits, top_p)
    if min_p is not None:
        logits = min_p_filter(logits, min_p)
    return softmax(logits, dim=-1)


def beam_search(
    model: ModernLM,
    ids: Int[Tensor, "1 seq"],
    steps: int,
    width: int,
    length_penalty: float = 0.0,
    eos_id: int | None = None,
) -> tuple[Int[Tensor, "beams total"], Float[Tensor, "beams"]]:
    """Return the best texts that a beam of `width` has found, best first, and their scores.

    score = log p(new tokens | prompt) / length^length_penalty

    log p is the sum of the tokens' log-probabilities, by softmax of the model's logits, and length the
    number of new tokens, the end token included. By default, 0, the score is the log-probability, which
    falls with every token; with 1 it is the mean of a token; the larger, the better for long texts.
    Texts of one length are ranked alike by any.

    The beam starts with the prompt. In each of the `steps` steps every text in it is replaced by all
    its continuations by one token; one in which `eos_id` was chosen has ended and stays as it is. Of
    all these the `width` with the best scores stay in the beam, or as many as there are that have a
    probability above 0. Without an eos_id no text ends, and all have steps new tokens. An eos_id in the
    prompt ends nothing.

    The texts have seq + steps columns. Behind its end token a text has eos_id, which counts neither for
    log p nor for length. Width 1 is greedy decoding; a beam that is wide enough for all texts finds the
    best of all. Of equal scores any may be preferred.

    The model is shown the last block_size ids, whole texts in each step and without a cache. Its mode is
    left as it is, because no part of a ModernLM depends on it. No gradients are recorded, and the prompt
    is not modified.

    Raises ValueError naming width if it is less than 1.
    Source: Sutskever, Vinyals and Le, Sequence to Sequence Learning with Neural Networks (2014), section
    3.2, for the beam; Wu et al., Google's Neural Machine Translation System (2016), section 7, for a
    power of the length (there of (5 + length) / 6).
    """
    if width < 1:
        raise ValueError(f"width must be at least 1, not {width}")
    text = torch.cat([ids, ids.new_zeros(1, steps)], dim=1)  # (beams, total)
    dtype = model.token_embedding.weight.dtype
    log_p = torch.zeros(1, dtype=dtype, device=ids.device)  # of each text in the beam
    length, ended = torch.zeros_like(log_p), torch.zeros_like(log_p, dtype=torch.bool)
    for at in range(ids.shape[1], ids.shape[1] + steps):
        with torch.no_grad():
            logits = model(text[:, max(0, at - model.config.block_size) : at])[:, -1]
        added = torch.log_softmax(logits, dim=-1)  # (beams, vocab)
        if eos_id is not None:  # what has ended goes on in one way, which costs nothing
            added[ended] = -math.inf
            added[ended, eos_id] = 0.0
        longer = length + (~ended).to(dtype)
        scores = (log_p[:, None] + added) / longer[:, None] ** length_penalty
        best, place = scores.flatten().topk(min(width, scores.numel()))
        place = place[best > -math.inf]
        parent, token = place // scores.shape[1], place % scores.shape[1]
        text = text[parent]
        text[:, at] = token
        log_p, length = (log_p[:, None] + added).flatten()[place], longer[parent]
        ended = ended[parent] | (token == eos_id if eos_id is not None else ended[parent])
    return text, log_p / length.clamp(min=1) ** length_penalty
