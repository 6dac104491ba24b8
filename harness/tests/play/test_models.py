"""Whose katas compute, which run's model, and when it is loaded again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.course.katas import Course, Kata
from harness.play.models import Models, decide, runs_of
from harness.progress.standing import KataProgress
from harness.training.request import CannotTrain

NAMES = ("k07_sampling", "k14_cache", "k19_interpretability", "k20_decoding")
COURSE = Course(Path(), tuple(Kata(Path(), name) for name in NAMES))


def progress(*complete: str, edited: str = "") -> list[KataProgress]:
    return [
        KataProgress(kata, ("test_a",), (), None, kata.name in complete, kata.name == edited, False, None)
        for kata in COURSE.katas
    ]


def test_katas_that_are_not_finished_are_the_references() -> None:
    whose = decide(COURSE, progress("k07_sampling", "k14_cache", edited="k14_cache"), solutions=False)
    assert [kata.name for kata in whose.reference] == list(NAMES[1:])
    assert (whose.cache, whose.lens, whose.min_p) == (False, False, False)


def test_later_katas_are_at_work_once_they_are_complete() -> None:
    whose = decide(COURSE, progress(*NAMES[1:]), solutions=False)
    assert (whose.cache, whose.lens, whose.min_p) == (True, True, True)
    assert [kata.name for kata in whose.reference] == ["k07_sampling"]


def test_with_solutions_everything_is_the_references_and_at_work() -> None:
    whose = decide(COURSE, progress(), solutions=True)
    assert whose.reference == COURSE.katas
    assert (whose.cache, whose.lens, whose.min_p) == (True, True, True)
    without = Course(Path(), COURSE.katas[:1])
    assert not decide(without, [], solutions=True).lens


@pytest.fixture
def models(course: Course, katas: Callable[[str], Any], tmp_path: Path) -> Models:
    """The models of a course whose only runs are copies."""
    shutil.copytree(course.root / "runs" / "core", tmp_path / "runs" / "first")
    own = Course(tmp_path, course.katas)
    whose = decide(course, [], solutions=True)
    made = Models(own, whose, None)
    made.__dict__["capstone"] = katas("k09_capstone")
    return made


def test_a_model_is_loaded_once_and_again_when_its_file_is_replaced(models: Models, tmp_path: Path) -> None:
    loaded = models.get("first")
    assert models.get("first") is loaded
    assert not loaded.model.training
    best = tmp_path / "runs" / "first" / "best.pt"
    shutil.copy(tmp_path / "runs" / "first" / "last.pt", tmp_path / "new")
    os.replace(tmp_path / "new", best)
    again = models.get("first")
    assert (loaded.version, again.version) == (1, 2)
    best.unlink()
    assert models.get("first") is again, "what is in memory can be played with"


def test_the_newest_run_is_the_default_and_a_page_names_no_path(models: Models, tmp_path: Path) -> None:
    newer = tmp_path / "runs" / "second"
    shutil.copytree(tmp_path / "runs" / "first", newer)
    os.utime(newer / "best.pt", (2e9, 2e9))
    assert models.run_named(None).path == newer
    assert models.run_named("first").path.name == "first"
    for name in ("../first", str(newer), "", "third"):
        with pytest.raises(CannotTrain, match="no trained model"):
            models.run_named(name)


def test_only_a_few_models_stay_in_memory(models: Models, tmp_path: Path) -> None:
    for name in "abc":
        shutil.copytree(tmp_path / "runs" / "first", tmp_path / "runs" / name)
    first = models.get("first")
    for name in "abc":
        models.get(name)
    assert models.get("first") is not first


def test_a_course_without_runs_says_how_to_train_one(tmp_path: Path) -> None:
    whose = decide(COURSE, [], solutions=True)
    with pytest.raises(CannotTrain, match="harness train"):
        Models(Course(tmp_path, ()), whose, None).get(None)


def test_the_run_of_the_command_is_listed_beside_the_others(course: Course, tmp_path: Path) -> None:
    own = replace(course, root=tmp_path)
    shutil.copytree(course.root / "runs" / "core", tmp_path / "elsewhere" / "core")
    shutil.copytree(course.root / "runs" / "core", tmp_path / "runs" / "core")
    there = tmp_path / "elsewhere" / "core"
    assert {name: run.path for name, run in runs_of(own, there).items()} == {
        "core": tmp_path / "runs" / "core",
        str(there): there,
    }
    assert list(runs_of(own, tmp_path / "runs" / "core")) == ["core"]
    assert list(runs_of(replace(course, root=there), there)) == ["core"]
