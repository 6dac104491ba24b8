"""Other correct ways to write this kata; its tests must accept every one.

The fields of the two dataclasses are given. So here a class stands for the methods that its given one
gets in place of its own.
"""

import csv
import hashlib
import io
import json
import math
import os
import random
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import nn

from katas.k05_model.model import ModelConfig
from katas.k08_engineering.engineering import RunConfig, TrainingConfig


class TrainingConfig__asserted_one_by_one(
    metaclass=lambda _, __, methods: (
        [setattr(TrainingConfig, name, each) for name, each in methods.items() if hasattr(each, "__get__")]
        and TrainingConfig
    )
):
    """Each field by a condition of its own, all of them in one list."""

    def __post_init__(self) -> None:
        for name in ("max_steps", "batch_size", "micro_batches", "eval_interval"):
            value = getattr(self, name)
            if type(value) is not int or value <= 0:
                raise ValueError(f"training: {value} is not allowed as {name}")
        if self.warmup_steps is None:
            self.__dict__["warmup_steps"] = self.max_steps // 10 if self.max_steps < 1000 else 100
        kind = re.fullmatch(r"(auto)|(cpu|cuda|mps|xpu|meta)(:\d+)?", self.device)
        conditions = {
            "warmup_steps": type(self.warmup_steps) is int and self.warmup_steps >= 0,
            "seed": type(self.seed) is int and self.seed >= 0,
            "learning_rate": math.isfinite(self.learning_rate) and self.learning_rate > 0,
            "min_lr": math.isfinite(self.min_lr) and self.min_lr >= 0,
            "max_norm": math.isfinite(self.max_norm) and self.max_norm > 0,
            "weight_decay": math.isfinite(self.weight_decay) and self.weight_decay >= 0,
            "betas": min(self.betas) >= 0 and max(self.betas) < 1 and not any(map(math.isnan, self.betas)),
            "device": kind is not None,
        }
        for name, holds in conditions.items():
            if not holds:
                raise ValueError(f"training: {getattr(self, name)} is not allowed as {name}")
        together = {
            ("min_lr", "learning_rate"): self.min_lr <= self.learning_rate,
            ("warmup_steps", "max_steps"): self.warmup_steps <= self.max_steps,
            ("micro_batches", "batch_size"): self.batch_size % self.micro_batches == 0,
        }
        for pair, holds in together.items():
            if not holds:
                raise ValueError(" and ".join(f"{name} = {getattr(self, name)}" for name in pair) + " clash")


