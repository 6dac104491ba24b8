"""What surrounds a training run: its configuration, its name, its logs, and checkpoints to go on from.

None of this makes a model better. It makes a run that can be repeated, compared, interrupted and
resumed: with checkpoints as they are here, seven steps, a power cut and five steps more give the very
numbers that twelve steps would have given.

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device.
"""

import csv
import difflib
import hashlib
import io
import json
import math
import os
import random
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType
from typing import Any, BinaryIO, get_args, get_origin

import numpy as np
import torch
import yaml
from torch import nn

from katas.k05_model.model import ModelConfig


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained; a value that cannot be raises ValueError. The fields and defaults are given."""

    max_steps: int  # optimizer steps in all
    batch_size: int  # sequences in one optimizer step
    micro_batches: int = 1  # parts that the batch is cut into, one after the other in memory
    learning_rate: float = 1e-3  # the highest, reached after the warm-up
    min_lr: float = 0.0  # the lowest, reached at max_steps
    warmup_steps: int | None = None  # if left out: a tenth of max_steps, rounded down, but at most 100
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.99)  # of AdamW's two running averages
    max_norm: float = 1.0  # gradients longer than this are shortened to it
    eval_interval: int = 250  # steps from one evaluation to the next
    seed: int = 1337
    device: str = "auto"  # "auto", or what torch.device takes: "cpu", "cuda", "cuda:1", "mps"

    def __post_init__(self) -> None:
        """Work out warmup_steps if it was left out (is None), and check every field.

        max_steps, batch_size, micro_batches and eval_interval are positive integers, and
        micro_batches divides batch_size; warmup_steps is an integer from 0 to max_steps; seed is an
        integer and not negative. True and False count as no integers. learning_rate and max_norm are
        positive, min_lr is from 0 to learning_rate, and weight_decay is not negative; all of these
        are finite. Each of the betas is at least 0 and less than 1. device is "auto" or a text that
        torch.device accepts, whether this machine has such a device or not.

        Raises ValueError naming the field and the value, and both of each if two do not go together.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class RunConfig:
    """All that a run depends on, apart from the data. The fields are given.

    As a file it is YAML or JSON, with the fields of `model` and of `training` in sections of theirs:

        name: small
        model:
          block_size: 64
        training:
          max_steps: 2000
          batch_size: 12
          learning_rate: 3e-4

    What a file may leave out is every field with a default, and `model.vocab_size`: it is None then,
    until the tokenizer of the data says how many tokens there are.
    """

    name: str  # for people; need not be unique
    model: ModelConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        """Check the name; model and training have checked themselves.

        Raises ValueError naming `name` and the value, if that is no text or has nothing but spaces.
        """
        raise NotImplementedError

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "RunConfig":
        """Return the configuration in a file: YAML if its name ends in .yaml or .yml, JSON if in .json.

        Where a number is wanted, a text that float() reads is one: PyYAML takes 3e-4, which has no
        point, for a text. betas are a list in the file, a tuple in the result. The file is UTF-8, with or
        without a byte order mark, and .YAML is as good an ending as .yaml. It is data: nothing in it is
        ever run.

        Raises ValueError naming the file and what is wrong in it: an ending other than these three;
        contents that are not UTF-8, not YAML or JSON, or no mapping from keys to values; a key that
        does not exist, with the nearest one that does, as in "'training.learning_rte' is no key: did
        you mean training.learning_rate?" (nearest to a key in the wrong section is its namesake in the
        right one: model.seed is training.seed); a key that is missing; a value of another type than
        its field's, with key and value; or a value that the field refuses. Raises FileNotFoundError if
        there is no such file.
        """
        raise NotImplementedError

    def to_file(self, path: str | os.PathLike[str]) -> None:
        """Write a file that `from_file` reads back as an equal configuration; the folder is made too.

        What would be the same if it were left out, because it follows from other fields or is not
        known yet (warmup_steps, d_ff, vocab_size), is left out: so it still follows when someone
        edits the file. No other file is left beside it.

        Raises ValueError naming the ending of the file's name, if that is not .yaml, .yml or .json.
        """
        raise NotImplementedError

    def override(self, assignments: Iterable[str]) -> "RunConfig":
        """Return a new configuration that differs in what is assigned, as on a command line.

        Each assignment is "key=value", the key with its section: "training.learning_rate=3e-4",
        "model.num_layers=2", "name=small". Spaces around key and value count for nothing. A value is
        read as in a YAML file, and as text where text is wanted. Only the first "=" divides; if a key
        occurs twice, the last one holds. What `to_file` would leave out follows: with
        d_ff = 4 · d_model, a new d_model brings a new d_ff.

        Raises ValueError naming the assignment if that has no "=", and for keys and values as
        `from_file` does.
        """
        raise NotImplementedError


