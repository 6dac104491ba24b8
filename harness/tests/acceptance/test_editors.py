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
from harness.tests.support.miniature import Miniature, Result
from harness.tests.support.plugins import needs, only
from harness.watch import words

pytestmark = pytest.mark.measured


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


def explored(mini: Miniature, *arguments: str) -> tuple[list[dict], Result]:
    """Run pytest as VS Code's test explorer does; return what was reported, and the result."""
    pipe = mini.root / "pipe"
    pipe.unlink(missing_ok=True)
    plugin = ("-p", "harness.tests.support.explorer")
    result = mini.pytest(*plugin, *arguments, TEST_RUN_PIPE=str(pipe))
    return [json.loads(line) for line in pipe.read_text(encoding="utf-8").splitlines()], result


def outcomes(messages: list[dict]) -> dict[str, str]:
    return {each["test"].split("::")[1]: each["outcome"] for each in messages if "test" in each}


def test_the_test_explorer_shows_the_words_of_the_block(mini: Miniature) -> None:
    mini.write_doubles(double="return 3 * x")
    messages, _ = explored(mini, "katas/00", "-k", "of_one or outer")
    assert outcomes(messages) == {"test_double_of_one": "failure", "test_outer": "success"}
    shown = messages[0]["message"]
    assert shown.startswith("✗ Twice one is two.\n  test_double_of_one\n")
    assert "expected               actual (* differs)" in shown
    assert "katas/k00_doubles/doubles.py:8" in shown
    assert "Tensor-likes" not in shown


def test_a_traceback_that_was_asked_for_follows_the_words_in_the_test_explorer(mini: Miniature) -> None:
    mini.write_doubles(double="return 3 * x")
    messages, _ = explored(mini, "katas/00", "-k", "of_one", "--tb=short")
    words, _, traceback = messages[0]["message"].partition("katas/k00_doubles/doubles.py:8")
    assert words.startswith("✗ Twice one is two.")
    assert "Tensor-likes are not equal!" in traceback


def test_a_broken_import_fails_each_test_in_the_explorer_with_its_words(mini: Miniature) -> None:
    mini.doubles.stub.write_text("def (\n")
    messages, _ = explored(mini, "katas/00")
    failed = [each for each in messages if each.get("outcome") == "failure"]
    assert len(failed) == 5
    assert all("doubles.py cannot be imported:" in each["message"] for each in failed)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("import os; os._exit(0)", "Your code ended the whole Python process: os._exit(0)."),
        ("import ctypes; ctypes.string_at(0)", "Python itself crashed (SIGSEGV)"),
        ("while True:\n    try:\n        n = 1\n    except:\n        pass", "still running after 2 s"),
    ],
    ids=["exit", "crash", "loop"],
)
def test_a_test_that_ends_python_has_failed_in_the_explorer(mini: Miniature, body: str, text: str) -> None:
    mini.write_doubles(outer=body)
    messages, result = explored(mini, "katas/00", "--time-limit", "2")
    passed = ("test_double_of_one", "test_double_of_any[0.5]", "test_double_of_any[-3.0]")
    passed = (*passed, "test_double_leaves_its_input_alone")
    assert outcomes(messages) == {**dict.fromkeys(passed, "success"), "test_outer": "failure"}
    shown = next(each["message"] for each in messages if each.get("outcome") == "failure")
    assert text in shown
    assert "katas/k00_doubles/doubles.py:1" in shown
    assert messages[-1] == {"ended": 1}
    assert result.code == 1
    assert text in result.out
    assert "3/4" in mini.harness("status").out


def test_an_import_that_ends_python_fails_its_katas_tests_in_the_explorer(mini: Miniature) -> None:
    mini.doubles.stub.write_text("import os\nos._exit(0)\n")
    messages, result = explored(mini, "katas")
    assert set(outcomes(messages).values()) == {"failure"}
    assert len(outcomes(messages)) == 5
    assert "os._exit(0)" in messages[0]["message"]
    assert result.out.count("Next: ") == 1


@pytest.mark.parametrize("end", ["import os; os._exit(0)", "import ctypes; ctypes.string_at(0)"])
def test_the_explorer_finds_the_tests_of_a_file_that_ends_python(mini: Miniature, end: str) -> None:
    mini.doubles.stub.write_text(f"{end}\n")
    messages, result = explored(mini, "--collect-only", "katas")
    assert [list(each) for each in messages] == [*[["found"]] * 7, ["ended"]]
    assert messages[-1] == {"ended": 0}
    assert "Note: Python ended while it imported" in result.out


@needs("pytest-teamcity")
def test_pycharm_shows_the_words_of_the_block(mini: Miniature) -> None:
    mini.write_doubles(double="return 3 * x", outer="import os; os._exit(0)")
    pycharm = {"PYCHARM_HOSTED": "1", "PYTEST_ADDOPTS": only("pytest-teamcity")}
    out = mini.pytest("katas/00", "--teamcity", **pycharm).out
    failed = [line for line in out.splitlines() if "##teamcity[testFailed" in line]
    assert "test_double_of_one" in failed[0]
    assert "Twice one is two." in failed[0]
    assert "test_outer" in failed[-1]
    assert "Your code ended the whole Python process" in failed[-1]


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
