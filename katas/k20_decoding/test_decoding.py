"""Ordered tests of kata 20: each adds one idea, and needs only what stands above it."""

import re

import pytest
import torch

from katas.k07_sampling.sampling import generate, top_k_filter, top_p_filter
from katas.k12_modern.modern import ModernConfig, ModernLM
from katas.k20_decoding import decoding
from katas.k20_decoding.decoding import (
    accept_draft,
    acceptance_rate,
    beam_search,
    min_p_filter,
    residual,
    speculative_generate,
)

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
INFINITY = float("inf")
# The values that a chi-squared variable exceeds once in a million, by its degrees of freedom. The draws of a
# right version are one such variable for each seed; wrong versions are at several times these.
BOUNDS = {1: 23.9, 3: 30.7, 4: 33.4}
# A target and a draft that have 0.4 + 0.3 = 0.7 in common.
TARGET, DRAFT = [0.4, 0.35, 0.15, 0.1], [0.7, 0.3, 0.0, 0.0]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed, dtype=torch.float64):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64).to(dtype)


def random_ids(*shape, seed, vocab_size=5):
    return torch.randint(vocab_size, shape, generator=seeded(seed))


def distributions(*shape, seed, dtype=torch.float64):
    """Random rows of probabilities: far from even, and every third entry of them 0."""
    rows = (2 * normal(*shape, seed=seed)).exp()
    rows.flatten()[seed % 3 :: 3] = 0
    return (rows / rows.sum(-1, keepdim=True)).to(dtype)


def chi_squared(counts, probabilities):
    """How far counts are from those expected: the sum of (count - expected)² / expected."""
    expected = counts.sum(-1, keepdim=True) * probabilities
    assert counts[probabilities == 0].sum() == 0, f"impossible ones came out: {counts.tolist()}"
    return ((counts - expected) ** 2 / expected)[probabilities > 0].sum().item()


@DTYPES
@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (0.0, [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]),
        (0.05, [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]),
        (0.15, [[1, 1, 1, 0, 1], [1, 1, 0, 0, 0]]),
        (0.45, [[1, 0, 0, 0, 1], [1, 1, 0, 0, 0]]),
        (1.0, [[1, 0, 0, 0, 1], [1, 0, 0, 0, 0]]),
    ],
)
def test_min_p_keeps_what_is_at_least_p_times_as_likely_as_the_likeliest(p, expected, dtype):
    """Tokens whose probability is at least p times that of the row's likeliest stay, others become -inf."""
    # Over the highest: 1, 0.4, 0.2, 0.1, 1 (an exact tie), and 1, 0.5, 0.1, 0.1, 0.
    ratios = torch.tensor([[1.0, 0.4, 0.2, 0.1, 1.0], [1.0, 0.5, 0.1, 0.1, 0.0]], dtype=dtype)
    for shift in (0.0, 4096.0, -4096.0):  # the size of logits says nothing; powers of two keep the tie
        rows = ratios.log() + torch.tensor([[shift], [shift + 64]])
        logits = torch.stack([rows, rows.flip(-1)])  # (2, 2, vocab)
        before, kept = logits.clone(), torch.tensor(expected).bool()
        wanted = logits.masked_fill(~torch.stack([kept, kept.flip(-1)]), -INFINITY)
        # Exact: numbers are kept or replaced, not computed.
        torch.testing.assert_close(min_p_filter(logits, p), wanted, rtol=0, atol=0)
        assert torch.equal(logits, before), "the logits were modified"


@DTYPES
def test_acceptance_rate_is_what_target_and_draft_have_in_common(dtype):
    """The rate is the sum of the smaller of both probabilities, for each row: 0.7 in the hand case."""
    target = torch.tensor([TARGET, DRAFT, TARGET, [0.0, 0.0, 1.0, 0.0]], dtype=dtype)
    draft = torch.tensor([DRAFT, TARGET, TARGET, [0.5, 0.2, 0.0, 0.3]], dtype=dtype)
    expected = torch.tensor([0.7, 0.7, 1.0, 0.0], dtype=dtype)
    close = {"rtol": 0, "atol": 1e-6}  # float32 keeps 7 digits of numbers up to 1
    torch.testing.assert_close(acceptance_rate(target, draft), expected, **close)
    halves = target.reshape(2, 2, 4), draft.reshape(2, 2, 4)
    torch.testing.assert_close(acceptance_rate(*halves), expected.reshape(2, 2), **close)
    torch.testing.assert_close(acceptance_rate(target[0], draft[0]), expected[0], **close)


