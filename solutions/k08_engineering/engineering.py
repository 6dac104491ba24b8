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
        for name in ("max_steps", "batch_size", "micro_batches", "eval_interval"):
            self._check(name, lambda value: _is_integer(value) and value > 0, "a positive integer")
        if self.warmup_steps is None:  # the dataclass is frozen, for everyone but object
            object.__setattr__(self, "warmup_steps", min(100, self.max_steps // 10))
        for name in ("warmup_steps", "seed"):
            self._check(name, lambda value: _is_integer(value) and value >= 0, "an integer of at least 0")
        for name in ("learning_rate", "max_norm"):
            self._check(name, lambda value: 0 < value < math.inf, "positive and finite")
        for name in ("min_lr", "weight_decay"):
            self._check(name, lambda value: 0 <= value < math.inf, "at least 0 and finite")
        self._check("betas", lambda betas: all(0 <= beta < 1 for beta in betas), "each from 0 to below 1")
        self._check("device", _is_device, 'a name such as "auto", "cpu", "cuda" or "mps"')
        self._check_at_most("min_lr", "learning_rate")
        self._check_at_most("warmup_steps", "max_steps")
        if self.batch_size % self.micro_batches != 0:
            raise ValueError(
                f"batch_size = {self.batch_size} cannot be cut into micro_batches = {self.micro_batches}"
            )

    def _check(self, name: str, accepts: Callable[[Any], bool], wanted: str) -> None:
        if not accepts(value := getattr(self, name)):
            raise ValueError(f"{name} must be {wanted}, not {value!r}")

    def _check_at_most(self, name: str, limit: str) -> None:
        if getattr(self, name) > getattr(self, limit):
            raise ValueError(
                f"{name} = {getattr(self, name)} must be at most {limit} = {getattr(self, limit)}"
            )


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
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"name must be a text that is not empty, not {self.name!r}")

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
        path = Path(path)
        try:
            parse = json.loads if _is_json(path) else _parse_yaml
            return _from_plain(parse(path.read_text(encoding="utf-8-sig")), RunConfig)  # -sig: maybe a BOM
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def to_file(self, path: str | os.PathLike[str]) -> None:
        """Write a file that `from_file` reads back as an equal configuration; the folder is made too.

        What would be the same if it were left out, because it follows from other fields or is not
        known yet (warmup_steps, d_ff, vocab_size), is left out: so it still follows when someone
        edits the file. No other file is left beside it.

        Raises ValueError naming the ending of the file's name, if that is not .yaml, .yml or .json.
        """
        if _is_json(Path(path)):
            text = json.dumps(_plain(self), indent=2) + "\n"
        else:
            text = yaml.safe_dump(_plain(self), sort_keys=False, allow_unicode=True)
        with _replacing(path) as file:
            file.write(text.encode())

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
        values, known = _plain(self), _field_types(RunConfig)
        for assignment in assignments:
            key, equals, text = (part.strip() for part in assignment.partition("="))
            if not equals:
                raise ValueError(f"{assignment!r} has no '=': write key=value, as in training.seed=7")
            if key not in known or is_dataclass(known[key]):
                raise _unknown(key, [name for name, kind in known.items() if not is_dataclass(kind)])
            *sections, name = key.split(".")
            section = values[sections[0]] if sections else values
            section[name] = text if known[key] is str else _parse_yaml(text, assignment)
        return _from_plain(values, RunConfig)


def make_run_id(config: RunConfig, now: datetime) -> str:
    """Return a name for the folder of a run: the time, the configuration's name, and a digest of it.

    In alphabetical order such names are in order of time, to the microsecond. A time with a time zone
    is converted to UTC first, or clocks put back in autumn would break that; one without is taken to
    be UTC. Equal configurations at equal times get equal names, in any process, and 0 equals 0.0;
    otherwise they differ.

    The result holds nothing but ASCII letters, digits, "-" and "_", and at most 100 characters, so
    every file system takes it. Other characters of the configuration's name become "-".
    """
    if now.tzinfo is not None:
        now = now.astimezone(UTC)
    time = now.strftime("%Y%m%d-%H%M%S-%f")
    name = re.sub(r"[^A-Za-z0-9_]+", "-", config.name)[:60]
    # hash() would do within one process; in the next one it gives other numbers for the same texts.
    digest = hashlib.sha256(json.dumps(_plain(config), sort_keys=True).encode()).hexdigest()
    return f"{time}-{name}-{digest[:8]}"


class CSVLogger:
    """A log of numbers as a table: CSV with a header, one row per call of `log`.

    A number is written so that float() reads the same number back: nan, inf and -inf too.
    """

    def __init__(self, path: str | os.PathLike[str]):
        """Start a log, or go on with the one in that file and its columns; the folder is made too.

        If the last line of the file has no end, it is what a kill in the middle of a write has left
        of a row: it is cut off.
        """
        self.path = Path(path)
        lines = _whole_lines(self.path)
        self.columns = next(csv.reader(lines), None)

    def log(self, step: int, **metrics: float | None) -> None:
        """Append one row, which is in the file when this returns, whatever happens to the process then.

        The first row of a file fixes the columns: step, then the metrics in the order given. A metric
        that a later row does not have, or that is None, is an empty cell.

        Raises ValueError naming a metric that is not among the columns; nothing is written then.
        """
        columns = self.columns or ["step", *metrics]
        row = _csv_line(_row(self.path, columns, step, metrics).values())
        _append(self.path, row if self.columns else _csv_line(columns) + row)
        self.columns = columns

    def rewind(self, step: int) -> None:
        """Remove all rows of later steps than `step`: they came after the checkpoint that a run resumes from.

        The file is replaced as a whole: after a kill in between, it is the old one or the new one. No
        other file is left beside it.
        """
        lines = _whole_lines(self.path)
        _rewrite(self.path, lines[:1] + [row for row in lines[1:] if int(row.split(",")[0]) <= step])


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
        self.path = Path(path)
        lines = _whole_lines(self.path)
        self.columns = list(json.loads(lines[0])) if lines else None

    def log(self, step: int, **metrics: float | None) -> None:
        """Append one row, which is in the file when this returns, whatever happens to the process then.

        The first row of a file fixes the columns, as in CSVLogger. A metric that a later row does not
        have, or that is None, is null.

        Raises ValueError naming a metric that is not among the columns; nothing is written then.
        """
        columns = self.columns or ["step", *metrics]
        _append(self.path, json.dumps(_row(self.path, columns, step, metrics)) + "\n")
        self.columns = columns

    def rewind(self, step: int) -> None:
        """Remove all rows of later steps than `step`, as in CSVLogger."""
        _rewrite(self.path, [row for row in _whole_lines(self.path) if json.loads(row)["step"] <= step])


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
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "config": _plain(config),
        "generator": None if generator is None else generator.get_state(),
        "rng": _global_rng_states(),
    }
    with _replacing(path) as file:
        torch.save(state, file)


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
    state = _read_checkpoint(path)
    _check_model(path, model, state["model"])
    if generator is not None and state["generator"] is None:
        raise ValueError(f"{path} holds no state of a generator; leave the argument out")
    try:
        with ExitStack() as undo:  # what fits is set back if something after it does not
            undo.callback(_set_global_rng_states, _global_rng_states())
            _set_global_rng_states(state["rng"])
            if generator is not None:
                undo.callback(generator.set_state, generator.get_state())
                generator.set_state(state["generator"])
            if optimizer is not None:
                undo.callback(optimizer.load_state_dict, optimizer.state_dict())
                optimizer.load_state_dict(state["optimizer"])
            undo.pop_all()  # all of it fits
    except Exception as error:  # the parts come from a file, and each complains in its own way
        raise ValueError(
            f"{path} does not fit the optimizer or the generators; make them as for that run"
        ) from error
    model.load_state_dict(state["model"])  # last, for it has been checked: it cannot fail
    return state["step"]


