"""Other correct ways to write this kata; its tests must accept every one."""

import csv
import hashlib
import io
import json
import os
import random
import re
import shutil
import tempfile
import zipfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import nn

from katas.k08_engineering.config import RunConfig
from katas.k08_engineering.engineering import accelerator_states


def make_run_id__isoformat(config: RunConfig, now: datetime) -> str:
    """From the ISO format, with the digest of the dataclass's own text."""
    now = (now if now.tzinfo else now.replace(tzinfo=UTC)).astimezone(UTC)
    time = re.sub("[^0-9]", "", now.isoformat(timespec="microseconds")[:26])
    clean = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "-" for c in config.name[:50])
    return f"{time}_{clean}_{hashlib.md5(repr(config).encode()).hexdigest()[:12]}"


def make_run_id__ticks(config: RunConfig, now: datetime) -> str:
    """Microseconds since 1970, in twenty digits, and a digest of the configuration's fields."""
    utc = now.replace(tzinfo=UTC) if now.tzinfo is None else now
    since = utc - datetime(1970, 1, 1, tzinfo=UTC)
    ticks = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    digest = hashlib.blake2b(json.dumps(asdict(config)).encode(), digest_size=6).hexdigest()
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
        **accelerator_states(),
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
            **accelerator_states(),
        },
    }
    memory = io.BytesIO()
    torch.save(values, memory)
    target = Path(path)
    target.parent.mkdir(exist_ok=True, parents=True)
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0))
    with open(descriptor, "wb", buffering=0) as file:
        file.write(memory.getbuffer())
        os.fsync(descriptor)
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
        if zipfile.ZipFile(io.BytesIO(contents)).testzip():
            raise ValueError("a checksum does not agree")
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
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                archive.read(name)  # compares the checksum
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
