"""`harness validate`: one table of results and times."""

from __future__ import annotations

import json
import sys

import pytest

from harness.authoring import validate, validate_words
from harness.authoring.validate import Ran, read_report
from harness.tests.support.miniature import Miniature

pytestmark = pytest.mark.measured

TOX = """
[tox]
env_list = good, bad, broken
no_package = true
[testenv]
skip_install = true
list_dependencies_command = python --version
[testenv:good]
commands = python -c "print('=== 3 passed in 0.12s ===')"
[testenv:bad]
commands =
    python -c "print('FAILED a/test_b.py::test_c - no'); raise SystemExit(1)"
    python -c "print('never')"
"""


def step(command: list[str], status: int = 0, output: str = "", seconds: float = 1.5) -> dict:
    return {"command": command, "retcode": status, "output": output, "err": "", "elapsed": seconds}


def report(**checks: dict) -> str:
    return json.dumps({"testenvs": checks})


def test_every_command_is_a_row_with_its_last_line() -> None:
    text = report(lint={"test": [step(["/x/bin/ruff", "check", "."], output="\x1b[1mAll fine\x1b[0m\n\n")]})
    assert read_report(text) == [Ran("lint", "ruff check .", 1.5, True, "All fine", ())]


def test_building_the_package_is_a_row_only_if_it_fails() -> None:
    built = report(**{".pkg": {"test": [step(["python"], output="built\n")]}})
    assert read_report(built) == []
    broken = report(**{".pkg": {"test": [step(["python"], 1, output="no such backend\n")]}})
    assert [ran.summary for ran in read_report(broken)] == ["no such backend"]


def test_a_failing_command_names_the_tests_that_failed() -> None:
    output = "FAILED a.py::test_b - no\nERROR c.py::test_d\n=== 1 failed, 1 error in 2.00s ===\n"
    (ran,) = read_report(report(solutions={"test": [step(["pytest"], 1, output)]}))
    assert not ran.good
    assert ran.failed_tests == ("a.py::test_b", "c.py::test_d")
    assert validate_words.row(
        ran.check, ran.command, ran.seconds, ran.good, ran.summary, ran.failed_tests
    ) == (
        "solutions",
        "pytest",
        "1.5 s",
        "FAILED: 1 failed, 1 error in 2.00s\na.py::test_b\nc.py::test_d",
    )


def test_a_set_up_is_a_row_only_if_it_fails() -> None:
    setup = [step(["pip", "freeze"]), step(["pip", "install", "x"], 1, "no x\n")]
    text = report(lint={"setup": setup, "result": {"success": False, "duration": 3.0, "skipped": False}})
    assert read_report(text) == [Ran("lint", "pip install x", 1.5, False, "no x", ())]


def test_a_check_that_failed_before_its_commands_is_a_row() -> None:
    failed = {"result": {"success": False, "duration": 3.0, "skipped": False}}
    assert read_report(report(lint=failed, types={})) == [Ran("lint", "", 3.0, False, "", ())]


def test_many_failed_tests_are_counted() -> None:
    result = validate_words.row("a", "b", 1, False, "", [f"t::{i}" for i in range(7)])[3]
    assert result.splitlines() == ["FAILED", *(f"t::{i}" for i in range(5)), "and 2 more"]


@pytest.mark.parametrize(
    ("failed", "lines"),
    [
        ([], ["All passed: 1 command, 2 s."]),
        (
            ["lint", "types"],
            [
                "Failed: lint, types (1 command, 2 s).",
                "Their output is above. To run one alone:  harness validate lint",
            ],
        ),
    ],
)
def test_the_last_lines_are_a_summary(failed: list[str], lines: list[str]) -> None:
    assert [line.text for line in validate_words.closing(1, failed, 1.9)] == lines


def test_it_runs_everything_and_fails_if_anything_fails(mini: Miniature) -> None:
    (mini.root / "tox.ini").write_text(TOX.replace(", broken", ""))
    result = mini.harness("validate", COLUMNS="120")
    assert result.code == 1
    rows = [line.split() for line in result.out.splitlines()]
    assert ["check", "command", "time", "result"] in rows
    assert any(row[:2] == ["good", "python"] and row[-3:] == ["passed", "in", "0.12s"] for row in rows)
    assert "FAILED" in result.out and "a/test_b.py::test_c" in result.out
    assert "print('never')" not in result.out.split("check  ")[-1]
    assert "Failed: bad (2 commands, " in result.out


def test_a_check_can_be_run_alone(mini: Miniature) -> None:
    (mini.root / "tox.ini").write_text(TOX)
    result = mini.harness("validate", "good")
    assert result.code == 0
    assert "All passed: 1 command, " in result.out
    assert "bad" not in result.out.split("result", 1)[-1]


def test_a_check_that_does_not_exist_is_an_error(mini: Miniature) -> None:
    (mini.root / "tox.ini").write_text(TOX)
    result = mini.harness("validate", "nosuch")
    assert result.code == 1
    assert "before its checks were done. Fix the error above first." in result.err


def test_without_tox_it_says_how_to_get_it(mini: Miniature, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tox", None)
    with pytest.raises(validate.CannotValidate, match="python -m pip install tox"):
        validate.validate(mini.root, ())