def make_run_id(config: RunConfig, now: datetime) -> str:
    """Return a name for the folder of a run: the time, the configuration's name, and a digest of it.

    In alphabetical order such names are in order of time, to the microsecond. A time with a time zone
    is converted to UTC first, or clocks put back in autumn would break that; one without is taken to
    be UTC. Equal configurations at equal times get equal names, in any process, and 0 equals 0.0;
    otherwise they differ.

    The result holds nothing but ASCII letters, digits, "-" and "_", and at most 100 characters, so
    every file system takes it. Other characters of the configuration's name become "-".
    """
    raise NotImplementedError


class CSVLogger:
    """A log of numbers as a table: CSV with a header, one row per call of `log`.

    A number is written so that float() reads the same number back: nan, inf and -inf too.
    """

    def __init__(self, path: str | os.PathLike[str]):
        """Start a log, or go on with the one in that file and its columns; the folder is made too.

        If the last line of the file has no end, it is what a kill in the middle of a write has left
        of a row: it is cut off.
        """
        raise NotImplementedError

    def log(self, step: int, **metrics: float | None) -> None:
        """Append one row, which is in the file when this returns, whatever happens to the process then.

        The first row of a file fixes the columns: step, then the metrics in the order given. A metric
        that a later row does not have, or that is None, is an empty cell.

        Raises ValueError naming a metric that is not among the columns; nothing is written then.
        """
        raise NotImplementedError

    def rewind(self, step: int) -> None:
        """Remove all rows of later steps than `step`: they came after the checkpoint that a run resumes from.

        The file is replaced as a whole: after a kill in between, it is the old one or the new one. No
        other file is left beside it.
        """
        raise NotImplementedError


class JSONLLogger:
    """A log of numbers as JSON Lines: one JSON object per call of `log`, each on a line of its own.

    Numbers are written as Python's json does, and so read back as the same numbers. JSON has no
    words for nan, inf and -inf: here they are NaN, Infinity and -Infinity, which json.loads and
    pandas read and strict parsers refuse.
    """

    def __init__(self, path: str | os.PathLike[str]):
        """Start a log, or go on with the one in that file and its columns; the folder is made too.

        If the last line of the file has no end, it is cut off, as in CSVLogger.
        """
        raise NotImplementedError

    def log(self, step: int, **metrics: float | None) -> None:
        """Append one row, which is in the file when this returns, whatever happens to the process then.

        The first row of a file fixes the columns, as in CSVLogger. A metric that a later row does not
        have, or that is None, is null.

        Raises ValueError naming a metric that is not among the columns; nothing is written then.
        """
        raise NotImplementedError

    def rewind(self, step: int) -> None:
        """Remove all rows of later steps than `step`, as in CSVLogger."""
        raise NotImplementedError


def save_checkpoint(
    path: str | os.PathLike[str],
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    config: RunConfig,
    generator: torch.Generator | None,
) -> None:
    """Write all that a run needs in order to go on as if it had never stopped.

    That is: the model's and the optimizer's state dicts; `step`, the number of steps done; the
    configuration, as text and numbers; the state of `generator`, which draws the batches; and the
    states of the global random number generators: Python's, NumPy's, and torch's on the CPU and on
    the accelerators in use, which draw the dropout.

    Everything in the file is a tensor or a plain value, so torch.load(path, weights_only=True) reads
    it. The file is replaced as a whole: until the new one is complete and on the disk, the old one
    stays; if writing fails, it stays for good, and nothing else is left in the folder. The folder is
    made if need be.
    """
    raise NotImplementedError


def load_checkpoint(
    path: str | os.PathLike[str],
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    generator: torch.Generator | None = None,
) -> int:
    """Bring model, optimizer, generator and the global random number generators back; return the step.

    The step is the number of steps done, as it was saved. An optimizer or a generator that is not
    given stays in the file; sampling needs the model only. What was saved on one device is loaded on
    any other.

    Raises FileNotFoundError if there is no such file. Raises ValueError naming the file, and saying
    what to do, if it is truncated, is no checkpoint, would run code when loaded (none is run), or
    does not fit: every name, shape and dtype has to agree with the model's, the optimizer's groups
    with the optimizer's, and if a generator is given, the state of one has to be there. Model,
    optimizer and generators are then as before.
    """
    raise NotImplementedError
