"""Writes katas/k17_quantization/small_model: a model of kata 05, trained on tiny_tales, and a text.

Run `python solutions/k17_quantization/make_small_model.py` in the top folder; it takes about a minute on
one core. The weights are stored in float16, at half the size: their precision is far beyond that of 8 bits.
"""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from harness.corpora import tiny_tales
from harness.notebook import use_katas

SIZES = {"block_size": 32, "d_model": 128, "num_heads": 4, "num_layers": 1, "d_ff": 64}
STEPS, BATCH, MAX_LR, DECAY = 2000, 16, 3e-3, 1.0
TEXT = 4000  # characters to measure on, which the model has not seen


def train(model, ids):
    """Train with AdamW: a warm-up, half a cosine, and decay on matrices only."""
    matrices = [each for each in model.parameters() if each.dim() == 2]
    others = [each for each in model.parameters() if each.dim() == 1]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=MAX_LR, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, MAX_LR, total_steps=STEPS, pct_start=0.03, cycle_momentum=False
    )
    generator, window = torch.Generator().manual_seed(0), torch.arange(SIZES["block_size"])
    for step in range(1, STEPS + 1):
        starts = torch.randint(len(ids) - len(window), (BATCH, 1), generator=generator)
        logits = model(ids[starts + window])
        loss = cross_entropy(logits.flatten(0, 1), ids[starts + window + 1].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 500 == 0:
            print(f"step {step:,}: loss {loss:.3f}")


def make_small_model(folder):
    """Train on most of the corpus; save the model, its configuration, and a text from the rest."""
    from katas.k04_embeddings.embeddings import CharTokenizer  # after use_katas
    from katas.k05_model.model import ModelConfig, TransformerLM

    text = tiny_tales.generate()
    tokenizer = CharTokenizer.from_text(text)
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=tokenizer.vocab_size, **SIZES)
    model = TransformerLM(config)
    held_out = text.index("\n\n", len(text) * 9 // 10) + 2  # where a story begins
    train(model, torch.tensor(tokenizer.encode(text[:held_out])))
    folder.mkdir(exist_ok=True)
    torch.save(model.half().state_dict(), folder / "model.pt")  # the tied table is in the file once
    (folder / "config.json").write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")
    tokenizer.save(folder / "tokenizer.json")
    (folder / "text.txt").write_text(text[held_out : held_out + TEXT], encoding="utf-8", newline="\n")


if __name__ == "__main__":
    torch.set_num_threads(1)  # the last digits of a loss depend on it
    use_katas(solutions=True)
    make_small_model(Path(__file__).parents[2] / "katas" / "k17_quantization" / "small_model")
