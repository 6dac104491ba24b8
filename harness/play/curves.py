"""The curves of the runs, as the page draws them."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.corpora import catalogue, storage
from harness.course.katas import Course
from harness.plots.figures import Point
from harness.training.ladder import RECORD, latest
from harness.training.parts import TOKENS
from harness.training.run_folder import RunFolder, read_losses, text_name
from harness.training.rungs import Goal
from harness.training.samples import read_samples

MOST_POINTS = 240  # of a curve that is sent
_LIVE = 20.0  # seconds since the last step, for a run that is in training
SHAKESPEARE = "tiny_shakespeare"
_NAMELESS = "?"


@dataclass(frozen=True)
class RunSettings:
    """What the page shows of a run's configuration."""

    name: str = ""
    max_steps: int = 0
    sizes: str = ""


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[tuple[int, float]]:
    """Return at most `most` points, each the mean of its neighbours, with the step of the last of these."""
    size = max(1, math.ceil(len(points) / most))
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], round(sum(loss for _, loss in group) / len(group), 4)) for group in groups]


def run_view(name: str, run: RunFolder, floor: float | None, now: float) -> dict[str, Any]:
    """Return the curves and samples of a run; losses in nats per character, or per byte if it has tokens."""
    steps, evaluations = _losses(run)
    settings, per_byte = read_settings(run), TOKENS in run.parts
    factor = _per_byte_factor(run) if per_byte else 1.0
    samples = read_samples(run)
    done = steps[-1][0] if steps else 0
    return {
        "name": name,
        "text": Path(text_name(run) or _NAMELESS).stem,
        "parts": list(run.parts),
        "unit": "byte" if per_byte else "character",
        "steps": [(step, round(loss * factor, 4)) for step, loss in thinned(steps)],
        "evaluations": [(step, round(loss * factor, 4)) for step, loss in evaluations],
        "samples": [{"step": step, "text": text} for step, text in samples.items()],
        "step": done,
        "maxSteps": settings.max_steps,
        "sizes": settings.sizes,
        "floor": floor if not per_byte else None,
        "live": is_live(run, now) and done < settings.max_steps,
        "hasModel": run.has_model,
        "saved": _modified(run.best) or _modified(run.text) or 0,
    }


def is_live(run: RunFolder, now: float) -> bool:
    """True if a step was logged a moment ago."""
    latest_step = _modified(run.steps)
    return latest_step is not None and now - latest_step < _LIVE


def read_settings(run: RunFolder) -> RunSettings:
    """Return the settings of a run; empty ones if its configuration cannot be read."""
    import yaml

    try:
        config = yaml.safe_load(run.config.read_text(encoding="utf-8"))
        model, training = config["model"], config["training"]
        sizes = f"{model['num_layers']} × {model['d_model']}"
        return RunSettings(str(config["name"]), int(training["max_steps"]), sizes)
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        return RunSettings()


def _losses(run: RunFolder) -> tuple[list[Point], list[Point]]:
    try:
        return read_losses(run)
    except (OSError, ValueError, TypeError, KeyError):  # a line that is being written
        return [], []


def _per_byte_factor(run: RunFolder) -> float:
    """Return the factor from nats per token to nats per byte: that of the last evaluation."""
    try:
        last = json.loads(run.evaluations.read_text(encoding="utf-8").splitlines()[-1])
        return float(last["bits_per_byte"]) * math.log(2) / float(last["val_loss"])
    except (OSError, ValueError, KeyError, IndexError, TypeError, ZeroDivisionError):
        return 1.0


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


class Floors:
    """The lowest losses that are possible on the corpora, found out once each."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, float | None] = {}

    def of(self, text: str) -> float | None:
        """Return the entropy floor of a text in nats per character, if it is known."""
        if text not in self._known:
            corpus = next((each for each in catalogue.CORPORA if each.name == text and each.entropy), None)
            path = storage.locate(self._root, corpus) if corpus else None
            self._known[text] = catalogue.lowest_loss(path) if path else None
        return self._known[text]


class Curves:
    """The runs of a course; those whose files have not changed are not read again."""

    def __init__(self, course: Course) -> None:
        self._course, self._floors = course, Floors(course.root)
        self._known: dict[Path, tuple[object, dict[str, Any]]] = {}

    def view(self, runs: dict[str, RunFolder]) -> dict[str, Any]:
        """Return all runs, and what they are measured by."""
        now = time.time()
        found = [self._run(name, run, now) for name, run in runs.items()]
        return {
            "runs": sorted(found, key=lambda run: (not run["live"], -run["saved"])),
            "nanogpt": Goal().target,
            "shakespeare": SHAKESPEARE,
            "ladder": ladder_view(self._course),
        }

    def signature(self, runs: dict[str, RunFolder]) -> object:
        """Return what changes when there is something new to draw."""
        return [(name, *_state(run)) for name, run in runs.items()], _modified(self._course.root / RECORD)

    def _run(self, name: str, run: RunFolder, now: float) -> dict[str, Any]:
        state = (name, *_state(run))
        known = self._known.get(run.path)
        if known is None or known[0] != state:
            floor = self._floors.of(Path(text_name(run) or _NAMELESS).stem)
            known = state, run_view(name, run, floor, now)
            self._known[run.path] = known
        view = known[1]
        return view | {"live": is_live(run, now) and view["step"] < view["maxSteps"]}


def _state(run: RunFolder) -> tuple[float | None, ...]:
    return tuple(map(_modified, (run.steps, run.evaluations, run.samples, run.best, run.config)))


def ladder_view(course: Course) -> list[dict[str, Any]]:
    """Return the rungs that were climbed last on Shakespeare, to nanoGPT's loss."""
    results = latest(course, SHAKESPEARE, Goal().target)
    return [
        {
            "rung": name,
            "parts": list(each.parts),
            "seconds": round(each.seconds, 2),
            "reached": each.reached,
            "loss": round(each.loss, 4),
            "curve": [(point.step, round(point.loss, 4)) for point in each.curve],
        }
        for name, each in results.items()
    ]
