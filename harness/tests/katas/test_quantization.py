"""Kata 17 beside PyTorch's own rounding, with all models of the course and its own small one."""

from __future__ import annotations

import pytest
import torch

from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature
from harness.tests.support.references import reference, solved

MODELS = (
    solved()
    + """
import torch
from torch.nn.functional import gelu
from katas.k05_model.model import ModelConfig, TransformerLM
from katas.k06_training.training import evaluate
from katas.k12_modern.modern import ModernConfig, ModernLM
from katas.k17_quantization.quantization import QuantizedLinear, dequantize, quantize_model, quantize_rows
from katas.k17_quantization.trained import FOLDER, load_small_model, mean_loss


class Subclass(TransformerLM):
    pass


sizes = {"vocab_size": 11, "block_size": 8, "d_model": 24, "num_heads": 6, "num_layers": 2}
ids = torch.randint(11, (2, 8))
for model in (
    TransformerLM(ModelConfig(**sizes)),
    Subclass(ModelConfig(**sizes, bias=False, positions="sinusoidal", tie_weights=False)),
    ModernLM(ModernConfig(**sizes, num_kv_heads=2, feedforward="gated")),
    ModernLM(ModernConfig(**sizes, tie_weights=True)),
):
    for number, parameter in enumerate(model.parameters()):
        torch.nn.init.normal_(parameter, std=0.3)
    quantized = quantize_model(model, 4, 8)
    assert type(quantized) is type(model)
    replaced = [name for name, part in quantized.named_modules() if isinstance(part, QuantizedLinear)]
    names = [name for name, _ in model.named_modules()]
    expected = [name for name in names if name.endswith("_proj")]
    assert replaced == expected, (replaced, expected)
    for name in replaced:
        weight = model.get_submodule(name).weight
        weight.data = dequantize(*quantize_rows(weight, 4, 8))
    assert torch.allclose(quantized(ids), model(ids), atol=1e-5)

model, ids = load_small_model()
assert not model.training and ids.shape == (4000,) and next(model.parameters()).dtype == torch.float32
count = (len(ids) - 1) // 32 * 32 + 1
whole = evaluate(model, ids[:count].numpy(), block_size=32, batch_size=8)
assert abs(mean_loss(model, ids) - whole) < 1e-5, (mean_loss(model, ids), whole)
assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 205_000
"""
)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("group", [None, 20, 5])
def test_rounding_is_that_of_pytorch_with_the_same_scales(bits: int, group: int | None) -> None:
    module, generator = reference("17"), torch.Generator().manual_seed(bits)
    weight = torch.randn(30, 40, generator=generator)
    codes, scales = module.quantize_rows(weight, bits, group)
    top = 2 ** (bits - 1) - 1
    flat = scales.flatten()  # a row of its own for each group
    expected = torch.fake_quantize_per_channel_affine(
        weight.reshape(len(flat), -1), flat, torch.zeros(len(flat), dtype=torch.int32), 0, -top, top
    )
    # Products of a whole number and a float32 are rounded once, in the last of seven digits.
    torch.testing.assert_close(
        module.dequantize(codes, scales), expected.reshape(weight.shape), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_no_codes_stand_for_a_nearer_weight(bits: int) -> None:
    module, generator = reference("17"), torch.Generator().manual_seed(bits)
    weight = torch.randn(7, 12, generator=generator, dtype=torch.float64)
    codes, scales = module.quantize_rows(weight, bits, 4)
    found = (module.dequantize(codes, scales) - weight).abs()
    for code in range(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1)):
        other = module.dequantize(torch.full_like(codes, code), scales)
        assert (found <= (other - weight).abs() + 1e-12).all()  # of two equally near codes either is right


def test_all_models_of_the_course_are_quantized_alike() -> None:
    done = Miniature(REPOSITORY).python("-c", MODELS)
    assert done.code == 0, done.err
