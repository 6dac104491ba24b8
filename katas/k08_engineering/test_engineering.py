"""Ordered tests of kata 08: each adds one idea, and needs only what stands above it."""

import csv
import json
import os
import pickle
import random
import re
import sys
import time
import zipfile
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
import torch
from torch import nn

from katas.k05_model.model import ModelConfig
from katas.k08_engineering.config import RunConfig, TrainingConfig
from katas.k08_engineering.engineering import (
    CSVLogger,
    JSONLLogger,
    load_checkpoint,
    make_run_id,
    save_checkpoint,
)

LOGGERS = {"csv": CSVLogger, "jsonl": JSONLLogger}


def run_config(name="größer: 3e4", d_model=24, **training):
    given = {"max_steps": 70, "batch_size": 12, "learning_rate": 3e-4, "betas": (0.8, 0.95), "seed": 5}
    model = ModelConfig(vocab_size=67, block_size=11, d_model=d_model, num_heads=3, num_layers=5)
    return RunConfig(name=name, model=model, training=TrainingConfig(**{**given, **training}))


def read_log(path):
    """The rows of a log, as a reader without our code sees them; None for an empty cell."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_bytes().decode().splitlines()]
    rows = csv.DictReader(path.read_bytes().decode().splitlines(), strict=True)
    return [{name: read_cell(cell) for name, cell in row.items()} for row in rows]


def read_cell(cell):
    """The number in a cell of a table, None for an empty one; other text stays as it is."""
    with suppress(TypeError, ValueError):
        return float(cell) if cell else None
    return cell


def numbers(rows):
    """Rows with each number as text, which makes 7 and 7.0 equal, and nan equal to nan."""
    return [
        {name: repr(float(value)) if isinstance(value, int | float) else value for name, value in row.items()}
        for row in rows
    ]


@contextmanager
def another_time_zone():
    """As on a computer whose clock shows the time of a zone nine hours ahead of UTC."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "XYZ-9")
        set_clock()
        try:
            yield
        finally:
            patch.undo()
            set_clock()


def set_clock():
    if hasattr(time, "tzset"):  # Windows does not have it
        time.tzset()


def order(ids):
    """The places of the ids in the list, in the order of the ids as text."""
    return sorted(range(len(ids)), key=lambda place: ids[place])


def test_run_ids_are_in_order_of_time():
    """Sorted as text, ids are in order of time in any time zone; a time without a zone is in UTC."""
    config, noon = run_config(), datetime(2026, 10, 25, 12, 0, 0, 9)
    berlin, tokyo = timezone(timedelta(hours=2)), timezone(timedelta(hours=9))
    microsecond = timedelta(microseconds=1)
    later = [microsecond, timedelta(seconds=9), timedelta(seconds=10), timedelta(days=100)]
    moments = [noon, *(noon + pause for pause in later)]
    for zone in (None, berlin):
        ids = [make_run_id(config, moment.replace(tzinfo=zone)) for moment in moments]
        assert order(ids) == [0, 1, 2, 3, 4]
        assert len(set(ids)) == 5, "two runs at different times have one id"
    early, late = datetime(2026, 10, 25, 3, tzinfo=tokyo), datetime(2026, 10, 24, 23, tzinfo=UTC)
    ids = [make_run_id(config, early), make_run_id(config, late)]  # at 18 and at 23 o'clock in UTC
    assert order(ids) == [0, 1], "one of the times was not converted to UTC"
    ids = [make_run_id(run_config(name="b"), noon), make_run_id(run_config(name="a"), noon + microsecond)]
    assert order(ids) == [0, 1], "the name counts more than the time"
    in_utc = noon.replace(tzinfo=UTC)
    with another_time_zone():
        ids = [make_run_id(config, moment) for moment in (in_utc - microsecond, noon, in_utc + microsecond)]
    assert order(ids) == [0, 1, 2], "a time without a zone was not taken to be UTC"


def test_run_id_tells_configurations_apart(monkeypatch):
    """Equal configurations have equal ids, in another process too; different ones have different ids."""
    config, noon = run_config(), datetime(2026, 10, 25, 12, 0, 0, 9)
    ours = make_run_id(config, noon)
    assert make_run_id(run_config(), noon) == ours
    with monkeypatch.context() as another_process:  # where hash() gives other numbers
        another_process.setattr("builtins.hash", lambda value, ours=hash: ours(("another salt", ours(value))))
        again = make_run_id(config, noon)
    assert again == ours, "another process has another name for the same configuration"
    others = [
        config,
        run_config(seed=6),
        run_config(betas=(0.8, 0.96)),
        run_config(d_model=48),
        run_config(name="größer; 3e4"),
    ]
    assert len({make_run_id(other, noon) for other in others}) == len(others), "two runs have one name"
    long = {make_run_id(run_config(name="x" * 500, seed=seed), noon) for seed in (5, 6)}
    assert len(long) == 2, "two runs whose configurations have the same long name have one name"