class RunConfig__through_every_field(
    metaclass=lambda _, __, methods: (
        [setattr(RunConfig, name, each) for name, each in methods.items() if hasattr(each, "__get__")]
        and RunConfig
    )
):
    """No types are looked up: each field says itself how it is read; what follows is never written."""

    def __post_init__(self) -> None:
        if type(self.name) is not str or self.name.strip() == "":
            raise ValueError(f"the name may not be {self.name!r}")

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "RunConfig":
        path = Path(path)
        contents = path.read_bytes() if path.suffix.lower() in (".yaml", ".yml", ".json") else None
        if contents is None:
            raise ValueError(f"{path}: cannot read {path.suffix} files")
        try:
            text = contents.decode("utf-8").removeprefix("\ufeff")
            tree = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
            return cls._from_tree(tree)
        except yaml.YAMLError as error:
            raise ValueError(f"in {path}: {error}") from error
        except ValueError as error:
            raise ValueError(f"in {path}: {error}") from error

    @classmethod
    def _from_tree(cls, tree) -> "RunConfig":
        readers = cls._readers()
        flat = {}
        if not isinstance(tree, dict):
            raise ValueError(f"{tree!r} is no mapping")
        for key, value in tree.items():
            if key not in ("model", "training"):
                flat[str(key)] = value
            elif isinstance(value, dict):
                flat |= {f"{key}.{inner}": item for inner, item in value.items()}
            else:
                raise ValueError(f"{key} is {value!r}, no mapping")
        for key in flat:
            if key not in readers:
                cls._refuse(key, [*readers, "model", "training"])
        for key in ("name", "model.block_size", "training.max_steps", "training.batch_size"):
            if key not in flat:
                raise ValueError(f"there is no {key}")
        parts = {"": {}, "model": {"vocab_size": None}, "training": {}}
        for key, value in flat.items():
            section, _, name = key.rpartition(".")
            parts[section][name] = readers[key](key, value)
        return RunConfig(
            parts[""]["name"], ModelConfig(**parts["model"]), TrainingConfig(**parts["training"])
        )

    @staticmethod
    def _refuse(key, known):
        short = {name.split(".")[-1]: name for name in known}
        near = get_close_matches(key.split(".")[-1], short, n=1, cutoff=0.0)[0]
        raise ValueError(f"unknown: {key}; did you mean {short[near]}?")

    @staticmethod
    def _readers():
        def exactly(*kinds):
            def read(key, value):
                if type(value) not in kinds:
                    raise ValueError(f"{key} cannot be {value!r}")
                return value

            return read

        def number(key, value):
            exactly(int, float, str)(key, value)
            try:
                return float(value)
            except ValueError:
                raise ValueError(f"{key} cannot be {value!r}") from None

        def pair(key, value):
            exactly(list)(key, value)
            if len(value) != 2:
                raise ValueError(f"{key} cannot be {value!r}")
            return number(key, value[0]), number(key, value[1])

        readers = {"name": exactly(str), "model.vocab_size": exactly(int, type(None))}
        readers |= {
            f"model.{name}": exactly(int) for name in ("block_size", "d_model", "num_heads", "num_layers")
        }
        readers |= {"model.d_ff": exactly(int, type(None)), "model.dropout": number}
        readers |= {f"model.{name}": exactly(bool) for name in ("bias", "tie_weights")}
        for name in ("max_steps", "batch_size", "micro_batches", "eval_interval", "seed"):
            readers[f"training.{name}"] = exactly(int)
        for name in ("learning_rate", "min_lr", "weight_decay", "max_norm"):
            readers[f"training.{name}"] = number
        readers["training.warmup_steps"] = exactly(int, type(None))
        return readers | {"training.betas": pair, "training.device": exactly(str)}

    def _tree(self):
        model, training = asdict(self.model), {**asdict(self.training), "betas": list(self.training.betas)}
        if self.model.d_ff == 4 * self.model.d_model:
            del model["d_ff"]
        if self.model.vocab_size is None:
            del model["vocab_size"]
        if self.training.warmup_steps == min(100, self.training.max_steps // 10):
            del training["warmup_steps"]
        return {"name": self.name, "model": model, "training": training}

    def to_file(self, path: str | os.PathLike[str]) -> None:
        path = Path(path)
        writers = {".json": json.dumps, ".yaml": yaml.safe_dump, ".yml": yaml.safe_dump}
        if path.suffix.lower() not in writers:
            raise ValueError(f"cannot write {path.suffix} files")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(writers[path.suffix.lower()](self._tree()), encoding="utf-8")

    def override(self, assignments: Iterable[str]) -> "RunConfig":
        readers, tree = self._readers(), self._tree()
        for assignment in assignments:
            if "=" not in assignment:
                raise ValueError(f"{assignment} assigns nothing")
            key, text = assignment.split("=", 1)
            key, text = key.strip(), text.strip()
            if key not in readers:
                self._refuse(key, readers)
            try:
                value = text if key in ("name", "training.device") else yaml.safe_load(text)
            except yaml.YAMLError as error:
                raise ValueError(f"in {assignment}: {error}") from error
            section, _, name = key.rpartition(".")
            (tree[section] if section else tree)[name] = value
        return self._from_tree(tree)


class RunConfig__by_example(
    metaclass=lambda _, __, methods: (
        [setattr(RunConfig, name, each) for name, each in methods.items() if hasattr(each, "__get__")]
        and RunConfig
    )
):
    """Types are those of an example's values; overriding by keyword arguments to dataclasses.replace."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or self.name.isspace() or not self.name:
            raise ValueError(f"name = {self.name!r} will not do")

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "RunConfig":
        try:
            return cls._built(cls._flat(cls._parsed(Path(path))))
        except ValueError as error:
            raise ValueError(f"{error} (in {os.fspath(path)})") from None

    @staticmethod
    def _parsed(path):
        ending = path.suffix.lower()
        if ending == ".json":
            return json.loads(path.read_text(encoding="utf-8-sig"))
        if ending not in (".yml", ".yaml"):
            raise ValueError(f"ending {ending!r}")
        return RunConfig._yaml(path.read_text(encoding="utf-8-sig"))

    @staticmethod
    def _yaml(text, prefix=""):
        try:
            return yaml.load(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            raise ValueError(f"{prefix}no YAML: {text!r}") from error

    @staticmethod
    def _flat(tree, prefix=""):
        if not isinstance(tree, dict):
            raise ValueError(f"{prefix or 'all'}: {tree!r} has no keys")
        flat = {}
        for key, value in tree.items():
            if prefix == "" and key in ("model", "training"):
                flat |= RunConfig._flat(value, f"{key}.")
            else:
                flat[f"{prefix}{key}"] = value
        return flat

    @staticmethod
    def _example():
        model = ModelConfig(vocab_size=1, block_size=1)
        training = TrainingConfig(max_steps=1, batch_size=1, warmup_steps=0)
        flat = {"name": "x"} | {f"model.{field.name}": getattr(model, field.name) for field in fields(model)}
        return flat | {f"training.{field.name}": getattr(training, field.name) for field in fields(training)}

    @staticmethod
    def _built(values):
        example, flat = RunConfig._example(), {"model.vocab_size": None}
        for key, value in values.items():
            if key not in example:
                last = [name.split(".")[-1] for name in example] + ["model", "training"]
                near = get_close_matches(key.split(".")[-1], last, n=1, cutoff=0)[0]
                raise ValueError(
                    f"{key}: not {next(name for name in [*example, near] if name.endswith(near))}?"
                )
            like = example[key]
            if isinstance(like, tuple) and isinstance(value, list) and len(value) == 2:
                value = tuple(RunConfig._number(key, item) for item in value)
            elif isinstance(like, float):
                value = RunConfig._number(key, value)
            nullable = value is None and key in ("model.vocab_size", "model.d_ff", "training.warmup_steps")
            if type(value) is not type(like) and not nullable:
                raise ValueError(f"{key}: {value!r} is of another type than {like!r}")
            flat[key] = value
        for key in ("name", "model.block_size", "training.max_steps", "training.batch_size"):
            if key not in flat:
                raise ValueError(f"{key} has no default")
        model = {key[6:]: value for key, value in flat.items() if key.startswith("model.")}
        training = {key[9:]: value for key, value in flat.items() if key.startswith("training.")}
        return RunConfig(flat["name"], ModelConfig(**model), TrainingConfig(**training))

    @staticmethod
    def _number(key, value):
        try:
            if isinstance(value, bool):
                raise TypeError
            return float(value)
        except (ValueError, TypeError):
            raise ValueError(f"{key}: {value!r} is no number") from None

    def _plainly(self):
        plain = RunConfig._flat(
            {"name": self.name, "model": asdict(self.model), "training": asdict(self.training)}
        )
        if replace(self.model, d_ff=None) == self.model:
            plain["model.d_ff"] = None
        if replace(self.training, warmup_steps=None) == self.training:
            plain["training.warmup_steps"] = None
        return {**plain, "training.betas": list(self.training.betas)}

    def to_file(self, path: str | os.PathLike[str]) -> None:
        path, plain = Path(path), self._plainly()
        tree = {"name": self.name, "model": {}, "training": {}}
        for key, value in plain.items():
            if "." in key:
                tree[key.split(".")[0]][key.split(".")[1]] = value
        if path.suffix.lower() not in (".json", ".yml", ".yaml"):
            raise ValueError(f"ending {path.suffix!r}")
        os.makedirs(path.parent, exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:  # JSON is YAML
            json.dump(tree, file, ensure_ascii=False)

    def override(self, assignments: Iterable[str]) -> "RunConfig":
        changes = {}
        for assignment in assignments:
            match = re.fullmatch(r"([^=]*)=(.*)", assignment, flags=re.DOTALL)
            if match is None:
                raise ValueError(f"no '=' in {assignment!r}")
            key, text = match[1].strip(), match[2].strip()
            changes[key] = text if key in ("name", "training.device") else RunConfig._yaml(text, f"{key}: ")
        return RunConfig._built({**self._plainly(), **changes})


def make_run_id__isoformat(config: RunConfig, now: datetime) -> str:
    """From the ISO format, with the digest of the dataclass's own text."""
    now = (now if now.tzinfo else now.replace(tzinfo=UTC)).astimezone(UTC)
    time = re.sub("[^0-9]", "", now.isoformat(timespec="microseconds")[:26])
    clean = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "-" for c in config.name[:50])
    config = replace(
        config, training=replace(config.training, weight_decay=float(config.training.weight_decay))
    )
    return f"{time}_{clean}_{hashlib.md5(repr(config).encode()).hexdigest()[:12]}"


