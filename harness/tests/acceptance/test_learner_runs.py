"""A learner's runs: the next failing test, unlocking, selection and side effects."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.progress.receipts import progress_path, read_receipts
from harness.tests.support.miniature import Miniature, make_miniature


def status(mini: Miniature) -> dict:
    return {row["kata"]: row for row in json.loads(mini.harness("status", "--json").out)["katas"]}


def test_the_first_run_shows_what_to_write_and_type(mini: Miniature) -> None:
    result = mini.pytest("katas/00")
    assert result.code == 1
    assert "kata 00 doubles · 0/4" in result.out
    assert "✗ Twice one is two.\n  test_double_of_one" in result.out
    assert "double is not written yet." in result.out
    assert 'def double(x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:' in result.out
    assert "Return twice the input." in result.out
    assert "katas/k00_doubles/doubles.py:13   raise NotImplementedError" in result.out
    assert "Next: write it, save, and run  pytest katas/00" in result.out


def test_only_the_next_failing_test_is_shown(mini: Miniature) -> None:
    mini.write_doubles(outer="return None", double="return 2 * x")
    out = mini.pytest("katas/00").out
    assert "kata 00 doubles · 3/4" in out
    assert "Row i holds x[i] times every entry of y." in out
    assert out.count("✗") == 1


def test_garbage_is_not_looked_for_in_torch(mini: Miniature) -> None:
    mini.write_doubles(double="import gc; return 2 * x if gc.get_freeze_count() > 100_000 else x")
    assert "4/4 complete ✓" in mini.cold.pytest("katas/00").out  # a warm one has frozen all in any case


def test_a_complete_kata_unlocks_the_next(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    result = mini.pytest("katas/00")
    assert result.code == 0
    assert "kata 00 doubles · 4/4 complete ✓" in result.out
    assert "Unlocked: kata 01 layers" in result.out
    assert "Next: read katas/k01_layers/README.md, then run  pytest katas/01" in result.out
    assert "Doubler.forward is not written yet." in mini.pytest("katas/01").out


def test_a_complete_kata_is_not_unlocked_again(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    mini.pytest("katas/00")
    again = mini.pytest("katas/00").out
    assert "complete ✓" in again
    assert "Unlocked" not in again


def test_a_locked_kata_names_what_blocks_it_and_exits_with_10(mini: Miniature) -> None:
    result = mini.pytest("katas/01")
    assert result.code == 10
    assert "kata 01 layers is locked: kata 00 doubles is not complete (0/4)." in result.out
    assert "Next: pytest katas/00" in result.out


def test_locked_tests_are_skipped_with_the_reason_and_not_hidden(mini: Miniature) -> None:
    result = mini.pytest("katas/01", "-v", "-rs")
    assert result.out.count("SKIPPED") == 3  # two tests and the summary
    assert "locked: kata 00 doubles is not complete (0/4)" in result.out


def test_a_failing_kata_is_not_called_complete(mini: Miniature) -> None:
    mini.write_doubles(double="import os\nreturn x if os.path.exists('broken') else 2 * x")
    assert "complete ✓" in mini.pytest("katas/00").out
    (mini.root / "broken").touch()
    out = mini.pytest("katas/00").out
    assert "✗ Twice one is two." in out
    assert "complete ✓" not in out


def test_completing_the_last_kata_completes_the_course(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    mini.solve(mini.layers)
    result = mini.pytest("katas")
    assert result.code == 0
    assert "kata 00 doubles · 4/4 complete ✓" in result.out
    assert "kata 01 layers · 2/2 complete ✓" in result.out
    assert "All katas are complete. You have built a language model!" in result.out


def test_an_edit_makes_a_complete_kata_stale_and_keeps_the_next_unlocked(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    mini.pytest("katas/00")
    mini.write_doubles(double="return x + x")
    assert status(mini)["k00_doubles"]["state"] == "edited since pass"
    assert status(mini)["k01_layers"]["state"] == "current"
    assert "Doubler.forward is not written yet." in mini.pytest("katas/01").out


def test_bare_pytest_runs_edited_katas_then_the_current_one(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    assert "kata 00 doubles" in mini.pytest().out
    assert "kata 00" not in mini.pytest().out
    mini.write_doubles(double="return x + x")
    out = mini.pytest().out
    assert out.index("kata 00 doubles · 4/4 complete") < out.index("kata 01 layers · 0/2")


def test_bare_pytest_runs_everything_once_all_katas_are_complete(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    mini.solve(mini.layers)
    mini.pytest("katas")
    out = mini.pytest().out
    assert out.count("complete ✓") == 2


def test_passes_add_up_over_runs_of_single_tests(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    for name in ("double_of_one", "double_of_any", "leaves", "outer"):
        result = mini.pytest("katas/00", "-k", name)
        assert result.code == 0
    assert "complete ✓" in result.out
    assert status(mini)["k00_doubles"]["complete"]


def test_passes_with_different_stubs_do_not_add_up(mini: Miniature) -> None:
    mini.write_doubles(double="return 2 * x", outer="return None")
    mini.pytest("katas/00")
    mini.write_doubles(double="return 3 * x")
    mini.pytest("katas/00", "-k", "outer")
    assert not status(mini)["k00_doubles"]["complete"]


def test_one_case_of_a_parametrised_test_does_not_count_as_passed(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    result = mini.pytest("katas/k00_doubles/test_doubles.py::test_double_of_any[0.5]")
    assert result.code == 0
    assert "only some cases of test_double_of_any ran" in result.out
    mini.pytest("katas/00", "-k", "0.5")
    assert status(mini)["k00_doubles"]["passed"] == []


def test_all_runs_everything_and_unlocks_as_it_goes(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    mini.solve(mini.layers)
    result = mini.pytest("--all")
    assert result.code == 0
    assert status(mini)["k01_layers"]["complete"]


def test_all_does_not_stop_at_a_failure(mini: Miniature) -> None:
    result = mini.pytest("--all")
    assert result.code == 1
    assert "3 more tests failed in this run:" in result.out
    assert "✗ test_outer: outer is not written yet." in result.out


def test_runs_of_node_ids_do_not_stop_at_a_failure(mini: Miniature) -> None:
    tests = "katas/k00_doubles/test_doubles.py"
    out = mini.pytest(f"{tests}::test_double_of_one", f"{tests}::test_outer").out
    assert "double is not written yet." in out
    assert "✗ test_outer: outer is not written yet." in out


def test_solutions_pass_without_locks_and_without_recording(mini: Miniature) -> None:
    result = mini.pytest("--solutions")
    assert result.code == 0
    assert "7 passed" in result.out
    assert not (mini.root / ".harness").exists()


def test_solutions_are_used_by_later_katas(mini: Miniature) -> None:
    mini.doubles.stub.write_text("raise RuntimeError('the stub was imported')\n")
    assert mini.pytest("--solutions", "katas/01").code == 0


@pytest.mark.parametrize(
    "argument", ["0", "00", "k00", "katas/00", "katas/k00", "katas/0", "katas/k00_doubles"]
)
def test_a_kata_can_be_given_by_number_or_folder(mini: Miniature, argument: str) -> None:
    assert "kata 00 doubles · 0/4" in mini.pytest(argument).out


@pytest.mark.parametrize(
    ("folder", "argument"),
    [
        ("katas", "00"),
        ("katas/k01_layers", "../00"),
        ("solutions", "../katas/00"),
        ("katas/k00_doubles", "."),
    ],
)
def test_it_works_in_a_subfolder(mini: Miniature, folder: str, argument: str) -> None:
    result = mini.pytest(argument, folder=folder)
    assert result.code == 1
    assert "kata 00 doubles · 0/4" in result.out
    assert "katas/k00_doubles/doubles.py:13" in result.out


@pytest.mark.measured
def test_bare_pytest_in_a_kata_runs_that_kata(mini: Miniature) -> None:
    assert "kata 01 layers is locked" in mini.pytest(folder="katas/k01_layers").out


@pytest.mark.measured
@pytest.mark.parametrize(
    ("argument", "remedy"),
    [
        ("katas/07", "There is no kata '07'; the katas are 00 to 01."),
        ("katas/dobules", "Did you mean k00_doubles?"),
        ("katas/00::test_outer", "Type: pytest katas/k00_doubles/test_doubles.py::test_outer"),
    ],
)
def test_a_mistyped_kata_gets_the_remedy_and_exits_with_4(
    mini: Miniature, argument: str, remedy: str
) -> None:
    result = mini.pytest(argument)
    assert result.code == 4
    assert remedy in result.err


def test_an_empty_selection_is_reported(mini: Miniature) -> None:
    result = mini.pytest("katas/00", "-k", "nonsense")
    assert result.code == 5
    assert "No test in k00_doubles matches your selection." in result.out


@pytest.mark.parametrize("workers", ["1", "2"])
def test_parallel_runs_show_the_same_next_test_and_record(mini: Miniature, workers: str) -> None:
    mini.write_doubles(outer="return None")
    result = mini.pytest("katas/00", "-n", workers)
    assert result.code == 1
    assert "kata 00 doubles · 3/4" in result.out
    assert "outer returned None" in result.out
    mini.solve(mini.doubles)
    assert "complete ✓" in mini.pytest("katas/00", "-n", workers).out
    assert status(mini)["k00_doubles"]["complete"]


def test_a_parallel_run_of_locked_katas_exits_with_10(mini: Miniature) -> None:
    assert mini.cold.pytest("katas/01", "-n", "2").code == 10  # cold: with workers that xdist itself starts


def test_an_infinite_loop_in_a_parallel_run_is_stopped(mini: Miniature) -> None:
    mini.write_doubles(double="while True:\n    pass")
    result = mini.pytest("katas/00", "-n", "1", "--time-limit", "2")
    assert result.code == 1
    assert "The test was still running after 2 s" in result.out


def test_x_adds_nothing_to_the_block(mini: Miniature) -> None:
    assert mini.pytest("katas/00", "-x").out == mini.pytest("katas/00").out


def test_last_failed_runs_only_failed_tests(mini: Miniature) -> None:
    mini.write_doubles(outer="return None")
    first = mini.pytest("katas/00")
    result = mini.pytest("katas/00", "--lf", "-v")
    assert "1 failed" in result.out, first.text + result.text
    assert "::test_double" not in result.out


def test_collect_only_lists_locked_tests_too_and_runs_nothing(mini: Miniature) -> None:
    result = mini.pytest("--co", "-q")
    assert result.code == 0
    assert result.out.count("::test_") == 7
    assert not (mini.root / ".harness").exists()


def test_v_adds_pytests_own_report_to_the_block(mini: Miniature) -> None:
    out = mini.pytest("katas/00", "-v").out
    assert "test_doubles.py::test_double_of_one FAILED" in out
    assert "NotImplementedError" in out
    assert "double is not written yet." in out


def test_a_debugger_session_is_not_supervised(mini: Miniature) -> None:
    mini.write_doubles(double="breakpoint()\nreturn 2 * x")
    result = mini.pytest("katas/00", "--pdb")
    assert "PDB set_trace" in result.out


@pytest.mark.parametrize("variable", ["TEST_RUN_PIPE", "PYCHARM_HOSTED"])
def test_a_run_by_an_ide_does_not_stop_at_the_first_failure(mini: Miniature, variable: str) -> None:
    result = mini.pytest("katas/00", **{variable: "1"})
    assert "more tests failed in this run" in result.out


def test_an_edited_test_file_is_reported(mini: Miniature) -> None:
    mini.doubles.tests.write_text(mini.doubles.tests.read_text() + "\n# mine\n")
    note = "katas/k00_doubles/test_doubles.py differs from the original tests"
    assert note in mini.pytest("katas/00").out
    assert note in mini.harness("status").out


def with_empty_tests(mini: Miniature) -> None:
    """Let every test of kata 00 return at once."""
    tests = mini.doubles.tests
    tests.write_text(re.sub(r'(    """.*""")\n', r"\1\n    return\n", tests.read_text()))


def test_complete_is_said_of_the_original_tests_only(mini: Miniature) -> None:
    original = mini.doubles.tests.read_text()
    mini.solve(mini.layers)
    with_empty_tests(mini)
    result = mini.pytest("katas/00")
    assert result.code == 0
    assert "complete ✓" not in result.out
    assert "kata 00 doubles · 4/4 pass, but not of the original tests" in result.out
    assert "Note: kata 00 doubles has passed other tests than the original ones." in result.out
    assert "Unlocked: kata 01 layers" in result.out
    shown = mini.harness("status").out
    assert "other tests" in shown
    assert "Note: kata 00 doubles has passed other tests than the original ones." in shown
    assert not status(mini)["k00_doubles"]["complete"]
    assert status(mini)["k00_doubles"]["state"] == "other tests"
    mini.doubles.tests.write_text(original)
    mini.solve(mini.doubles)
    assert "kata 00 doubles · 4/4 complete ✓" in mini.pytest("katas/00").out
    assert status(mini)["k00_doubles"]["complete"]


@pytest.mark.measured
def test_a_course_with_other_tests_is_not_called_complete(mini: Miniature) -> None:
    with_empty_tests(mini)
    mini.solve(mini.doubles)
    mini.solve(mini.layers)
    result = mini.pytest("katas")
    assert "All katas are complete" not in result.out
    assert "Nothing is left to do, but not every kata has passed the original tests." in result.out
    assert "All katas are complete" not in mini.harness("status").out
    assert mini.harness("status", "--check").code == 1


def test_deleting_a_test_does_not_complete_a_kata(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    source = mini.doubles.tests.read_text()
    mini.doubles.tests.write_text(source[: source.index("def test_outer")])
    assert mini.pytest("katas/00").code == 0
    assert not status(mini)["k00_doubles"]["complete"]


@pytest.mark.measured
def test_torn_and_foreign_lines_are_ignored_with_a_notice(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    mini.pytest("katas/00")
    with progress_path(mini.course).open("ab") as file:
        file.write(b'{"kata": "k00_num\n\xff\xfe\n')
    result = mini.pytest("katas/00")
    assert result.code == 0
    assert ".harness/progress.jsonl: lines " in result.out
    assert "cannot be read and are ignored" in mini.harness("status").out
    assert status(mini)["k00_doubles"]["complete"]


@pytest.mark.measured
def test_progress_that_cannot_be_saved_is_a_notice_not_a_failure(mini: Miniature) -> None:
    (mini.root / ".harness").write_text("a file where the folder should be")
    mini.solve(mini.doubles)
    result = mini.pytest("katas/00")
    assert result.code == 0
    assert "progress is not saved" in result.out


def test_a_run_that_changes_nothing_writes_nothing(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    mini.pytest("katas/00")
    before = progress_path(mini.course).read_bytes()
    mini.pytest("katas/00")
    assert progress_path(mini.course).read_bytes() == before


def test_two_runs_at_once_lose_nothing(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    command = [sys.executable, "-m", "pytest", "katas/00"]
    runs = [mini.start(*command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    stored = read_receipts(progress_path(mini.course))
    assert stored.unreadable == ()
    assert {name for receipt in stored.entries for name in receipt.passed} == set(
        status(mini)["k00_doubles"]["tests"]
    )


def test_no_temporary_folder_is_left_behind(mini: Miniature, tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    mini.write_doubles(double="while True:\n    try:\n        x = x + 1\n    except:\n        pass")
    mini.pytest("katas/00", "--time-limit", "2", TMPDIR=str(folder))
    assert [path.name for path in folder.iterdir() if path.name.startswith("harness-")] == []


ANOTHER_THREAD = """
import sys, threading, time, pytest
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
sys.exit(pytest.main(["katas/00", "--time-limit", "2"]))
"""


@pytest.mark.measured
def test_if_a_fork_is_unsafe_a_new_process_is_supervised(mini: Miniature) -> None:
    mini.write_doubles(outer="import os; os._exit(0)")
    result = mini.python("-c", ANOTHER_THREAD)
    assert result.code == 1
    assert "kata 00 doubles · 3/4" in result.out
    assert "os._exit(0)" in result.out
    assert "katas/k00_doubles/doubles.py:18" in result.out


@pytest.mark.measured
def test_ctrl_c_stops_an_infinite_loop_and_keeps_earlier_passes(mini: Miniature) -> None:
    mini.write_doubles(outer="while True:\n    open('looping', 'w').close()")
    command = [sys.executable, "-m", "pytest", "katas/00"]
    run = mini.start(*command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    while not (mini.root / "looping").exists():
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGINT)
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 2
    assert "Interrupted. Tests that passed are recorded." in out
    assert len(status(mini)["k00_doubles"]["passed"]) == 3


@pytest.mark.measured
def test_it_is_inert_outside_a_course(tmp_path: Path, mini: Miniature) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "pytest.ini").write_text("[pytest]\n")
    (elsewhere / "test_it.py").write_text("def test_it():\n    assert 1 == 2\n")
    os.rename(mini.root / "katas", mini.root / "no_katas")
    result = mini.pytest(folder="elsewhere")
    assert result.code == 1
    assert "assert 1 == 2" in result.out
    assert "Next:" not in result.out
    assert not (elsewhere / ".harness").exists()


@pytest.mark.parametrize("options", [[], ["--tb=short"], ["-v", "--tb=long"]], ids=["block", "short", "long"])
def test_control_characters_in_errors_classes_and_output_do_not_reach_the_terminal(
    mini: Miniature, options: list[str]
) -> None:
    command = r"\x1b[?1049h\x1b[2J"
    body = f'print("printed {command}")\nraise type("Odd\\x1b[2J", (ValueError,), {{}})("hidden {command}")'
    mini.write_doubles(double=body)
    result = mini.pytest("katas/00", *options)
    assert "\x1b" not in result.text
    assert f"hidden {command}" in result.out
    assert f"printed {command}" in result.out


def test_an_ascii_terminal_gets_ascii(mini: Miniature) -> None:
    result = mini.pytest("katas/00", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert "x Twice one is two." in result.out
    assert result.out.isascii()


def test_no_color_means_no_escape_codes(mini: Miniature) -> None:
    assert "\x1b[" in mini.pytest("katas/00", FORCE_COLOR="1").out
    assert "\x1b[" not in mini.pytest("katas/00", NO_COLOR="1").out


@pytest.mark.parametrize("folder", [".", "katas/.."])
def test_the_root_as_an_argument_is_like_none(mini: Miniature, folder: str) -> None:
    mini.solve(mini.doubles)
    mini.pytest("katas/00")
    tests = mini.root / "harness" / "tests"
    tests.mkdir(parents=True)
    (tests / "test_it.py").write_text("def test_it():\n    assert False\n")
    assert mini.pytest(folder).out == mini.pytest().out
    assert "Doubler.forward is not written yet." in mini.pytest(folder).out


@pytest.fixture
def below(tmp_path: Path) -> Miniature:
    """A miniature course in a folder of another folder, in which the commands are typed."""
    (tmp_path / "clone").mkdir()
    make_miniature(tmp_path / "clone")
    return Miniature(tmp_path)


@pytest.mark.parametrize(
    "typed",
    [
        ("--rootdir", "."),
        ("--rootdir", ".", "clone/katas/k00_doubles/test_doubles.py::test_double_of_one"),
        ("--rootdir", ".", "clone"),
        ("clone/katas/k00_doubles",),
    ],
)
def test_a_course_is_found_in_the_folder_below(below: Miniature, typed: tuple[str, ...]) -> None:
    result = below.pytest(*typed)
    assert result.code == 1
    assert "kata 00 doubles · 0/4" in result.out
    assert "double is not written yet." in result.out


@pytest.mark.measured
def test_the_crash_of_a_worker_is_reported_from_the_folder_above(below: Miniature) -> None:
    clone = Miniature(below.root / "clone")
    clone.write_doubles(outer="import os; os._exit(0)")
    result = below.pytest("--rootdir", ".", "clone/katas/k00_doubles", "-n", "1")
    assert "Python itself crashed (its worker process ended)" in result.out


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.parametrize("options", ["-v", "-q"])
def test_a_pipeline_that_has_read_enough_ends_the_run_without_a_word(mini: Miniature, options: str) -> None:
    result = mini.run("sh", "-c", f"{sys.executable} -m pytest katas/00 {options} | head -n 1")
    assert result.err == ""
    assert len(result.out.splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_closed_streams_change_nothing(mini: Miniature) -> None:
    closed = mini.run("sh", "-c", f"{sys.executable} -m pytest katas/00 >&-")
    assert (closed.out, closed.err, closed.code) == ("", "", 1)
    assert "✗ Twice one is two." in mini.run("sh", "-c", f"{sys.executable} -m pytest katas/00 2>&-").out


def test_a_compiled_model_passes_the_tests(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    mini.layers.stub.write_text(
        mini.layers.solution.read_text()
        + "\n\n_Doubler = Doubler\n\n\ndef Doubler():\n    return torch.compile(_Doubler())\n"
    )
    result = mini.pytest("katas", "--all")
    assert result.code == 0, result.text
    assert "kata 01 layers · 2/2 complete ✓" in result.out
