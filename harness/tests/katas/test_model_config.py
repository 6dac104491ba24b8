"""The configuration of kata 05's model, which is given."""

from __future__ import annotations

from typing import Any

import pytest

from harness.tests.support.references import reference


def test_what_is_left_out_is_a_small_gpt2() -> None:
    config = reference("05").ModelConfig(vocab_size=65, block_size=64)
    assert (config.d_ff, config.positions, config.norm_first) == (512, "learned", True)
    assert (config.bias, config.tie_weights, config.dropout) == (True, True, 0.0)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "none"])
def test_each_kind_of_positions_is_accepted(positions: str) -> None:
    config = reference("05").ModelConfig(vocab_size=65, block_size=64, positions=positions)
    assert config.positions == positions


def test_a_vocabulary_may_be_unknown_at_first() -> None:
    assert reference("05").ModelConfig(vocab_size=None, block_size=64).vocab_size is None


def test_learned_positions_may_have_an_odd_width() -> None:
    assert reference("05").ModelConfig(65, 64, d_model=9, num_heads=3).d_model == 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block_size": 0}, "block_size must be a positive integer, not 0"),
        ({"vocab_size": True}, "vocab_size must be a positive integer, not True"),
        ({"num_layers": 2.0}, r"num_layers must be a positive integer, not 2\.0"),
        ({"d_model": 10}, "d_model = 10 cannot be divided among num_heads = 4"),
        ({"dropout": 1.0}, r"dropout must be at least 0 and less than 1, not 1\.0"),
        ({"positions": "rotary"}, "positions must be learned, sinusoidal or none, not 'rotary'"),
        ({"positions": None}, "positions must be learned, sinusoidal or none, not None"),
        (
            {"positions": "sinusoidal", "d_model": 9, "num_heads": 3},
            "sinusoidal positions need an even d_model, not 9",
        ),
    ],
)
def test_an_invalid_value_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reference("05").ModelConfig(**{"vocab_size": 65, "block_size": 64, **options})
