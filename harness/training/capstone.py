"""`harness train`, `sample` and `demo`: what they hand to kata 09, on own or reference katas.

The training loop and its resume are in katas/k09_capstone/capstone.py.
"""

from __future__ import annotations

import filecmp
import importlib
import os
import shutil
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.corpora import catalogue
from harness.course.katas import Course, Kata
from harness.isolation import importer
from harness.isolation.recorder import Recorder
from harness.plots.figures import Point
from harness.progress.standing import KataProgress
from harness.training import words
from harness.training.run_folder import RunFolder, read_losses
from harness.training.workers import Workers, join_workers

CAPSTONE = "k09_capstone"
DEFAULT_CONFIG = "laptop"
DEFAULT_DATA, DATA_WITHOUT_NETWORK = "tiny_shakespeare", "tiny_tales"
RUNS = "runs"
_DATA_NOTE = "data.txt"  # in a run's folder: the name of its data, for --resume
_IMPORT_LIMIT = 600.0  # seconds for the import of one kata


class CannotTrain(Exception):
    """Something requested is missing; the message says what, and what to do."""


@dataclass(frozen=True)
class TrainingRequest:
    """The options of `harness train`; None for a default."""

    config: str | None = None  # a file, or the name of one of the capstone's
    data: str | None = None  # a corpus, or a file
    run_dir: Path | None = None
    resume: bool = False
    changes: Sequence[str] = ()  # "training.max_steps=100"


@dataclass(frozen=True)
class TrainingOutcome:
    """The result of a training run."""

    run: RunFolder
    summary: Any  # the capstone's RunSummary
    interrupted: bool
    prints: bool  # true in the process that prints
    limit: float | None  # the lowest loss that any model can reach on new text of this kind, if known

    @property
    def losses(self) -> Sequence[Point]:
        """Return the loss of every step so far."""
        return read_losses(self.run)[0]


def load_capstone(course: Course, solved: Collection[Kata]) -> ModuleType:
    """Return the capstone's module; it uses the reference for `solved` katas, else the learner's code."""
    if CAPSTONE not in {kata.name for kata in course.katas}:
        raise CannotTrain(words.no_capstone(CAPSTONE))
    importer.install(course, Recorder(None, _IMPORT_LIMIT), solved=solved, checked=False)
    return importlib.import_module(f"katas.{CAPSTONE}.capstone")


def unfinished(progress: Sequence[KataProgress]) -> list[Kata]:
    """Return the katas for which a demonstration uses the reference: incomplete, or edited since."""
    return [each.kata for each in progress if not each.complete or each.edited_since_pass]


def train(course: Course, capstone: ModuleType, request: TrainingRequest) -> TrainingOutcome:
    """Train and return the outcome. Raises CannotTrain, or an error of the katas."""
    if request.resume and (request.run_dir is None or not request.run_dir.is_dir()):
        raise CannotTrain(words.RESUME_NEEDS_A_RUN)
    config = _config(course, capstone, request)
    with join_workers(config.training.device) as workers:
        run = RunFolder(workers.agree(request.run_dir or _new_run_dir(course, capstone, config)))
        data_dir = _prepare_data(course, capstone, workers, run, _data_name(request, run))
        summary = capstone.train(config, data_dir, run.path, resume=request.resume)
        interrupted = summary.steps < config.training.max_steps
        return TrainingOutcome(
            run, summary, interrupted, workers.is_first, catalogue.lowest_loss(data_dir.name)
        )


def demonstrate(course: Course, capstone: ModuleType) -> TrainingOutcome:
    """Train the demonstration's small model, in a folder that the next demonstration overwrites."""
    run_dir = course.root / RUNS / "demo"
    shutil.rmtree(run_dir, ignore_errors=True)
    return train(course, capstone, TrainingRequest("demo", DATA_WITHOUT_NETWORK, run_dir))


def newest_run(course: Course) -> Path:
    """Return the folder of the run saved last. Raises CannotTrain if there is none."""
    runs = sorted((course.root / RUNS).glob("*/best.pt"), key=lambda path: path.stat().st_mtime)
    if not runs:
        raise CannotTrain(words.NO_RUN)
    return runs[-1].parent


def _config(course: Course, capstone: ModuleType, request: TrainingRequest) -> Any:
    resumed = RunFolder(request.run_dir).config if request.resume and request.run_dir else None
    if request.config is None and resumed and resumed.is_file():
        path = resumed
    else:
        path = _config_path(course, request.config or DEFAULT_CONFIG)
    return capstone.RunConfig.from_file(path).override(request.changes)


def _config_path(course: Course, name: str) -> Path:
    """Return the file, or the capstone's configuration of that name. Raises CannotTrain."""
    folder = course.root / "katas" / CAPSTONE / "configs"
    for path in (Path(name), folder / f"{name}.yaml"):
        if path.is_file():
            return path
    raise CannotTrain(words.no_configuration(name, sorted(path.stem for path in folder.glob("*.yaml"))))


def _new_run_dir(course: Course, capstone: ModuleType, config: Any) -> Path:
    run_id = importlib.import_module("katas.k08_engineering.engineering").make_run_id
    return course.root / RUNS / str(run_id(config, datetime.now(UTC)))


def _data_name(request: TrainingRequest, run: RunFolder) -> str | None:
    """Return the requested data, else the data of a resumed run, else None."""
    note = run.path / _DATA_NOTE
    if request.data is None and request.resume and note.is_file():
        return note.read_text(encoding="utf-8").strip()
    return request.data


def _prepare_data(
    course: Course, capstone: ModuleType, workers: Workers, run: RunFolder, name: str | None
) -> Path:
    """Return the folder of the prepared tokens. The first worker prepares them; the others wait."""
    folder = None
    if workers.is_first:
        text = _text(course, name)
        folder = course.root / "data" / "prepared" / text.stem
        prepare(capstone, text, folder)
        run.path.mkdir(parents=True, exist_ok=True)
        (run.path / _DATA_NOTE).write_text(
            f"{text.resolve() if _is_file(name) else text.stem}\n", encoding="utf-8"
        )
    agreed = workers.agree(folder)
    assert agreed is not None  # the first worker's
    return agreed


def prepare(capstone: ModuleType, text: Path, folder: Path) -> None:
    """Let the capstone turn a text into tokens in `folder`, replacing only files that differ.

    Another run may have mapped a file into its memory, so no file is written in place: new ones are
    written to a temporary folder and moved.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        capstone.prepare_data(text, temporary)
        for made in sorted(Path(temporary).iterdir()):
            there = folder / made.name
            if not (there.is_file() and filecmp.cmp(made, there, shallow=False)):
                os.replace(made, there)


def _text(course: Course, name: str | None) -> Path:
    """Return the text to train on: a file, a corpus, or by default the best corpus available."""
    if name is None:
        return _default_text(course)
    return Path(name) if _is_file(name) else catalogue.find(course.root, name)


def _is_file(name: str | None) -> bool:
    return name is not None and Path(name).is_file()


def _default_text(course: Course) -> Path:
    try:
        return catalogue.find(course.root, DEFAULT_DATA)
    except catalogue.NoCorpus:
        return catalogue.find(course.root, DATA_WITHOUT_NETWORK)
