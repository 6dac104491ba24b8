"""Messages about training and the demonstration."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.course.katas import Kata
from harness.progress.standing import KataProgress
from harness.terminal.chart import line_chart
from harness.terminal.lines import Line, paragraph, plural, shortened

NO_RUN = "No run has been trained yet. Train one:  harness train"
RESUME_NEEDS_A_RUN = "--resume needs --run-dir with the folder of a run. See runs/ for yours."
EMPTY_RUN_DIR = "it is empty. Name a folder, or leave --run-dir out: then the run gets a new one in runs/"
# The first line of the note in a run's folder, by which the folder is known: a change hides older runs.
TEXT_OF_THE_RUN = "# harness train: the text of this run"
STOPPING = "Stopping after this step. Press Ctrl-C again to stop at once."
TIME_LEFT = "left"
WRITING = "writing"
LOADING_GPT2 = "Loading GPT-2 …"
EMPTY_PROMPT = 'GPT-2 continues a text. Give it the beginning of one:  --prompt "Once upon a time"'


def no_kata(name: str) -> str:
    return f"This course has no {name}."


def no_gpt2(size: int) -> str:
    return f"GPT-2's files are not here yet. Get them ({size / 1e6:.0f} MB):  harness data gpt2"


def no_configuration(name: str, known: Sequence[str]) -> str:
    return f"There is no configuration {shortened(repr(name))}. Give a file, or one of {', '.join(known)}."


def configuration_not_read(path: Path, problem: str) -> str:
    return f"{path} cannot be read: {problem}. Give a configuration that you can read."


def configuration_too_large(path: Path, most: int) -> str:
    return f"{path} is larger than {most:,} bytes: this is not a configuration. Give another file."


def nested_too_deeply(name: str, most: int) -> str:
    return f"{shortened(name)} is nested more than {most} levels deep. A configuration has two: use fewer."


def too_many_values(name: str, most: int) -> str:
    return f"{shortened(name)} holds more than {most:,} values. A configuration has about twenty: use fewer."


def seed_too_large(seed: int, largest: int) -> str:
    return (
        f"training.seed={shortened(str(seed))} is too large for torch."
        f" Choose an integer from 0 to {largest:,}, for example: --set training.seed=1337"
    )


def too_little_memory(config: Any, needed: int, present: int) -> str:
    """Explain that a model cannot be made here. `config` is the capstone's; sizes are in bytes."""
    model, training = config.model, config.training
    sizes = {
        "model.block_size": model.block_size,
        "model.d_model": model.d_model,
        "model.num_layers": model.num_layers,
        "training.batch_size": training.batch_size,
    }
    given = "\n".join(f"  {name}={shortened(str(value))}" for name, value in sizes.items())
    return (
        f"This model needs at least {_gigabytes(needed)} of memory; this machine has {_gigabytes(present)}."
        f"\n{given}\nMake the largest smaller, for example: --set model.block_size=64"
    )


def _gigabytes(size: int) -> str:
    return f"{min(-(-size // 2**30), 10**12):,} GB"  # nobody needs to see more digits


def folder_not_empty(path: Path, free: Path) -> str:
    return (
        f"{path} is not empty and holds no run, so nothing was written there."
        f" Name a new folder, for example:\n  --run-dir {quoted(free)}"
    )


def run_is_there(path: Path, *, solutions: bool) -> str:
    return (
        f"{path} already holds a run, and nothing was changed. To resume it:\n"
        f"  {resume_command(path, solutions=solutions)}\n"
        "For a new run, name another folder, or leave --run-dir out."
    )


def not_a_run(path: Path) -> str:
    return f"{path} holds no run to resume. {RESUME_NEEDS_A_RUN}"


def no_model(path: Path) -> str:
    return (
        f"{shortened(str(path))} holds no trained model. Give the folder of a run with --run-dir, or leave it"
        " out for the newest run in runs/."
    )


