"""File layout of a training run, and which folders a run may use."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.course.whole_files import free_name, write_whole
from harness.plots.figures import Point
from harness.training import words
from harness.training.parts import TOKENS
from harness.training.request import CannotTrain

_PARTS = "parts.txt"
_NOT_CONTENT = (".DS_Store",)  # macOS adds it to folders that are opened


class _Tokenizer(Protocol):
    def save(self, path: Path) -> object: ...


@dataclass(frozen=True)
class RunFolder:
    """The folder of a training run: everything needed to resume, inspect and sample from it."""

    path: Path

    @property
    def config(self) -> Path:
        """The configuration, with the vocabulary's size filled in."""
        return self.path / "config.yaml"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer that the model was trained with; a folder, if a kata after the core has made it."""
        return self.path / ("tokenizer" if TOKENS in self.parts else "tokenizer.json")

    @property
    def steps(self) -> Path:
        """The log of every step: columns step, loss, learning_rate."""
        return self.path / "steps.csv"

    @property
    def evaluations(self) -> Path:
        """The log of the evaluations: keys step, val_loss, perplexity, bits_per_byte."""
        return self.path / "evaluations.jsonl"

    @property
    def samples(self) -> Path:
        """What the model wrote at the evaluations: keys step, sample."""
        return self.path / "samples.jsonl"

    @property
    def last(self) -> Path:
        """The newest checkpoint, from which the run resumes."""
        return self.path / "last.pt"

    @property
    def best(self) -> Path:
        """The checkpoint with the lowest validation loss."""
        return self.path / "best.pt"

    @property
    def curves(self) -> Path:
        """The training curve as a picture."""
        return self.path / "curves.png"

    @property
    def text(self) -> Path:
        """The name of the text, for --resume; the first of the files, it marks the folder as a run."""
        return self.path / "data.txt"

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of later katas that the run was started with; none if there is no note of them."""
        note = self.path / _PARTS
        return tuple(note.read_text(encoding="utf-8").split()) if os.path.isfile(note) else ()

    def has_tokenizer(self, tokenizer: _Tokenizer) -> bool:
        """True if the run was started with this tokenizer: if saving it gives the same file."""
        with tempfile.TemporaryDirectory(prefix="tokenizer-") as folder:
            saved = Path(folder) / self.tokenizer.name
            tokenizer.save(saved)
            return _contents(saved) == _contents(self.tokenizer)

    @property
    def is_run(self) -> bool:
        """True if `harness train` has started a run in this folder."""
        return _note(self)[0] == words.TEXT_OF_THE_RUN or all(
            map(os.path.isfile, (self.config, self.tokenizer, self.last))
        )  # one without the note is older than the parts, so its tokenizer is a file

    @property
    def has_model(self) -> bool:
        """True if there is a model to sample from."""
        return os.path.exists(self.tokenizer) and all(map(os.path.isfile, (self.config, self.best)))


def read_losses(run: RunFolder) -> tuple[list[Point], list[Point]]:
    """Return the losses of the steps and of the evaluations from a run's logs; empty without a log."""
    steps, evaluations = _lines(run.steps), _lines(run.evaluations)
    found = [json.loads(line) for line in evaluations]
    return (
        [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(steps)],
        [(int(each["step"]), float(each["val_loss"])) for each in found],
    )


def read_restatement(run: RunFolder) -> tuple[float, float] | None:
    """Return perplexity and bits per byte of the last evaluation; None if they are not in the log."""
    rows = _lines(run.evaluations)
    match json.loads(rows[-1]) if rows else None:
        case {"perplexity": float(perplexity), "bits_per_byte": float(bits_per_byte)}:
            return perplexity, bits_per_byte
    return None


def check_folder(run: RunFolder, *, resume: bool, solutions: bool = False) -> None:
    """Check that a run may start in a folder, or resume. Raises CannotTrain.

    Only an empty folder, or one that a run has left before its first checkpoint, is used for a new run.
    """
    if resume and not run.is_run:
        raise CannotTrain(words.not_a_run(run.path))
    if not resume and run.is_run and run.last.exists():
        raise CannotTrain(words.run_is_there(run.path, solutions=solutions))
    if not run.is_run and _has_content(run.path):
        raise CannotTrain(words.folder_not_empty(run.path, free_name(run.path / "run")))


def start(run: RunFolder, text_name: str, parts: Sequence[str] = ()) -> None:
    """Make the folder, and mark it as a run on this text with these parts. Raises CannotTrain."""
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        note = f"{words.TEXT_OF_THE_RUN}\n{text_name}\n"
        write_whole(run.text, note.encode(errors="surrogateescape"))
        if parts:
            write_whole(run.path / _PARTS, "".join(f"{part}\n" for part in parts).encode())
        else:
            (run.path / _PARTS).unlink(missing_ok=True)
    except OSError as error:
        raise CannotTrain(words.folder_not_written(run.path, error.strerror or str(error))) from None


def text_name(run: RunFolder) -> str | None:
    """Return the name of the run's text, if it is known."""
    first, rest = _note(run)
    return (rest if first == words.TEXT_OF_THE_RUN else first).removesuffix("\n") or None


def _note(run: RunFolder) -> tuple[str, str]:
    """Return the first line of the note, and what follows. Runs made by older versions have one line."""
    if not os.path.isfile(run.text):
        return "", ""
    first, _, rest = run.text.read_bytes().decode(errors="surrogateescape").partition("\n")
    return first, rest


def _has_content(folder: Path) -> bool:
    """True if there is something in the folder. Raises CannotTrain if it cannot be read."""
    try:
        return any(entry.name not in _NOT_CONTENT for entry in os.scandir(folder))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CannotTrain(words.folder_not_written(folder, error.strerror or str(error))) from None


def _contents(path: Path) -> dict[str, bytes]:
    """Return the bytes of a file, or of the files in a folder, by name."""
    if path.is_dir():
        return {each.name: each.read_bytes() for each in path.iterdir()}
    return {"": path.read_bytes()}


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
