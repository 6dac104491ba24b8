"""What surrounds a training run: its name, its logs, and checkpoints to go on from.

None of this makes a model better. It makes a run that can be repeated, compared, interrupted and
resumed: with the checkpoints of this kata, seven steps, a power cut and five steps more give the very
numbers that twelve steps would have given. The configuration of a run is given, in config.py.

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device.
"""

import hashlib
import json
import operator
import os
import random
import re
import zipfile
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from katas.k08_engineering.config import RunConfig


def make_run_id(config: RunConfig, now: datetime) -> str:
    """Return a name for the folder of a run: the time, the configuration's name, and a digest of it.

    Sorted as text, such names are in order of time, to the microsecond. A time with a time zone is
    converted to UTC first, because local clocks go back an hour each autumn; a time without one is
    taken to be UTC. Equal configurations at equal times get equal names, in any process; different
    configurations get different names.

    The result consists of ASCII letters, digits, "-" and "_", at most 100 of them, so that every file
    system accepts it. Other characters of the configuration's name are replaced or left out, and a long
    name is cut.
    """
    raise NotImplementedError


class CSVLogger:
    """A log of numbers as a table: CSV with a header, one row per call of `log`.

    float() reads every number in it back as the same number, nan, inf and -inf too.
    """

    def __init__(self, path: str | os.PathLike[str]):
        """Start a log, or go on with the one in that file and its columns. The folder is made if need be.

        If the last line of the file has no line end, it is what a kill in the middle of a write has left
        of a row: it is cut off.
        """
        raise NotImplementedError

    def log(self, step: int, **metrics: float | None) -> None:
        """Append one row. It is in the file when this returns, whatever happens to the process then.

        The first row of a file fixes the columns: step, then the metrics in the order given. A metric
        that a later row does not have, or that is None, is an empty cell.

        Raises ValueError naming a metric that is not among the columns; nothing is written then.
        """
        raise NotImplementedError

    def rewind(self, step: int) -> None:
        """Remove the rows of steps after `step`, which is that of the checkpoint from which a run resumes.

        If there is no such row, or not even a file yet, nothing changes.
        """
        raise NotImplementedError


class JSONLLogger:
    """A log of numbers as JSON Lines: one JSON object per call of `log`, each on its own line.

    json.loads reads every number in it back as the same number. JSON has no words for nan, inf and -inf:
    they are written as json.dumps does, NaN, Infinity and -Infinity.
    """

    def __init__(self, path: str | os.PathLike[str]):
        """Start a log, or go on with the one in that file and its columns. The folder is made if need be.

        If the last line of the file has no line end, it is cut off, as in CSVLogger.
        """
        raise NotImplementedError

    def log(self, step: int, **metrics: float | None) -> None:
        """Append one row. It is in the file when this returns, whatever happens to the process then.

        The first row of a file fixes the columns, as in CSVLogger. A metric that a later row does not
        have, or that is None, is null.

        Raises ValueError naming a metric that is not among the columns; nothing is written then.
        """
        raise NotImplementedError

    def rewind(self, step: int) -> None:
        """Remove the rows of steps after `step`, as in CSVLogger."""
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
    configuration as plain values; the state of `generator`, which draws the batches, or None without
    one; and the states of the global random number generators, which draw the dropout and much else:
    Python's, NumPy's, torch's on the CPU, and those of `accelerator_states`.

    Everything in the file is a tensor or a plain value, so torch.load(path, weights_only=True) reads it.
    The file is replaced in a single step: the old one stays until the new one is complete and on the disk. If
    writing fails, the old one stays for good, and no other file is left in the folder. The folder is
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
    """Restore model, optimizer, generator and the global generators; return the number of steps done.

    If no optimizer or no generator is given, its state in the file is ignored: sampling needs only the
    model. A checkpoint saved on one device can be loaded on any other.

    Raises FileNotFoundError if there is no such file. Raises ValueError naming the file if it is
    truncated or damaged (torch.save writes a ZIP file with checksums, which torch.load does not
    compare), is not a checkpoint, or would run code when loaded (none is run). Raises ValueError naming
    the file if it does not fit: the names, shapes and dtypes of the model's state dict must agree with
    the file's, so must the sizes of the optimizer's parameter groups, and for a generator the file must
    hold a state. Model, optimizer and generators are then as before.
    """
    raise NotImplementedError


def accelerator_states() -> dict[str, Any]:  # given
    """Return the states of the GPUs' generators, from which dropout draws there: keys "cuda" and "mps"."""
    return {
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def set_accelerator_states(states: dict[str, Any]) -> None:  # given
    """Restore what `accelerator_states` has returned, as far as this machine has those devices."""
    for index, state in zip(range(torch.cuda.device_count()), states["cuda"], strict=False):
        torch.cuda.set_rng_state(state, index)
    if states["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"])
