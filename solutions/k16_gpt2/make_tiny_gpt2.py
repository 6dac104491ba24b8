"""Writes katas/k16_gpt2/tiny_gpt2: a random GPT-2 of 77 kB, in the four files and the layout of the original.

Run `python solutions/k16_gpt2/make_tiny_gpt2.py` in the top folder.
"""

import json
import random
from pathlib import Path

from harness.corpora import tiny_tales
from harness.notebook import use_katas

WIDTH, HEADS, BLOCKS, POSITIONS, MERGES = 20, 5, 2, 32, 60


def make_tiny_gpt2(folder):
    """Learn a vocabulary of 317 tokens, draw weights for it, and write both with a configuration."""
    from katas.k10_tokens.tokens import BPETokenizer, byte_characters  # after use_katas
    from katas.k16_gpt2.gpt2 import write_safetensors

    learned = BPETokenizer.train(tiny_tales.generate(), 256 + MERGES)
    tokenizer = BPETokenizer(learned.merges, ["<|endoftext|>"], alphabet=bytes(byte_characters()))
    tokenizer.save(folder)
    write_safetensors(folder / "model.safetensors", weights(tokenizer.vocab_size))
    text = json.dumps(configuration(tokenizer.vocab_size), indent=2) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8", newline="\n")


def configuration(vocab_size):
    """The values of config.json, with keys that GPT-2's own has; n_inner is not among them."""
    return {
        "activation_function": "gelu_new",
        "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": 0.1,
        "bos_token_id": vocab_size - 1,
        "embd_pdrop": 0.1,
        "eos_token_id": vocab_size - 1,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05,
        "model_type": "gpt2",
        "n_ctx": POSITIONS,
        "n_embd": WIDTH,
        "n_head": HEADS,
        "n_layer": BLOCKS,
        "n_positions": POSITIONS,
        "resid_pdrop": 0.1,
        "vocab_size": vocab_size,
    }


def weights(vocab_size):
    """Random weights under GPT-2's names: its linear maps are (in, out), and each block has its mask."""
    import torch

    draw = random.Random(26).random  # stable: the same numbers in every version of Python

    def uniform(*shape, middle=0.0, width=1.0):
        count = torch.Size(shape).numel()
        numbers = [middle + width * (2 * draw() - 1) for _ in range(count)]
        return torch.tensor(numbers, dtype=torch.float32).reshape(shape)

    def linear(name, inputs, outputs):
        return {
            f"{name}.weight": uniform(inputs, outputs, width=2 * inputs**-0.5),
            f"{name}.bias": uniform(outputs, width=0.5),
        }

    def norm(name):
        return {
            f"{name}.weight": uniform(WIDTH, middle=1.0, width=0.5),
            f"{name}.bias": uniform(WIDTH, width=0.2),
        }

    state = {
        "wte.weight": uniform(vocab_size, WIDTH, width=0.3),
        "wpe.weight": uniform(POSITIONS, WIDTH, width=2.0),
    }
    for block in (f"h.{i}" for i in range(BLOCKS)):
        state |= norm(f"{block}.ln_1")
        mask = torch.ones(POSITIONS, POSITIONS).tril()
        state[f"{block}.attn.bias"] = mask.reshape(1, 1, POSITIONS, POSITIONS)
        state |= linear(f"{block}.attn.c_attn", WIDTH, 3 * WIDTH)
        state |= linear(f"{block}.attn.c_proj", WIDTH, WIDTH)
        state |= norm(f"{block}.ln_2")
        state |= linear(f"{block}.mlp.c_fc", WIDTH, 4 * WIDTH)
        state |= linear(f"{block}.mlp.c_proj", 4 * WIDTH, WIDTH)
    return state | norm("ln_f")


if __name__ == "__main__":
    use_katas(solutions=True)
    make_tiny_gpt2(Path(__file__).parents[2] / "katas" / "k16_gpt2" / "tiny_gpt2")
