"""What finetuning teaches a model and what it costs: exact match on new tasks, and the loss on the old text.

    python benchmarks/finetuning.py
    python benchmarks/finetuning.py --steps 60 --seed 3
    python benchmarks/finetuning.py --record katas/k18_finetuning/pictures/finetuned.json

The small model of kata 18 learns to copy and to reverse words on request: by adapters of several sizes, and
by training all of its parameters. No word of the test is among those that it learns from, nor in the text
that it was trained on; the old text is new lines of that kind. All katas are the reference's.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from repository import install_katas
from rich.console import Console
from rich.progress import track
from rich.table import Table

READ = ("query_proj", "value_proj")
ALL = ("query_proj", "key_proj", "value_proj", "out_proj", "up_proj", "down_proj")
KINDS = ("copy", "reverse")
WORDS, TASKS, BATCH = 1000, 300, 16


@dataclass(frozen=True)
class Way:
    """A way to finetune: adapters beside linear maps, or, without any, all parameters."""

    name: str
    targets: Collection[str] = ()
    rank: int = 0
    learning_rate: float = 1e-2
    old: int = 0  # windows of an old text in each batch, besides the tasks


@dataclass(frozen=True)
class Row:
    """What a model can do; before it was finetuned, if nothing was trained."""

    name: str
    trained: int  # parameters
    share: float  # of all that the model had
    copy: float  # exact match
    reverse: float
    old_loss: float  # nats per character
    seconds: float  # of training


WAYS = (
    Way("rank 1", READ, 1),
    Way("rank 4", READ, 4),
    Way("rank 16", READ, 16),
    Way("rank 4, all linear maps", ALL, 4),
    Way("rank 4, with old text", READ, 4, old=4),
    Way("all parameters", learning_rate=1e-3),
)


@click.command()
@click.option("--steps", default=200, show_default=True, help="Optimizer steps of each way.")
@click.option("--seed", default=0, show_default=True, help="Draws the adapters and the order of the tasks.")
@click.option("--record", type=click.Path(path_type=Path), help="Write the rows as JSON, for the pictures.")
def main(steps: int, seed: int, record: Path | None) -> None:
    """Finetune the small model in several ways, and show what each has learned and forgotten."""
    install_katas()
    started, console = time.perf_counter(), Console(stderr=True)
    rows = list(track(measure(steps, seed), "finetuning", len(WAYS) + 1, console=console, transient=True))
    Console().print(table(rows, steps, time.perf_counter() - started))
    if record:
        text = json.dumps({"steps": steps, "rows": [asdict(row) for row in rows]}, indent=2)
        record.write_text(text + "\n", encoding="utf-8")


def measure(steps: int, seed: int) -> Iterator[Row]:
    """Yield the model as it is, then after each way of finetuning it."""
    from katas.k18_finetuning.tasks import load_small_model

    yield row_of(*load_small_model(), "before", 0, 0.0)
    for way in WAYS:
        model, tokenizer = load_small_model()
        torch.manual_seed(seed)
        parameters = trained_parameters(model, way)
        started = time.perf_counter()
        finetune(model, tokenizer, parameters, way, steps, seed)
        seconds, trained = time.perf_counter() - started, sum(each.numel() for each in parameters)
        yield row_of(model, tokenizer, way.name, trained, seconds)


def trained_parameters(model: Any, way: Way) -> list[Any]:
    """Return what is trained, after adding adapters if there are any."""
    from katas.k18_finetuning.finetuning import add_lora

    if way.rank:
        added: list[Any] = add_lora(model, way.rank, 2.0 * way.rank, way.targets)
        return added
    return list(model.parameters())


def finetune(model: Any, tokenizer: Any, parameters: Sequence[Any], way: Way, steps: int, seed: int) -> None:
    """Take that many steps on tasks, and old text if the way has some, with words that are not held out."""
    from katas.k06_training.training import cosine_learning_rate, train_step
    from katas.k18_finetuning.finetuning import collate, render
    from katas.k18_finetuning.tasks import made_up_words, old_text, tasks

    block_size, draw = model.config.block_size, random.Random(seed)
    examples = [
        render(*task, tokenizer) for task in tasks(made_up_words(WORDS, held_out=False, seed=3), KINDS)
    ]
    old = whole_windows(tokenizer.encode(old_text(WORDS, held_out=False)), block_size + 1)
    optimizer = torch.optim.AdamW(parameters, lr=way.learning_rate, weight_decay=0.0)
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = cosine_learning_rate(
            step, max_lr=way.learning_rate, min_lr=0.0, warmup_steps=0, total_steps=steps
        )
        batch = draw.sample(examples, BATCH) + draw.sample(old, way.old)
        train_step(model, optimizer, [collate(batch, 0, block_size)])


def whole_windows(ids: list[int], length: int) -> list[tuple[list[int], list[bool]]]:
    """Return consecutive pieces of a text as examples in which everything is learned."""
    starts = range(0, len(ids) - length + 1, length)
    return [(ids[start : start + length], [True] * length) for start in starts]


def row_of(model: Any, tokenizer: Any, name: str, trained: int, seconds: float) -> Row:
    """Measure what a model can do with held-out words, and its loss on the old text."""
    from katas.k05_model.model import TransformerLM, count_parameters
    from katas.k06_training.training import evaluate
    from katas.k18_finetuning.finetuning import exact_match
    from katas.k18_finetuning.tasks import made_up_words, old_text, tasks

    words = made_up_words(TASKS, held_out=True, seed=5)
    solved = {kind: exact_match(model, tokenizer, tasks(words, [kind])) for kind in KINDS}
    ids = np.array(tokenizer.encode(old_text()))
    old_loss = evaluate(model, ids, block_size=model.config.block_size, batch_size=64)
    share = trained / count_parameters(TransformerLM(model.config))
    return Row(name, trained, share, solved["copy"], solved["reverse"], old_loss, seconds)


def table(rows: Sequence[Row], steps: int, seconds: float) -> Table:
    """Return what was learned, and what was forgotten."""
    title = f"{steps} steps of {BATCH} examples, {TASKS} held-out words, {seconds:.0f} s in all"
    made = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("adapters", "trained", "share", "copy", "reverse", "old loss", "seconds"):
        made.add_column(name, justify="left" if name == "adapters" else "right")
    for row in rows:
        counted = (f"{row.trained:,}", f"{row.share:.1%}") if row.trained else ("", "")
        solved = (f"{row.copy:.0%}", f"{row.reverse:.0%}", f"{row.old_loss:.3f}")
        made.add_row(row.name, *counted, *solved, f"{row.seconds:.1f}" if row.trained else "")
    return made


if __name__ == "__main__":
    main()