@pytest.mark.parametrize("name", ["warm-1", "../a b", "größer", "CON: <x>|?*\\.", "x" * 500, "日本"])
def test_run_id_is_a_folder_name_on_every_system(name):
    """At most 100 ASCII letters, digits, "-" and "_", whatever the configuration is called."""
    made = make_run_id(run_config(name=name), datetime(2026, 10, 25, 12))
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,100}", made), (
        f"expected up to 100 of A-Z, a-z, 0-9, - and _: {made}"
    )
    assert name != "warm-1" or name in made, "the name could stay as it is"


@pytest.mark.parametrize("kind", LOGGERS)
def test_log_gives_back_every_number(kind, tmp_path):
    """After each call the row is in the file, each number unchanged, in the columns of the first row."""
    LOGGERS[kind](tmp_path / f"log.{kind}").log(0, loss=0.5)  # the folder exists, the file does not
    path = tmp_path / "new" / "folder" / f"log.{kind}"
    logger = LOGGERS[kind](path)
    rows = [
        {"step": 0, "val_loss": None, "loss": 0.1 + 0.2, "tokens": 2**53 - 1},
        {"step": 1, "val_loss": 5e-324, "loss": float("nan"), "tokens": 0},
        {"step": 12, "val_loss": float("-inf"), "loss": float("inf"), "tokens": -7},
    ]
    for count, row in enumerate(rows):
        logger.log(**row)
        line_ends = path.read_bytes().count(b"\n")
        found = numbers(read_log(path))
        assert found == numbers(rows[: count + 1])
        assert line_ends == count + (2 if kind == "csv" else 1), "each row must be one line"
    logger.log(13, loss=2.5, val_loss=1 / 3)  # in another order, and without tokens
    rows.append({"step": 13, "val_loss": 1 / 3, "loss": 2.5, "tokens": None})
    found = numbers(read_log(path))
    assert found == numbers(rows)
    assert [list(row) for row in read_log(path)] == [["step", "val_loss", "loss", "tokens"]] * 4


def kill_while_writing(path, lost):
    """Remove a log's last bytes, as if its process had died before writing them; return its whole rows.

    A line end is lost as a whole, even if it is the two characters that the csv module writes.
    """
    contents = path.read_bytes()
    if lost:
        unended = contents.removesuffix(b"\n").removesuffix(b"\r")
        contents = unended[: max(len(unended) + 1 - lost, 0)]
    path.write_bytes(contents[: contents.rfind(b"\n") + 1])
    kept = numbers(read_log(path))
    path.write_bytes(contents)
    return kept


@pytest.mark.parametrize("lost", [0, 1, 3, 25, 10_000], ids=lambda lost: f"{lost} bytes lost")
@pytest.mark.parametrize("kind", LOGGERS)
def test_log_goes_on_after_a_kill(kind, lost, tmp_path):
    """A new logger goes on with the file's rows and columns, and cuts off a last line without a line end."""
    path = tmp_path / f"log.{kind}"
    rows = [{"step": step, "loss": step / 7, "lr": 0.5} for step in range(4)]
    first = LOGGERS[kind](path)
    for row in rows:
        first.log(**row)
    kept = kill_while_writing(path, lost)
    second = LOGGERS[kind](str(path))
    found = numbers(read_log(path))
    assert found == kept, "a new logger must keep the whole rows, all of them and nothing else"
    second.log(9, lr=0.25, loss=1.5)
    found = numbers(read_log(path))
    assert found == [*kept, *numbers([{"step": 9, "loss": 1.5, "lr": 0.25}])]


