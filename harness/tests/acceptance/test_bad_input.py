"""Anything that a learner's file does ends in one readable block and exit code 1."""

from __future__ import annotations

import os
import re
import sys

import pytest

from harness.tests.support.miniature import Miniature

INTERNALS = ("Traceback", "site-packages", "INTERNALERROR", "beartype", "jaxtyping/", "_pytest", "pluggy")
FIRST_TEST = "Twice one is two."


def assert_one_block(result, *texts: str) -> None:
    """Assert that the output is one block with these texts, without internals, and the exit code 1."""
    assert result.code == 1, result.text
    for text in texts:
        assert text in result.out, result.text
    for word in INTERNALS:
        assert word not in result.text, result.text
    assert result.out.count("✗ ") == 1, result.text
    assert result.out.count("Next: ") == 1, result.text
    assert result.err == "", result.err
    assert max(map(len, result.out.splitlines())) <= 100, result.text


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ("return None", ["double returned None: is a `return` missing?"]),
        ("x * 2", ["double returned None: is a `return` missing?"]),
        ("return (2 * x).long()", ["double returned int64 (3,)", "The dtype is wrong"]),
        ("return (2 * x)[:-1]", ["The last axis (n) is 2; expected 3, as in x."]),
        (
            "return (2 * x)[None]",
            ["double returned float32 (1, 3)", "expected        (3,)", "It has 2 axes; expected 1."],
        ),
        ("return 3 * x", ["expected", "actual", "2.0000", "3.0000*"]),
        ("return 2 * y", ["NameError: name 'y' is not defined"]),
        ("return double(x)", ["The function calls itself forever"]),
        ("return x * float(input())", ["Your code reads from the keyboard"]),
        ("import sys; sys.exit()", ["Your code calls sys.exit()"]),
    ],
)
def test_a_wrong_body_is_explained_at_the_learners_line(mini: Miniature, body: str, texts: list[str]) -> None:
    mini.write_doubles(double=body)
    result = mini.pytest("katas/00")
    assert_one_block(result, FIRST_TEST, "kata 00 doubles · 0/4", "katas/k00_doubles/doubles.py:", *texts)


def test_a_missing_return_is_located_at_the_last_line(mini: Miniature) -> None:
    mini.write_doubles(double="if x.numel() > 9:\n    return x\n2 * x")
    assert_one_block(
        mini.pytest("katas/00"), "is a `return` missing?", "katas/k00_doubles/doubles.py:15   2 * x"
    )


def test_a_shape_error_in_an_argument_names_the_call(mini: Miniature) -> None:
    mini.write_doubles(double="return outer(x, 2 * x[None])[0]")
    result = mini.pytest("katas/00")
    assert_one_block(
        result,
        "outer was called with y = float32 (1, 3)",
        'Float[Tensor, "m"]',
        "doubles.py:13   return outer(x, 2 * x[None])[0]",
    )


def test_a_syntax_error_names_its_line(mini: Miniature) -> None:
    mini.write_doubles(double="return 2 * (x")
    assert_one_block(
        mini.pytest("katas/00"), "SyntaxError: '(' was never closed", "doubles.py:13   return 2 * (x"
    )


@pytest.mark.parametrize(
    ("text", "error"), [("LARGEST = 1 / 0\n", "ZeroDivisionError"), ("LARGEST = (1\n", "SyntaxError")]
)
def test_an_error_in_a_module_beside_the_stub_is_reported_there(
    text: str, error: str, mini: Miniature
) -> None:
    (mini.doubles.folder / "sizes.py").write_text(text)
    source = mini.doubles.stub.read_text()
    beside = "import torch\nfrom katas.k00_doubles.sizes import LARGEST\n"
    mini.doubles.stub.write_text(source.replace("import torch\n", beside, 1))
    assert_one_block(mini.pytest("katas/00"), "doubles.py cannot be imported:", error, "sizes.py:1")


def test_a_missing_package_is_reported_with_the_allowed_ones(mini: Miniature) -> None:
    mini.write_doubles()
    source = mini.doubles.stub.read_text()
    mini.doubles.stub.write_text(source.replace("import torch\n", "import torch\nimport einops_missing\n", 1))
    assert_one_block(mini.pytest("katas/00"), "No module named 'einops_missing'", "need only", "doubles.py:4")


