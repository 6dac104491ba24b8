"""`harness train`, `sample` and `demo`: what they hand to kata 09, on own or reference katas.

The training loop and its resume are in katas/k09_capstone/capstone.py.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.corpora import catalogue
from harness.course.katas import Course, Kata
from harness.isolation import importer
from harness.isolation.recorder import Recorder
from harness.plots.figures import Point
from harness.progress.standing import KataProgress
from harness.terminal.show import show
from harness.training import parts, texts, words
from harness.training.configuration import CAPSTONE, read_configuration
from harness.training.full_disk import no_room
from harness.training.request import CannotTrain, TrainingRequest
from harness.training.run_folder import (
    RunFolder,
    check_folder,
    read_losses,
    read_restatement,
    start,
    text_name,
)
from harness.training.samples import samples_kept
from harness.training.workers import Workers, join_workers
from harness.training.writing import CACHE, writer

RUNS = "runs"
_DEMO_TOKENS = 400
_IMPORT_LIMIT = 600.0  # seconds for the import of one kata


@dataclass(frozen=True)
class TrainingOutcome:
    """The result of a training run."""

    run: RunFolder
    summary: Any  # the capstone's RunSummary
    interrupted: bool
    prints: bool  # true in the process that prints
    limit: float | None  # the lowest loss that any model can reach on new text of this kind, if known
    bytes_per_character: float | None = None  # of the validation text, if its tokens are not its characters

    @property
    def losses(self) -> Sequence[Point]:
        """Return the loss of every step so far."""
        return read_losses(self.run)[0]

    @property
    def restatement(self) -> tuple[float, float] | None:
        """Return the last validation loss as perplexity and bits per byte, if the run has logged these."""
        return read_restatement(self.run)

    @property
    def tokens_per_character(self) -> float | None:
        """Return the factor from nats per token to nats per character; None if a token is a character."""
        if self.bytes_per_character is None or self.restatement is None:
            return None
        nats_per_byte = self.restatement[1] * math.log(2)
        return nats_per_byte * self.bytes_per_character / float(self.summary.val_loss)


@dataclass(frozen=True)
class Demonstration:
    """The text that the demonstration's model wrote."""

    text: str
    interrupted: bool


def load_capstone(course: Course, solved: Collection[Kata]) -> ModuleType:
    """Return the capstone's module; it uses the reference for `solved` katas, else the learner's code."""
    return load_kata(course, kata_named(course, CAPSTONE), solved)


def kata_named(course: Course, name: str) -> Kata:
    """Return the kata of this name. Raises CannotTrain if the course has none."""
    for kata in course.katas:
        if kata.name == name:
            return kata
    raise CannotTrain(words.no_kata(name))


def load_kata(course: Course, kata: Kata, solved: Collection[Kata]) -> ModuleType:
    """Return a kata's module, without checks of types; `solved` katas are the reference's."""
    importer.install(course, Recorder(None, _IMPORT_LIMIT), solved=solved, checked=False)
    return importlib.import_module(kata.module)


def unfinished(progress: Sequence[KataProgress]) -> list[Kata]:
    """Return the katas for which a demonstration uses the reference: incomplete, or edited since."""
    return [each.kata for each in progress if not each.finished]


def train(course: Course, capstone: ModuleType, request: TrainingRequest) -> TrainingOutcome:
    """Train and return the outcome. Raises CannotTrain or NotObtained, or an error of the katas."""
    if request.resume and request.run_dir is None:
        raise CannotTrain(words.RESUME_NEEDS_A_RUN)
    if request.run_dir:  # before anything else is done, and by each worker before one of them writes
        check_folder(RunFolder(request.run_dir), resume=request.resume, solutions=request.solutions)
    config = read_configuration(course, capstone, request)
    with join_workers(config.training.device) as workers:
        run = RunFolder(workers.agree(request.run_dir or _new_run_dir(course, capstone, config)))
        used = _parts(run, request)
        data_dir, limit = _prepare_data(course, capstone, workers, run, replace(request, parts=used))
        if used and workers.is_first:
            show(words.training_with(parts.katas_of(course, used), solutions=request.solutions))
        options = parts.training_options(used, config, quiet=not workers.is_first)
        keeping = samples_kept(run) if workers.is_first else contextlib.nullcontext()
        with _full_disk_reported(partial(_no_room, run, request)), keeping:
            summary = capstone.train(config, data_dir, run.path, resume=request.resume, **options)
        interrupted = summary.steps < config.training.max_steps
        width = bytes_per_character(capstone, data_dir) if parts.TOKENS in used else None
        return TrainingOutcome(run, summary, interrupted, workers.is_first, limit, width)


def _parts(run: RunFolder, request: TrainingRequest) -> tuple[str, ...]:
    """Return the parts of later katas to train with. Raises CannotTrain if a resumed run has others."""
    if not (request.resume and run.last.exists()):
        return tuple(request.parts or ())
    if request.parts is not None and set(request.parts) != set(run.parts):
        raise CannotTrain(words.other_parts(run.path, run.parts, solutions=request.solutions))
    return run.parts