@DTYPES
def test_residual_and_accepted_drafts_make_up_the_target(dtype):
    """The residual is what the target has beyond the draft; with accepted drafts it makes up the target."""
    target = torch.tensor([TARGET, DRAFT, TARGET, [0.0, 0.0, 1.0, 0.0]], dtype=dtype)
    draft = torch.tensor([DRAFT, TARGET, TARGET, [0.5, 0.2, 0.0, 0.3]], dtype=dtype)
    # 0.05, 0.15 and 0.1 are left of the first row; nothing of the third, where the two are equal.
    expected = torch.tensor([[0, 1 / 6, 1 / 2, 1 / 3], [1, 0, 0, 0], TARGET, [0, 0, 1, 0]], dtype=dtype)
    close = {"rtol": 0, "atol": 1e-6}  # float32 keeps 7 digits; a difference of two loses one
    torch.testing.assert_close(residual(target, draft), expected, **close)
    halves = target.reshape(2, 2, 4), draft.reshape(2, 2, 4)
    torch.testing.assert_close(residual(*halves), expected.reshape(2, 2, 4), **close)
    assert target[0].tolist() == torch.tensor(TARGET, dtype=dtype).tolist(), "the target was modified"
    # A token comes out as a draft that is accepted, or after a rejection: that is the proof, for each token.
    target, draft = (distributions(3, 7, seed=seed, dtype=dtype) for seed in (1, 2))
    as_draft = torch.where(draft > 0, draft * (target / draft).clamp(max=1), 0.0)
    after_rejection = (1 - acceptance_rate(target, draft)).unsqueeze(-1) * residual(target, draft)
    torch.testing.assert_close(as_draft + after_rejection, target, **close)


@DTYPES
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_drafts_of_an_equal_model_are_all_accepted_and_one_is_added(steps, dtype):
    """No draft that the target finds at least as likely is rejected; the last row gives the next id."""
    target = distributions(steps + 1, 5, seed=3, dtype=dtype)
    target[-1] = torch.tensor([0, 0, 0, 1, 0])  # so there is no choice
    ids = target[:-1].argmax(-1)
    before = target.clone()
    equal = [accept_draft(target, target[:-1], ids, seeded(seed)) for seed in range(20)]
    assert equal == [(steps, 3)] * 20, "equal models"
    less = target[:-1].clone()
    less[torch.arange(steps), ids] /= 2
    less[:, 0] += 1 - less.sum(-1)
    likelier = [accept_draft(target, less, ids, seeded(seed)) for seed in range(20)]
    assert likelier == [(steps, 3)] * 20, "drafts that are likelier in the target"
    assert torch.equal(target, before), "the target was modified"


@pytest.mark.parametrize(("steps", "impossible"), [(1, 0), (4, 0), (4, 1), (4, 3)])
def test_first_rejected_draft_ends_the_round(steps, impossible):
    """A draft that the target rules out is rejected, and all after it; the residual of its place is drawn."""
    target, places = torch.zeros(steps + 1, 5, dtype=torch.float64), torch.arange(steps)
    ids = places % 2  # 0 1 0 1
    target[places, ids] = 1.0
    target[-1, 2] = 1.0  # for the place after all drafts
    draft = target[:-1].clone()
    target[impossible] = torch.tensor([0, 0, 0, 1, 0])  # here the draft is wrong
    draft[impossible] = 0.6 * draft[impossible] + torch.tensor([0, 0, 0, 0, 0.4])
    found = [accept_draft(target, draft, ids, seeded(seed)) for seed in range(20)]
    assert found == [(impossible, 3)] * 20


def emitted(target, draft, calls, seed):
    """Counts by place and id: how often the id came out of accept_draft at the place, in so many calls."""
    counts, generator = torch.zeros_like(target), seeded(seed)
    drafts = torch.multinomial(draft, calls, replacement=True, generator=generator)  # (steps, calls)
    for ids in drafts.unbind(1):
        accepted, following = accept_draft(target, draft, ids, generator)
        for place, token in enumerate([*ids[:accepted].tolist(), following]):
            counts[place, token] += 1
    return counts


@pytest.mark.parametrize("steps", [1, 3])
def test_every_id_has_the_distribution_of_the_target(steps):
    """Whatever the draft has drawn, the ids at every place are spread as the target's: a chi-squared test."""
    target = torch.tensor([TARGET, [0.1, 0.2, 0.3, 0.4], [0.25] * 4, TARGET], dtype=torch.float64)
    draft = torch.tensor([DRAFT, [0.4, 0.3, 0.2, 0.1], [0.1, 0.1, 0.1, 0.7]], dtype=torch.float64)
    untouched = torch.get_rng_state()
    counts = emitted(target[: steps + 1], draft[:steps], 700, seed=4)
    # Every draft at place 0 is accepted with the probability that the two have in common, 0.7.
    accepted = counts[1].sum()
    outcomes = torch.stack([700 - accepted, accepted])
    assert chi_squared(outcomes, torch.tensor([0.3, 0.7])) < BOUNDS[1], "place 0, rejected or accepted"
    for place in range(steps + 1):
        assert chi_squared(counts[place], target[place]) < BOUNDS[3], f"ids at place {place}"
    assert torch.equal(torch.get_rng_state(), untouched), "PyTorch's global generator was used"


