"""VS Code's tasks parse the output, and shells complete kata names."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from harness.course.test_case import TestCase
from harness.explain.failures import HardExit
from harness.explain.findings import Finding
from harness.explain.places import Place
from harness.run.words import failure_block
from harness.tests.support.miniature import Miniature
from harness.watch import words


def settings(repository: Path, name: str) -> dict:
    return json.loads((repository / ".vscode" / name).read_text(encoding="utf-8"))


def matcher(repository: Path, label: str) -> dict:
    tasks = settings(repository, "tasks.json")["tasks"]
    return next(task for task in tasks if task["label"] == label)["problemMatcher"]


@pytest.mark.parametrize("label", ["harness watch", "pytest"])
def test_vs_code_finds_the_failing_line(repository: Path, mini: Miniature, label: str) -> None:
    place = Place("katas/k00_doubles/doubles.py", 13, "return 3 * x")
    case = TestCase(mini.doubles.name, "test_x", "test_x", requirement="It is.")
    block = failure_block(mini.doubles, case, Finding(HardExit(1), place), passed=0, total=4)
    pattern = matcher(repository, label)["pattern"]
    found = [match for line in block if (match := re.search(pattern["regexp"], line.text))]
    assert [(match[pattern["file"]], match[pattern["line"]]) for match in found] == [(place.path, "13")]
    assert found[0][pattern["message"]] == place.text


def test_vs_code_recognises_the_start_and_the_end_of_a_run(repository: Path, mini: Miniature) -> None:
    background = matcher(repository, "harness watch")["background"]
    lines = words.running([mini.doubles, mini.layers], "saved", ["doubles.py"])
    assert any(re.search(background["beginsPattern"], line.text) for line in lines)
    assert re.search(background["endsPattern"], words.KEY_LINE.text)


def test_the_test_explorer_finds_the_katas(repository: Path) -> None:
    assert settings(repository, "settings.json")["python.testing.pytestArgs"] == ["katas"]


def test_under_a_debugger_the_tests_run_in_its_process(mini: Miniature) -> None:
    mini.write_doubles(
        double="import os, pathlib\npathlib.Path('ran').write_text(str(os.getpid()))\nreturn 2 * x"
    )
    code = (
        "import os, sys, types, pytest\nsys.modules['pydevd'] = types.ModuleType('pydevd')\n"
        "pytest.main(['katas/00'])\nassert open('ran').read() == str(os.getpid())"
    )
    assert mini.python("-c", code).code == 0


@pytest.mark.parametrize(
    ("words_typed", "position", "offered"),
    [
        ("harness hint k", 2, ["k00_doubles", "k01_layers"]),
        ("harness watch 0", 2, ["00", "01"]),
        ("harness solution k01", 2, ["k01_layers"]),
        ("harness check 00 k00", 3, ["k00_doubles"]),
        ("harness pair st", 2, ["start", "status", "stop"]),
        ("harness wa", 1, ["watch"]),
    ],
)
def test_shells_complete_verbs_and_katas(
    mini: Miniature, words_typed: str, position: int, offered: list[str]
) -> None:
    completion = {
        "_HARNESS_COMPLETE": "bash_complete",
        "COMP_WORDS": words_typed,
        "COMP_CWORD": str(position),
    }
    result = mini.run(str(Path(sys.executable).with_name("harness")), **completion)
    assert [line.split(",")[1] for line in result.out.splitlines()] == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_three_shells_get_their_script(mini: Miniature, shell: str) -> None:
    result = mini.run(str(Path(sys.executable).with_name("harness")), _HARNESS_COMPLETE=f"{shell}_source")
    assert "_HARNESS_COMPLETE" in result.out, result.text
