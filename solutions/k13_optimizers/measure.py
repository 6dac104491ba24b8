"""What this kata's pages say about speed and losses: each figure, and the records for its pictures.

    OMP_NUM_THREADS=1 python solutions/k13_optimizers/measure.py race tiny_tales 400
    OMP_NUM_THREADS=1 python solutions/k13_optimizers/measure.py spectrum tiny_tales 100
    OMP_NUM_THREADS=1 python solutions/k13_optimizers/measure.py cost

The model is kata 05's in the sizes of the configuration nanogpt_cpu: 4 layers, 128 wide, batches of 12
windows of 64 tokens.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from harness.corpora.catalogue import find
from harness.notebook import use_katas

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "katas" / "k13_optimizers" / "pictures"
RUNS = {
    "adamw-1e-3": {"rate": 1e-3},
    "adamw-4e-3": {"rate": 4e-3},
    "adamw-8e-3": {"rate": 8e-3},
    "muon-2e-2": {"rate": 4e-3, "muon": 2e-2},
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
    command = f"python solutions/k13_optimizers/measure.py race {corpus} {steps}"
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
    command = f"python solutions/k13_optimizers/measure.py spectrum {corpus} {steps}"
    kept = {"command": command, "values": [round(value, 6) for value in values.tolist()]}
    (RECORDS / "spectrum.json").write_text(json.dumps(kept) + "\n", encoding="utf-8")


def cost(rounds: int = 15) -> None:
    """Print the CPU time of a step of each optimizer, next to forward and backward: medians."""
    use_katas(solutions=True)
    import torch

    from katas.k05_model.model import ModelConfig, TransformerLM
    from katas.k06_training.training import configure_optimizer, cross_entropy
    from katas.k13_optimizers.optimizers import AdamW, Muon, configure_muon, split_parameters

    torch.manual_seed(0)
    model, ids = TransformerLM(ModelConfig(65, block_size=64)), torch.randint(65, (12, 65))

    def forward_and_backward() -> None:
        model.zero_grad()
        cross_entropy(model(ids[:, :-1]), ids[:, 1:]).backward()

    forward_and_backward()
    hidden, rest = split_parameters(model)
    options = {"learning_rate": 1e-6, "weight_decay": 0.1}
    timed: dict[str, Callable[[], object]] = {
        "forward and backward": forward_and_backward,
        "configure_muon: AdamW and Muon": configure_muon(model, **options, muon_learning_rate=1e-6).step,
        "Muon on the hidden matrices": Muon(hidden, lr=1e-6).step,
        "AdamW on the rest": AdamW(rest, lr=1e-6).step,
        "AdamW on everything": AdamW(model.parameters(), lr=1e-6).step,
        "kata 06's, PyTorch's fused AdamW": configure_optimizer(model, **options).step,
        "an SVD of each hidden matrix": lambda: [
            torch.linalg.svd(p.grad, full_matrices=False) for p in hidden
        ],
    }
    if hasattr(torch.optim, "Muon"):
        timed["PyTorch's Muon, in bfloat16"] = torch.optim.Muon(hidden, lr=1e-6).step
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(rounds):
        for name, call in timed.items():
            start = time.process_time()
            call()
            seconds[name].append(time.process_time() - start)
    medians = {name: sorted(taken)[rounds // 2] for name, taken in seconds.items()}
    for name, median in medians.items():
        print(f"{name:34}{1000 * median:8.1f} ms{median / medians['forward and backward']:8.2f}")


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "cost":
        cost()
    elif what == "spectrum":
        spectrum(rest[0], int(rest[1]))
    else:
        race(rest[0], int(rest[1]), rest[2:] or list(RUNS))