def make_run_id__ticks(config: RunConfig, now: datetime) -> str:
    """Microseconds since 1970, in twenty digits, and a digest of the configuration's fields."""
    utc = now.replace(tzinfo=UTC) if now.tzinfo is None else now
    since = utc - datetime(1970, 1, 1, tzinfo=UTC)
    ticks = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    values = asdict(config)
    values["training"] = {
        name: float(value) if type(value) is int else value for name, value in values["training"].items()
    }
    digest = hashlib.blake2b(json.dumps(values).encode(), digest_size=6).hexdigest()
    name = "".join(re.findall(r"[\w-]", config.name, flags=re.ASCII))[:40]
    return f"{ticks:020d}-{digest}-{name}"


class CSVLogger__dict_writer:
    """With csv.DictWriter, which refuses fields that it does not know, and a file that stays open."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = os.fspath(path)
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._open()

    def _open(self):
        self.file = open(self.path, "a+", encoding="utf-8", newline="")  # noqa: SIM115 (closed by rewind, or at the end)
        self.file.seek(0)
        text = self.file.read()
        if not text.endswith("\n"):
            self.file.truncate(len(text[: text.rfind("\n") + 1].encode()))
        names = next(csv.reader(io.StringIO(text[: text.rfind("\n") + 1])), None)
        self.writer = csv.DictWriter(self.file, names) if names else None

    def log(self, step: int, **metrics: float | None) -> None:
        row = {"step": step, **metrics}
        if self.writer is None:
            self.writer = csv.DictWriter(self.file, list(row))
            self.writer.writeheader()
        self.writer.writerow(row)
        self.file.flush()

    def rewind(self, step: int) -> None:
        self.file.close()
        with open(self.path, encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        with open(self.path + "~", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows[:1])
            csv.writer(file).writerows(row for row in rows[1:] if int(row[0]) <= step)
        os.rename(self.path + "~", self.path)
        self._open()


class CSVLogger__line_by_line:
    """Without the csv module: names of metrics are identifiers, and numbers hold no commas."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        text = self.path.read_text()
        self.lines = text.splitlines(keepends=True)
        if self.lines and not self.lines[-1].endswith("\n"):
            self.lines.pop()
        self._write("".join(self.lines))

    def _write(self, text):
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(text)
        temporary.replace(self.path)

    def log(self, step: int, **metrics: float | None) -> None:
        names = self.lines[0].rstrip().split(",") if self.lines else ["step", *metrics]
        if not set(metrics) <= set(names):
            raise ValueError(f"no such columns: {set(metrics) - set(names)}")
        values = {"step": step, **metrics}
        cells = ["" if values.get(name) is None else repr(values[name]) for name in names]
        new = [",".join(cells) + "\n"] if self.lines else [",".join(names) + "\n", ",".join(cells) + "\n"]
        self.lines += new
        with open(self.path, "a", encoding="utf-8") as file:
            print(*new, sep="", end="", file=file, flush=True)

    def rewind(self, step: int) -> None:
        self.lines = self.lines[:1] + [line for line in self.lines[1:] if int(line.partition(",")[0]) <= step]
        self._write("".join(self.lines))


