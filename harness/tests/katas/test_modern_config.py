"""The configuration of kata 12's model, which is given."""

from __future__ import annotations

from typing import Any

import pytest

from harness.tests.support.references import reference


def test_what_is_left_out_is_the_measured_recipe() -> None:
    config = reference("12").ModernConfig(vocab_size=65, block_size=64)
    assert (config.d_model, config.num_heads, config.num_kv_heads, config.num_layers) == (128, 4, 4, 4)
    assert (config.feedforward, config.d_ff, config.qk_norm) == ("squared_relu", 512, True)
    assert (config.base, config.tie_weights) == (10000.0, False)


@pytest.mark.parametrize(("d_model", "d_ff"), [(128, 344), (768, 2048), (96, 256), (8, 24)])
def test_a_gated_network_has_about_as_many_parameters(d_model: int, d_ff: int) -> None:
    config = reference("12").ModernConfig(65, 64, d_model, feedforward="gated")
    assert config.d_ff == d_ff  # 8/3 · d_model, rounded up to a multiple of 8


def test_like_takes_over_the_sizes_and_nothing_else() -> None:
    sizes = {"vocab_size": 67, "block_size": 11, "d_model": 24, "num_heads": 3, "num_layers": 5, "d_ff": 36}
    theirs = reference("05").ModelConfig(**sizes, dropout=0.25, bias=True, tie_weights=True)
    modern = reference("12").ModernConfig
    assert modern.like(theirs) == modern(**sizes)
    assert modern.like(theirs, feedforward="gated") == modern(**{**sizes, "d_ff": 24}, feedforward="gated")
    changes = {"d_ff": 40, "feedforward": "gated", "num_kv_heads": 1, "tie_weights": True}
    assert modern.like(theirs, **changes) == modern(**{**sizes, **changes})


def test_like_needs_a_vocabulary() -> None:
    with pytest.raises(ValueError, match="vocab_size must be a positive integer, not None"):
        reference("12").ModernConfig.like(reference("05").ModelConfig(None, 64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block_size": 0}, "block_size must be a positive integer, not 0"),
        ({"vocab_size": True}, "vocab_size must be a positive integer, not True"),
        ({"num_kv_heads": 0}, "num_kv_heads must be a positive integer, not 0"),
        ({"d_ff": 2.0}, r"d_ff must be a positive integer, not 2\.0"),
        ({"d_model": 12}, "d_model = 12 cannot be divided into pairs among num_heads = 4"),
        ({"d_model": 126}, "d_model = 126 cannot be divided into pairs among num_heads = 4"),
        ({"num_kv_heads": 3}, "num_kv_heads = 3 must be a divisor of num_heads = 4"),
        ({"feedforward": "relu"}, "feedforward must be squared_relu or gated, not 'relu'"),
        ({"base": 1.0}, r"base must be greater than 1, not 1\.0"),
        ({"base": float("nan")}, "base must be greater than 1, not nan"),
    ],
)
def test_an_invalid_value_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reference("12").ModernConfig(**{"vocab_size": 65, "block_size": 64, **options})
