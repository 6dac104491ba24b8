"""How likely tokens are, before and after temperature and filters: by the katas' own functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from harness.play.likely import Distributions, bars, of_text
from harness.play.request import Settings

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, -2.0, -3.0])


@pytest.fixture(scope="module")
def distributions(katas: Callable[[str], Any]) -> Distributions:
    softmax, min_p = katas("k01_attention").softmax, katas("k20_decoding").min_p_filter
    return Distributions(softmax, katas("k07_sampling"), min_p)


def test_temperature_and_filters_give_what_generate_draws_by(
    distributions: Distributions, katas: Callable[[str], Any]
) -> None:
    settings = Settings(temperature=0.7, top_k=4, top_p=0.9)
    after = distributions.drawn_by(LOGITS, settings)
    draws = [draw(katas, settings, seed) for seed in range(300)]
    counts = torch.bincount(torch.tensor(draws), minlength=6) / 300
    assert (after - counts).abs().max() < 0.12  # four standard deviations of 300 draws: 4 · √(¼ / 300)
    assert set(draws) == set(after.nonzero().flatten().tolist())


class Fixed(torch.nn.Module):
    """A model that always gives the same logits."""

    class config:
        block_size = 4

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return LOGITS.expand(*ids.shape, 6)


def draw(katas: Callable[[str], Any], settings: Settings, seed: int) -> int:
    generator = torch.Generator().manual_seed(seed)
    options = {"temperature": settings.temperature, "top_k": settings.top_k, "top_p": settings.top_p}
    return int(
        katas("k07_sampling").generate(Fixed(), torch.tensor([[0]]), 1, generator=generator, **options)[0, -1]
    )


def test_at_temperature_zero_one_token_is_certain(distributions: Distributions) -> None:
    assert distributions.drawn_by(LOGITS, Settings(temperature=0)).tolist() == [1, 0, 0, 0, 0, 0]


def test_min_p_takes_out_what_is_far_less_likely_than_the_likeliest(distributions: Distributions) -> None:
    settings = Settings(temperature=1, min_p=0.2)  # e⁻¹ = 0.37 of the likeliest stays, e⁻² = 0.14 goes
    assert distributions.drawn_by(LOGITS, settings).count_nonzero() == 2
    survivors = distributions.only_survivors(LOGITS, settings)
    assert survivors[:2].tolist() == [2, 1]
    assert survivors[2:].isinf().all()


def test_without_kata_20_min_p_does_nothing(distributions: Distributions) -> None:
    without = Distributions(distributions.softmax, distributions.sampling)
    assert without.drawn_by(LOGITS, Settings(temperature=1, min_p=0.2)).count_nonzero() == 6


def test_the_ten_likeliest_are_shown_and_the_token_of_the_text() -> None:
    before = torch.linspace(1, 2, 20).flip(0) / 30
    after = torch.where(torch.arange(20) < 3, before, 0.0)
    view = bars(before, after, lambda token: f"<{token}>", chosen=17)
    assert [bar["id"] for bar in view["bars"]] == [*range(10), 17]
    assert [bar["chosen"] for bar in view["bars"]] == [False] * 10 + [True]
    assert view["bars"][1]["text"] == "<1>"
    assert view["bars"][9]["after"] == 0
    assert (view["left"], view["of"]) == (3, 20)


def test_a_small_vocabulary_has_fewer_bars() -> None:
    view = bars(torch.tensor([0.25, 0.75]), torch.tensor([0.0, 1.0]), str, chosen=1)
    assert [(bar["id"], bar["before"], bar["after"]) for bar in view["bars"]] == [(1, 0.75, 1), (0, 0.25, 0)]


def test_every_token_of_a_text_but_the_first_has_a_probability() -> None:
    probabilities = torch.tensor([[0.1, 0.9], [0.123456, 0.876544], [0.5, 0.5]])
    assert of_text(probabilities, [0, 1, 0]) == [0.9, 0.1235]
