"""Kata 12's model computes what Hugging Face's Llama and Qwen3 do with the same random weights."""

from __future__ import annotations

from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature
from harness.tests.support.references import solved

COMPARE = (
    solved()
    + """
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM
from katas.k12_modern.modern import ModernConfig, ModernLM

OURS = {
    "model.embed_tokens": "token_embedding", "model.norm": "final_norm", "model.layers": "blocks",
    "input_layernorm": "attention_norm", "post_attention_layernorm": "feedforward_norm",
    "self_attn.q_": "attention.query_", "self_attn.k_": "attention.key_", "self_attn.v_": "attention.value_",
    "self_attn.o_": "attention.out_", "mlp.": "feedforward.",
}
torch.manual_seed(0)
sizes = {"vocab_size": 37, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
         "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 4, "max_position_embeddings": 16,
         "rms_norm_eps": 1e-5, "tie_word_embeddings": False, "initializer_range": 0.3}
ids = torch.randint(37, (3, 11))
for make, describe in [(LlamaForCausalLM, LlamaConfig), (Qwen3ForCausalLM, Qwen3Config)]:
    theirs = make(describe(**sizes)).double().eval()
    for parameter in theirs.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, mean=1.0, std=0.3)
    state = {}
    for key, value in theirs.state_dict().items():
        for old, new in OURS.items():
            key = key.replace(old, new)
        state[key] = value
    ours = ModernLM(ModernConfig(37, 16, 24, 6, 2, num_kv_heads=2, d_ff=40, feedforward="gated",
                                 qk_norm=describe is Qwen3Config)).double()
    ours.load_state_dict(state)
    with torch.no_grad():
        expected = theirs(ids).logits
        print((ours(ids) - expected).abs().max().item(), expected.std().item())
"""
)


def test_logits_are_those_of_llama_and_qwen3() -> None:
    done = Miniature(REPOSITORY).python("-c", COMPARE)
    assert done.code == 0, done.err
    printed = [float(number) for number in done.out.split()[-4:]]
    for difference, spread in (printed[:2], printed[2:]):
        assert spread > 0.1  # the logits are not all alike
        assert difference < 1e-5  # the angles are in float32; another convention is off by 0.1
