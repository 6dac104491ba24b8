"""The katas' pictures: `python -m harness.authoring.pictures`.

`solutions/kNN_topic/pictures.py` defines a kata's pictures, and this module draws each for light and dark
pages. Pictures of a training run are drawn from a stored record, because no two machines train alike.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.course.katas import Course, Kata, UnknownKata, find_root, load_course, resolve_kata
from harness.course.words import NOT_A_COURSE
from harness.isolation import importer
from harness.isolation.recorder import Recorder
from harness.plots.figures import Point
from harness.plots.theme import THEMES, Theme, as_svg
from harness.training.run_folder import RunFolder, read_losses

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "pictures"  # in the folder of a kata
_MODULE = "pictures"  # in the folder of its solution
_IMPORT_LIMIT = 600.0  # seconds for the import of one kata
_MOST_STEPS = 400  # in a record; more would not be visible in a picture

Draw = Callable[[Theme], "Figure"]


@dataclass(frozen=True)
class Record:
    """The stored losses of a run, and the command that trained it."""

    command: str
    steps: list[Point]
    evaluations: list[Point]


def draw(course: Course, katas: Sequence[Kata], into: Path) -> list[Path]:
    """Draw each picture of these katas in each theme. Return the files, in `into`/kNN_topic/pictures/.

    Call it only once per process, because it installs the importer of `katas`.
    """
    importer.install(course, Recorder(None, _IMPORT_LIMIT), solved=course.katas, checked=False)
    return [
        _write(into / kata.name / FOLDER / f"{name}-{theme.name}.svg", as_svg(picture(theme)))
        for kata in katas
        for name, picture in pictures_of(kata).items()
        for theme in THEMES
    ]


def pictures_of(kata: Kata) -> Mapping[str, Draw]:
    """Return a kata's pictures by name; none if its solution defines none."""
    if not (kata.solution_folder / f"{_MODULE}.py").is_file():
        return {}
    found: Mapping[str, Draw] = importlib.import_module(f"{kata.package}.{_MODULE}").PICTURES
    return found


def record(run_dir: Path, command: str, path: Path) -> None:
    """Store the losses of a run in a small file, which skips steps of a long run."""
    steps, evaluations = read_losses(RunFolder(run_dir))
    stride = -(-len(steps) // _MOST_STEPS)
    kept = Record(command, _rounded(steps[::stride]), _rounded(evaluations))
    lines = [f'"{name}": {json.dumps(value)}' for name, value in asdict(kept).items()]
    _write(path, "{" + ",\n".join(lines) + "}\n")


def read_record(path: Path) -> Record:
    """Read a file that `record` has written."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    steps, evaluations = ([(step, loss) for step, loss in kept[name]] for name in ("steps", "evaluations"))
    return Record(kept["command"], steps, evaluations)


def _rounded(points: list[Point]) -> list[Point]:
    return [(step, round(loss, 4)) for step, loss in points]


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


@click.command()
@click.argument("names", nargs=-1, metavar="[KATA]...")
@click.option(
    "--record", "run", nargs=3, metavar="RUN_DIR COMMAND FILE", help="Store a run's losses instead."
)
def main(names: tuple[str, ...], run: tuple[str, str, str] | None) -> None:
    """Draw the pictures of KATA, or of all katas."""
    if run:
        run_dir, command, path = run
        record(Path(run_dir), command, Path(path))
        return
    course = _course()
    try:
        katas = [resolve_kata(course, name) for name in names] or course.katas
    except UnknownKata as error:
        raise click.UsageError(str(error)) from None
    for written in draw(course, katas, course.root / "katas"):
        click.echo(course.relative(written))


def _course() -> Course:
    root = find_root(Path.cwd())
    if root is None:
        raise click.UsageError(NOT_A_COURSE)
    return load_course(root)


if __name__ == "__main__":
    main()