@pytest.mark.parametrize("kind", LOGGERS)
def test_log_is_rewound_to_a_step(kind, tmp_path):
    """Rewinding removes the rows of later steps and leaves the others alone; logging goes on from there."""
    path, steps = tmp_path / "logs" / f"log.{kind}", [2, 8, 9, 10, 30, 100]
    logger = LOGGERS[kind](path)
    logger.rewind(5)  # there is nothing in it yet
    rows = [{"step": step, "loss": step / 7} for step in steps]
    for row in rows:
        logger.log(**row)
    written = path.read_bytes()
    LOGGERS[kind](path).rewind(100)
    found = numbers(read_log(path))
    assert found == numbers(rows)
    assert path.read_bytes() == written
    logger.rewind(10)
    found = numbers(read_log(path))
    assert found == numbers(rows[:4])
    logger.log(11, loss=0.5)
    found = numbers(read_log(path))
    assert found == numbers([*rows[:4], {"step": 11, "loss": 0.5}])
    LOGGERS[kind](path).rewind(9)
    found = numbers(read_log(path))
    assert found == numbers(rows[:3])


DRAWS = {
    "nothing": lambda run: 0.5,
    "generator": lambda run: torch.rand((), generator=run.generator).item(),
    "torch": lambda run: torch.rand(()).item(),
    "python": lambda run: random.gauss(0, 1),  # makes two at a time, and keeps one for the next call
    "numpy": lambda run: np.random.standard_normal(),  # likewise
}
OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.1),
    "fused": lambda parameters: torch.optim.AdamW(parameters, lr=0.1, fused=True),
}


class Centred(nn.Module):
    """Subtracts the running mean of what it has seen in training: a buffer, not a parameter."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, x):
        if self.training:
            self.mean.lerp_(x.detach().mean(dim=0), 0.1)
        return x - self.mean


class Run:
    """A small model in training, with dropout if wanted; all that is random follows from the seed."""

    def __init__(self, seed, *, optimizer="adamw", dropout=0.0, draw="nothing", width=7):
        for seeded in (torch.manual_seed, random.seed, np.random.seed):
            seeded(seed)
        layers = [nn.Linear(5, width), Centred(width), nn.Dropout(dropout), nn.Linear(width, 3)]
        self.model = nn.Sequential(*layers)
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.generator = torch.Generator().manual_seed(seed)
        self.draw = DRAWS[draw]

    def train(self, steps):
        for _ in range(steps):
            x = torch.linspace(-1, 1, 20).reshape(4, 5).roll(1, 0) ** 2 * self.draw(self)
            self.optimizer.zero_grad()
            (self.model(x) - 1).square().mean().backward()
            self.optimizer.step()

    def save(self, path, step=7, **parts):
        given = {"model": self.model, "optimizer": self.optimizer, "generator": self.generator}
        save_checkpoint(path, step=step, **{"config": run_config(), **given, **parts})

    def load(self, path):
        return load_checkpoint(path, model=self.model, optimizer=self.optimizer, generator=self.generator)

    def state(self):
        """All that the run consists of, the global generators included, bit for bit."""
        name, keys, *rest = np.random.get_state()
        return {
            "weights": bits(self.model.state_dict()),
            "optimizer": bits(self.optimizer.state_dict()["state"]),
            "generator of the batches": bits(self.generator.get_state()),
            "generator of torch": bits(torch.get_rng_state()),
            "generator of Python": random.getstate(),
            "generator of NumPy": (name, keys.tolist(), *rest),
        }


def bits(value):
    """A copy for ==: each tensor as its shape and bytes."""
    if isinstance(value, dict):
        return {name: bits(item) for name, item in value.items()}
    return (value.shape, value.numpy().tobytes()) if isinstance(value, torch.Tensor) else value


def differing(actual, expected):
    return [part for part in expected if actual[part] != expected[part]]


@pytest.mark.parametrize(
    "parts",
    [
        {"optimizer": "sgd"},
        {"optimizer": "adamw"},
        {"optimizer": "fused"},
        {"draw": "generator"},
        {"draw": "torch"},
        {"dropout": 0.5},
        {"draw": "python"},
        {"draw": "numpy"},
    ],
    ids=["sgd", "adamw", "fused", "generator", "torch", "dropout", "python", "numpy"],
)
def test_seven_steps_and_five_are_twelve(parts, tmp_path):
    """A run resumed after 7 steps has the same state, and 5 steps later that of 12 steps, bit for bit."""
    path, run = tmp_path / "new" / "folder" / "last.pt", Run(0, **parts)
    run.train(7)
    at_seven = run.state()
    run.save(path)
    assert differing(run.state(), at_seven) == [], "saving has changed the run"
    run.train(5)

    resumed = Run(2, **parts)
    resumed.train(3)
    assert resumed.load(path) == 7
    loaded = resumed.state()
    assert differing(loaded, at_seven) == [], "loaded, but not as it was when it was saved"
    resumed.train(5)
    assert differing(resumed.state(), run.state()) == [], "five steps later it is elsewhere"


def move_to_gpu(path):
    """Rewrite a checkpoint as a run on a GPU would have written it: each tensor says where it was."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    here, there = (b"X" + len(name).to_bytes(4, "little") + name for name in (b"cpu", b"cuda:0"))
    with zipfile.ZipFile(path, "w") as archive:
        for name, contents in records.items():
            archive.writestr(name, contents.replace(here, there) if name.endswith("data.pkl") else contents)


