"""Grow the circuit of kata 19: two heads that find what followed the same letter before, and copy it.

    python benchmarks/induction.py                  # in your own katas
    python benchmarks/induction.py --solutions      # in the reference
    python benchmarks/induction.py --blocks 1       # too few for the circuit
    python benchmarks/induction.py --jumps 0        # rows that repeat at a fixed distance: no circuit grows
    python benchmarks/induction.py --solutions --write    # the model and the record that kata 19 comes with

A model of kata 05 is trained on the rows of katas/k19_interpretability/induction.py, and every few steps its
heads are scored by kata 19. Losses are in nats, on targets that repeat a pair of the row. A score is the mean
attention of the best head of a block, on rows that the model is not trained on. These always jump, because on
rows that repeat at a fixed distance looking at what followed is the same as looking back that far.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the last digits of a loss depend on it

import click  # after setting the number of threads
import torch
from repository import install_katas
from rich.console import Console
from rich.progress import track

SIZES = {"d_model": 64, "num_heads": 2, "d_ff": 64, "tie_weights": False}
BATCH, MAX_LR, WARMUP, MAX_NORM = 64, 3e-3, 50, 1.0
BETAS = (0.9, 0.98)
TEST_ROWS, TEST_SEED = 128, 1000
EVERY, PRINTED_EVERY = 10, 50  # steps
CIRCLE = "ambidextrous"  # 12 letters, all different
ROW, CORRUPTED = "dextrousambirousdext", "dexzrousambirousdext"  # the t before the r, and a letter of no use
UNFINISHED = "this needs kata 19 and the katas before it, finished: add --solutions to use the reference"


@dataclass(frozen=True)
class Point:
    """A model at one step of its training: two losses, and two scores for each head of each block."""

    step: int
    repeats: float
    unheard: float
    previous: list[list[float]]
    follows: list[list[float]]


@click.command()
@click.option("--solutions", is_flag=True, help="Train the reference, not your own katas.")
@click.option("--steps", default=500, show_default=True, help="How many steps to train.")
@click.option("--blocks", default=2, show_default=True, help="How many blocks the model has.")
@click.option("--jumps", default=0.25, show_default=True, help="The share of steps that leave the cycle.")
@click.option("--seed", default=0, show_default=True, help="For the first weights and the rows.")
@click.option("--write", is_flag=True, help="Write the model and the record that kata 19 comes with.")
def main(solutions: bool, steps: int, blocks: int, jumps: float, seed: int, write: bool) -> None:
    """Train a small model on rows that only induction predicts, and watch its heads."""
    course = install_katas(solutions=solutions)
    torch.set_num_threads(1)
    try:
        model, points = grown(steps, blocks, jumps, seed)
        if write:
            _, control = grown(steps, 1, jumps, seed)
            save(model, course.root / "katas" / "k19_interpretability")
            record(model, points, control, course.root / "katas" / "k19_interpretability" / "pictures")
    except NotImplementedError:
        raise click.ClickException(UNFINISHED) from None


def grown(steps: int, blocks: int, jumps: float, seed: int) -> tuple[Any, list[Point]]:
    """Train a model and print its points. Return both."""
    from katas.k05_model.model import ModelConfig, TransformerLM
    from katas.k19_interpretability.induction import LENGTH, LETTERS

    torch.manual_seed(seed)
    config = ModelConfig(vocab_size=len(LETTERS), block_size=LENGTH, num_layers=blocks, **SIZES)
    model, console = TransformerLM(config), Console()
    console.print(
        f"{blocks} blocks of {config.num_heads} heads, jumps in {jumps:.0%} of the steps, seed {seed}"
    )
    console.print(f"chance, for an even head: {chance():.3f}")
    console.print(" step  loss on repeats  previous (block 1)  follows (last block)")
    points = []
    trained = train(model, steps, jumps, seed)
    bar = Console(stderr=True)
    for point in track(trained, "training", steps // EVERY + 1, console=bar, transient=True):
        points.append(point)
        if point.step % PRINTED_EVERY == 0:
            best = max(point.previous[0]), max(point.follows[-1])
            console.print(f"{point.step:5}  {point.repeats:15.3f}  {best[0]:18.3f}  {best[1]:20.3f}")
    return model, points


def train(model: Any, steps: int, jumps: float, seed: int) -> Iterator[Point]:
    """Train with AdamW, and yield a point every few steps."""
    from katas.k19_interpretability.induction import draw_rows, losses

    optimizer = torch.optim.AdamW(model.parameters(), lr=MAX_LR, betas=BETAS, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps))
    generator = torch.Generator().manual_seed(seed)
    tested = draw_rows(TEST_ROWS, torch.Generator().manual_seed(TEST_SEED), jumps=jumps)
    scored = draw_rows(TEST_ROWS, torch.Generator().manual_seed(TEST_SEED))
    for step in range(steps + 1):
        if step % EVERY == 0:
            yield measure(model, step, tested, scored)
        rows = draw_rows(BATCH, generator, jumps=jumps)
        loss = losses(model(rows[:, :-1]), rows).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
        optimizer.step()
        schedule.step()


def rate(step: int, steps: int) -> float:
    """Return the share of the highest rate: a warm-up, a plateau, and down to a tenth in the last 40 %."""
    return min(1.0, (step + 1) / WARMUP, max(0.1, (steps - step) / (0.4 * steps)))


def measure(model: Any, step: int, tested: Any, scored: Any) -> Point:
    """Return the losses of the model on some rows, and the scores of its heads on others."""
    from katas.k19_interpretability.induction import losses, repeats, unheard
    from katas.k19_interpretability.interpretability import follows_score, recording

    with recording(model, []):  # for its evaluation mode without gradients
        each = losses(model(tested[:, :-1]), tested)
    ids = scored[:, :-1]
    with recording(model) as entries:
        model(ids)
    maps = [entries[f"blocks.{i}.attention.weights"] for i in range(len(model.blocks))]
    return Point(
        step,
        each[repeats(tested)].mean().item(),
        each[unheard(tested)].mean().item(),
        [previous_score(weights).tolist() for weights in maps],
        [follows_score(weights, ids).tolist() for weights in maps],
    )


def previous_score(weights: torch.Tensor) -> torch.Tensor:
    """Return for each head the mean attention of a position to the one before it."""
    return weights.diagonal(-1, 2, 3).mean(dim=(0, 2))


def chance() -> float:
    """Return the follows score of a head that attends evenly."""
    from katas.k19_interpretability.induction import draw_rows
    from katas.k19_interpretability.interpretability import follows_score

    ids = draw_rows(TEST_ROWS, torch.Generator().manual_seed(TEST_SEED))[:, :-1]
    seen = torch.ones(ids.shape[1], ids.shape[1]).tril()
    even = (seen / seen.sum(dim=1, keepdim=True)).expand(len(ids), 1, -1, -1)
    return float(follows_score(even, ids))


def save(model: Any, kata: Path) -> None:
    """Write the model: its configuration, and its weights in float16."""
    folder = kata / "induction_model"
    folder.mkdir(exist_ok=True)
    torch.save({name: x.half() for name, x in model.state_dict().items()}, folder / "model.pt")
    text = json.dumps(asdict(model.config), indent=2) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")


def record(model: Any, points: list[Point], control: list[Point], folder: Path) -> None:
    """Write what the pictures are drawn from: the curves, and what the trained model does on a row."""
    entries = {
        "command": json.dumps("python benchmarks/induction.py --solutions --write"),
        "chance": json.dumps(rounded(chance())),
        "two blocks": lines([rounded(asdict(point)) for point in points]),
        "one block": lines([rounded(asdict(point)) for point in control]),
        "costs": json.dumps(rounded(costs(model))),
        **{name: lines(rounded(table)) for name, table in on_a_row(model).items()},
        "row": json.dumps(ROW),
    }
    folder.mkdir(exist_ok=True)
    text = "{\n" + ",\n".join(f'"{name}": {value}' for name, value in entries.items()) + "\n}\n"
    (folder / "induction.json").write_text(text, encoding="utf-8", newline="\n")


def lines(rows: list[Any]) -> str:
    """Return JSON with a line for each row."""
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"


def rounded(value: Any) -> Any:
    """Return the value with four decimals; more say nothing about another run."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {name: rounded(each) for name, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