def bytes_per_character(capstone: ModuleType, data_dir: Path) -> float:
    """Return how many bytes the validation text has for each character, in UTF-8."""
    characters = capstone.load_tokens(data_dir)
    return float(characters.val_bytes / (len(characters.val) - 1))


def demonstrate(course: Course, capstone: ModuleType, used: Sequence[str] = ()) -> Demonstration:
    """Train the demonstration's small model in a folder of its own, which is deleted, and let it write.

    `used` are the parts of later katas that it has.

    Raises CannotTrain or NotObtained, or an error of the katas.
    """
    with tempfile.TemporaryDirectory(prefix="harness-demo-") as folder:
        request = TrainingRequest("demo", texts.WITHOUT_NETWORK, Path(folder), parts=used, kept=False)
        outcome = train(course, capstone, request)
        text = sample(capstone, outcome.run.path, "\n", _DEMO_TOKENS, temperature=0.8)
    return Demonstration(text, outcome.interrupted)


def sample(
    capstone: ModuleType,
    run_dir: Path,
    prompt: str,
    max_new_tokens: int,
    *,
    cached: bool = False,
    **options: Any,
) -> str:
    """Return what the run's best model writes. Raises CannotTrain if there is none, or an error of the katas.

    `cached` says whether kata 14 may write, where it can. `options` are those of the capstone's `sample`.
    """
    try:
        used = RunFolder(run_dir).parts
        options |= parts.sampling_options(used) | {"generate": writer(used, cached=cached)}
        return str(capstone.sample(run_dir, prompt, max_new_tokens, **options))
    except OSError:
        if RunFolder(run_dir).has_model:
            raise
        raise CannotTrain(words.no_model(run_dir)) from None


def has_cache(progress: Sequence[KataProgress]) -> bool:
    """True if kata 14 is complete, and not edited since."""
    return any(each.kata.name == CACHE and each.finished for each in progress)


def newest_run(course: Course) -> Path:
    """Return the folder of the run saved last. Raises CannotTrain if there is none."""
    runs = sorted((course.root / RUNS).glob("*/best.pt"), key=lambda path: path.stat().st_mtime)
    if not runs:
        raise CannotTrain(words.NO_RUN)
    return runs[-1].parent


def _new_run_dir(course: Course, capstone: ModuleType, config: Any) -> Path:
    """Return a folder named by kata 08. Raises CannotTrain if there is something in it."""
    run_id = importer.kata_module("k08_engineering").make_run_id
    folder = course.root / RUNS / str(run_id(config, datetime.now(UTC)))
    check_folder(RunFolder(folder), resume=False)
    return folder


def _prepare_data(
    course: Course, capstone: ModuleType, workers: Workers, run: RunFolder, request: TrainingRequest
) -> tuple[Path, float | None]:
    """Return the folder of the prepared tokens, and the lowest loss that is possible, if known.

    The first worker prepares them; the others wait.
    """
    prepared = None
    if workers.is_first:
        known = text_name(run) if request.resume else None
        text = texts.find_text(course, request.data or known)
        folder = prepare_tokens(course, capstone, text)
        _check_tokenizer(run, folder, request)
        start(run, text.name, request.parts or ())
        prepared = folder, catalogue.lowest_loss(text.path)
    agreed = workers.agree(prepared)
    assert agreed is not None  # the first worker's
    return agreed


def prepare_tokens(course: Course, capstone: ModuleType, text: texts.Text) -> Path:
    """Let the capstone prepare the tokens of a text, and return their folder. Raises CannotTrain."""
    folder = course.root / "data" / "prepared" / text.folder
    with _full_disk_reported(partial(words.tokens_not_written, folder)):
        texts.prepare(capstone, text.path, folder)
    return folder


def _check_tokenizer(run: RunFolder, folder: Path, request: TrainingRequest) -> None:
    """Check that a resumed run still has the same tokens. Raises CannotTrain."""
    if not (request.resume and run.last.exists() and run.tokenizer.is_file()):
        return
    if run.tokenizer.read_bytes() != (folder / run.tokenizer.name).read_bytes():
        raise CannotTrain(words.other_text(run.path, text_name(run), solutions=request.solutions))


def _no_room(run: RunFolder, request: TrainingRequest, problem: str) -> str:
    saved = run.last.exists()
    return words.no_room_in_run(
        run.path, problem, saved=saved, solutions=request.solutions, kept=request.kept
    )


@contextlib.contextmanager
def _full_disk_reported(message: Callable[[str], str]) -> Iterator[None]:
    """Raise CannotTrain for an error that a full disk has caused; `message` explains the system's words."""
    try:
        yield
    except Exception as error:
        problem = no_room(error)
        if problem is None:
            raise
        raise CannotTrain(message(problem)) from error
