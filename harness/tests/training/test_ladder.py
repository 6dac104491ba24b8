"""The ladder: rungs, their time and loss, the record, and what is printed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from math import log
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.course.katas import Course, Kata
from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature
from harness.training import ladder, ladder_words
from harness.training.ladder import RungResult, choose_rungs, draw, factor, katas_behind, latest
from harness.training.monitor import Monitor, followed_by
from harness.training.request import CannotTrain
from harness.training.rungs import RUNGS, Climb, Goal, Point

NAMES = ("k00_shapes", "k09_capstone", "k10_tokens", "k12_modern", "k13_optimizers")
COURSE = Course(Path(), tuple(Kata(Path(), name, NAMES[:1] if i else ()) for i, name in enumerate(NAMES)))


def followed(climb: Climb, losses: Sequence[float], steps: int = 3, **restated: float) -> Monitor:
    """A run that evaluates before each step, and heeds the monitor."""
    with followed_by(climb):
        monitor = Monitor(first_step=0, total_steps=steps, tokens_per_step=1)
    with monitor.watching():
        for step, loss in enumerate(losses):
            monitor.evaluated(step, loss, "a text", **restated)
            if not monitor.interrupted:
                monitor.step(step + 1, loss)
            if monitor.interrupted:
                break
    return monitor


def a_climb(target: float = 1.0, budget: float = 1e9, width: float = 1.0) -> Climb:
    return Climb(Goal(target, budget), lambda *_: None, width)


# --- a climb -------------------------------------------------------------------------------------


def test_a_climb_ends_at_the_evaluation_that_reaches_the_target() -> None:
    climb = a_climb(target=2.0)
    assert followed(climb, [3.0, 2.5, 2.0, 1.0]).interrupted
    assert [(point.step, point.loss) for point in climb.curve] == [(0, 3.0), (1, 2.5), (2, 2.0)]
    assert climb.reached
    assert climb.is_over


def test_a_climb_ends_when_its_budget_is_used_up() -> None:
    climb = a_climb(target=0.0, budget=1e-9)
    assert followed(climb, [3.0, 2.5, 2.0]).interrupted
    assert [point.step for point in climb.curve] == [0]
    assert not climb.reached
    assert climb.is_over


def test_a_climb_that_is_interrupted_is_not_over() -> None:
    climb = a_climb(target=0.0)
    followed(climb, [3.0])
    assert not climb.is_over


def test_the_loss_is_per_character_if_tokens_are_something_else() -> None:
    climb = a_climb(width=1.5)
    followed(climb, [7.0], perplexity=9.0, bits_per_byte=2.0)
    assert climb.curve[0].loss == pytest.approx(2.0 * log(2) * 1.5)


def test_preparations_count_as_time_and_evaluations_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("time.perf_counter", lambda: clock.now)
    climb = Climb(Goal(0.0), lambda *_: None, _started=100.0)
    clock.now = 103.0  # the merges are learned
    with followed_by(climb):
        monitor = Monitor(first_step=0, total_steps=2, tokens_per_step=1)
    with monitor.watching():
        clock.now += 50  # an evaluation
        monitor.evaluated(0, 3.0, "a text")
        clock.now += 2
        monitor.step(1, 2.0)
        monitor.evaluated(1, 2.0, "a text")
    assert [point.seconds for point in climb.curve] == [3.0, 5.0]


def test_each_step_is_shown_with_its_loss_and_the_time_so_far() -> None:
    shown: list[tuple[int, float]] = []
    climb = Climb(Goal(0.0), lambda monitor, step, loss, seconds: shown.append((step, loss)))
    followed(climb, [3.0, 3.0])
    assert shown == [(1, 3.0), (2, 3.0)]


def test_a_followed_run_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    followed(a_climb(), [3.0, 2.0])
    assert capsys.readouterr() == ("", "")


# --- rungs ---------------------------------------------------------------------------------------


def test_every_rung_has_a_configuration() -> None:
    configs = REPOSITORY / "katas" / "k09_capstone" / "configs" / "ladder"
    assert {path.stem for path in configs.iterdir()} == {rung.name for rung in RUNGS}


def test_rungs_are_climbed_in_order_whatever_the_order_typed() -> None:
    assert [rung.name for rung in choose_rungs(COURSE, ["modern", "core"])] == ["core", "modern"]
    assert choose_rungs(COURSE, []) == list(RUNGS)


def test_a_course_without_a_kata_has_no_rung_with_its_part() -> None:
    core_only = Course(Path(), COURSE.katas[:2])
    assert [rung.name for rung in choose_rungs(core_only, [])] == ["core"]
    with pytest.raises(CannotTrain, match=r"^There is no rung 'tokens'\. The rungs are core\.$"):
        choose_rungs(core_only, ["tokens"])


def test_the_katas_behind_a_rung_are_those_of_the_capstone_and_of_its_parts() -> None:
    modern = choose_rungs(COURSE, ["modern"])
    assert [kata.number for kata in katas_behind(COURSE, modern)] == ["00", "09", "10", "12"]


# --- the record ----------------------------------------------------------------------------------


def result(
    rung: str = "core", seconds: float = 10.0, *, reached: bool = True, target: float = 1.88
) -> RungResult:
    curve = (Point(1.0, 0, 4.0), Point(seconds, 7, 1.8))
    return RungResult(rung, (), (), "text", target, reached, seconds, 7, 1.8, 2, "2026-01-01", curve)


@pytest.fixture
def course(mini: Miniature) -> Course:
    (mini.root / "runs").mkdir()
    return mini.course


def record(course: Course, *lines: str) -> None:
    (course.root / ladder.RECORD).write_text("\n".join(lines))


def line(result: RungResult) -> str:
    from dataclasses import asdict

    return json.dumps(asdict(result))


def test_the_last_result_of_each_rung_counts(course: Course) -> None:
    last = result(seconds=20.0)
    record(course, line(result("tokens")), line(result()), line(last))
    assert latest(course, "text", 1.88) == {"core": last, "tokens": result("tokens")}
    assert list(latest(course, "text", 1.88)) == ["core", "tokens"]


def test_results_for_another_target_and_lines_of_other_versions_do_not_count(course: Course) -> None:
    record(course, line(result(target=1.5)), '{"rung": "core"}', "torn", '{"curve": 3}', "[]")
    assert latest(course, "text", 1.88) == {}


def test_the_factor_compares_two_rungs_that_reached_the_target() -> None:
    assert factor(result(seconds=5.0), result(seconds=60.0)) == 12.0
    assert factor(result(reached=False), result()) is None
    assert factor(result(), result(reached=False)) is None
    assert factor(result(), None) is None


def test_the_picture_of_the_curves_is_drawn(course: Course) -> None:
    assert draw(course, [result(), result("tokens")], 1.88).read_bytes().startswith(b"\x89PNG")


# --- words ---------------------------------------------------------------------------------------


def test_the_opening_says_whose_katas_are_at_work() -> None:
    lines = [line.text for line in ladder_words.opening("text", 1.88, COURSE.katas[:3], {"k10_tokens"})]
    assert "Yours: 10 tokens." in lines
    assert "From the reference: 00 shapes, 09 capstone." in lines


def test_a_rung_that_missed_the_target_says_after_how_many_seconds() -> None:
    assert ladder_words.cells("core", 61.2, 2_000, 1.9, None, reached=False) == (
        "core", "not in 61", "2,000", "1.900", ""
    )  # fmt: skip
    assert ladder_words.cells("core", 61.24, 2_000, 1.88, 1.0, reached=True)[1] == "61.2"


# --- the command ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_ladder_is_climbed_with_the_reference_where_katas_are_not_complete(
    untouched: Miniature,
) -> None:
    text = untouched.root / "text.txt"
    text.write_text("".join(f"line {n} of {n * n % 17}\n" for n in range(300)))
    rung = untouched.root / "katas/k09_capstone/configs/ladder/core.yaml"
    rung.write_text(re.sub(r"eval_interval: \d+", "eval_interval: 10", rung.read_text()))  # not 200
    options = ["--data", str(text), "--rung", "core", "--target", "3"]
    done = untouched.harness("ladder", *options)
    assert done.code == 0, done.text
    assert "From the reference: 00 shapes," in done.out and "Yours" not in done.out
    row = next(line.split() for line in done.out.splitlines() if line.startswith("core "))
    assert float(row[3]) <= 3
    assert row[4] == "1.0"
    kept = json.loads((untouched.root / ladder.RECORD).read_text())
    assert (kept["rung"], kept["reached"], kept["yours"]) == ("core", True, [])
    assert (untouched.root / ladder.PICTURE).exists()
    assert "There is no rung 'top'" in untouched.harness("ladder", "--rung", "top").err