# All sizes differ: 6 query heads of 4 features share 2 heads of keys and values.
SIZES = {"vocab_size": 5, "block_size": 17, "d_model": 24, "num_heads": 6, "num_layers": 2}
SIZES |= {"num_kv_heads": 2, "d_ff": 20, "qk_norm": False}


def random_model(seed, **changes):
    """A model in float64 whose parts all say something: a fresh one is silent."""
    with torch.random.fork_rng(devices=[]):
        model = ModernLM(ModernConfig(**{**SIZES, **changes})).double()
    for number, parameter in enumerate(model.parameters()):
        noise = normal(*parameter.shape, seed=100 * seed + number)
        parameter.data = noise / noise.shape[1] ** 0.5 if noise.dim() == 2 else 1 + noise / 2
    return model


def draft_for(kind):
    """The target again, one that often says the same, or an altogether different one of one block."""
    if kind == "other":
        return random_model(7, num_layers=1, d_model=8, num_heads=2, num_kv_heads=1)
    draft = random_model(8)
    for number, parameter in enumerate(draft.parameters() if kind == "near" else ()):
        parameter.data += 0.02 * normal(*parameter.shape, seed=600 + number)
    return draft


@pytest.mark.parametrize(
    ("kind", "lookahead", "seq", "max_new_tokens"),
    [
        ("near", 3, 3, 6),
        ("other", 1, 1, 4),
        ("equal", 3, 2, 6),
        ("near", 7, 3, 14),
        ("other", 3, 3, 1),
        ("near", 3, 3, 0),
    ],
)
def test_greedy_text_is_that_of_the_target(kind, lookahead, seq, max_new_tokens):
    """At temperature 0 the text is what `generate` makes of the target, whatever the draft proposes."""
    target, ids = random_model(8), random_ids(1, seq, seed=5)
    draft, before = draft_for(kind), ids.clone()
    expected = generate(target, ids, max_new_tokens, temperature=0)
    text, _ = speculative_generate(target, draft, ids, max_new_tokens, lookahead, temperature=0)
    # Exact: ids are whole numbers.
    torch.testing.assert_close(text, expected, rtol=0, atol=0)
    assert torch.equal(ids, before), "the prompt was modified"
    assert target.training and draft.training, "the mode of a model was changed"


def read_by(model):
    """A list that will hold how many ids each pass of the model reads."""
    sizes = []
    model.token_embedding.register_forward_pre_hook(lambda _, arguments: sizes.append(arguments[0].shape[1]))
    return sizes


