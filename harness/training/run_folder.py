"""File layout of a training run."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from harness.plots.figures import Point


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
        """The tokenizer that the model was trained with."""
        return self.path / "tokenizer.json"

    @property
    def steps(self) -> Path:
        """The log of every step: columns step, loss, learning_rate."""
        return self.path / "steps.csv"

    @property
    def evaluations(self) -> Path:
        """The log of the evaluations: keys step, val_loss."""
        return self.path / "evaluations.jsonl"

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


def read_losses(run: RunFolder) -> tuple[list[Point], list[Point]]:
    """Return the losses of the steps and of the evaluations from a run's logs; empty without a log."""
    steps, evaluations = _lines(run.steps), _lines(run.evaluations)
    found = [json.loads(line) for line in evaluations]
    return (
        [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(steps)],
        [(int(each["step"]), float(each["val_loss"])) for each in found],
    )


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