class JSONLLogger__kept_open:
    """With a file that stays open and is flushed after every row."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.names = None
        self._open()

    def _open(self):
        self.file = open(self.path, "a+b", buffering=0)  # noqa: SIM115 (closed by rewind, or at the end)
        self.file.seek(0)
        end = 0
        for line in self.file.read().splitlines(keepends=True):
            end += len(line) if line.endswith(b"\n") else 0
            self.names = self.names or (list(json.loads(line)) if line.endswith(b"\n") else None)
        self.file.truncate(end)

    def log(self, step: int, **metrics: float | None) -> None:
        row = {"step": step} | metrics
        self.names = self.names or list(row)
        if extra := [name for name in row if name not in self.names]:
            raise ValueError(f"no column for {', '.join(extra)}")
        row = {name: row.get(name) for name in self.names}
        self.file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")

    def rewind(self, step: int) -> None:
        self.file.close()
        handle, name = tempfile.mkstemp(dir=self.path.parent)
        with open(handle, "w", encoding="utf-8") as new, open(self.path, encoding="utf-8") as old:
            new.writelines(line for line in old if json.loads(line)["step"] <= step)
        os.replace(name, self.path)
        self._open()


class JSONLLogger__encoder:
    """With json.JSONEncoder, and rows that are read again for their columns each time."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = str(path)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.write("".join(line for line in self.read() if line.endswith("\n")))

    def read(self):
        return (
            Path(self.path).read_text(encoding="utf-8").splitlines(True) if os.path.exists(self.path) else []
        )

    def write(self, text):
        Path(f"{self.path}.new").write_text(text, encoding="utf-8")
        shutil.move(f"{self.path}.new", self.path)

    def log(self, step: int, **metrics: float | None) -> None:
        lines, row = self.read(), {"step": step, **metrics}
        whole = dict.fromkeys(json.loads(lines[0]) if lines else row)
        for name, value in row.items():
            if name not in whole:
                raise ValueError(f"{name}?")
            whole[name] = value
        with open(self.path, "a", encoding="utf-8") as file:
            file.write("".join(json.JSONEncoder(allow_nan=True).iterencode(whole)) + "\n")

    def rewind(self, step: int) -> None:
        self.write("".join(line for line in self.read() if json.loads(line)["step"] <= step))


