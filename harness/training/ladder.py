"""`harness ladder`: rung by rung to one loss, with the record of all climbs and their picture."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.course.katas import Course, Kata
from harness.progress.line_file import append_line, read_lines
from harness.training import ladder_words, parts, texts
from harness.training.capstone import RUNS, bytes_per_character, prepare_tokens
from harness.training.configuration import CAPSTONE, read_configuration
from harness.training.monitor import Monitor, followed_by
from harness.training.request import CannotTrain, TrainingRequest
from harness.training.rungs import RUNGS, Climb, Goal, Point, Rung

RECORD = Path(RUNS) / "ladder.jsonl"
PICTURE = Path(RUNS) / "ladder.png"


@dataclass(frozen=True)
class RungResult:
    """What a climb has come to; a line of the record."""

    rung: str
    parts: tuple[str, ...]
    yours: tuple[str, ...]  # the katas of the learner's own that took part
    text: str
    target: float
    reached: bool
    seconds: float
    steps: int
    loss: float  # nats per character, over the whole validation split
    threads: int
    time: str  # when it ended, ISO 8601, UTC
    curve: tuple[Point, ...]

    @property
    def losses(self) -> list[tuple[float, float]]:
        """Return the seconds and the loss of each evaluation, to be drawn."""
        return [(point.seconds, point.loss) for point in self.curve]

    @classmethod
    def read(cls, fact: dict[str, Any]) -> RungResult:
        """Return what a line of the record holds. Raises TypeError or KeyError for another fact."""
        points = tuple(Point(**point) for point in fact["curve"])
        return cls(**{**fact, "parts": tuple(fact["parts"]), "yours": tuple(fact["yours"]), "curve": points})


def choose_rungs(course: Course, names: Sequence[str]) -> list[Rung]:
    """Return the rungs named, or all that this course can climb. Raises CannotTrain."""
    present = {kata.name for kata in course.katas}
    possible = [rung for rung in RUNGS if all(parts.KATAS[part] in present for part in rung.parts)]
    for name in names:
        if name not in [rung.name for rung in possible]:
            raise CannotTrain(ladder_words.unknown_rung(name, [rung.name for rung in possible]))
    return [rung for rung in possible if not names or rung.name in names]


def katas_behind(course: Course, rungs: Sequence[Rung]) -> list[Kata]:
    """Return the katas that the rungs use, in order."""
    capstone = next(kata for kata in course.katas if kata.name == CAPSTONE)
    later = parts.katas_of(course, {part for rung in rungs for part in rung.parts})
    return [*course.needed(capstone), capstone, *later]


@dataclass(frozen=True)
class Ladder:
    """A text to learn, a goal, and the code to learn it with."""

    course: Course
    capstone: ModuleType
    data_dir: Path
    text: str
    goal: Goal
    own: frozenset[str]  # the katas that are the learner's

    def climb(self, rung: Rung) -> tuple[RungResult, bool]:
        """Train on a rung, record the result, and return it, with True if Ctrl-C ended it.

        Raises CannotTrain, or an error of the katas.
        """
        name = self.course.root / "katas" / CAPSTONE / "configs" / "ladder" / f"{rung.name}.yaml"
        config = read_configuration(self.course, self.capstone, TrainingRequest(str(name)))
        options = parts.training_options(rung.parts, config, quiet=True)
        _import_what_optimizers_import()
        with tempfile.TemporaryDirectory(prefix="harness-ladder-") as folder, _bar(rung, config) as show:
            climb = Climb(self.goal, show, bytes_per_character(self.capstone, self.data_dir))
            with followed_by(climb):
                summary = self.capstone.train(config, self.data_dir, Path(folder) / rung.name, **options)
        result = self._result(rung, climb, summary)
        append_line(self.course.root / RECORD, asdict(result))
        return result, summary.steps < config.training.max_steps and not climb.is_over

    def _result(self, rung: Rung, climb: Climb, summary: Any) -> RungResult:
        import torch

        katas = [kata.name for kata in katas_behind(self.course, [rung])]
        last = climb.curve[-1]
        return RungResult(
            rung=rung.name,
            parts=rung.parts,
            yours=tuple(name for name in katas if name in self.own),
            text=self.text,
            target=self.goal.target,
            reached=climb.reached,
            seconds=last.seconds,
            steps=last.step,
            loss=last.loss,
            threads=torch.get_num_threads(),
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            curve=tuple(climb.curve),
        )


def _import_what_optimizers_import() -> None:
    """Keep seconds of importing, which the first optimizer of a process causes, out of the first rung's."""
    import torch

    torch.optim.AdamW([torch.zeros(1, requires_grad=True)]).step()


def prepare(course: Course, capstone: ModuleType, data: str | None) -> tuple[Path, str]:
    """Return the folder of the text's tokens, and its name. Raises CannotTrain or NotObtained."""
    text = texts.find_text(course, data)
    return prepare_tokens(course, capstone, text), text.name


def latest(course: Course, text: str, target: float) -> dict[str, RungResult]:
    """Return the last result of each rung with this text and target, in the rungs' order."""
    found = {}
    for fact in read_lines(course.root / RECORD):
        with contextlib.suppress(TypeError, KeyError):  # another version's
            result = RungResult.read(fact)
            if (result.text, result.target) == (text, target):
                found[result.rung] = result
    return {rung.name: found[rung.name] for rung in RUNGS if rung.name in found}


def factor(result: RungResult, first: RungResult | None) -> float | None:
    """Return how many times less time than the first rung it took; None if one is not at the target."""
    both = first is not None and first.reached and result.reached
    return first.seconds / result.seconds if first and both else None


def draw(course: Course, results: Sequence[RungResult], target: float) -> Path:
    """Save the picture of the curves, and return its path."""
    from harness.plots.figures import losses_over_time

    curves = {each.rung: each.losses for each in results}
    path = course.root / PICTURE
    losses_over_time(curves, {ladder_words.TARGET.format(target): target}).savefig(path, dpi=120)
    return path


@contextlib.contextmanager
def _bar(rung: Rung, config: Any) -> Iterator[Any]:
    """Show a bar of the steps on a terminal; yield what shows a step."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console, task = Console(stderr=True), TextColumn("{task.description}")
    columns = (task, BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[shown]}"))
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task(rung.name, total=config.training.max_steps, shown="")

        def show(monitor: Monitor, step: int, loss: float, seconds: float) -> None:
            progress.update(bar, completed=step, shown=ladder_words.so_far(loss, seconds))

        yield show