def test_a_forgotten_import_is_a_name_error_at_its_line(mini: Miniature) -> None:
    mini.write_doubles(double="return 2 * math.sqrt(1) * x")
    assert_one_block(mini.pytest("katas/00"), "NameError: name 'math' is not defined", "doubles.py:13")


def test_a_renamed_function_is_found(mini: Miniature) -> None:
    mini.write_doubles()
    mini.doubles.stub.write_text(mini.doubles.stub.read_text().replace("def double", "def twice"))
    result = mini.pytest("katas/00")
    assert_one_block(result, "doubles.py does not define double", "It does define twice: was it renamed?")


def test_a_changed_signature_is_shown_with_the_original(mini: Miniature) -> None:
    mini.write_doubles()
    source = mini.doubles.stub.read_text().replace('"*batch n"]) ->', '"*batch n"], factor: float) ->', 1)
    mini.doubles.stub.write_text(source)
    assert_one_block(
        mini.pytest("katas/00"), "original  double(x)", "yours     double(x, factor)", "doubles.py:8"
    )


def test_sys_exit_at_import_is_reported_and_ends_nothing(mini: Miniature) -> None:
    mini.doubles.stub.write_text("import sys\nsys.exit(0)\n")
    assert_one_block(mini.pytest("katas/00"), "ends the program (sys.exit) when imported", "doubles.py:2")


@pytest.mark.parametrize(
    "body",
    [
        "while True:\n    pass",
        "while True:\n    try:\n        x = x + 1\n    except:\n        pass",
    ],
    ids=["plain", "around a bare except"],
)
def test_an_infinite_loop_in_a_call_is_located(mini: Miniature, body: str) -> None:
    mini.write_doubles(double=body)
    result = mini.pytest("katas/00", "--time-limit", "2")
    assert_one_block(result, FIRST_TEST, "doubles.py:1")


@pytest.mark.parametrize(
    "loop",
    ["while True:\n    pass\n", "while True:\n    try:\n        n = 1\n    except:\n        pass\n"],
    ids=["plain", "around a bare except"],
)
def test_an_infinite_loop_at_import_is_located(mini: Miniature, loop: str) -> None:
    mini.doubles.stub.write_text(loop)
    result = mini.pytest("katas/00", "--time-limit", "2")
    assert_one_block(result, "Importing doubles.py", "katas/k00_doubles/doubles.py:")


def test_os_exit_is_reported_with_its_line(mini: Miniature) -> None:
    mini.write_doubles(double="import os; os._exit(0)")
    assert_one_block(mini.pytest("katas/00"), FIRST_TEST, "os._exit(0)", "doubles.py:13")


def test_os_exit_at_import_is_reported_with_its_line(mini: Miniature) -> None:
    mini.doubles.stub.write_text("import os\nos._exit(0)\n")
    assert_one_block(mini.pytest("katas/00"), "os._exit(0)", "doubles.py:2")


def test_a_segmentation_fault_is_reported_with_its_line(mini: Miniature) -> None:
    mini.write_doubles(double="import ctypes\nreturn ctypes.string_at(0)")
    assert_one_block(mini.pytest("katas/00"), FIRST_TEST, "Python itself crashed", "doubles.py:14")


def test_of_a_megabyte_of_prints_the_last_lines_are_shown(mini: Miniature) -> None:
    mini.write_doubles(double="for i in range(100_000):\n    print('line', i)\nreturn 3 * x")
    result = mini.pytest("katas/00")
    assert_one_block(result, "Your code printed, the last of", "line 99999")
    assert len(result.out) < 3000


def test_prints_of_a_passing_test_are_not_shown(mini: Miniature) -> None:
    mini.write_doubles(double="print('noise')\nreturn 2 * x")
    assert "noise" not in mini.pytest("katas/00").text


def test_modifying_the_input_fails_the_test_that_forbids_it(mini: Miniature) -> None:
    mini.write_doubles(double="return x.mul_(2)")
    result = mini.pytest("katas/00")
    assert_one_block(result, "kata 00 doubles · 2/4", "The input keeps its values.")


