"""The pictures of the pages, drawn from the reference solutions: `python -m harness.authoring.pictures`.

`solutions/kNN_topic/pictures.py` says what a kata shows; here it is drawn for a light and for a dark page.
What takes a training run is drawn from the run's record beside the pictures, for no two machines train alike.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.course.katas import Course, Kata, UnknownKata, find_root, load_course, resolve_kata
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
_MOST_STEPS = 400  # in a record; more could not be told apart in a picture

Draw = Callable[[Theme], "Figure"]


@dataclass(frozen=True)
class Record:
    """The losses of a run that was made once, with the command that made it."""

    command: str
    steps: list[Point]
    evaluations: list[Point]


def draw(course: Course, katas: Sequence[Kata], into: Path) -> list[Path]:
    """Draw the pictures of these katas, in each theme, into `into`/kNN_topic/pictures/; the files written.

    Call it once in a process: it decides what `katas` means there.
    """
    importer.install(course, Recorder(None, _IMPORT_LIMIT), solved=course.katas, checked=False)
    return [
        _write(into / kata.name / FOLDER / f"{name}-{theme.name}.svg", as_svg(picture(theme)))
        for kata in katas
        for name, picture in pictures_of(kata).items()
        for theme in THEMES
    ]


def pictures_of(kata: Kata) -> Mapping[str, Draw]:
    """What a kata shows, by name; nothing where its solution draws nothing."""
    if not (kata.solution_folder / f"{_MODULE}.py").is_file():
        return {}
    found: Mapping[str, Draw] = importlib.import_module(f"{kata.package}.{_MODULE}").PICTURES
    return found


def record(run_dir: Path, command: str, path: Path) -> None:
    """Keep the losses of a run in a small file; of a long run not every step."""
    steps, evaluations = read_losses(RunFolder(run_dir))
    stride = -(-len(steps) // _MOST_STEPS)
    kept = Record(command, _rounded(steps[::stride]), _rounded(evaluations))
    lines = [f'"{name}": {json.dumps(value)}' for name, value in asdict(kept).items()]
    _write(path, "{" + ",\n".join(lines) + "}\n")


def read_record(path: Path) -> Record:
    """What `record` has kept."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    steps, evaluations = ([(step, loss) for step, loss in kept[name]] for name in ("steps", "evaluations"))
    return Record(kept["command"], steps, evaluations)


def _rounded(points: list[Point]) -> list[Point]:
    return [(step, round(loss, 4)) for step, loss in points]


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def main() -> None:
    """Draw the pictures of KATA, or of all katas; or keep the losses of a run to draw later."""
    parser = argparse.ArgumentParser(prog="python -m harness.authoring.pictures", description=main.__doc__)
    parser.add_argument("katas", nargs="*", metavar="KATA")
    parser.add_argument(
        "--record", nargs=3, metavar=("RUN_DIR", "COMMAND", "FILE"), help="keep a run's losses"
    )
    chosen = parser.parse_args()
    root = find_root(Path.cwd())
    if root is None:
        parser.error("there are no katas here: go to your clone")
    if chosen.record:
        run_dir, command, path = chosen.record
        record(Path(run_dir), command, Path(path))
        return
    course = load_course(root)
    try:
        katas = [resolve_kata(course, name) for name in chosen.katas] or course.katas
    except UnknownKata as error:
        parser.error(str(error))
    for path in draw(course, katas, root / "katas"):
        print(course.relative(path))


if __name__ == "__main__":
    main()
