"""Speculative decoding: passes of the target and tokens per second, by the number of drafts in a round.

    python benchmarks/decoding.py                              # trains targets and a draft: some 20 minutes
    python benchmarks/decoding.py --data tiny_shakespeare
    python benchmarks/decoding.py --target runs/… --draft runs/…

`speculative_generate` of kata 20 writes texts with a target and a draft of one block, `generate_cached` of
kata 14 writes as many with the target alone; both sample at temperature 1, and take turns. Models are those
of `harness train --parts modern`, trained here or before, with one text and the same tokens. Times are CPU
times of a single thread, so that a busy machine gives nearly the same figures; the fastest round counts. All
katas are the reference's.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import torch
from nanogpt import run
from repository import install_katas, repository_root
from rich.console import Console
from rich.progress import track
from rich.table import Table

from harness.course.katas import Course
from harness.isolation.importer import kata_module
from harness.training.parts import MODERN, OPTIMIZERS, sampling_options
from harness.training.run_folder import RunFolder, read_losses, text_name
from harness.training.texts import find_text

LOOKAHEADS = (1, 2, 3, 4, 6, 8)
DEPTHS = (2, 4, 8)  # blocks of the targets that are trained here
BLOCK_SIZE, BATCH, STEPS = 256, 4, 500
PROMPT, NEW = 16, 200  # tokens of a text
COMPARED = 4096  # tokens of the validation text on which the two models are compared
SHOWN = 9  # tokens of a comparison in the record


@dataclass(frozen=True)
class Subject:
    """A trained model, the tokens of the text that it was not trained on, and its loss there."""

    model: Any
    tokenizer: Any
    ids: torch.Tensor  # (1, tokens)
    loss: float

    @property
    def depth(self) -> int:
        return len(self.model.blocks)


@dataclass(frozen=True)
class Speed:
    """What `speculative_generate` takes with so many drafts in a round."""

    passes: float  # of the target, for each new token
    tokens_per_second: float


@dataclass(frozen=True)
class Result:
    """The figures of one target with the draft."""

    blocks: int
    loss: float
    rate: float  # with which a draft is accepted, the mean over the validation text
    alone: float  # tokens per second of the target without a draft
    speculative: dict[int, Speed]  # by lookahead


@click.command()
@click.option("--data", default="tiny_tales", show_default=True, help="The text that models are trained on.")
@click.option("--steps", default=STEPS, show_default=True, help="Training steps of each model.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A run's folder; may be repeated.",
)
@click.option(
    "--draft", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A run's folder."
)
@click.option("--texts", default=6, show_default=True, help="How many texts are written.")
@click.option("--rounds", default=3, show_default=True, help="How often each is written.")
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here."
)
def main(
    data: str,
    steps: int,
    targets: tuple[Path, ...],
    draft: Path | None,
    texts: int,
    rounds: int,
    json_path: Path | None,
) -> None:
    """Measure the reference katas with a target and a draft; what is not given is trained first."""
    torch.set_num_threads(1)  # CPU time would count what other threads wait
    with tempfile.TemporaryDirectory() as temporary:
        folders = train(repository_root(), Path(temporary), data, steps, targets, draft)
        course = install_katas()
        *large, small = (subject(course, folder) for folder in folders)
    console = Console(stderr=True)
    results = [measured(each, small, texts, rounds, console) for each in large]
    Console().print(table(results, small))
    if json_path:
        made = record(as_typed(sys.argv[1:]), results, large[-1], small)
        json_path.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def as_typed(arguments: Sequence[str]) -> str:
    """Return the command with its arguments, without the file for the figures."""
    pairs = zip(["", *arguments], arguments, strict=False)
    return " ".join(
        ["python benchmarks/decoding.py", *(each for before, each in pairs if "--json" not in (before, each))]
    )


def record(command: str, results: Sequence[Result], target: Subject, draft: Subject) -> dict[str, Any]:
    """Return all figures, with the command and a comparison of the draft with one target."""
    return {
        "command": command,
        "draft": {"blocks": draft.depth, "loss": round(draft.loss, 4)},
        "targets": [asdict(each) for each in results],
        "comparison": comparison(target, draft),
    }


def train(
    root: Path, folder: Path, data: str, steps: int, targets: Sequence[Path], draft: Path | None
) -> list[Path]:
    """Train what was not given, and return the folders of all targets, then that of the draft."""

    def trained(blocks: int) -> Path:
        sizes = {"num_layers": blocks, "block_size": BLOCK_SIZE}
        changes = [f"model.{name}={value}" for name, value in sizes.items()]
        changes += [f"training.max_steps={steps}", f"training.eval_interval={steps}"]
        changes += [f"training.batch_size={BATCH}", f"training.warmup_steps={steps // 10}"]
        options = [part for change in changes for part in ("--set", change)]
        options += ["--data", data, "--parts", f"{MODERN},{OPTIMIZERS}"]
        options += ["--run-dir", str(folder / str(blocks))]
        run(["-m", "harness", "train", "--solutions", "--config", "laptop", *options], root)
        return folder / str(blocks)

    return [*(targets or map(trained, DEPTHS)), draft or trained(1)]


def subject(course: Course, folder: Path) -> Subject:
    """Load the best model of a run, and the validation part of its text."""
    from katas.k04_embeddings.embeddings import CharTokenizer
    from katas.k08_engineering.config import RunConfig
    from katas.k08_engineering.engineering import load_checkpoint

    folder_of_run = RunFolder(folder)
    if MODERN not in folder_of_run.parts or not folder_of_run.has_model:
        raise click.ClickException(f"{folder} is not a run of harness train --parts {MODERN}")
    options = sampling_options(folder_of_run.parts)
    tokenizer = options.get("load_tokenizer", CharTokenizer.load)(folder_of_run.tokenizer)
    model = options["make_model"](RunConfig.from_file(folder_of_run.config).model)
    load_checkpoint(folder_of_run.best, model=model)
    text = find_text(course, text_name(folder_of_run) or "tiny_tales").path.read_text(encoding="utf-8")
    ids = torch.tensor([tokenizer.encode(text[len(text) * 9 // 10 :])])
    return Subject(model, tokenizer, ids, read_losses(folder_of_run)[1][-1][1])


def measured(target: Subject, draft: Subject, texts: int, rounds: int, console: Console) -> Result:
    """Write the texts with every lookahead and without a draft, and compare the models on a given text."""
    cache, decoding = kata_module("k14_cache"), kata_module("k20_decoding")
    prompts = [target.ids[:, at : at + PROMPT] for at in range(0, texts * 10 * PROMPT, 10 * PROMPT)]
    passes: dict[int, list[float]] = {lookahead: [] for lookahead in LOOKAHEADS}

    def alone(prompt: torch.Tensor, generator: torch.Generator) -> None:
        cache.generate_cached(target.model, prompt, NEW, generator=generator)

    def with_draft(lookahead: int) -> Callable[[torch.Tensor, torch.Generator], None]:
        def write(prompt: torch.Tensor, generator: torch.Generator) -> None:
            passes[lookahead].append(
                decoding.speculative_generate(
                    target.model, draft.model, prompt, NEW, lookahead, generator=generator
                )[1]
            )

        return write

    writers = {0: alone, **{lookahead: with_draft(lookahead) for lookahead in LOOKAHEADS}}
    took: dict[int, list[float]] = {lookahead: [] for lookahead in writers}
    for _ in track(range(rounds), f"{target.depth} blocks", console=console, transient=True):
        for lookahead, write in writers.items():
            began = time.process_time()
            for seed, prompt in enumerate(prompts):
                write(prompt, torch.Generator().manual_seed(seed))
            took[lookahead].append(time.process_time() - began)
    rates = {lookahead: round(texts * NEW / min(times), 1) for lookahead, times in took.items()}
    speeds = {
        each: Speed(round(sum(passes[each]) / len(passes[each]), 4), rates[each]) for each in LOOKAHEADS
    }
    rate = rows_and_rates(target, draft)[1].mean().item()
    return Result(target.depth, round(target.loss, 4), round(rate, 4), rates[0], speeds)


def probabilities(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """Return the probabilities after each position, in windows of block_size tokens."""
    with torch.no_grad():
        return torch.cat([model(piece)[0].softmax(-1) for piece in ids.split(model.config.block_size, dim=1)])


def rows_and_rates(target: Subject, draft: Subject) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Return both models' probabilities after each position of the validation text, and acceptance rates."""
    rows = [probabilities(each.model, target.ids[:, :COMPARED]) for each in (target, draft)]
    return rows, kata_module("k20_decoding").acceptance_rate(*rows)