def save_checkpoint__named_temporary_file(
    path: str | os.PathLike[str],
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    config: RunConfig,
    generator: torch.Generator | None,
) -> None:
    """Into a temporary file with a name by chance, with the states as they are made."""
    path = Path(path)
    os.makedirs(path.parent, exist_ok=True)
    numpy_state = np.random.get_state()
    rng = {
        "python": random.getstate(),
        "numpy": [numpy_state[0], [int(key) for key in numpy_state[1]], *numpy_state[2:]],
        "torch": torch.random.get_rng_state(),
        "cuda": [],
        "mps": None,
    }
    parts = {"model": dict(model.state_dict()), "optimizer": optimizer.state_dict(), "rng": rng, "step": step}
    parts["generator"] = generator.get_state() if generator else None
    parts["config"] = {
        "name": config.name,
        "model": asdict(config.model),
        "training": asdict(config.training),
    }
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            torch.save(parts, file)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            file.close()
            os.remove(file.name)
            raise
    os.rename(file.name, path)


def save_checkpoint__from_memory(
    path: str | os.PathLike[str],
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    config: RunConfig,
    generator: torch.Generator | None,
) -> None:
    """All of it as bytes in memory first, so that nothing is written unless everything can be."""
    state = np.random.get_state(legacy=True)
    values = {
        "step": step,
        "config": json.dumps(asdict(config)),
        "generator": generator.get_state() if generator is not None else None,
        "model": {name: value.detach().clone() for name, value in model.state_dict().items()}
        if all(isinstance(value, torch.Tensor) for value in model.state_dict().values())
        else model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": {
            "python": random.getstate(),
            "numpy": (
                state[0],
                state[1].astype("int64").tolist(),
                int(state[2]),
                int(state[3]),
                float(state[4]),
            ),
            "torch": torch.get_rng_state(),
            "cuda": [],
            "mps": None,
        },
    }
    memory = io.BytesIO()
    torch.save(values, memory)
    target = Path(path)
    target.parent.mkdir(exist_ok=True, parents=True)
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    fresh.write_bytes(memory.getbuffer())
    fresh.replace(target)


