"""The tokens that are reported are those that `generate` returns, as soon as it has chosen them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from harness.play.observing import Stopped, TokenWatch, is_continued, observed, observed_parts

SETTINGS = [
    {},
    {"temperature": 0.5},
    {"temperature": 0},
    {"top_k": 3},
    {"top_p": 0.6},
    {"temperature": 1.7, "top_k": 9, "top_p": 0.9},
]


def names(settings: dict[str, float]) -> str:
    return ",".join(f"{name}={value}" for name, value in settings.items()) or "plain"


@pytest.fixture(scope="module")
def models(katas: Callable[[str], Any]) -> dict[str, Any]:
    """A random model of kata 05 and one of kata 12, which read 8 tokens."""
    torch.manual_seed(3)
    core = katas("k05_model")
    modern = katas("k12_modern")
    made = {
        "core": core.TransformerLM(core.ModelConfig(13, 8, d_model=12, num_heads=2, num_layers=1)),
        "modern": modern.ModernLM(modern.ModernConfig(13, 8, d_model=12, num_heads=2, num_layers=1)),
    }
    for model in made.values():
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.6)
    return made


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("settings", SETTINGS, ids=names)
def test_the_reported_tokens_are_those_of_generate(
    settings: dict[str, Any], seed: int, katas: Callable[[str], Any], models: dict[str, Any]
) -> None:
    generate, prompt = katas("k07_sampling").generate, torch.tensor([[4, 11, 2]])
    expected = generate(models["core"], prompt, 20, generator=seeded(seed), **settings)[0].tolist()
    reported: list[int] = []
    watch = TokenWatch(prompt[0].tolist(), lambda token, _: reported.append(token))
    result = generate(observed(models["core"], watch), prompt, 20, generator=seeded(seed), **settings)
    assert reported == expected[3:-1], "all but the last are seen by the passes"
    watch.finish(result[0].tolist())
    assert reported == expected[3:]
    assert watch.ids == expected


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("settings", SETTINGS, ids=names)
def test_the_same_holds_of_the_cache_also_when_the_window_slides(
    settings: dict[str, Any], seed: int, katas: Callable[[str], Any], models: dict[str, Any]
) -> None:
    generate, prompt = katas("k14_cache").generate_cached, torch.tensor([[4, 11, 2]])
    expected = generate(models["modern"], prompt, 20, generator=seeded(seed), **settings)[0].tolist()
    reported: list[int] = []
    watch = TokenWatch(prompt[0].tolist(), lambda token, _: reported.append(token))
    with observed_parts(models["modern"], watch):
        result = generate(models["modern"], prompt, 20, generator=seeded(seed), **settings)
    assert reported == expected[3:-1]
    watch.finish(result[0].tolist())
    assert watch.ids == expected
    assert not models["modern"].lm_head._forward_hooks, "no hook is left"


def test_a_token_comes_with_the_logits_that_it_was_chosen_by(
    katas: Callable[[str], Any], models: dict[str, Any]
) -> None:
    greedy: list[bool] = []
    watch = TokenWatch([5], lambda token, logits: greedy.append(token == logits.argmax().item()))
    prompt = torch.tensor([[5]])
    result = katas("k07_sampling").generate(observed(models["core"], watch), prompt, 12, temperature=0)
    watch.finish(result[0].tolist())
    assert greedy == [True] * 12


def test_a_generate_that_calls_forward_is_seen_too(models: dict[str, Any]) -> None:
    reported: list[int] = []
    watch = TokenWatch([1], lambda token, _: reported.append(token))
    model, text = observed(models["core"], watch), torch.tensor([[1]])
    for _ in range(4):
        text = torch.cat([text, model.forward(text)[:, -1].argmax(-1, keepdim=True)], dim=1)
    assert reported == text[0, 1:-1].tolist()
    assert model.config is models["core"].config


def test_tokens_that_no_pass_shows_come_at_the_end_without_logits() -> None:
    reported: list[tuple[int, Any]] = []
    watch = TokenWatch([1, 2], lambda token, logits: reported.append((token, logits)))
    watch.finish([1, 2, 7, 8])
    assert reported == [(7, None), (8, None)]


def test_stopping_leaves_the_generator_after_the_last_reported_token(
    katas: Callable[[str], Any], models: dict[str, Any]
) -> None:
    generate, prompt = katas("k07_sampling").generate, [4, 11, 2]
    expected = generate(models["core"], torch.tensor([prompt]), 20, generator=seeded(5))[0].tolist()
    generator = seeded(5)
    reported: list[int] = []

    def between() -> None:
        if len(reported) == 7:
            raise Stopped

    watch = TokenWatch(prompt, lambda token, _: reported.append(token), between=between)
    with pytest.raises(Stopped):
        generate(observed(models["core"], watch), torch.tensor([prompt]), 20, generator=generator)
    assert watch.ids == expected[:10]
    rest = generate(models["core"], torch.tensor([watch.ids]), 13, generator=generator)
    assert rest[0].tolist() == expected


@pytest.mark.parametrize(
    ("text", "shown", "answer"),
    [
        ([1, 2, 3], [1, 2, 3, 9], True),
        ([1, 2, 3], [2, 3, 9], True),
        ([1, 2, 3], [9], True),
        ([1, 2, 3], [1, 2, 3], False),
        ([1, 2, 3], [0, 1, 2, 3, 9], False),
    ],
)
def test_a_pass_continues_the_text_if_it_shows_one_token_more(
    text: list[int], shown: list[int], answer: bool
) -> None:
    assert is_continued(text, shown) is answer