def comparison(target: Subject, draft: Subject) -> dict[str, Any]:
    """Return the likeliest next tokens of both models at one place of the text.

    It is the first, from some way into the text on, whose acceptance rate is close to the mean and where both
    models have several candidates.
    """
    rows, rates = rows_and_rates(target, draft)
    least = torch.minimum(*(each.topk(4, dim=-1).values[:, -1] for each in rows))
    suitable = ((rates - rates.mean()).abs() < 0.05) & (least > 0.04)
    at = int(suitable[PROMPT:].int().argmax()) + PROMPT
    shown = torch.maximum(rows[0][at], rows[1][at]).topk(SHOWN).indices.tolist()
    return {
        "before": target.tokenizer.decode(target.ids[0, at - PROMPT + 1 : at + 1].tolist()),
        "tokens": [target.tokenizer.decode([token]) for token in shown],
        "target": [round(float(rows[0][at, token]), 4) for token in shown],
        "draft": [round(float(rows[1][at, token]), 4) for token in shown],
        "rate": round(float(rates[at]), 4),
    }


def table(results: Sequence[Result], draft: Subject) -> Table:
    """Return passes and speeds by target and lookahead."""
    caption = f"draft: {draft.depth} block(s), loss {draft.loss:.3f}"
    made = Table(title=caption, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in (
        "blocks",
        "loss",
        "rate",
        "lookahead",
        "passes per token",
        "expected",
        "tokens/s",
        "alone",
        "",
    ):
        made.add_column(name, justify="right")
    for each in results:
        for lookahead, speed in each.speculative.items():
            # Leviathan et al. (2023), equation 1, as if all places had the mean rate.
            expected = (
                (1 - each.rate) / (1 - each.rate ** (lookahead + 1)) if each.rate < 1 else 1 / (lookahead + 1)
            )
            made.add_row(
                *(f"{each.blocks}", f"{each.loss:.3f}", f"{each.rate:.3f}", f"{lookahead}"),
                *(f"{speed.passes:.3f}", f"{expected:.3f}"),
                *(f"{speed.tokens_per_second:.0f}", f"{each.alone:.0f}"),
                f"{speed.tokens_per_second / each.alone:.2f}x",
            )
    return made


if __name__ == "__main__":
    main()