def test_an_edit_of_equal_length_within_the_same_second_counts(mini: Miniature) -> None:
    mini.write_doubles(double="return 2 * x")
    stamp = os.stat(mini.doubles.stub)
    assert mini.pytest("katas/00").code == 0
    mini.write_doubles(double="return 3 * x")
    os.utime(mini.doubles.stub, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert_one_block(mini.pytest("katas/00"), FIRST_TEST)


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="the byte-code cache's file name is spelled for 3.11 to 3.13"
)
def test_bytecode_of_another_program_is_not_loaded(mini: Miniature) -> None:
    mini.write_doubles(double="return 2 * x")
    stamp = os.stat(mini.doubles.stub)
    mini.cold.python("-c", "import katas.k00_doubles.doubles")
    mini.write_doubles(double="return 3 * x")
    os.utime(mini.doubles.stub, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert_one_block(mini.pytest("katas/00"), FIRST_TEST)


@pytest.mark.parametrize("death", ["import os; os._exit(0)", "import ctypes; ctypes.string_at(0)"])
def test_tests_that_passed_before_a_crash_stay_passed(mini: Miniature, death: str) -> None:
    mini.write_doubles(outer=death)
    assert_one_block(mini.pytest("katas/00"), "kata 00 doubles · 3/4", "✓ test_double_of_one")
    assert "3/4" in mini.harness("status").out


def test_a_broken_earlier_kata_fails_the_later_one_with_its_own_error(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    mini.solve(mini.layers)
    assert mini.pytest("katas").code == 0
    mini.write_doubles(double="return 2 * (x")
    result = mini.pytest("katas/01")
    assert_one_block(result, "kata 01 layers", "doubles.py cannot be imported:", "doubles.py:13")


def test_a_broken_file_does_not_hide_its_tests(mini: Miniature) -> None:
    mini.doubles.stub.write_text("def (\n")
    result = mini.pytest("--co", "-q", "katas")
    assert result.out.count("::test_") == 7  # one of the six functions has two cases


def test_a_deleted_stub_is_reported(mini: Miniature) -> None:
    mini.doubles.stub.unlink()
    assert_one_block(mini.pytest("katas/00"), "doubles.py is missing; `harness reset` restores the original.")


def test_a_stub_in_another_encoding_is_named_with_the_remedy(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    source = mini.doubles.stub.read_text()
    for encoding, text in (("utf-16", "doubles.py is saved as UTF-16"), ("latin-1", "perhaps as Latin-1")):
        mini.doubles.stub.write_bytes(f"{source}# caf\u00e9\n".encode(encoding))
        assert_one_block(mini.pytest("katas/00"), text, "Save it as", "doubles.py:")


def test_a_merge_conflict_is_named_with_the_remedy(mini: Miniature) -> None:
    mini.write_doubles(double="<<<<<<< HEAD\nreturn 2 * x\n=======\nreturn x + x\n>>>>>>> theirs")
    source = mini.doubles.stub.read_text()
    mini.doubles.stub.write_text(re.sub(r"^    ([<=>]{7})", r"\1", source, flags=re.MULTILINE))
    assert_one_block(
        mini.pytest("katas/00"), "doubles.py holds a merge conflict", "Keep one", "doubles.py:13"
    )


def test_a_crash_of_a_parallel_worker_is_reported(mini: Miniature) -> None:
    mini.write_doubles(outer="import os; os._exit(0)")
    result = mini.pytest("katas/00", "-n", "1")
    assert result.code == 1
    assert "Row i holds x[i] times every entry of y." in result.out
    assert "Python itself crashed (its worker process ended)" in result.out


def test_a_broken_test_file_says_how_to_restore_it(mini: Miniature) -> None:
    mini.doubles.tests.write_text("import torch\nthis is no Python\n")
    result = mini.pytest("katas/00")
    assert "cannot be loaded" in result.out
    assert "git checkout katas/k00_doubles/test_doubles.py" in result.out
    assert result.code in (1, 2)


BROKEN_ERROR = "class Broken(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise Broken"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (BROKEN_ERROR, "Broken"),
        ("raise ValueError('\\udcff')", "ValueError: \\udcff"),
        ("raise AssertionError(' ')", "AssertionError"),
        ("return torch.softmax(x.long(), -1)", "NotImplementedError: "),
        ("assert x.sum() == 9, 'want nine'", "want nine"),
    ],
)
def test_an_odd_error_is_reported_like_any_other(mini: Miniature, body: str, text: str) -> None:
    mini.write_doubles(double=body)
    assert_one_block(mini.pytest("katas/00"), text, "katas/k00_doubles/doubles.py:1")


def test_a_broken_error_at_import_is_reported(mini: Miniature) -> None:
    mini.doubles.stub.write_text(f"{BROKEN_ERROR}\n")
    assert_one_block(mini.pytest("katas/00"), "doubles.py cannot be imported:", "Broken", "doubles.py:4")


def test_a_broken_earlier_kata_is_named_when_a_later_one_imports_it(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    mini.pytest("katas/00")
    mini.layers.stub.write_text(mini.layers.solution.read_text() + "\n\nEIGHT = double(torch.ones(1))\n")
    mini.write_doubles(double="return 2 * (x")
    assert_one_block(mini.pytest("katas/01"), "doubles.py cannot be imported:", "doubles.py:13")


def test_a_learners_own_test_file_earns_nothing(mini: Miniature) -> None:
    names = re.findall(r"def (test_\w+)", mini.doubles.tests.read_text())
    own = "".join(f"def {name}():\n    pass\n" for name in names)
    (mini.doubles.folder / "test_mine.py").write_text(own)
    mini.pytest("katas/k00_doubles/test_mine.py")
    assert "0/4" in mini.harness("status").out


@pytest.mark.parametrize("prefix", ["", "./", "{root}/"])
def test_one_case_earns_nothing_however_it_is_selected(mini: Miniature, prefix: str) -> None:
    mini.solve(mini.doubles)
    file = f"{prefix.format(root=mini.root)}katas/k00_doubles/test_doubles.py"
    mini.pytest(f"{file}::test_double_of_any[0.5]")
    assert "0/4" in mini.harness("status").out


def test_cases_that_pass_in_different_runs_do_not_add_up(mini: Miniature) -> None:
    mini.write_doubles(double="return 2 * x if (x > 0).all() else x")
    mini.pytest("katas/00", "-k", "any")
    mini.write_doubles(double="return 2 * x if (x < 0).all() else x")
    mini.pytest("katas/00", "--lf")
    assert "test_double_of_any" not in mini.harness("status", "--json").out.split('"passed"')[1].split("]")[0]


def test_a_skipped_test_does_not_count_as_passed(mini: Miniature) -> None:
    mini.write_doubles(double="import pytest\npytest.skip('no')")
    result = mini.pytest("katas/00", "-k", "of_one")
    assert "Skipped (does not count as passed): test_double_of_one" in result.out


def test_a_comparison_that_should_fail_is_not_shown(mini: Miniature) -> None:
    mini.write_doubles(double="assert x.sum() == 9, 'want nine'")
    caught = "    with pytest.raises(AssertionError):\n        assert 1 == 2\n"
    first = '    """Twice one is two."""\n'
    mini.doubles.tests.write_text(mini.doubles.tests.read_text().replace(first, first + caught))
    result = mini.pytest("katas/00")
    assert "want nine" in result.out
    assert "expected  2" not in result.out


@pytest.mark.parametrize("call", ["breakpoint()", "import pdb; pdb.set_trace()"])
def test_a_breakpoint_where_nobody_can_type_says_where_to_use_it(mini: Miniature, call: str) -> None:
    mini.write_doubles(double=f"{call}\nreturn 2 * x")
    result = mini.pytest("katas/00")
    assert_one_block(result, "breakpoint() needs a terminal", "pytest katas/00 --pdb", "doubles.py:13")
    assert "(Pdb)" not in result.text


def test_pytest_exit_is_a_failure_of_the_test_that_reached_it(mini: Miniature) -> None:
    mini.write_doubles(outer="import pytest\npytest.exit('bye', returncode=0)")
    result = mini.pytest("katas/00")
    assert_one_block(result, "kata 00 doubles · 3/4", "Your code calls pytest.exit()", "doubles.py:19")


def test_an_interrupt_that_the_code_raises_is_a_failure_too(mini: Miniature) -> None:
    mini.write_doubles(outer="raise KeyboardInterrupt")
    result = mini.pytest("katas/00")
    assert_one_block(result, "kata 00 doubles · 3/4", "KeyboardInterrupt", "doubles.py:18")


ERROR_THAT_EXITS = "class Broken(Exception):\n    def __str__(self):\n        raise SystemExit\nraise Broken"
FINDER = "import sys\nclass Finder:\n    def find_spec(self, *_):\n        raise RuntimeError('mine')\n"
TAKE_ALL_FILES = """
import os
try:
    while True:
        os.open(os.devnull, os.O_RDONLY)
except OSError:
    pass
"""
ON_POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such limits")


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ("import sys\nsys.modules.clear()\nreturn 3 * x", ["doubles.py:14 changes the whole process"]),
        (ERROR_THAT_EXITS, ["Broken", "doubles.py:16   raise Broken"]),
        (f"{FINDER}sys.meta_path.insert(0, Finder())\nreturn 3 * x", ["doubles.py:17 changes"]),
        pytest.param(
            "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\nreturn 3 * x",
            ["kata 00 doubles · 0/4"],
            marks=ON_POSIX,
        ),
    ],
    ids=["no modules", "an error that exits", "a finder", "no space for files"],
)
def test_what_disables_python_itself_ends_in_one_block(mini: Miniature, body: str, texts: list[str]) -> None:
    mini.write_doubles(double=body)
    assert_one_block(mini.pytest("katas/00"), *texts)


