"""Kata 20 against enumeration: its texts have the target's probabilities, its widest beam ranks all texts."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature
from harness.tests.support.references import reference, solved

# Weights of a distribution: whole numbers, so that ties, zeros and equal rows occur.
WEIGHTS = st.lists(st.integers(0, 9), min_size=5, max_size=5).filter(any)

IMPORTS = (
    solved(checked=False)
    + """
import itertools
import torch
from katas.k12_modern.modern import ModernConfig, ModernLM
from katas.k20_decoding.decoding import beam_search, speculative_generate


def random_model(seed, layers, dtype=torch.float64):
    torch.manual_seed(seed)
    sizes = {"vocab_size": 3, "block_size": 8, "d_model": 8, "num_heads": 2, "num_layers": layers}
    model = ModernLM(ModernConfig(**sizes)).to(dtype)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def log_p(model, prompt, new):
    ids = torch.tensor([[*prompt, *new]])
    rows = model(ids)[0].detach().log_softmax(-1)[len(prompt) - 1 : -1]
    return rows.gather(1, ids[0, len(prompt) :, None]).sum().item()
"""
)

SAMPLED = """
target, draft, prompt, draws = random_model(0, 2), random_model(1, 1), [2, 0], 600
texts = list(itertools.product(range(3), repeat=3))
exact = torch.tensor([log_p(target, prompt, new) for new in texts]).exp()
assert abs(exact.sum() - 1) < 1e-5
counts, generator = torch.zeros(27), torch.Generator().manual_seed(2)
for _ in range(draws):
    text, _ = speculative_generate(target, draft, torch.tensor([prompt]), 3, 2, generator=generator)
    counts[texts.index(tuple(text[0, 2:].tolist()))] += 1
expected = draws * exact
print(((counts - expected) ** 2 / expected).sum().item(), expected.min().item())
"""

RANKED = """
prompt, steps = (1, 2), 4
cases = itertools.product([None, 0, 2], [0.0, 0.7, 1.0, 3.0], [torch.float32, torch.float64])
for eos_id, length_penalty, dtype in cases:
    model = random_model(3, 1, dtype)
    texts = set()
    for new in itertools.product(range(3), repeat=steps):
        texts.add(new[: new.index(eos_id) + 1] if eos_id in new else new)
    scores = {new: log_p(model, prompt, new) / len(new) ** length_penalty for new in texts}
    ranked = sorted(texts, key=lambda new: -scores[new])
    text, found = beam_search(model, torch.tensor([prompt]), steps, 1000, length_penalty, eos_id)
    assert text.tolist() == [[*prompt, *new, *[eos_id] * (steps - len(new))] for new in ranked]
    expected = torch.tensor([scores[new] for new in ranked], dtype=dtype)
    assert torch.allclose(found, expected, rtol=0, atol=1e-5)  # float32 keeps 7 digits of scores around -10
"""


def rows(weights: list[int]) -> torch.Tensor:
    numbers = torch.tensor(weights, dtype=torch.float64)
    return numbers / numbers.sum()


def survival(statistic: float, freedom: int) -> float:
    """The probability that a chi-squared variable with so many degrees of freedom is larger."""
    half = torch.tensor([freedom / 2, statistic / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1]))


@given(WEIGHTS, WEIGHTS)
@settings(max_examples=100, deadline=None)
def test_acceptance_and_residual_give_the_target_exactly(target: list[int], draft: list[int]) -> None:
    module, p, q = reference("20"), rows(target), rows(draft)
    accepted = torch.where(q > 0, q * (p / q).clamp(max=1), 0.0)
    residual = module.residual(p, q)
    assert abs(residual.sum() - 1) < 1e-12
    made_up = accepted + (1 - module.acceptance_rate(p, q)) * residual
    torch.testing.assert_close(made_up, p, rtol=0, atol=1e-12)


@given(WEIGHTS, WEIGHTS, st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_no_id_comes_out_that_the_target_rules_out(target: list[int], draft: list[int], seed: int) -> None:
    module, generator = reference("20"), torch.Generator().manual_seed(seed)
    p, q = rows(target).expand(4, -1), rows(draft).expand(3, -1)
    ids = torch.multinomial(q[0], 3, replacement=True, generator=generator)
    accepted, following = module.accept_draft(p, q, ids, generator)
    assert all(p[0, token] > 0 for token in [*ids[:accepted].tolist(), following])


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=8), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_min_p_keeps_the_likeliest_and_more_for_a_lower_p(logits: list[float], p: float) -> None:
    module, numbers = reference("20"), torch.tensor(logits, dtype=torch.float64)
    kept = module.min_p_filter(numbers, p).isfinite()
    assert kept[numbers.argmax()]
    assert (kept <= module.min_p_filter(numbers, p / 2).isfinite()).all()


def test_texts_have_the_probabilities_of_the_target() -> None:
    """600 texts of three tokens against the exact probabilities of all 27."""
    done = Miniature(REPOSITORY).python("-c", IMPORTS + SAMPLED)
    assert done.code == 0, done.err
    statistic, least_expected = map(float, done.out.split())
    assert least_expected > 2  # fewer, and the statistic would not be chi-squared
    assert survival(statistic, 26) > 1e-6  # the seed is fixed; another right version has one of its own


def test_bounds_in_the_katas_tests_are_those_of_the_chi_squared_distribution() -> None:
    tests = (REPOSITORY / "katas" / "k20_decoding" / "test_decoding.py").read_text(encoding="utf-8")
    (bounds,) = re.findall(r"^BOUNDS = \{(.*)\}$", tests, flags=re.MULTILINE)
    pairs = [pair.split(":") for pair in bounds.split(",")]
    for freedom, bound in pairs:
        chance = survival(float(bound), int(freedom))
        assert chance == pytest.approx(1e-6, rel=0.05)  # bounds have one digit after the point


def test_widest_beam_ranks_all_texts() -> None:
    """Every text of at most four tokens is scored by itself, and sorted."""
    done = Miniature(REPOSITORY).python("-c", IMPORTS + RANKED)
    assert done.code == 0, done.err
