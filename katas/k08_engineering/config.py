"""The configuration of a training run: all of its settings in one frozen object. This module is given.

What it is for is explained in theory.md, under "One object for all settings".
"""

import difflib
import json
import math
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

import torch
import yaml

from katas.k05_model.model import ModelConfig


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained. Invalid values raise ValueError."""

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
        integer and not negative. True and False do not count as integers. learning_rate and max_norm
        are positive, min_lr is from 0 to learning_rate, and weight_decay is not negative; all of these
        are finite. Each of the betas is at least 0 and less than 1. device is "auto" or a name that
        torch.device accepts, whether this machine has such a device or not.

        Raises ValueError naming the field and its value; if two fields do not fit together, both.
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
                f"batch_size = {self.batch_size} must be a multiple of micro_batches = {self.micro_batches}"
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
    """All that a run depends on, apart from the data.

    As a file it is YAML or JSON, with a section each for the fields of `model` and of `training`:

        name: small
        model:
          block_size: 64
        training:
          max_steps: 2000
          batch_size: 12
          learning_rate: 3e-4

    A file may leave out every field with a default, and `model.vocab_size`, which is None until the
    tokenizer of the data says how many tokens there are.
    """

    name: str  # for people; need not be unique
    model: ModelConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        """Check the name; model and training have checked themselves.

        Raises ValueError naming `name` and the value, if that is not a text or is blank.
        """
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"name must be a text that is not blank, not {self.name!r}")

    def as_dict(self) -> dict[str, Any]:
        """Return the configuration as plain values: texts, numbers, true and false, lists, dictionaries.

        warmup_steps, d_ff and vocab_size are left out if leaving them out changes nothing, because they
        follow from other fields or are not known yet: so they still follow when those fields change.
        Equal configurations have dictionaries that are equal, as text too: 0 in a field of type float is
        0.0.
        """
        return _plain(self)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "RunConfig":
        """Return the configuration in a file: YAML if its name ends in .yaml or .yml, JSON if in .json.

        Where a number is wanted, a text that float() can read is accepted: PyYAML takes 3e-4, which has
        no point, for a text. betas are a list in the file and a tuple in the result. The file is UTF-8,
        with or without a byte order mark; its ending may be in capitals. Nothing in it is ever run.

        Raises ValueError naming the file and the mistake in it: another ending; contents that are not
        UTF-8, not YAML or JSON, or not a mapping from keys to values; an unknown key, with the nearest
        known one, as in "unknown key 'training.learning_rte': did you mean training.learning_rate?"; a
        missing key; a value of another type than its field's; or one that the field refuses. Raises
        FileNotFoundError if there is no such file.
        """
        path = Path(path)
        try:
            parse = json.loads if _is_json(path) else _parse_yaml
            return _from_plain(parse(path.read_text(encoding="utf-8-sig")), RunConfig)  # -sig: maybe a BOM
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def to_file(self, path: str | os.PathLike[str]) -> None:
        """Write `as_dict()` to a file, which `from_file` reads back as an equal configuration.

        The folder is made if there is none. Raises ValueError naming the ending of the file's name, if
        that is not .yaml, .yml or .json.
        """
        if _is_json(Path(path)):
            text = json.dumps(self.as_dict(), indent=2) + "\n"
        else:
            text = yaml.safe_dump(self.as_dict(), sort_keys=False, allow_unicode=True)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(text.encode())

    def override(self, assignments: Iterable[str]) -> "RunConfig":
        """Return a new configuration with some fields changed, as on a command line.

        Each assignment is "key=value", the key with its section: "training.learning_rate=3e-4",
        "model.num_layers=2", "name=small". Spaces around key and value are ignored. A value is read as in
        a YAML file, but as text where text is wanted. Only the first "=" divides; if a key occurs twice,
        the last one counts. What `as_dict` leaves out follows: with d_ff = 4 · d_model, a new d_model
        brings a new d_ff.

        Raises ValueError naming the assignment if it has no "=", and for keys and values as `from_file`
        does.
        """
        values, known = self.as_dict(), _field_types(RunConfig)
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


def _is_json(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix not in (".yaml", ".yml", ".json"):
        raise ValueError(f"the name of a configuration must end in .yaml, .yml or .json, not in {suffix!r}")
    return suffix == ".json"


def _parse_yaml(text: str, source: str = "the file") -> Any:
    try:
        return yaml.safe_load(text)  # safe: a tag such as !!python/object/apply is refused, not obeyed
    except yaml.YAMLError as error:
        raise ValueError(f"{source} is not YAML of plain values: {error}") from error


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
        # The last part counts first: a key in the wrong section, or in none, is still recognised.
        ends = name.split(".")[-1], key.split(".")[-1]
        return _likeness(*ends), _likeness(name, key)

    return ValueError(f"unknown key {key!r}: did you mean {max(known, key=likeness)}?")


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