@pytest.mark.parametrize(
    "line", ["import sys; sys.modules.clear()", f"{FINDER}sys.meta_path.insert(0, Finder())\n"]
)
def test_what_disables_python_at_import_ends_in_one_block(mini: Miniature, line: str) -> None:
    mini.solve(mini.doubles)
    mini.doubles.stub.write_text(f"{line}\n{mini.doubles.stub.read_text()}")
    assert_one_block(mini.pytest("katas/00"), "doubles.py cannot be imported:", "changes the whole process")


@ON_POSIX
def test_a_breakdown_ends_in_one_block(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    mini.doubles.stub.write_text(f"{TAKE_ALL_FILES}{mini.doubles.stub.read_text()}")
    result = mini.pytest("katas/00")
    assert_one_block(result, FIRST_TEST, "pytest itself could not go on.", "Too many open files")


SETTINGS = "torch.set_default_dtype(torch.float64)\ntorch.set_grad_enabled(False)\n"
CHECK_SETTINGS = "assert torch.get_default_dtype() == torch.float32\nassert torch.is_grad_enabled()\n"


def with_settings(mini: Miniature) -> None:
    source = mini.doubles.stub.read_text()
    mini.doubles.stub.write_text(source.replace("import torch\n", f"import torch\n{SETTINGS}", 1))


def test_settings_of_one_kata_do_not_reach_the_next_and_their_lines_are_named(mini: Miniature) -> None:
    mini.solve(mini.doubles)
    with_settings(mini)
    source = mini.layers.solution.read_text().replace("        return", "        CHECK\n        return")
    mini.layers.stub.write_text(source.replace("CHECK", CHECK_SETTINGS.strip().replace("\n", "\n        ")))
    result = mini.pytest("katas", "--all")
    assert result.code == 0, result.text
    assert "kata 01 layers · 2/2 complete" in result.out
    shown = " ".join(result.out.split())
    assert "doubles.py:4 changes the whole process (torch.set_default_dtype), and with it every" in shown
    assert "doubles.py:5 changes the whole process (torch.set_grad_enabled)" in shown


def test_a_setting_that_a_function_leaves_behind_is_undone_after_its_test(mini: Miniature) -> None:
    mini.write_doubles(
        double="torch.set_grad_enabled(False)\nreturn 2 * x", outer=f"{CHECK_SETTINGS}return x[:, None] * y"
    )
    result = mini.pytest("katas/00", "-n", "1")
    assert result.code == 0, result.text
    assert "doubles.py:13 changes the whole process" in " ".join(result.out.split())


def test_a_setting_that_ends_with_its_block_is_not_mentioned(mini: Miniature) -> None:
    mini.write_doubles(double="with torch.no_grad():\n    return 2 * x")
    assert "changes the whole process" not in mini.pytest("katas/00").out


def test_pytests_own_help_is_shown(mini: Miniature) -> None:
    result = mini.pytest("--help")
    assert result.code == 0, result.text
    assert "--solutions" in result.out