# Configurations: from files to dataclasses and back.


def _is_json(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix not in (".yaml", ".yml", ".json"):
        raise ValueError(f"the name of a configuration ends in .yaml, .yml or .json, not in {suffix!r}")
    return suffix == ".json"


def _parse_yaml(text: str, source: str = "the file") -> Any:
    try:
        return yaml.safe_load(text)  # safe: a tag such as !!python/object/apply is refused, not obeyed
    except yaml.YAMLError as error:
        raise ValueError(f"{source} is not the YAML of plain values: {error}") from error


def _plain(config: Any) -> dict[str, Any]:
    """A dataclass as a dictionary of plain values, without what would follow if it were left out."""
    values: dict[str, Any] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            value = _plain(value)
        elif NoneType in get_args(field.type) and replace(config, **{field.name: None}) == config:
            continue
        elif field.type is float:
            value = float(value)  # 0 and 0.0 are equal, so what is made of them has to be as well
        elif isinstance(value, tuple):
            value = [float(item) for item in value]
        values[field.name] = value
    return values


def _from_plain(values: Any, kind: Any, prefix: str = "") -> Any:
    """The dataclass that plain values stand for. `prefix` is "" or a section's name with a dot."""
    if not isinstance(values, dict):
        raise ValueError(f"{prefix[:-1] or 'the file'} must hold keys with values, not {values!r}")
    types = {field.name: field.type for field in fields(kind)}
    for key in values:
        if key not in types:
            raise _unknown(f"{prefix}{key}", list(_field_types(RunConfig)))
    for field in fields(kind):
        optional = field.default is not MISSING or NoneType in get_args(field.type)
        if field.name not in values and not optional:
            raise ValueError(f"{prefix}{field.name} is missing")
    absent = {name: None for name in types if NoneType in get_args(types[name])}
    given = {key: _field_value(value, types[key], prefix + key) for key, value in values.items()}
    return kind(**{**absent, **given})


def _field_value(value: Any, kind: Any, key: str) -> Any:
    """A value from a file as the type of its field."""
    if is_dataclass(kind):
        return _from_plain(value, kind, f"{key}.")
    parts = get_args(kind)  # of tuple[float, float] and of int | None
    if get_origin(kind) is tuple:
        if isinstance(value, list) and len(value) == len(parts):
            return tuple(_field_value(item, part, key) for item, part in zip(value, parts, strict=True))
    elif kind is float:
        with suppress(ValueError, OverflowError):
            if type(value) in (int, float, str):
                return float(value)
    elif type(value) in (parts or (kind,)):  # isinstance would take True for an integer
        return value
    raise ValueError(f"{key} must be {_in_words(kind)}, not {value!r}")


def _in_words(kind: Any) -> str:
    words = {
        str: "a text (in quotes, if it looks like something else)",
        bool: "true or false",
        int: "an integer",
        int | None: "an integer or null",
        float: "a number",
        tuple[float, float]: "a list of two numbers",
    }
    return words[kind]


def _field_types(kind: Any, prefix: str = "") -> dict[str, Any]:
    """The type of every field by its key, sections included: name, model, model.vocab_size, …"""
    types: dict[str, Any] = {}
    for field in fields(kind):
        types[prefix + field.name] = field.type
        if is_dataclass(field.type):
            types |= _field_types(field.type, f"{prefix}{field.name}.")
    return types


def _unknown(key: str, known: Iterable[str]) -> ValueError:
    def likeness(name: str) -> tuple[float, float]:
        # The last part first: a key in the wrong section, or in none, is still told where it belongs.
        ends = name.split(".")[-1], key.split(".")[-1]
        return _likeness(*ends), _likeness(name, key)

    return ValueError(f"{key!r} is no key: did you mean {max(known, key=likeness)}?")


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_device(value: str) -> bool:
    try:
        torch.device("cpu" if value == "auto" else value)
    except RuntimeError:
        return False
    return True


# Files: replaced as a whole, or appended to line by line.


@contextmanager
def _replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` once it is whole and on the disk; else it vanishes."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside it: only within one file system can a file be moved in one step. Always by the same name:
    # what a kill leaves behind is overwritten by the next attempt.
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with open(unfinished, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or the new name could reach the disk before the contents do
        os.replace(unfinished, path)
    except BaseException:  # an interrupt by the keyboard too
        unfinished.unlink(missing_ok=True)
        raise


def _whole_lines(path: Path) -> list[str]:
    """The lines of a log, after cutting off what a kill has left of the last one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = path.read_bytes() if path.exists() else b""
    whole = contents[: contents.rfind(b"\n") + 1]
    if whole != contents:
        os.truncate(path, len(whole))
    return whole.decode().split("\n")[:-1]


def _append(path: Path, text: str) -> None:
    # Opened anew each time: closing hands the text to the system, which keeps it if the process dies.
    with open(path, "ab") as file:
        file.write(text.encode())


def _rewrite(path: Path, lines: Iterable[str]) -> None:
    with _replacing(path) as file:
        file.writelines(f"{line}\n".encode() for line in lines)


def _row(path: Path, columns: list[str], step: int, metrics: dict[str, Any]) -> dict[str, Any]:
    """One value per column, None where there is none."""
    row = {"step": step, **metrics}
    for name in row:
        if name not in columns:
            raise ValueError(f"{name} is no column of {path}, whose first row has fixed them: {columns}")
    return {column: row.get(column) for column in columns}


def _csv_line(cells: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


# Checkpoints: random number generators, and files that are not what they should be.


def _global_rng_states() -> dict[str, Any]:
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),  # weights_only takes no NumPy arrays
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def _set_global_rng_states(states: dict[str, Any]) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    for index, state in zip(range(torch.cuda.device_count()), states["cuda"], strict=False):
        torch.cuda.set_rng_state(state, index)  # there may be fewer devices here than there were, or none
    if states["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"])


def _read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    with _opened(path) as file:
        try:
            _check_sums(file)
            # weights_only: tensors and plain values; nothing is called. map_location: this machine may
            # lack the device of a tensor; load_state_dict moves each to where its parameter is.
            state = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds, according to where the damage is
            raise ValueError(
                f"{path} is damaged or no checkpoint; name another one, or start anew"
            ) from error
    kinds = {"model": dict, "optimizer": dict, "step": int, "generator": object, "rng": dict}
    if not isinstance(state, dict) or not all(
        part in state and isinstance(state[part], kind) for part, kind in kinds.items()
    ):
        raise ValueError(f"{path} was not written by save_checkpoint; name a file that was")
    return state


def _opened(path: str | os.PathLike[str]) -> BinaryIO:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise
    except OSError as error:  # a folder, a link to itself, a file that is not ours to read
        raise ValueError(f"{path} cannot be read: {error.strerror}; name another one") from error


def _check_sums(file: BinaryIO) -> None:
    # torch.save writes a ZIP file, which has a checksum of each entry, and torch.load compares none:
    # a single bit that is another would be another weight.
    with zipfile.ZipFile(file) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} does not agree")
    file.seek(0)


def _check_model(path: str | os.PathLike[str], model: nn.Module, saved: dict[str, Any]) -> None:
    # load_state_dict finds most such faults too, but copies whatever fits before it says so, and
    # converts what is of another dtype without a word.
    here, there = _kinds(model.state_dict()), _kinds(saved)
    for name in [*here, *there]:
        if here.get(name) != there.get(name):
            raise ValueError(
                f"{path} has {name} as {there.get(name, 'nothing')}, the model as "
                f"{here.get(name, 'nothing')}; make the model by the configuration of that run"
            )


def _kinds(state: dict[str, Any]) -> dict[str, str]:
    return {name: _kind(value) for name, value in state.items()}


def _kind(value: Any) -> str:
    """The dtype and shape of a tensor, and its layout if it is sparse; the type of anything else."""
    if not isinstance(value, torch.Tensor):
        return type(value).__name__
    layout = "" if value.layout == torch.strided else f" {value.layout}"
    return f"{value.dtype} {tuple(value.shape)}{layout}".replace("torch.", "")
