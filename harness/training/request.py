"""A request to train, and its refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class CannotTrain(Exception):
    """A request cannot be met; the message says why, and what to do."""


@dataclass(frozen=True)
class TrainingRequest:
    """The options of `harness train`; None for a default."""

    config: str | None = None  # a file, or the name of one of the capstone's
    data: str | None = None  # a corpus, or a file
    run_dir: Path | None = None
    resume: bool = False
    changes: Sequence[str] = ()  # "training.max_steps=100"
    parts: Sequence[str] | None = None  # of later katas (parts.py); None for those of the run, or none
    solutions: bool = False  # for the commands that are printed
    kept: bool = True  # False if the folder is deleted at the end
