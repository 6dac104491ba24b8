"""The capstone against nanoGPT, one after the other, on the same machine and text.

    git clone https://github.com/karpathy/nanoGPT
    python -m pip install tiktoken                  # its sample.py imports it
    python benchmarks/nanogpt.py nanoGPT

This takes about ten minutes on two cores. nanoGPT's checkout is left unchanged; a copy is trained with the
command that its README gives for a laptop's CPU.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from repository import repository_root
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from harness.corpora import catalogue
from harness.training.run_folder import RunFolder, read_losses

BATCH, BLOCK, EVAL_INTERVAL = 12, 64, 250  # as in nanoGPT's command and in nanogpt_cpu.yaml
TRAIN = (
    *("train.py", "config/train_shakespeare_char.py", "--device=cpu", "--compile=False", "--eval_iters=20"),
    *("--log_interval=1", f"--block_size={BLOCK}", f"--batch_size={BATCH}", "--n_layer=4", "--n_head=4"),
    *("--n_embd=128", "--dropout=0.0"),
    "--always_save_checkpoint=True",  # compare the last model, not the best of several noisy estimates
)
SAMPLE = ("sample.py", "--device=cpu", "--out_dir=out-shakespeare-char", "--num_samples=1")
FEW, MANY = 100, 2100  # characters; the difference in time excludes importing and loading
ITERATION = re.compile(r"iter (\d+): .* time ([\d.]+)ms")
RATE = re.compile(r"\(([\d,]+)\s+tokens/s,\s+([\d,]+) s\)")

# nanoGPT estimates its losses on random batches; this computes the loss over the whole split, in consecutive
# windows, like `evaluate` in kata 06.
WHOLE_SPLIT = f"""
import numpy as np, torch
from model import GPT, GPTConfig
saved = torch.load("out-shakespeare-char/ckpt.pt", map_location="cpu")
model = GPT(GPTConfig(**saved["model_args"]))
model.load_state_dict(saved["model"])
model.eval()
tokens = torch.from_numpy(np.fromfile("data/shakespeare_char/val.bin", dtype=np.uint16).astype(np.int64))
total = 0.0
with torch.no_grad():
    for start in range(0, len(tokens) - 1, {BLOCK}):
        targets = tokens[start + 1 : start + 1 + {BLOCK}]
        logits, loss = model(tokens[None, start : start + len(targets)], targets[None])
        total += loss.item() * len(targets)