def test_model_alone_is_loaded_on_any_device(tmp_path):
    """Sampling needs only the model; a checkpoint saved on a GPU is loaded on a machine without one."""
    path, run = tmp_path / "last.pt", Run(0)
    run.train(7)
    run.save(path)
    move_to_gpu(path)
    alone = Run(1).model.eval()
    assert load_checkpoint(str(path), model=alone) == 7
    weights = bits(alone.state_dict())
    assert weights == run.state()["weights"]
    assert not alone.training, "loading has changed the mode of the model"


def test_configuration_is_in_the_checkpoint(tmp_path):
    """The configuration is in the file as plain values, so anyone who finds it can make the model again."""
    path, config = tmp_path / "last.pt", run_config(seed=90817263)
    Run(0).save(path, config=config)
    contents = repr(torch.load(path, weights_only=True))
    assert "90817263" in contents, "the configuration is not in the checkpoint"


class Trap:
    """When it is saved, it notes what is in a file, and fails as a full disk would."""

    def __init__(self, path):
        self.path, self.seen = path, []

    def __reduce__(self):
        self.seen.append(self.path.read_bytes())
        raise OSError("no space left")


class Unfinishable(nn.Linear):
    """A layer whose saving fails half-way: at its extra state, which comes after its weights."""

    def __init__(self, trap):
        super().__init__(5, 3)
        self.trap = trap

    def get_extra_state(self):
        return self.trap


class Watch:
    """Sees the file `path` replaced: whether the new one is on the disk by then, and whether none is there.

    The profiler sees every call of a function that is written in C, however it was imported.
    """

    def __init__(self, path):
        self.path, self.is_synced, self.is_renamed, self.was_gone = path, False, False, False

    def __enter__(self):
        self.before = sys.getprofile()
        sys.setprofile(self.note)
        return self

    def __exit__(self, *error):
        sys.setprofile(self.before)

    def note(self, frame, event, function):
        is_of_system = getattr(function, "__module__", "") in ("posix", "nt")  # where os has it from
        name = function.__name__ if is_of_system else ""
        if event == "c_call" and name in ("fsync", "fdatasync", "sync"):
            self.is_synced = self.is_synced or not self.is_renamed
        if event == "c_call" and name in ("rename", "replace"):
            self.is_renamed = True
        if event == "c_return" and name in ("unlink", "remove", "rename", "replace"):
            self.was_gone = self.was_gone or not self.path.exists()


def test_checkpoint_is_replaced_whole_or_not_at_all(tmp_path):
    """While a checkpoint is written the old one is there, and it stays if writing fails."""
    path, link, run = tmp_path / "run" / "last.pt", tmp_path / "link", Run(0)
    run.save(path, step=3)
    before, trap = path.read_bytes(), Trap(path)
    with pytest.raises(OSError, match="no space left"):
        run.save(path, step=4, model=Unfinishable(trap))
    assert trap.seen == [before], "a kill while the new one is written would not leave the old one"
    assert path.read_bytes() == before
    files_left = [each.name for each in path.parent.iterdir()]
    assert files_left == [path.name], "an unfinished file is left in the folder"

    os.link(path, link)  # still shows the old file when another one has taken its place
    run.train(1)
    with Watch(path) as watch:
        run.save(str(path), step=4)
    assert link.read_bytes() == before, "the old file was overwritten, not replaced"
    files_left = [each.name for each in path.parent.iterdir()]
    assert files_left == [path.name], "another file is left in the folder"
    assert (Run(1).load(link), Run(1).load(path)) == (3, 4)
    assert not watch.was_gone, (
        "save_checkpoint(path, …) has removed the old file before the new one was there"
    )
    assert watch.is_synced, "the new file has taken the old one's place before os.fsync put it on the disk"


