"""`harness ladder` against nanoGPT, one after the other, on the same machine and text.

    git clone https://github.com/karpathy/nanoGPT
    python benchmarks/ladder.py nanoGPT

This takes about ten minutes on two cores. nanoGPT's checkout is left unchanged; a copy is trained with the
command that its README gives for a laptop's CPU. Seconds are those of training: evaluations are left out on
both sides, and the making of the vocabulary counts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from nanogpt import BATCH, BLOCK, Result, prepare_nanogpt, run, train_nanogpt
from rich.console import Console
from rich.table import Table

from harness.corpora import catalogue
from harness.course.katas import find_root, load_course
from harness.training.ladder import RungResult, latest
from harness.training.rungs import Goal

STEPS = 2000
TEXT = "tiny_shakespeare"


def climb(root: Path, *options: str) -> list[RungResult]:
    """Run `harness ladder --solutions` and return what it has recorded for each rung."""
    run(["-m", "harness", "ladder", "--solutions", *options], root)
    return list(latest(load_course(root), TEXT, Goal().target).values())


def table(nanogpt: Result, steps: int, rungs: Sequence[RungResult]) -> Table:
    """Return the seconds of nanoGPT's run, and of each rung to the target."""
    seconds = steps * BATCH * BLOCK / nanogpt.tokens_per_second
    made = Table("", "seconds", "steps", "loss", "nanoGPT's seconds / these")
    made.add_row("nanoGPT", f"{seconds:.1f}", f"{steps:,}", f"{nanogpt.val_loss:.3f}", "1.0")
    for each in rungs:
        factor = f"{seconds / each.seconds:.1f}" if each.reached else "not reached"
        made.add_row(each.rung, f"{each.seconds:.1f}", f"{each.steps:,}", f"{each.loss:.3f}", factor)
    return made


@click.command()
@click.argument("checkout", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--steps", default=STEPS, show_default=True, help="Fewer (a multiple of 250) for a quick look.")
@click.option("--rung", "names", multiple=True, help="Climb only this rung; may be repeated.")
def main(checkout: Path, steps: int, names: tuple[str, ...]) -> None:
    """Train nanoGPT (in CHECKOUT), then climb the ladder with the reference katas, and compare the times."""
    root = find_root(Path(__file__).resolve().parent)
    assert root is not None  # this file is in the repository
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "nanoGPT"
        prepare_nanogpt(checkout, folder, catalogue.find(root, TEXT))
        nanogpt = train_nanogpt(folder, steps, Console(stderr=True))
    options = [part for name in names for part in ("--rung", name)]
    chosen = [each for each in climb(root, *options) if not names or each.rung in names]
    Console().print(table(nanogpt, steps, chosen))


if __name__ == "__main__":
    main()
