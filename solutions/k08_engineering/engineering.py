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
    if now.tzinfo is not None:
        now = now.astimezone(UTC)
    name = re.sub(r"[^A-Za-z0-9_]+", "-", config.name)[:60]
    # hash() would do within one process; in the next one it gives other numbers for the same texts.
    digest = hashlib.sha256(json.dumps(config.as_dict(), sort_keys=True).encode()).hexdigest()
    return f"{now:%Y%m%d-%H%M%S-%f}-{name}-{digest[:8]}"


class CSVLogger:
    """A log of numbers as a table: CSV with a header, one row per call of `log`.

    float() reads every number in it back as the same number, nan, inf and -inf too.
    """

    def __init__(self, path: str | os.PathLike[str]):
        """Start a log, or go on with the one in that file and its columns. The folder is made if need be.

        If the last line of the file has no line end, it is what a kill in the middle of a write has left
        of a row: it is cut off.
        """
        self.path = Path(path)
        lines = _whole_lines(self.path)
        self.columns = lines[0].split(",") if lines else None

    def log(self, step: int, **metrics: float | None) -> None:
        """Append one row. It is in the file when this returns, whatever happens to the process then.

        The first row of a file fixes the columns: step, then the metrics in the order given. A metric
        that a later row does not have, or that is None, is an empty cell.

        Raises ValueError naming a metric that is not among the columns; nothing is written then.
        """
        columns = self.columns or ["step", *metrics]
        values = _row(columns, step, metrics).values()
        row = ",".join("" if value is None else str(value) for value in values)
        _append(self.path, [row] if self.columns else [",".join(columns), row])
        self.columns = columns

    def rewind(self, step: int) -> None:
        """Remove the rows of steps after `step`, which is that of the checkpoint from which a run resumes.

        If there is no such row, or not even a file yet, nothing changes.
        """
        lines = _whole_lines(self.path)
        _write(self.path, lines[:1] + [row for row in lines[1:] if int(row.split(",")[0]) <= step])


class JSONLLogger:
    """A log of numbers as JSON Lines: one JSON object per call of `log`, each on its own line.

    json.loads reads every number in it back as the same number. JSON has no words for nan, inf and -inf:
    they are written as json.dumps does, NaN, Infinity and -Infinity.
    """

    def __init__(self, path: str | os.PathLike[str]):
        """Start a log, or go on with the one in that file and its columns. The folder is made if need be.

        If the last line of the file has no line end, it is cut off, as in CSVLogger.
        """
        self.path = Path(path)
        lines = _whole_lines(self.path)
        self.columns = list(json.loads(lines[0])) if lines else None

    def log(self, step: int, **metrics: float | None) -> None:
        """Append one row. It is in the file when this returns, whatever happens to the process then.

        The first row of a file fixes the columns, as in CSVLogger. A metric that a later row does not
        have, or that is None, is null.

        Raises ValueError naming a metric that is not among the columns; nothing is written then.
        """
        columns = self.columns or ["step", *metrics]
        _append(self.path, [json.dumps(_row(columns, step, metrics))])
        self.columns = columns

    def rewind(self, step: int) -> None:
        """Remove the rows of steps after `step`, as in CSVLogger."""
        _write(self.path, [row for row in _whole_lines(self.path) if json.loads(row)["step"] <= step])


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
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "config": config.as_dict(),
        "generator": None if generator is None else generator.get_state(),
        "rng": _global_states(),
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder: a file can be renamed in one step only within one file system.
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with open(unfinished, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())  # or the new name could reach the disk before the contents do
        os.replace(unfinished, path)
    except BaseException:  # Ctrl-C too
        unfinished.unlink(missing_ok=True)
        raise


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
    with open(path, "rb") as file:
        try:
            if damaged := zipfile.ZipFile(file).testzip():
                raise ValueError(f"the checksum of {damaged} does not agree")
            file.seek(0)
            # This machine may lack the tensors' devices; load_state_dict moves each to where it belongs.
            state = torch.load(file, map_location="cpu", weights_only=True)
            saved, rng = state["model"], state["rng"]
            step = operator.index(state["step"])
            here, there = _kinds(model.state_dict()), _kinds(saved)
        except Exception as error:  # torch raises many kinds, depending on where the damage is
            raise ValueError(f"{path} is damaged or not a checkpoint") from error
    # Compared before it is loaded: the model's load_state_dict copies what fits before it complains, and
    # converts other dtypes silently.
    if here != there:
        name, _ = min(here.items() ^ there.items(), key=lambda item: item[0])
        raise ValueError(f"{path} is of another model, which differs in {name}")

    with ExitStack() as undo:
        undo.callback(_set_global_states, _global_states())
        try:
            _set_global_states(rng)
            if generator is not None:
                undo.callback(generator.set_state, generator.get_state())
                generator.set_state(state["generator"])
            if optimizer is not None:
                undo.callback(optimizer.load_state_dict, optimizer.state_dict())
                optimizer.load_state_dict(state["optimizer"])
        except Exception as error:  # each part complains in its own way, and may have changed by then
            raise ValueError(f"{path} does not fit the optimizer or the generators") from error
        undo.pop_all()  # all of it fits
    model.load_state_dict(saved)  # last: it has been compared, and cannot fail
    return step


def _global_states() -> dict[str, Any]:
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),  # weights_only refuses NumPy's arrays
        "torch": torch.get_rng_state(),
        **accelerator_states(),
    }


def _set_global_states(states: dict[str, Any]) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    set_accelerator_states(states)


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


def _whole_lines(path: Path) -> list[str]:
    """The lines of a log, after cutting off what a kill has left of the last one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = path.read_bytes() if path.exists() else b""
    whole = contents[: contents.rfind(b"\n") + 1]
    if whole != contents:
        os.truncate(path, len(whole))
    return whole.decode().splitlines()


def _row(columns: list[str], step: int, metrics: dict[str, Any]) -> dict[str, Any]:
    """One value per column, None where there is none."""
    row = {"step": step, **metrics}
    for name in row:
        if name not in columns:
            raise ValueError(f"{name} is not one of the columns that the first row has fixed: {columns}")
    return {column: row.get(column) for column in columns}


def _append(path: Path, lines: Iterable[str]) -> None:
    # Opened for each row: closing hands the text to the system, which keeps it if the process dies.
    with open(path, "ab") as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def _write(path: Path, lines: Iterable[str]) -> None:
    rewritten = path.with_name(f"{path.name}.unfinished")
    rewritten.write_bytes("".join(f"{line}\n" for line in lines).encode())
    os.replace(rewritten, path)  # a kill in between leaves the old log


def _kinds(state: dict[str, torch.Tensor]) -> dict[str, tuple[object, ...]]:
    return {name: (tensor.dtype, tensor.shape, tensor.layout) for name, tensor in state.items()}
