"""Bytes and losses of trained models before and after quantization, by bits and groups.

    python benchmarks/quantization.py                    # the newest run in runs/
    python benchmarks/quantization.py --run-dir runs/…
    python benchmarks/quantization.py --gpt2 FOLDER      # GPT-2, loaded by kata 16, as well

Each model is quantized by kata 17, saved, and measured on one text: a run on the validation part of its own,
GPT-2 on that of --text. All katas are the reference's. A file is a state dict saved by torch.save.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from repository import install_katas
from rich.console import Console
from rich.progress import track
from rich.table import Table

from harness.corpora import storage
from harness.course.katas import Course
from harness.training.capstone import newest_run
from harness.training.parts import sampling_options
from harness.training.request import CannotTrain
from harness.training.run_folder import RunFolder, text_name
from harness.training.texts import find_text

BITS, GROUPS = (8, 4), (None, 128, 64, 32)
BATCH = 4  # windows at a time


@dataclass(frozen=True)
class Subject:
    """A trained model, and ids of a text that it was not trained on."""

    name: str
    model: Any
    ids: np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Row:
    """What a model is after quantization; before it, if `bits` is None."""

    bits: int | None
    group: int | None
    bytes: int
    loss: float


@click.command()
@click.option(
    "--run-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A run's folder. [the newest in runs/; none with --gpt2]",
)
@click.option(
    "--gpt2",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with the files of GPT-2, as kata 16 loads it.",
)
@click.option("--text", default="tiny_shakespeare", show_default=True, help="The text for GPT-2.")
@click.option("--tokens", default=8192, show_default=True, help="How many tokens of a text are read.")
def main(run_dir: Path | None, gpt2: Path | None, text: str, tokens: int) -> None:
    """Quantize trained models, and show what that saves and what it costs."""
    course = install_katas()
    try:
        for subject in subjects(course, run_dir, gpt2, text):
            count = sum(parameter.numel() for parameter in subject.model.parameters())
            read = Subject(subject.name, subject.model, subject.ids[:tokens])
            rows = list(track(measure(read), subject.name, 9, console=Console(stderr=True), transient=True))
            Console().print(table(read, count, rows))
    except (CannotTrain, storage.NotObtained) as refusal:
        raise click.ClickException(str(refusal)) from None


def subjects(course: Course, run_dir: Path | None, gpt2: Path | None, text: str) -> Iterator[Subject]:
    """Load what the options ask for: a run, GPT-2, or both."""
    if run_dir or not gpt2:
        yield trained(course, run_dir or newest_run(course))
    if gpt2:
        yield loaded(course, gpt2, text)


def trained(course: Course, folder: Path) -> Subject:
    """Return the best model of a run, and the validation part of its text."""
    from katas.k04_embeddings.embeddings import CharTokenizer
    from katas.k05_model.model import TransformerLM
    from katas.k08_engineering.config import RunConfig
    from katas.k08_engineering.engineering import load_checkpoint

    run = RunFolder(folder)
    if not run.has_model:
        raise click.ClickException(f"{folder} has no trained model: train one with harness train")
    options = sampling_options(run.parts)
    tokenizer = options.get("load_tokenizer", CharTokenizer.load)(run.tokenizer)
    model = options.get("make_model", TransformerLM)(RunConfig.from_file(run.config).model)
    load_checkpoint(run.best, model=model)
    text = validation_text(course, text_name(run) or "tiny_tales")
    return Subject(folder.name, model, np.array(tokenizer.encode(text)))


def loaded(course: Course, folder: Path, text: str) -> Subject:
    """Return GPT-2, and a text in its tokens."""
    try:
        gpt2 = importlib.import_module("katas.k16_gpt2.gpt2")
    except ModuleNotFoundError as error:
        raise click.ClickException(f"--gpt2 needs kata 16, and there is no {error.name}") from None
    model, tokenizer = gpt2.load_gpt2(folder)
    return Subject(folder.name, model, np.array(tokenizer.encode(validation_text(course, text))))


def validation_text(course: Course, name: str) -> str:
    """Return the last tenth of a text, which `harness train` does not train on."""
    text = find_text(course, name).path.read_text(encoding="utf-8")
    return text[len(text) * 9 // 10 :]


def measure(subject: Subject) -> Iterator[Row]:
    """Yield the model as it is, then quantized in each way that its widths allow."""
    from katas.k17_quantization.quantization import quantize_model

    yield row_of(subject, subject.model, None, None)
    for bits in BITS:
        for group in GROUPS:
            try:
                quantized = quantize_model(subject.model, bits, group)
            except ValueError:  # some width is not a multiple of the group
                continue
            yield row_of(subject, quantized, bits, group)


def row_of(subject: Subject, model: Any, bits: int | None, group: int | None) -> Row:
    """Return the size and the loss of a model."""
    from katas.k06_training.training import evaluate

    block_size = subject.model.config.block_size
    loss = evaluate(model, subject.ids, block_size=block_size, batch_size=BATCH)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        torch.save(model.state_dict(), path)
        return Row(bits, group, path.stat().st_size, loss)


def table(subject: Subject, count: int, rows: list[Row]) -> Table:
    """Return sizes and losses, and both in proportion to the model before."""
    before = rows[0]
    caption = f"{subject.name}: {count / 1e6:,.2f} million parameters, {len(subject.ids):,} tokens"
    made = Table(title=caption, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("", "groups", "MB", "smaller", "loss", "change"):
        made.add_column(name, justify="right" if name else "left")
    for row in rows:
        what = "float32" if row.bits is None else f"{row.bits} bits"
        group = "" if row.bits is None else str(row.group or "none")
        smaller, change = before.bytes / row.bytes, 100 * (row.loss / before.loss - 1)
        made.add_row(
            what, group, f"{row.bytes / 1e6:.2f}", f"{smaller:.1f}x", f"{row.loss:.4f}", f"{change:+.2f} %"
        )
    return made


if __name__ == "__main__":
    main()
