"""Beside other people's pytest plugins the order, the count and the record of tests stay the same."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from harness.progress.receipts import progress_path, read_receipts
from harness.tests.support.miniature import Miniature, Result
from harness.tests.support.plugins import OTHERS, needs, only

AT_SECOND = """
from pathlib import Path
again = Path("again").exists()
Path("again").touch()
return (2 if again else 3) * x
"""


def beside(plugin: str, *options: str) -> object:
    return pytest.param(plugin, options, marks=needs(plugin), id=" ".join((plugin, *options)))


def run_beside(mini: Miniature, plugin: str, *arguments: str, **environment: str) -> Result:
    return mini.pytest(*arguments, PYTEST_ADDOPTS=only(plugin), **environment)


def recorded(mini: Miniature) -> list[tuple[list[str], list[str]]]:
    """Return what passed and what failed, in the order in which it was recorded."""
    entries = read_receipts(progress_path(mini.course)).entries
    return [(list(each.passed), list(each.failed)) for each in entries]


EVERY_PLUGIN = [
    beside("randomly"),
    beside("random_order", "--random-order"),
    beside("reverse", "--reverse"),
    beside("pretty"),
    beside("sugar"),
    beside("instafail", "--instafail"),
    beside("clarity"),
    beside("picked"),
    beside("pytest-teamcity"),
    beside("pytest_cov"),
    beside("rerunfailures", "--reruns", "1"),
    beside("flaky", "--force-flaky"),
]


@pytest.mark.parametrize(("plugin", "options"), EVERY_PLUGIN)
def test_order_block_and_receipts_are_the_same_beside_any_plugin(
    mini: Miniature, plugin: str, options: tuple[str, ...]
) -> None:
    mini.write_doubles(outer="return x[:, None] + y")
    result = run_beside(mini, plugin, "--all", *options)
    passed = ["test_double_of_one", "test_double_of_any", "test_double_leaves_its_input_alone"]
    assert result.code == 1, result.text
    assert recorded(mini) == [*(([name], []) for name in passed), ([], ["test_outer"])], result.text
    shown = [f"  ✓ {name}\n" for name in passed]
    assert f"kata 00 doubles · 3/4\n{''.join(shown)}\n✗ Row i holds x[i] times every entry" in result.out


@needs("randomly")
def test_the_next_failing_test_is_the_first_of_the_file_in_a_shuffled_run_too(mini: Miniature) -> None:
    for seed in ("1", "2", "3"):
        result = run_beside(mini, "randomly", "katas/00", f"--randomly-seed={seed}")
        assert "✗ Twice one is two." in result.out, result.text


@needs("randomly")
def test_workers_keep_the_order_of_a_shuffled_run_too(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    out = run_beside(mini, "randomly", "katas/00", "-n", "1").out
    assert re.findall(r"✓ (\w+)", out)[0] == "test_double_of_one", out


def test_failed_tests_first_is_an_order_that_one_may_ask_for(mini: Miniature) -> None:
    mini.write_doubles(outer="return None")
    mini.pytest("katas/00", "-n", "1")
    out = mini.pytest("katas/00", "--ff", "-v", "--all").out
    assert out.index("::test_outer") < out.index("::test_double_of_one"), out


@pytest.mark.measured
@pytest.mark.parametrize(
    ("plugin", "options"),
    [beside("rerunfailures", "--reruns", "1"), beside("flaky", "--force-flaky")],
)
def test_a_test_that_fails_before_it_passes_has_failed(
    mini: Miniature, plugin: str, options: tuple[str, ...]
) -> None:
    mini.write_doubles(double=AT_SECOND)
    result = run_beside(mini, plugin, "katas/00", *options)
    assert result.code == 1, result.text
    assert "✗ Twice one is two." in result.out
    assert "3.0000*" in result.out
    assert recorded(mini) == [([], ["test_double_of_one"])]


@needs("pretty")
def test_pytest_pretty_counts_every_test_once(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    assert " 5 passed" in run_beside(mini, "pretty", "katas/00").out


@needs("pytest-teamcity")
def test_teamcity_counts_every_test_once(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    out = run_beside(mini, "pytest-teamcity", "katas/00", "--teamcity").out
    assert " 5 passed" in out
    assert out.count("##teamcity[testStarted") == out.count("##teamcity[testFinished") == 5


def test_tox_loads_no_plugin_that_no_test_has_asked_for(repository: Path) -> None:
    settings = configparser.ConfigParser()
    settings.read(repository / "tox.ini")
    needed = "hypothesispytest"  # by the harness's own tests
    blocked = [f"-p no:{name}" for name in OTHERS if name != needed]
    assert f"PYTEST_ADDOPTS = {' '.join(blocked)}" in settings["testenv"]["set_env"]


@needs("pytest_cov")
def test_a_learners_coverage_meets_no_settings_of_the_maintainers(untouched: Miniature) -> None:
    kata = untouched.course.katas[0]
    untouched.solve(kata)
    covered = run_beside(untouched, "pytest_cov", "katas/00", f"--cov=katas.{kata.name}")
    assert covered.code == 0, covered.text
    assert "complete ✓" in covered.out
    assert "fail-under" not in covered.text
    assert re.search(rf"{kata.topic}\.py .* 100%", covered.out), covered.text
