"""Attention weights of a text, from the models of katas 05 and 12."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from harness.play.attention import NotShown, calls_kept, heads_view, lens_view, weights_of

IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2]])


@pytest.fixture(scope="module")
def weigh(katas: Callable[[str], Any]) -> Any:
    return katas("k01_attention").attention_weights


def core_model(katas: Callable[[str], Any]) -> Any:
    kata = katas("k05_model")
    torch.manual_seed(0)
    return kata.TransformerLM(kata.ModelConfig(13, 8, d_model=12, num_heads=3, num_layers=2)).eval()


def modern_model(katas: Callable[[str], Any]) -> Any:
    kata = katas("k12_modern")
    torch.manual_seed(0)
    return kata.ModernLM(
        kata.ModernConfig(13, 8, d_model=24, num_heads=6, num_kv_heads=2, num_layers=2)
    ).eval()


@pytest.mark.parametrize("make", [core_model, modern_model], ids=["core", "modern"])
def test_the_weights_of_a_layer_give_what_its_attention_returns(
    make: Callable[..., Any], katas: Callable[[str], Any], weigh: Any
) -> None:
    model, split = make(katas), katas("k02_multi_head").split_heads
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    returned: list[torch.Tensor] = []
    model.blocks[1].attention.register_forward_hook(lambda _, args, out: returned.append(out))
    with torch.no_grad(), calls_kept(model) as calls:
        model(IDS)
        attention = model.blocks[1].attention
        weights = weights_of(attention, calls[1], weigh)
        value = split(
            attention.value_proj(calls[1][0]), getattr(attention, "num_kv_heads", attention.num_heads)
        )
        value = value[0].repeat_interleave(len(weights) // value.shape[1], dim=0)
        heads = weights @ value  # (heads, seq, d_head)
        again = attention.out_proj(heads.transpose(0, 1).flatten(1))
    assert_close(again, returned[0][0], rtol=1e-5, atol=1e-5)  # float32, summed in another order
    assert_close(weights.sum(-1), torch.ones(len(weights), 7), rtol=0, atol=1e-5)
    assert weights.triu(1).count_nonzero() == 0
    assert not attention._forward_pre_hooks, "no hook is left"


def test_an_attention_that_is_called_by_keywords_is_seen(katas: Callable[[str], Any], weigh: Any) -> None:
    model = core_model(katas)
    x, mask = torch.randn(1, 4, 12), torch.ones(4, 4, dtype=torch.bool).tril()
    with torch.no_grad(), calls_kept(model) as calls:
        model.blocks[0].attention(mask=mask, x=x)
    expected = model.blocks[0].attention.attention_weights(x, mask)[0]
    assert_close(weights_of(model.blocks[0].attention, calls[0], weigh), expected)


def test_an_attention_of_another_kind_is_not_shown(weigh: Any) -> None:
    with pytest.raises(NotShown):
        weights_of(torch.nn.Identity(), [IDS], weigh)


def test_a_view_has_rows_the_most_read_and_maps_of_bytes() -> None:
    weights = torch.tensor([[[1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.5, 0.2, 0.3]]])
    view = heads_view(weights, 1, most=2)
    assert view["rows"] == [[0.25, 0.75]]
    assert view["reads"] == [[{"place": 1, "weight": 0.75}, {"place": 0, "weight": 0.25}]]
    assert view["mapStart"] == 1
    assert list(base64.b64decode(view["maps"][0])) == [191, 0, 51, 76]


def test_the_lens_names_the_likeliest_tokens_at_each_depth() -> None:
    lens = torch.tensor([[[0.0, 0.0, 1.0], [0.1, 0.7, 0.2]], [[1.0, 0.0, 0.0], [0.6, 0.3, 0.1]]])
    assert lens_view(lens, 1, "abc".__getitem__, most=2) == [
        [{"text": "b", "p": 0.7}, {"text": "c", "p": 0.2}],
        [{"text": "a", "p": 0.6}, {"text": "b", "p": 0.3}],
    ]