def folder_not_written(path: Path, problem: str) -> str:
    return (
        f"{shortened(str(path))} cannot be used for a run: {problem}."
        " Name another folder with --run-dir, or make this one writable."
    )


def tokens_not_written(folder: Path, problem: str) -> str:
    return (
        f"The tokens of the text cannot be written to {folder}: {problem}."
        " Free some space or make the folder writable, then try again."
    )


def no_room_in_run(path: Path, problem: str, *, saved: bool, solutions: bool, kept: bool) -> str:
    """Explain that training stopped because nothing more can be written."""
    stopped = f"Training stopped because {path} cannot be written: {problem}."
    if not kept:
        return f"{stopped} Free some space, then try again."
    checkpoint = "Its last checkpoint is kept" if saved else "It has no checkpoint yet"
    return (
        f"{stopped} {checkpoint}.\nFree some space, then type:\n  {resume_command(path, solutions=solutions)}"
    )


def other_text(path: Path, name: str | None, *, solutions: bool) -> str:
    trained = f"The run in {path} was trained on {name}" if name else f"The run in {path} has another text"
    return (
        f"{trained}, and this text has other characters. Nothing was changed. Resume with the same text:\n"
        f"  {resume_command(path, solutions=solutions)}{f' --data {quoted(name)}' if name else ''}"
    )


def other_parts(path: Path, parts: Sequence[str], *, solutions: bool) -> str:
    return (
        f"The run in {path} was started with --parts {','.join(parts) or 'core'}, and resumes only with that."
        f" Nothing was changed. Leave --parts out:\n  {resume_command(path, solutions=solutions)}"
    )


def unknown_parts(typed: str, present: Sequence[str], none: str) -> str:
    choice = f"some of {','.join(present)}, or " if present else ""
    return f"--parts {typed}: there is no such part. Give {choice}{none} for none of them."


def training_with(katas: Sequence[Kata], *, solutions: bool) -> list[Line]:
    """Say which later katas take the place of the core's parts."""
    whose = "the reference's" if solutions else "your"
    noun = "kata" if len(katas) == 1 else "katas"
    named = ", ".join(kata.title for kata in katas)
    return [Line(f"Training with {whose} {noun} {named}. Without: --parts core")]


def learning_merges(vocab_size: int) -> str:
    return f"Learning a vocabulary of {vocab_size:,} tokens …"


def not_a_text_file(name: str) -> str:
    return f"{name} is not a file. Give the path of a text file."


def text_not_read(path: Path, problem: str) -> str:
    return f"{path} cannot be read: {problem}. Give the path of a text file that you can read."


def too_short(path: Path, length: int, least: int) -> str:
    characters = plural(length, "character")
    return f"{path} has {characters}, and at least {least} are needed. Next: choose a longer text"


def not_utf8(path: Path, line: int, byte: int, encoding: str, converted: Path) -> str:
    """Say where a file is not UTF-8, and how to convert it. `converted` is a name that is free."""
    return (
        f"{path} is not UTF-8 text: see the byte 0x{byte:02X} in line {line:,}. Save it as UTF-8 in your"
        f" editor, or convert it (if its encoding is {encoding}) and train on the result:\n"
        f"  iconv -f {encoding} -t utf-8 {quoted(path)} > {quoted(converted)}"
    )


def quoted(path: Path | str) -> str:
    """Return a path as one word of a command."""
    return shlex.quote(str(path))


def resume_command(path: Path | str, *, solutions: bool) -> str:
    return f"harness train{' --solutions' if solutions else ''} --resume --run-dir {quoted(path)}"


def not_a_device(name: str, present: Sequence[str]) -> str:
    return f"{name!r} is not a device; choose {' or '.join(present)}"


def device_missing(name: str, present: Sequence[str]) -> str:
    return f"torch cannot use the device {name!r} on this machine; choose {' or '.join(present)}"


def uneven_batch(size: int, workers: int) -> str:
    return (
        f"{size} sequences cannot be split evenly among {workers} workers:"
        f" make batch_size / micro_batches a multiple of {workers}"
    )