print(total / (len(tokens) - 1))
"""


@dataclass(frozen=True)
class Result:
    """Speed, loss and duration of one training run."""

    tokens_per_second: float  # training steps only, without evaluations
    val_loss: float  # nats per character, over the whole validation split
    seconds: float  # of the whole process

    def sampling(self, tokens_per_second: float) -> dict[str, float]:
        return {**vars(self), "sampled_per_second": tokens_per_second}


def run(command: Sequence[str], folder: Path, on_line: Callable[[str], None] = lambda line: None) -> str:
    """Run a Python command, which must succeed, and return its output."""
    process = subprocess.Popen(
        [sys.executable, *command], cwd=folder, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert process.stdout is not None  # it is a pipe
    lines = []
    for line in process.stdout:
        lines.append(line)
        on_line(line)
    if process.wait() != 0:
        raise click.ClickException(f"{' '.join(command)} failed in {folder}; see its messages above.")
    return "".join(lines)


def prepare_nanogpt(checkout: Path, folder: Path, text: Path) -> None:
    """Copy the checkout and tokenize the text."""
    if not (checkout / "train.py").is_file():
        raise click.BadParameter(f"{checkout} has no train.py: clone https://github.com/karpathy/nanoGPT")
    shutil.copytree(checkout, folder, ignore=shutil.ignore_patterns(".git", "out*"))
    data = folder / "data" / "shakespeare_char"
    shutil.copy(text, data / "input.txt")
    run([str(data / "prepare.py")], folder)


def train_nanogpt(folder: Path, steps: int, console: Console) -> Result:
    durations: dict[int, float] = {}

    def note(line: str) -> None:
        if found := ITERATION.match(line):
            durations[int(found[1])] = float(found[2]) / 1000
            progress.update(task, completed=int(found[1]))

    began = time.perf_counter()
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("nanoGPT", total=steps)
        run([*TRAIN, f"--max_iters={steps}", f"--lr_decay_iters={steps}"], folder, note)
    seconds = time.perf_counter() - began
    # Leave out the first iterations, which warm up, and those that include an evaluation.
    pure = [took for step, took in durations.items() if step >= 5 and step % EVAL_INTERVAL != 0]
    rate = BATCH * BLOCK * len(pure) / sum(pure)
    return Result(rate, float(run(["-c", WHOLE_SPLIT], folder).split()[-1]), seconds)


def train_ours(config: str, run_dir: Path, root: Path, *changes: str) -> Result:
    """Run `harness train --solutions`; its progress bar and samples go to stderr as usual."""
    began = time.perf_counter()
    arguments = ["--config", config, "--data", "tiny_shakespeare", "--run-dir", str(run_dir), *changes]
    printed = RATE.search(run(["-m", "harness", "train", "--solutions", *arguments], root))
    assert printed is not None  # every finished run prints its rate
    val_loss = read_losses(RunFolder(run_dir))[1][-1][1]
    return Result(float(printed[1].replace(",", "")), val_loss, time.perf_counter() - began)


def sampling_rate(command: Callable[[int], Sequence[str]], folder: Path) -> float:
    """Return characters per second, from the times for a short and a long text."""
    took = []
    for length in (FEW, MANY):
        began = time.perf_counter()
        run(command(length), folder)
        took.append(time.perf_counter() - began)
    return (MANY - FEW) / (took[1] - took[0])


def our_sampling(run_dir: Path, root: Path) -> float:
    options = ["--solutions", "--run-dir", str(run_dir), "--temperature", "0.8", "--top-k", "200"]
    return sampling_rate(lambda n: ["-m", "harness", "sample", *options, "--max-new-tokens", str(n)], root)


def table(nanogpt: dict[str, float], ours: dict[str, float], laptop: dict[str, float]) -> Table:
    made = Table("", "nanoGPT", "nanogpt_cpu", "ratio", "laptop", "ratio")
    for key, title, digits in (
        ("tokens_per_second", "training, tokens/s", 0),
        ("val_loss", "validation loss", 4),
        ("sampled_per_second", "sampling, tokens/s", 0),
        ("seconds", "total time, s", 0),
    ):
        cells = [nanogpt[key], ours[key], ours[key] / nanogpt[key], laptop[key], laptop[key] / nanogpt[key]]
        formats = [digits, digits, 2, digits, 2]
        made.add_row(title, *(f"{cell:,.{places}f}" for cell, places in zip(cells, formats, strict=True)))
    return made


@click.command()
@click.argument("checkout", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here."
)
@click.option("--steps", default=2000, show_default=True, help="Fewer (a multiple of 250) for a quick look.")
def main(checkout: Path, json_path: Path | None, steps: int) -> None:
    """Train and sample with nanoGPT (in CHECKOUT) and with the reference katas, and compare them."""
    root = repository_root()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        prepare_nanogpt(checkout, work / "nanoGPT", catalogue.find(root, "tiny_shakespeare"))
        theirs = train_nanogpt(work / "nanoGPT", steps, console)
        changed = ["--set", f"training.max_steps={steps}"]
        ours = train_ours("nanogpt_cpu", work / "nanogpt_cpu", root, *changed)
        laptop = train_ours("laptop", work / "laptop", root)
        sample = sampling_rate(lambda n: [*SAMPLE, f"--max_new_tokens={n}"], work / "nanoGPT")
        figures = (
            theirs.sampling(sample),
            ours.sampling(our_sampling(work / "nanogpt_cpu", root)),
            laptop.sampling(our_sampling(work / "laptop", root)),
        )
    Console().print(table(*figures))
    if json_path:
        names = ("nanogpt", "nanogpt_cpu", "laptop")
        json_path.write_text(json.dumps(dict(zip(names, figures, strict=True)), indent=2) + "\n")


if __name__ == "__main__":
    main()