@pytest.mark.parametrize(
    ("kind", "lookahead", "max_new_tokens"),
    [("equal", 1, 9), ("equal", 3, 10), ("equal", 7, 3), ("near", 3, 10), ("other", 2, 5)],
)
def test_drafts_are_checked_in_one_pass_that_reads_nothing_again(kind, lookahead, max_new_tokens):
    """Equal models: a pass for every lookahead + 1 tokens. Any: what was read and is right stays cached."""
    target, ids = random_model(8), random_ids(1, 4, seed=7)
    draft, untouched = draft_for(kind), torch.get_rng_state()
    passes, drafting = read_by(target), read_by(draft)
    _, ratio = speculative_generate(target, draft, ids, max_new_tokens, lookahead, generator=seeded(8))
    if kind == "equal":
        assert len(passes) == -(-max_new_tokens // (lookahead + 1)), "passes of the target"
    assert ratio == len(passes) / max_new_tokens, "passes of the target for each new token"
    assert passes[0] <= 4 + lookahead, "ids in the target's first pass"
    assert max(passes[1:], default=0) <= lookahead + 1, "ids in each later pass of the target"
    assert drafting[0] <= 4, "ids in the draft's first pass"
    assert max(drafting[1:], default=0) <= 2, "ids in each later pass of the draft"
    assert torch.equal(torch.get_rng_state(), untouched), "PyTorch's global generator was used"


def in_place_of_accept_draft(monkeypatch, answers):
    """Let accept_draft give these answers, the last one ever after; return a list of what it was given."""
    given = []

    def answer(target, draft, ids, generator=None):
        accepted, following = answers[min(len(given), len(answers) - 1)]
        given.append((target.clone(), draft.clone(), ids.clone()))
        return min(accepted, len(ids)), following

    monkeypatch.setattr(decoding, "accept_draft", answer)
    return given


def filtered(model, text, temperature=1.0, top_k=5, top_p=1.0, min_p=0.0):
    """The probabilities after each position of a text, from one forward over all of it."""
    logits = model(text)[0].detach() / temperature
    return min_p_filter(top_p_filter(top_k_filter(logits, top_k), top_p), min_p).softmax(-1)


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": 2},
        {"temperature": 0.5, "top_p": 0.7},
        {"min_p": 0.3},
        {"temperature": 3.0, "top_k": 4, "top_p": 0.75, "min_p": 0.5},
    ],
)
def test_accept_draft_compares_both_models_after_the_same_filters(options, monkeypatch):
    """It gets the probabilities of both models at the places of the drafts; what it answers becomes text."""
    target, draft, prompt = random_model(1), random_model(7, num_layers=1), random_ids(1, 3, seed=9)
    answers = [(2, 4), (0, 1), (3, 2), (1, 0)]
    given = in_place_of_accept_draft(monkeypatch, answers)
    text, _ = speculative_generate(target, draft, prompt, 10, 3, **options, generator=seeded(10))
    so_far = prompt
    for (target_rows, draft_rows, ids), answer in zip(given, answers, strict=True):
        whole = torch.cat([so_far, ids[None]], dim=1)
        expected = filtered(target, whole, **options)[so_far.shape[1] - 1 :]
        # float64: probabilities are off by 1e-16, or by 1e-7 if a table of angles was rounded to float32.
        torch.testing.assert_close(target_rows, expected, rtol=0, atol=1e-6)
        expected = filtered(draft, whole, **options)[so_far.shape[1] - 1 : -1]
        torch.testing.assert_close(draft_rows, expected, rtol=0, atol=1e-6)
        following = torch.tensor([answer[1]])
        so_far = torch.cat([so_far, ids[None, : answer[0]], following[None]], dim=1)
    # Exact: ids are whole numbers.
    torch.testing.assert_close(text, so_far, rtol=0, atol=0)


def test_drafts_are_drawn_from_the_probabilities_that_are_compared(monkeypatch):
    """The drafted ids are spread as the draft's own probabilities say: a chi-squared test."""
    target, draft = (random_model(seed, num_layers=1, block_size=70) for seed in (1, 7))
    draft.token_embedding.weight.data[:] = 1.0  # all ids look alike, so that every position is
    draft.final_norm.weight.data.fill_(1.0)
    for name in ("attention.out_proj", "feedforward.down_proj"):
        draft.blocks[0].get_submodule(name).weight.data.zero_()
    shares = torch.tensor([[0.5], [0.2], [0.15], [0.1], [0.05]], dtype=torch.float64)
    draft.lm_head.weight.data = 4 * shares.log().expand(5, 24) / 24
    given = in_place_of_accept_draft(monkeypatch, [(60, 0)])
    speculative_generate(target, draft, torch.tensor([[0]]), 61, 60, temperature=4.0, generator=seeded(11))
    _, rows, ids = given[0]
    # Drawn evenly, or without the temperature, they would be at 45 and more.
    counts = torch.bincount(ids, minlength=5)
    assert chi_squared(counts, rows[0]) < BOUNDS[4], f"of each id: {counts.tolist()}"


@pytest.mark.parametrize("eos_id", [None, 1, 3])
@pytest.mark.parametrize(("seq", "steps", "block_size"), [(3, 7, 17), (1, 1, 17), (4, 6, 5)])
def test_beam_of_one_is_greedy_decoding(seq, steps, block_size, eos_id):
    """With width 1 the text is what `generate` gives at temperature 0, with any end token."""
    model, ids = random_model(8, block_size=block_size), random_ids(1, seq, seed=10)
    before = ids.clone()
    text, scores = beam_search(model, ids, steps, 1, eos_id=eos_id)
    # Exact: ids are whole numbers.
    expected = generate(model, ids, steps, temperature=0, eos_id=eos_id)
    torch.testing.assert_close(text, expected, rtol=0, atol=0)
    assert torch.equal(ids, before), "the prompt was modified"
    assert not scores.requires_grad, "the scores require a gradient"