def costs(model: Any) -> dict[str, list[float]]:
    """Return by how much the loss rises without a head: on repeats, after a new letter, and elsewhere."""
    from katas.k19_interpretability.induction import draw_rows, losses, repeats, unheard
    from katas.k19_interpretability.interpretability import patched

    rows = draw_rows(TEST_ROWS, torch.Generator().manual_seed(TEST_SEED))
    kinds = [repeats(rows), unheard(rows)]
    kinds.append(~kinds[0] & ~kinds[1])
    heads = [f"blocks.{i}.attention.heads.{h}" for i in range(2) for h in range(2)]

    def loss(silenced: list[str]) -> Any:
        return losses(patched(model, rows[:, :-1], dict.fromkeys(silenced, torch.zeros(()))), rows)

    found = {}
    for silenced in ([heads[0]], [heads[1]], [heads[2]], [heads[3]], heads[:2], heads[2:]):
        change = loss(silenced) - loss([])
        found[" ".join(silenced)] = [change[kind].mean().item() for kind in kinds]
    return found


def on_a_row(model: Any) -> dict[str, list[Any]]:
    """Return the attention of each head on the row, and the patching map of its last letter's successor."""
    from katas.k19_interpretability.induction import LETTERS
    from katas.k19_interpretability.interpretability import patching_map, recording

    clean, corrupted = (torch.tensor([[LETTERS.index(each) for each in text]]) for text in (ROW, CORRUPTED))
    answer = clean[0, ROW.index(ROW[-1]) + 1]  # what followed the last letter when it first occurred

    def metric(logits: Any) -> float:
        return float(logits[0, -1].log_softmax(dim=-1)[answer])

    with recording(model) as entries:
        model(clean)
    maps = {f"block {i + 1}": entries[f"blocks.{i}.attention.weights"][0].tolist() for i in range(2)}
    return {**maps, "patching": patching_map(model, clean, corrupted, metric).tolist()}


if __name__ == "__main__":
    main()
