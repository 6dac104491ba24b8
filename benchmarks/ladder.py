"""`harness ladder` against nanoGPT, one after the other, on the same machine and text.

    git clone https://github.com/karpathy/nanoGPT
    python benchmarks/ladder.py nanoGPT

This takes about a quarter of an hour on two cores. nanoGPT's checkout is left unchanged; a copy is trained
with the command that its README gives for a laptop's CPU. Seconds are those of training: evaluations are left
out on both sides, and the making of the vocabulary counts. At the end `laptop.yaml` is trained with the parts
of all katas for as many steps as fit into nanoGPT's time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from math import log
from pathlib import Path

import click
import yaml
from nanogpt import BATCH, BLOCK, Result, prepare_nanogpt, run, train_nanogpt, train_ours
from repository import repository_root
from rich.console import Console
from rich.table import Table

from harness.corpora import catalogue
from harness.course.katas import load_course
from harness.training.ladder import RungResult, latest
from harness.training.run_folder import RunFolder, read_restatement
from harness.training.rungs import RUNGS, Goal

STEPS = 2000
PROBE = 400  # steps from which the speed is known; the warm-up takes 200
FOR_THE_VOCABULARY = 0.08  # of nanoGPT's time; learning the merges takes 2 to 3 s of its two minutes
LAPTOP = "laptop"
TEXT = "tiny_shakespeare"


def climb(root: Path, *options: str) -> list[RungResult]:
    """Run `harness ladder --solutions` and return what it has recorded for each rung."""
    run(["-m", "harness", "ladder", "--solutions", *options], root)
    return list(latest(load_course(root), TEXT, Goal().target).values())


def best_loss(root: Path, seconds: float, folder: Path) -> tuple[int, float, float]:
    """Train `laptop.yaml` with all parts in this time.

    Returns the steps, the seconds that they took, and the loss in nats per character.
    """
    config = yaml.safe_load(
        (root / "katas" / "k09_capstone" / "configs" / f"{LAPTOP}.yaml").read_text("utf-8")
    )
    tokens = config["training"]["batch_size"] * config["model"]["block_size"]  # of a step

    def train(name: str, steps: int) -> float:
        changes = [f"training.{key}={steps}" for key in ("max_steps", "eval_interval")]
        options = [part for change in changes for part in ("--set", change)]
        parts = ["--parts", ",".join(RUNGS[-1].parts)]
        return tokens / train_ours(LAPTOP, folder / name, root, *parts, *options).tokens_per_second

    steps = int((1 - FOR_THE_VOCABULARY) * seconds / train("probe", PROBE))
    took = steps * train("best", steps)
    restatement = read_restatement(RunFolder(folder / "best"))
    assert restatement is not None  # every run logs it
    return steps, took, restatement[1] * log(2)  # the text is ASCII: a byte is a character


def table(
    nanogpt: Result, steps: int, seconds: float, rungs: Sequence[RungResult], best: tuple[int, float, float]
) -> Table:
    """Return the seconds of nanoGPT's run, of each rung to the target, and of the run for the best loss."""
    made = Table("", "seconds", "steps", "loss", "nanoGPT's seconds / these")
    name = "nanoGPT" if steps == STEPS else f"nanoGPT, by the speed of {steps:,} steps"
    made.add_row(name, f"{seconds:.1f}", f"{steps:,}", f"{nanogpt.val_loss:.3f}", "1.0")
    for each in rungs:
        factor = f"{seconds / each.seconds:.1f}" if each.reached else "not reached"
        made.add_row(each.rung, f"{each.seconds:.1f}", f"{each.steps:,}", f"{each.loss:.3f}", factor)
    best_steps, took, loss = best
    made.add_row(LAPTOP, f"{took:.1f}", f"{best_steps:,}", f"{loss:.4f}", f"{seconds / took:.1f}")
    return made


@click.command()
@click.argument("checkout", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--steps", default=STEPS, show_default=True, help="Fewer (a multiple of 250) for a quick look.")
@click.option("--rung", "names", multiple=True, help="Climb only this rung; may be repeated.")
def main(checkout: Path, steps: int, names: tuple[str, ...]) -> None:
    """Train nanoGPT (in CHECKOUT), then climb the ladder with the reference katas, and compare the times."""
    root = repository_root()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "nanoGPT"
        prepare_nanogpt(checkout, folder, catalogue.find(root, TEXT))
        nanogpt = train_nanogpt(folder, steps, Console(stderr=True))
        seconds = STEPS * BATCH * BLOCK / nanogpt.tokens_per_second
        options = [part for name in names for part in ("--rung", name)]
        chosen = [each for each in climb(root, *options) if not names or each.rung in names]
        best = best_loss(root, seconds, Path(temporary))
    Console().print(table(nanogpt, steps, seconds, chosen, best))


if __name__ == "__main__":
    main()
