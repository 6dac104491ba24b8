"""The curves of runs, as they are sent."""

from __future__ import annotations

import json
import math
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.course.katas import Course
from harness.play.curves import MOST_POINTS, Curves, Floors, read_settings, run_view, thinned
from harness.play.models import runs_of
from harness.tests.play.conftest import WRITTEN
from harness.training.run_folder import RunFolder
from harness.training.samples import read_samples


def test_a_long_curve_is_sent_as_means_of_neighbours() -> None:
    points = [(step, float(step % 2)) for step in range(1, 1001)]
    sent = thinned(points)
    assert len(sent) <= MOST_POINTS
    assert sent[-1] == (1000, 0.5) or sent[-1][0] == 1000
    assert thinned([(1, 2.0), (2, 3.0)]) == [(1, 2.0), (2, 3.0)]
    assert thinned([]) == []


def test_a_run_has_its_curves_and_a_sample_for_each_evaluation(core_run: RunFolder) -> None:
    view = run_view("core", core_run, None, time.time())
    assert [step for step, _ in view["evaluations"]] == [0, 10, 20, 30, 40]
    assert [sample["step"] for sample in view["samples"]] == [0, 10, 20, 30, 40]
    assert len(view["samples"][-1]["text"]) == 1 + WRITTEN  # the first one is given
    assert (view["step"], view["maxSteps"], view["sizes"], view["live"]) == (40, 40, "2 × 16", False)
    assert view["unit"] == "character"


def test_a_run_with_steps_left_is_in_training_if_it_has_just_made_one(
    core_run: RunFolder, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.copytree(core_run.path, run.path)
    text = run.config.read_text(encoding="utf-8").replace("max_steps: 40", "max_steps: 400")
    run.config.write_text(text, encoding="utf-8")
    now = run.steps.stat().st_mtime
    assert run_view("run", run, None, now + 1)["live"]
    assert not run_view("run", run, None, now + 60)["live"]


def test_losses_per_token_are_drawn_per_byte(core_run: RunFolder, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.copytree(core_run.path, run.path)
    (run.path / "parts.txt").write_text("tokens\n")
    row = {"step": 40, "val_loss": 4.0, "bits_per_byte": 3.0}
    run.evaluations.write_text(json.dumps(row) + "\n", encoding="utf-8")
    view = run_view("run", run, 1.0, 0.0)
    assert view["evaluations"] == [(40, round(3 * math.log(2), 4))]
    assert (view["unit"], view["floor"]) == ("byte", None)


@pytest.mark.parametrize("name", ["steps", "evaluations", "config", "samples"])
def test_a_file_that_is_being_written_or_was_edited_stops_nothing(
    name: str, core_run: RunFolder, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.copytree(core_run.path, run.path)
    path = getattr(run, name)
    path.write_bytes(path.read_bytes()[:-9] + b'{"step": "x"')
    assert run_view("run", run, None, 0.0)["name"] == "run"
    path.unlink()
    assert run_view("run", run, None, 0.0)["name"] == "run"


def test_the_floor_is_known_of_tiny_tales_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.corpora import catalogue

    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)
    path = catalogue.find(tmp_path, "tiny_tales")
    floors = Floors(tmp_path)
    assert floors.of("tiny_tales") == catalogue.lowest_loss(path)
    assert floors.of("tiny_shakespeare") is None
    assert floors.of("novel") is None


def test_runs_are_read_again_only_when_they_change(
    course: Course, core_run: RunFolder, tmp_path: Path
) -> None:
    shutil.copytree(core_run.path, tmp_path / "runs" / "one")
    rung = {
        **{"rung": "core", "parts": [], "yours": [], "text": "tiny_shakespeare", "target": 1.88},
        **{"reached": True, "seconds": 12.345, "steps": 200, "loss": 1.87, "threads": 2, "time": ""},
        "curve": [{"seconds": 12.345, "step": 200, "loss": 1.87}],
    }
    (tmp_path / "runs" / "ladder.jsonl").write_text(json.dumps(rung) + "\n", encoding="utf-8")
    own = replace(course, root=tmp_path)
    curves, runs = Curves(own), runs_of(own, None)
    view, before = curves.view(runs), curves.signature(runs)
    assert view["nanogpt"] == 1.88
    assert view["ladder"][0]["curve"] == [(200, 1.87)]
    assert curves.signature(runs) == before
    with (tmp_path / "runs" / "one" / "steps.csv").open("a", encoding="utf-8") as file:
        file.write("41,0.5,0.01\n")
    assert curves.signature(runs) != before
    assert curves.view(runs)["runs"][0]["step"] == 41


def test_of_a_repeated_step_the_later_sample_counts(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    rows = [
        {"step": 10, "sample": "old"},
        {"step": 0, "sample": "first"},
        {"step": 10, "sample": "new"},
        {"a": 1},
    ]
    run.samples.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    assert read_samples(run) == {0: "first", 10: "new"}


def test_a_configuration_that_is_none_has_no_settings(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for text in ("[1]", "model: 3", "a: [", ""):
        run.config.write_text(text)
        assert read_settings(run).max_steps == 0
