"""Kata 19 on random models of all sizes and on one that is written by hand, and what comes with the kata."""

from __future__ import annotations

import json

import pytest

from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature
from harness.tests.support.references import solved

pytestmark = pytest.mark.measured

START = (
    solved(checked=False)
    + """
import torch
from katas.k05_model.model import ModelConfig, TransformerLM
from katas.k19_interpretability.interpretability import (
    contributions, follows_score, logit_lens, patched, patching_map, recording,
)
"""
)

ADDITIVE = """
from hypothesis import given, settings, strategies as st


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    heads=st.integers(1, 3), d_head=st.integers(1, 5), blocks=st.integers(1, 3), seq=st.integers(1, 6),
    scale=st.sampled_from([1e-4, 0.1, 1.0, 30.0]), seed=st.integers(0, 99),
    bias=st.booleans(), tied=st.booleans(), positions=st.sampled_from(["learned", "none"]),
)
def check(heads, d_head, blocks, seq, scale, seed, bias, tied, positions):
    torch.manual_seed(seed)
    model = TransformerLM(ModelConfig(
        vocab_size=7, block_size=6, d_model=heads * d_head, num_heads=heads, num_layers=blocks, d_ff=5,
        bias=bias, tie_weights=tied, positions=positions,
    )).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=scale)
    ids, tokens = torch.randint(7, (2, seq)), torch.randint(7, (2, seq))
    with recording(model) as record:
        logits = model(ids)
    shares = contributions(model, record, tokens)
    wanted = logits.gather(2, tokens[..., None])[..., 0]
    size = sum(share.abs() for share in shares.values())
    # float64 keeps 16 digits of the largest part; the parts may cancel.
    assert ((sum(shares.values()) - wanted).abs() <= 1e-10 * (1 + size)).all()
    assert torch.equal(logit_lens(model, record)[-1], logits)
    for i, block in enumerate(model.blocks):
        whole = sum(record[f"blocks.{i}.attention.heads.{h}"] for h in range(heads))
        out = block.attention.out_proj.bias
        whole = whole if out is None else whole + out.detach()
        torch.testing.assert_close(whole, record[f"blocks.{i}.attention"], rtol=1e-10, atol=1e-12)


check()
"""

BY_HAND = """
import torch.nn.functional as F

LETTERS, LENGTH = 5, 9
# The stream: who I am, where I am, who was before me, and who comes next; one feature for each.
WHO, WHERE, BEFORE, NEXT = (slice(0, 5), slice(5, 14), slice(14, 19), slice(19, 24))
model = TransformerLM(ModelConfig(
    vocab_size=LETTERS, block_size=LENGTH, d_model=24, num_heads=1, num_layers=2, d_ff=1, tie_weights=False,
)).double()
for parameter in model.parameters():
    torch.nn.init.zeros_(parameter)
for part in (model.final_norm, *(n for b in model.blocks for n in (b.attention_norm, b.feedforward_norm))):
    torch.nn.init.ones_(part.weight)
model.token_embedding.weight.data[:, WHO] = torch.eye(LETTERS, dtype=torch.float64)
model.position_embedding.weight.data[:, WHERE] = torch.eye(LENGTH, dtype=torch.float64)
model.lm_head.weight.data[:, NEXT] = torch.eye(LETTERS, dtype=torch.float64)
first, second = (block.attention for block in model.blocks)
# Position q looks for q - 1; position 0 finds none, and looks at itself, the only one that it sees.
first.query_proj.weight.data[WHERE, WHERE] = 40 * torch.diag(torch.ones(LENGTH - 1, dtype=torch.float64), 1)
first.key_proj.weight.data[WHERE, WHERE] = torch.eye(LENGTH, dtype=torch.float64)
second.query_proj.weight.data[BEFORE, WHO] = 40 * torch.eye(LETTERS, dtype=torch.float64)
second.key_proj.weight.data[BEFORE, BEFORE] = torch.eye(LETTERS, dtype=torch.float64)
for attention, target in ((first, BEFORE), (second, NEXT)):
    attention.value_proj.weight.data[target, WHO] = torch.eye(LETTERS, dtype=torch.float64)
    attention.out_proj.weight.data[target, target] = torch.eye(LETTERS, dtype=torch.float64)

ids = torch.tensor([[3, 1, 4, 0, 2, 1, 4, 0, 2]])
spoilt = ids + torch.tensor([0, 1, 0, 0, 0, 0, 0, 0, 0])
with recording(model) as record:
    logits = model(ids)
print(json.dumps({
    "first": follows_score(record["blocks.0.attention.weights"], ids).tolist(),
    "second": follows_score(record["blocks.1.attention.weights"], ids).tolist(),
    "before": record["blocks.0.attention.weights"].diagonal(-1, 2, 3).min().item(),
    "next": logits.argmax(dim=-1)[0, 5:].tolist(),
    "map": patching_map(model, ids, spoilt, lambda x: (x[0, 5, 4] - x[0, 5, 0]).item()).tolist(),
    "silent": patched(
        model, ids, {"blocks.0.attention.heads.0": torch.zeros(())}
    )[0, 5].argmax().item(),
}))
"""

BENCHMARK = """
import sys
sys.path.insert(0, "benchmarks")
import induction
from katas.k19_interpretability import induction as given
_, points = induction.grown(steps=20, blocks=2, jumps=0.25, seed=0)
assert [point.step for point in points] == [0, 10, 20]
assert points[-1].repeats < points[0].repeats, points
rows = given.draw_rows(40, torch.Generator().manual_seed(0), length=200)
assert rows.shape == (40, 200)
assert all(len(row.unique()) == given.CYCLE for row in rows)
nothing = given.draw_rows(3, torch.Generator().manual_seed(0), jumps=0.0)
assert torch.equal(nothing[:, given.CYCLE:], nothing[:, :-given.CYCLE])
text = torch.tensor([[0, 1, 2, 0, 1, 0, 2]])
assert given.repeats(text).tolist() == [[False, False, False, True, False, False]]
assert given.unheard(text).tolist() == [[True, True, True, False, False, False]]
assert given.text_of(text[0]) == "abcabac"
model = given.load_induction_model()
assert not model.training and next(model.parameters()).dtype == torch.float32
assert sum(path.stat().st_size for path in given.FOLDER.iterdir()) < 200_000
"""


def python(program: str) -> str:
    done = Miniature(REPOSITORY).python("-c", START + program)
    assert done.code == 0, done.err
    return done.out


def test_parts_add_up_in_models_of_all_sizes() -> None:
    python(ADDITIVE)


def test_circuit_written_by_hand_is_found() -> None:
    found = json.loads(python("import json\n" + BY_HAND).splitlines()[-1])
    # The softmax of a score of 40 / sqrt(24) times a normalised feature leaves a little for the others.
    assert found["before"] > 0.95
    assert found["second"][0] > 0.95
    assert found["first"][0] < 0.05
    assert found["next"] == [4, 0, 2, 1], "what followed 1, 4, 0 and 2 before"
    table = found["map"]
    assert [max(range(9), key=row.__getitem__) for row in table] == [1, 2, 5]
    assert table[0][1] == pytest.approx(1) and table[2][5] == pytest.approx(1)
    assert found["silent"] == 1, (
        "a head that finds nothing reads everything alike, so the letter that is there twice"
    )


def test_rows_and_the_model_that_come_with_the_kata() -> None:
    python(BENCHMARK)
