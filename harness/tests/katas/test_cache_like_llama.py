"""Kata 14 reads a text in pieces and gets the logits of Hugging Face's Llama with the same random weights."""

from __future__ import annotations

from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature
from harness.tests.support.references import solved

MEASURE = (
    solved()
    + """
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from katas.k12_modern.modern import ModernConfig, ModernLM
from katas.k14_cache.cache import forward_cached, new_caches

torch.manual_seed(0)
theirs = LlamaForCausalLM(LlamaConfig(
    vocab_size=13, hidden_size=24, intermediate_size=20, num_hidden_layers=2, num_attention_heads=6,
    num_key_value_heads=2, max_position_embeddings=11, rms_norm_eps=1e-5, initializer_range=0.3,
    tie_word_embeddings=False,
)).eval()
names = {
    "attention_norm": "input_layernorm", "attention.query_proj": "self_attn.q_proj",
    "attention.key_proj": "self_attn.k_proj", "attention.value_proj": "self_attn.v_proj",
    "attention.out_proj": "self_attn.o_proj", "feedforward_norm": "post_attention_layernorm",
    "feedforward.gate_proj": "mlp.gate_proj", "feedforward.up_proj": "mlp.up_proj",
    "feedforward.down_proj": "mlp.down_proj",
}
pairs = {f"blocks.{i}.{ours}": f"model.layers.{i}.{its}" for i in (0, 1) for ours, its in names.items()}
pairs |= {"token_embedding": "model.embed_tokens", "final_norm": "model.norm", "lm_head": "lm_head"}
weights = theirs.state_dict()
model = ModernLM(ModernConfig(
    vocab_size=13, block_size=11, d_model=24, num_heads=6, num_kv_heads=2, num_layers=2, d_ff=20,
    feedforward="gated", qk_norm=False,
))
model.load_state_dict({f"{ours}.weight": weights[f"{its}.weight"] for ours, its in pairs.items()})
ids = torch.randint(13, (3, 11))
caches = new_caches(model, 3, 11)
logits = torch.cat([forward_cached(model, chunk, caches) for chunk in ids.split([4, 1, 1, 5], 1)], 1)
expected = theirs(ids).logits
print((logits - expected).abs().max().item(), expected.std().item())
"""
)


def test_pieces_of_a_text_get_the_logits_of_llama() -> None:
    done = Miniature(REPOSITORY).python("-c", MEASURE)
    assert done.code == 0, done.err
    furthest, spread = map(float, done.out.split())
    assert spread > 0.5
    assert furthest < 1e-4  # float32: right versions are off by 1e-6, a wrong position by 0.1