def scores_of(model, prompt, texts, length_penalty):
    """The scores of several texts, from one forward for each length."""
    scores = {}
    for length in {len(new) for new in texts}:
        alike = [new for new in texts if len(new) == length]
        ids = torch.tensor([[*prompt, *new] for new in alike])
        log_p = model(ids).detach().log_softmax(-1)[:, len(prompt) - 1 : -1]
        sums = log_p.gather(2, ids[:, len(prompt) :, None]).sum((1, 2))
        scores |= dict(zip(alike, (sums / length**length_penalty).tolist(), strict=True))
    return scores


def beam_by_hand(model, prompt, steps, width, length_penalty=0.0, eos_id=None):
    """The texts of a beam and their scores, as lists."""
    beam = {(): 0.0}
    for _ in range(steps):
        ended = [new for new in beam if eos_id in new]
        longer = [(*new, token) for new in beam if eos_id not in new for token in range(5)]
        scores = scores_of(model, prompt, ended + longer, length_penalty)
        beam = dict(sorted(scores.items(), key=lambda each: -each[1])[:width])
    padded = [[*prompt, *new, *[eos_id] * (steps - len(new))] for new in beam]
    return torch.tensor(padded), torch.tensor([*beam.values()], dtype=torch.float64)


@pytest.mark.parametrize(("steps", "width"), [(1, 3), (5, 2), (4, 3), (3, 125), (2, 30)])
def test_beam_keeps_the_best_continuations_of_all_its_texts(steps, width):
    """In each step the best of all continuations stay; a wide enough beam finds the best of all texts."""
    model, prompt = random_model(3), [2, 0, 4]
    text, scores = beam_search(model, torch.tensor([prompt]), steps, width)
    expected, expected_scores = beam_by_hand(model, prompt, steps, width)
    # Exact: ids are whole numbers. float64: scores around -10 are off by 1e-15.
    torch.testing.assert_close(text, expected, rtol=0, atol=0)
    torch.testing.assert_close(scores, expected_scores, rtol=0, atol=1e-12)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize(("steps", "width", "eos_id"), [(4, 2, 1), (5, 3, 0), (3, 200, 2)])
def test_ended_text_stays_in_the_beam_as_long_as_its_score_is_good(steps, width, eos_id, length_penalty):
    """The score is log p over length^length_penalty; an ended text competes with the longer ones by it."""
    model, prompt = random_model(4), [2, eos_id, 4]
    text, scores = beam_search(model, torch.tensor([prompt]), steps, width, length_penalty, eos_id)
    expected, expected_scores = beam_by_hand(model, prompt, steps, width, length_penalty, eos_id)
    # Exact: ids are whole numbers. float64: scores around -10 are off by 1e-15.
    torch.testing.assert_close(text, expected, rtol=0, atol=0)
    torch.testing.assert_close(scores, expected_scores, rtol=0, atol=1e-12)


def named_in(message, numbers):
    """The numbers that occur in the message, not as parts of other numbers."""
    return [number for number in numbers if re.search(rf"(?<![\d.-]){re.escape(number)}(?![\d.])", message)]


def speculate(max_new_tokens=3, sizes=(17, 17), **options):
    target, draft = (random_model(5, num_layers=1, block_size=size) for size in sizes)
    return speculative_generate(target, draft, random_ids(1, 4, seed=12), max_new_tokens, 2, **options)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: min_p_filter(normal(2, 5, seed=13), -0.5), ["-0.5"]),
        (lambda: min_p_filter(normal(2, 5, seed=13), 1.5), ["1.5"]),
        (lambda: min_p_filter(normal(2, 5, seed=13), float("nan")), ["nan"]),
        (lambda: speculate(18), ["22", "17"]),
        (lambda: speculate(14), ["18", "17"]),
        (lambda: speculate(9, (17, 11)), ["13", "11"]),
        (lambda: speculate(9, (11, 17)), ["13", "11"]),
        (lambda: speculate(temperature=-2.5), ["-2.5"]),
        (lambda: speculate(min_p=2.5), ["2.5"]),
        (lambda: beam_search(random_model(5, num_layers=1), random_ids(1, 4, seed=14), 2, 0), ["0"]),
    ],
    ids=[
        "min-p of -0.5",
        "min-p of 1.5",
        "min-p of NaN",
        "22 tokens of 17",
        "18 tokens of 17",
        "13 tokens of 11 in the draft",
        "13 tokens of 11 in the target",
        "temperature of -2.5",
        "min-p of 2.5 for a text",
        "a beam of 0",
    ],
)
def test_impossible_values_and_long_texts_are_refused(call, named):
    """ValueError names the value: p outside 0 … 1, a text longer than block_size, a beam without a text."""
    with pytest.raises(ValueError) as refusal:
        call()
    message = str(refusal.value)
    assert named_in(message, named) == named, f"the message does not name {' and '.join(named)}: {message}"
