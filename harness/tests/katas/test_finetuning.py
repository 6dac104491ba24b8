"""Kata 18 beside dense weights and PyTorch's own loss, with all models of the course, and its given tasks."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature
from harness.tests.support.references import reference, solved

IN_THE_COURSE = (
    solved()
    + """
import torch
"""
)

MODELS = f"""{IN_THE_COURSE}
from katas.k05_model.model import ModelConfig, TransformerLM
from katas.k12_modern.modern import ModernConfig, ModernLM
from katas.k18_finetuning.finetuning import LoRALinear, add_lora, lora_state_dict

sizes = {{"vocab_size": 11, "block_size": 8, "d_model": 24, "num_heads": 6, "num_layers": 2}}
ids = torch.randint(11, (2, 8))
for make in (
    lambda: TransformerLM(ModelConfig(**sizes)),
    lambda: TransformerLM(ModelConfig(**sizes, bias=False, positions="sinusoidal", tie_weights=False)),
    lambda: ModernLM(ModernConfig(**sizes, num_kv_heads=2, feedforward="gated")),
):
    model, fresh = make(), make()
    fresh.load_state_dict(model.state_dict())
    linear_maps = [name for name, _ in model.named_modules() if name.endswith("_proj")]
    targets = sorted({{name.rpartition(".")[2] for name in linear_maps}})
    parameters = add_lora(model, 3, 6.0, targets)
    adapted = [name for name, part in model.named_modules() if isinstance(part, LoRALinear)]
    assert adapted == linear_maps, (adapted, linear_maps)
    for parameter in parameters:
        torch.nn.init.normal_(parameter, std=0.3)
    add_lora(fresh, 3, 6.0, targets)
    fresh.load_state_dict(lora_state_dict(model), strict=False)
    expected = model(ids)
    assert torch.equal(fresh(ids), expected)
    for part in model.modules():
        if isinstance(part, LoRALinear):
            part.merge()
    assert torch.allclose(model(ids), expected, atol=1e-4)
"""

TASKS = f"""{IN_THE_COURSE}
from harness.corpora import simple_sequences
from katas.k18_finetuning import tasks

seen = {{word for seed in (0, 3) for word in tasks.made_up_words(2000, held_out=False, seed=seed)}}
held_out = {{word for seed in (0, 5) for word in tasks.made_up_words(2000, held_out=True, seed=seed)}}
assert not {{"".join(sorted(word)) for word in seen}} & {{"".join(sorted(word)) for word in held_out}}
assert all(tasks.is_held_out(word) == tasks.is_held_out(word[::-1]) for word in seen | held_out)
assert tasks.tasks(["abc"]) == [("copy abc now > ", "abc"), ("reverse abc now > ", "cba")]
for chosen, words in ((True, held_out), (False, seen)):
    lines = tasks.old_text(50, held_out=chosen).splitlines()
    used = [line.split()[1] for line in lines if line.startswith(("copy", "reverse"))]
    assert used and all(tasks.is_held_out(word) == chosen for word in used)
model, tokenizer = tasks.load_small_model()
assert not model.training and next(model.parameters()).dtype == torch.float32
for instruction, _ in tasks.tasks(sorted(held_out)[:50]):
    tokenizer.encode(instruction)
assert sum(path.stat().st_size for path in tasks.FOLDER.iterdir()) < 200_000
"""


@functools.cache
def finetuning() -> ModuleType:
    return reference("18")


def dense(module: Any) -> torch.Tensor:
    """The weight of one linear map that would do the same."""
    scale = module.scale if not module.merged else 0.0
    return module.linear.weight + scale * (module.lora_b @ module.lora_a)


@settings(max_examples=30, deadline=None)  # the first example imports torch's lazy parts
@given(
    sizes=st.tuples(*[st.integers(1, 7)] * 3),
    alpha=st.floats(0.1, 16.0),
    merged=st.booleans(),
    seed=st.integers(0, 100),
)
def test_adapter_is_a_dense_linear_map_in_value_and_gradient(
    sizes: tuple[int, int, int], alpha: float, merged: bool, seed: int
) -> None:
    (in_features, out_features, rank), generator = sizes, torch.Generator().manual_seed(seed)
    module = finetuning().LoRALinear(nn.Linear(in_features, out_features).double(), rank, alpha)
    for thin in (module.lora_a, module.lora_b):
        thin.data.normal_(generator=generator)
    if merged:
        module.merge()
    x = torch.randn(3, in_features, generator=generator, dtype=torch.float64, requires_grad=True)
    out, expected = module(x), x @ dense(module).T + module.linear.bias
    # float64 keeps 16 digits of numbers below 10,000.
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)
    cotangent = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    found, wanted = (torch.autograd.grad(each, x, cotangent)[0] for each in (out, expected))
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


EXAMPLES = st.lists(
    st.tuples(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.integers(1, 4)), min_size=1, max_size=4
)


@settings(max_examples=50, deadline=None)  # as above
@given(examples=EXAMPLES, pad_id=st.integers(0, 6))
def test_loss_of_a_batch_is_pytorchs_over_the_answers_alone(
    examples: list[tuple[list[int], int]], pad_id: int
) -> None:
    """A model that looks at its own token only has the loss of each pair, wherever it stands."""
    table = torch.randn(7, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    made = [([*prompt, *range(count)], [False] * len(prompt) + [True] * count) for prompt, count in examples]
    inputs, targets = finetuning().collate(made, pad_id, 8)
    pairs = [
        (before, id)
        for ids, learned in made
        for before, id, counts in zip(ids[:-1], ids[1:], learned[1:], strict=True)
        if counts
    ]
    read, wanted = (torch.tensor(each) for each in zip(*pairs, strict=True))
    found = cross_entropy(table[inputs].flatten(0, 1), targets.flatten(), ignore_index=-100)
    # float64 keeps 16 digits.
    torch.testing.assert_close(found, cross_entropy(table[read], wanted), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rank", [1, 4, 30])
def test_merging_ten_times_leaves_the_weight_as_it_was(rank: int) -> None:
    module = finetuning().LoRALinear(nn.Linear(20, 30), rank, 2.0)
    module.lora_b.data.normal_()
    before = module.linear.weight.clone()
    for _ in range(10):
        module.merge()
        module.unmerge()
    # Each of twenty sums is rounded in the seventh digit of numbers below 10.
    torch.testing.assert_close(module.linear.weight, before, rtol=0, atol=1e-4)


def test_all_models_of_the_course_are_adapted_alike() -> None:
    done = Miniature(REPOSITORY).python("-c", MODELS)
    assert done.code == 0, done.err


def test_held_out_words_are_in_no_text_and_fit_the_small_model() -> None:
    done = Miniature(REPOSITORY).python("-c", TASKS)
    assert done.code == 0, done.err


def test_small_model_is_a_run_that_writes() -> None:
    folder = "katas/k18_finetuning/small_model"
    arguments = ("--run-dir", folder, "--prompt", "reverse: abc > ", "--temperature", "0")
    done = Miniature(REPOSITORY).harness("sample", "--solutions", *arguments, "--max-new-tokens", "4")
    assert done.code == 0, done.err
    assert "reverse: abc > cba" in done.out