def loss_so_far(loss: float) -> str:
    return f"loss {loss:.3f}"


def speed(tokens_per_second: float) -> str:
    return f"{tokens_per_second:,.0f} tokens/s"


def evaluation(step: int, training_loss: float | None, validation_loss: float) -> str:
    trained = "" if training_loss is None else f"training loss {training_loss:.4f} · "
    return f"step {step:,} · {trained}validation loss {validation_loss:.4f}"


def restated(perplexity: float, bits_per_byte: float) -> str:
    return f"perplexity {perplexity:,.2f} · {bits_per_byte:.3f} bits per byte"


def trained(
    summary: Any,
    run_dir: str,
    losses: Sequence[tuple[int, float]],
    *,
    interrupted: bool,
    solutions: bool,
    limit: float | None,
    restatement: tuple[float, float] | None,
    per_character: float | None = None,
) -> list[Line]:
    """Return the result of a training run and the next command. `summary` is the capstone's.

    `limit` is the lowest loss that any model can reach on new text of this kind, if known,
    `restatement` the last validation loss as perplexity and bits per byte, and `per_character` what a
    loss is multiplied by for each character, if a token is something else.
    """
    curve = [Line(), *[Line(f"  {row}") for row in line_chart(losses)], Line()]
    if interrupted:
        return [*curve, *_stopped(summary, f"  {resume_command(run_dir, solutions=solutions)}")]
    best = summary.best_val_loss * (per_character or 1)
    sample = f"  harness sample{' --solutions' if solutions else ''} --run-dir {quoted(run_dir)}"
    result = [
        Line(f"{summary.steps:,} steps: validation loss {_loss(summary.val_loss, per_character)}.", "good"),
        *([Line(f"That is {restated(*restatement)}.")] if restatement else []),
        Line(f"The lowest was {best:.4f}.{_above(best, limit)}"),
        _rate(summary),
        Line(f"The run is in {run_dir}; its curves are in curves.png there."),
    ]
    return [*curve, *result, *_next("To sample from it:", sample)]


def _loss(loss: float, per_character: float | None) -> str:
    if per_character is None:
        return f"{loss:.4f} nats per character"
    return f"{loss * per_character:.4f} nats per character ({loss:.4f} per token)"


def _stopped(summary: Any, resume: str) -> list[Line]:
    stopped = Line(f"Stopped after step {summary.steps:,} and saved.", "title")
    return [stopped, _rate(summary), *_next("To resume:", resume)]


def _rate(summary: Any) -> Line:
    return Line(f"({speed(summary.tokens_per_second)}, {summary.seconds:.0f} s)", "dim")


def _next(purpose: str, command: str) -> list[Line]:
    return [Line(purpose), Line(command, "command")]


def _above(loss: float, limit: float | None) -> str:
    if limit is None:
        return ""
    left = f"{max(loss - limit, 0):.4f} is left to learn"
    return f" On new text of this kind no model can do better than {limit:.4f}: {left}."


def demo_parts(behind: Sequence[KataProgress], reference: Sequence[Kata]) -> list[Line]:
    """Return whose code each kata of the demonstration uses: the learner's, except for the `reference`."""
    own = [each.kata for each in behind if each.kata not in reference]
    reference = [each.kata for each in behind if each.kata in reference]
    lines = [Line("A small language model learns to tell stories; this takes about a minute.", "title")]
    if own:
        lines += paragraph(f"Yours: {', '.join(kata.title for kata in own)}.", "", "good")
    if reference:
        lines += paragraph(f"From the reference: {', '.join(kata.title for kata in reference)}.", "", "")
    return [*lines, Line()]


def demo_end(progress: Sequence[KataProgress]) -> list[Line]:
    """Return the lines after the demonstration."""
    own = sum(each.complete for each in progress)
    return [
        Line(),
        Line(f"{own} of the {len(progress)} katas behind this text are yours. Next: pytest"),
    ]
