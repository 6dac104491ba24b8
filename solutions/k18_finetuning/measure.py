"""Writes katas/k18_finetuning/pictures/matrices.json: a wide matrix, and the thin ones learned beside it.

Run `python solutions/k18_finetuning/measure.py` in the top folder. The other record, finetuned.json, is
written by `python benchmarks/finetuning.py --record katas/k18_finetuning/pictures/finetuned.json`.
"""

import json
from pathlib import Path

import torch

from harness.notebook import use_katas

STEPS, BATCH, RANK, ALPHA = 60, 8, 4, 8.0
ADAPTED = "blocks.1.attention.value_proj"


def matrices():
    """The weight and the two thin matrices of one adapter after 60 steps, rounded to what a picture shows."""
    from katas.k06_training.training import train_step  # after use_katas
    from katas.k18_finetuning.finetuning import add_lora, collate, render
    from katas.k18_finetuning.tasks import load_small_model, made_up_words, tasks

    model, tokenizer = load_small_model()
    words = made_up_words(STEPS * BATCH, held_out=False, seed=1)
    examples = [render(*task, tokenizer) for task in tasks(words, ["reverse"])]
    torch.manual_seed(0)
    parameters = add_lora(model, RANK, ALPHA, ("query_proj", "value_proj"))
    optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.0)
    for start in range(0, len(examples), BATCH):
        train_step(model, optimizer, [collate(examples[start : start + BATCH], 0, model.config.block_size)])
    adapter = model.get_submodule(ADAPTED)
    found = {"weight": adapter.linear.weight, "lora_b": adapter.lora_b, "lora_a": adapter.lora_a}
    return {name: [[round(x, 3) for x in row] for row in each.tolist()] for name, each in found.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)  # the last digits depend on it
    use_katas(solutions=True, checked=False)
    path = Path(__file__).parents[2] / "katas" / "k18_finetuning" / "pictures" / "matrices.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"name": ADAPTED, "alpha": ALPHA, **matrices()}) + "\n", encoding="utf-8")
