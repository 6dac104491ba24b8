"""Trains the model of kata 05 with AdamW and with Muon, and stores the losses for this kata's pictures.

    OMP_NUM_THREADS=1 python solutions/k13_optimizers/race.py tiny_tales 400
    OMP_NUM_THREADS=1 python solutions/k13_optimizers/race.py tiny_tales 100 spectrum

The sizes are those of the configuration nanogpt_cpu (4 layers, 128 wide, batches of 12 windows of 64).
"""

import json
import sys
import tempfile
from functools import partial
from pathlib import Path

from harness.corpora.catalogue import find
from harness.notebook import use_katas

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "katas" / "k13_optimizers" / "pictures"
# Each with the best of three rates, tried on tiny_tales with 400 steps.
RUNS = {
    "adamw-1e-3": {"rate": 1e-3},
    "adamw-4e-3": {"rate": 4e-3},
    "adamw-8e-3": {"rate": 8e-3},
    "muon-1e-2": {"rate": 4e-3, "muon": 1e-2},
    "muon-2e-2": {"rate": 4e-3, "muon": 2e-2},
    "muon-4e-2": {"rate": 4e-3, "muon": 4e-2},
}


def race(corpus: str, steps: int, names: list[str]) -> None:
    """Train each of these runs, and store its losses."""
    use_katas(solutions=True)
    from harness.authoring.pictures import record
    from katas.k06_training.training import configure_optimizer
    from katas.k08_engineering.config import RunConfig
    from katas.k09_capstone.capstone import prepare_data, train
    from katas.k13_optimizers.optimizers import configure_muon

    config = RunConfig.from_file(ROOT / "katas" / "k09_capstone" / "configs" / "nanogpt_cpu.yaml")
    command = f"python solutions/k13_optimizers/race.py {corpus} {steps}"
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        prepare_data(find(ROOT, corpus), data)
        for name in names:
            rate, muon = RUNS[name]["rate"], RUNS[name].get("muon")
            changes = {
                "max_steps": steps,
                "learning_rate": rate,
                "min_lr": rate / 10,
                "warmup_steps": steps // 10,
            }
            changes["eval_interval"] = steps // 4
            own = config.override(f"training.{key}={value}" for key, value in changes.items())
            make = partial(configure_muon, muon_learning_rate=muon) if muon else configure_optimizer
            summary = train(own, data, Path(folder) / name, make_optimizer=make)
            record(Path(folder) / name, command, RECORDS / f"{corpus}-{name}.json")
            print(json.dumps({"run": name, "loss": summary.val_loss, "seconds": round(summary.seconds)}))


def spectrum(corpus: str, steps: int) -> None:
    """Train with Muon, and store the singular values of what one matrix is about to be moved by."""
    use_katas(solutions=True)
    import torch

    from katas.k05_model.model import ModelConfig, TransformerLM
    from katas.k06_training.training import get_batch, train_step
    from katas.k09_capstone.capstone import load_tokens, prepare_data
    from katas.k13_optimizers.optimizers import configure_muon

    with tempfile.TemporaryDirectory() as folder:
        prepare_data(find(ROOT, corpus), folder)
        tokens = load_tokens(folder)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = TransformerLM(ModelConfig(tokens.tokenizer.vocab_size, block_size=64, bias=False))
    optimizer = configure_muon(model, learning_rate=4e-3, weight_decay=0.1)
    for _ in range(steps):
        train_step(model, optimizer, [get_batch(tokens.train, 12, 64, generator)])
    matrix = model.blocks[1].feedforward.up_proj.weight
    momentum = matrix.grad + 0.95 * optimizer.state[matrix]["m"]
    values = torch.linalg.svdvals(momentum) / momentum.norm()
    command = f"python solutions/k13_optimizers/race.py {corpus} {steps} spectrum"
    kept = {"command": command, "values": [round(value, 6) for value in values.tolist()]}
    (RECORDS / "spectrum.json").write_text(json.dumps(kept) + "\n", encoding="utf-8")


if __name__ == "__main__":
    corpus, steps, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    if names == ["spectrum"]:
        spectrum(corpus, steps)
    else:
        race(corpus, steps, names or list(RUNS))