@pytest.mark.parametrize("resumed", [False, True], ids=["same logger", "new logger"])
@pytest.mark.parametrize("kind", LOGGERS)
def test_unknown_column_is_refused(kind, resumed, tmp_path):
    """ValueError names a metric that the first row of the file does not have; nothing is written."""
    path, row = tmp_path / f"log.{kind}", {"step": 3, "loss": 0.5, "lr": 0.25}
    logger = LOGGERS[kind](path)
    logger.log(**row)
    if resumed:
        logger = LOGGERS[kind](path)
    with pytest.raises(ValueError, match="val_loss"):
        logger.log(4, loss=1.5, lr=0.25, val_loss=2.0)
        found = numbers(read_log(path))  # what was written, if nothing was refused
    found = numbers(read_log(path))
    assert found == numbers([row])
    logger.log(5, lr=0.125, loss=0.75)
    found = numbers(read_log(path))
    assert found == numbers([row, {"step": 5, "loss": 0.75, "lr": 0.125}])


class Hostile:
    """Unpickling it makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def weights_by_group(model, count):
    parameters = list(model.parameters())
    return torch.optim.AdamW([{"params": parameters[number::count]} for number in range(count)])


def assert_refused(path, run):
    """ValueError names the file, and the run and the folder stay as they are."""
    run.train(2)
    before, files = run.state(), sorted(path.parent.iterdir())
    with pytest.raises(ValueError, match=re.escape(str(path))):
        run.load(path)
    assert sorted(path.parent.iterdir()) == files, "code in the file has been run: it has made a folder"
    assert differing(run.state(), before) == [], "the file was refused, but these have changed"


def flip_a_bit(path):
    """What an old disk does: one of a weight's bits is another."""
    contents = bytearray(path.read_bytes())
    weight = Run(3).model[0].weight.detach().numpy().tobytes()
    contents[contents.index(weight)] ^= 1
    path.write_bytes(contents)


SPOIL = {  # what is done to a good checkpoint
    "empty": lambda path: path.write_bytes(b""),
    "a log": lambda path: path.write_bytes(b"step,loss\n0,4.2\n"),
    "first half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "one byte short": lambda path: os.truncate(path, path.stat().st_size - 1),
    "second half": lambda path: path.write_bytes(path.read_bytes()[path.stat().st_size // 2 :]),
    "one bit": flip_a_bit,
    "a list": lambda path: torch.save([1, 2], path),
    "weights only": lambda path: torch.save(Run(3).model.state_dict(), path),
    "a pickle with code": lambda path: path.write_bytes(
        pickle.dumps(Hostile(path.with_name("made")), protocol=2)
    ),
    "code": lambda path: torch.save(Hostile(path.with_name("made")), path),
    "code inside": lambda path: torch.save({"model": Hostile(path.with_name("made"))}, path),
}


@pytest.mark.parametrize("spoil", SPOIL.values(), ids=SPOIL)
def test_damaged_or_foreign_checkpoint_is_refused(spoil, tmp_path):
    """ValueError names a file that is damaged or not a checkpoint; nothing changes, no code in it is run."""
    path = tmp_path / "last.pt"
    Run(3).save(path)
    spoil(path)
    assert_refused(path, Run(4))


def test_missing_checkpoint_is_refused(tmp_path):
    """FileNotFoundError: a mistyped path must not start a run from untrained weights."""
    with pytest.raises(FileNotFoundError):
        Run(4).load(tmp_path / "nowhere.pt")


OTHERS = {  # how else a run could have been saved
    "wider": lambda path: Run(3, width=8).save(path),
    "deeper": lambda path: Run(3).save(path, model=nn.Sequential(*Run(3).model, nn.Linear(3, 3))),
    "flatter": lambda path: Run(3).save(path, model=Run(3).model[:3]),
    "half the digits": lambda path: Run(3).save(path, model=Run(3).model.half()),
    "two groups": lambda path: Run(3).save(path, optimizer=weights_by_group(Run(3).model, 2)),
    "fewer weights": lambda path: Run(3).save(path, optimizer=weights_by_group(Run(3).model[:1], 1)),
    "no generator": lambda path: Run(3).save(path, generator=None),
}


@pytest.mark.parametrize("save", OTHERS.values(), ids=OTHERS)
def test_checkpoint_of_another_model_is_refused(save, tmp_path):
    """ValueError names a file of another model, of another optimizer, or without a generator's state."""
    path = tmp_path / "last.pt"
    save(path)
    assert_refused(path, Run(4))