def load_checkpoint__with_rollback(
    path: str | os.PathLike[str],
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    generator: torch.Generator | None = None,
) -> int:
    """Copies of everything are kept; if anything fails, they are put back."""
    contents = Path(path).read_bytes()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer_before = io.BytesIO()
    torch.save(optimizer.state_dict() if optimizer else None, optimizer_before)
    generator_before = generator.get_state() if generator else None
    try:
        state = torch.load(io.BytesIO(contents), map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"], strict=True)
        if any(value.dtype != before[name].dtype for name, value in state["model"].items()):
            raise ValueError("the weights are of another dtype")
        if optimizer:
            optimizer.load_state_dict(state["optimizer"])
        if generator:
            generator.set_state(state["generator"])
        rng, step = state["rng"], int(state["step"])
        random.setstate(rng["python"])
        np.random.set_state(rng["numpy"])
        torch.random.set_rng_state(rng["torch"])
    except Exception as error:
        with torch.no_grad():
            for name, value in model.state_dict().items():
                value.copy_(before[name])
        optimizer_before.seek(0)
        if optimizer:
            optimizer.load_state_dict(torch.load(optimizer_before, weights_only=True))
        if generator:
            generator.set_state(generator_before)
        raise ValueError(f"cannot go on from {path}: {error}") from error
    return step


def load_checkpoint__checked_first(
    path: str | os.PathLike[str],
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    generator: torch.Generator | None = None,
) -> int:
    """Every part is compared with what it goes into, and only then is anything loaded."""
    if not os.path.exists(path):
        raise FileNotFoundError(path)
    device = next(model.parameters()).device
    try:
        state = torch.load(os.fspath(path), map_location=lambda storage, _: storage, weights_only=True)
        saved, rng, step = state["model"], state["rng"], state["step"]
        kinds = {name: (value.dtype, value.size()) for name, value in model.state_dict().items()}
        fits = {name: (value.dtype, value.size()) for name, value in saved.items()} == kinds
        if optimizer is not None:
            groups = state["optimizer"]["param_groups"]
            ours = [len(group["params"]) for group in optimizer.param_groups]
            fits = fits and [len(group["params"]) for group in groups] == ours
        fits = fits and (generator is None or isinstance(state["generator"], torch.Tensor))
    except Exception as error:
        raise ValueError(f"{path} cannot be read") from error
    if not fits:
        raise ValueError(f"{path} does not fit")
    model.load_state_dict({name: value.to(device) for name, value in saved.items()})
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer"])
    if generator is not None:
        generator.set_state(state["generator"].cpu())
    random.setstate(rng["python"])
    np.random.set_state(tuple(rng["numpy"]))
    torch.set_rng_state(rng["torch"])
    return step
