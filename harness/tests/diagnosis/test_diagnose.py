"""Tests of naming a mistake: if exactly one known one gives the same result, and never otherwise."""

from __future__ import annotations

import re

import pytest

from harness.course.slips import Slip
from harness.diagnosis.diagnose import candidates
from harness.tests.support.miniature import Miniature

OPENING = "A known mistake produces exactly this result. Is it the one you made?"
TOGETHER = "Two known mistakes together produce exactly this result. Did you make both?"

SLIPS = """
[[slip]]
id = "tripled"
find = "return 2 * x"
replace = "return 3 * x"
diagnosis = "You triple the input; it should be doubled."
caught_by = "test_double_of_one"

[[slip]]
id = "squared"
find = "return 2 * x"
replace = "return x * x"
diagnosis = "You square the input."
caught_by = "test_double_of_one"

[[slip]]
id = "added-to-one"
find = "return 2 * x"
replace = "return x + 1"
diagnosis = "You add one to the input."
caught_by = "test_double_of_any"

[[slip]]
id = "in-place"
find = "return 2 * x"
replace = "return x.mul_(2)"
diagnosis = "You modify the input."
caught_by = "test_double_leaves_its_input_alone"

[[slip]]
id = "outer-transposed"
find = "return x[:, None] * y"
replace = "return y[:, None] * x"
diagnosis = "Your rows belong to the entries of y."
caught_by = "test_outer"
"""


@pytest.fixture
def known(mini: Miniature) -> Miniature:
    """The miniature, with some known mistakes of kata 00."""
    write_slips(mini, SLIPS)
    set_budget(mini, 60)
    return mini


def set_budget(mini: Miniature, seconds: float, late: float = 0.0) -> None:
    """Replace the budget of half a second, which is too short on a machine busy with other tests."""
    setting = f"from harness.diagnosis import diagnose\n\ndiagnose.BUDGET = {seconds}\n"
    setting += f"diagnose.LATE_BUDGET = {late}\n"
    (mini.root / "conftest.py").write_text(setting)
    options = mini.root / "pyproject.toml"
    options.write_text(options.read_text().replace("mode=importlib", 'mode=importlib", "--time-limit=120'))


def write_slips(mini: Miniature, slips: str) -> None:
    (mini.doubles.solution_folder / "slips.toml").write_text(slips)


def slip(name: str, replace: str, diagnosis: str, caught_by: str = "test_double_of_one") -> str:
    return (
        f'\n[[slip]]\nid = "{name}"\nfind = "return 2 * x"\nreplace = """{replace}"""\n'
        f'diagnosis = "{diagnosis}"\ncaught_by = "{caught_by}"\n'
    )


def diagnosis(out: str, opening: str = OPENING) -> str:
    """Return the diagnosis in the output of a run, on one line; "" without one."""
    _, found, after = out.partition(opening)
    return " ".join(after.split("\n\n")[0].split()) if found else ""


# --- named ---


@pytest.mark.parametrize(
    ("bodies", "named"),
    [
        ({"double": "return 3 * x"}, "You triple the input; it should be doubled."),
        ({"double": "factor = 3\nreturn x * factor"}, "You triple the input; it should be doubled."),
        ({"double": "return x.square()"}, "You square the input."),
        ({"double": "x *= 2\nreturn x"}, "You modify the input."),
        ({"outer": "return torch.einsum('n,m->mn', x, y)"}, "Your rows belong to the entries of y."),
    ],
)
def test_the_one_mistake_with_the_same_result_is_named(
    known: Miniature, bodies: dict[str, str], named: str
) -> None:
    known.write_doubles(**bodies)
    assert diagnosis(known.pytest("katas/00").out) == named


def test_mistakes_are_tried_on_the_case_that_failed(known: Miniature) -> None:
    """x + 1 is right for the first test, which every mistake but this one fails."""
    known.write_doubles(double="return 1 + x")
    out = known.pytest("katas/00").out
    assert "(case value=0.5)" in out
    assert diagnosis(out) == "You add one to the input."


def test_mistakes_that_share_a_diagnosis_count_as_one(known: Miniature) -> None:
    write_slips(
        known,
        SLIPS + slip("tripled-again", "return x + x + x", "You triple the input; it should be doubled."),
    )
    known.write_doubles(double="return 3 * x")
    assert diagnosis(known.pytest("katas/00").out) == "You triple the input; it should be doubled."


@pytest.mark.parametrize("options", [["-n", "2"], ["--all"], ["-v"], ["-p", "no:timeout"]])
def test_a_mistake_is_named_whatever_the_options(known: Miniature, options: list[str]) -> None:
    known.write_doubles(double="return 3 * x")
    assert diagnosis(known.pytest("katas/00", *options).out) == "You triple the input; it should be doubled."


def test_a_single_test_is_enough(known: Miniature) -> None:
    """The tests before it have not run, so their mistakes are tried, too."""
    known.write_doubles(double="return 3 * x")
    out = known.pytest("katas/k00_doubles/test_doubles.py::test_double_of_any").out
    assert diagnosis(out) == "You triple the input; it should be doubled."


def test_a_diagnosis_reads_the_same_in_colour_and_without_glyphs(known: Miniature) -> None:
    write_slips(known, SLIPS.replace("You triple the input; it", "You take 3 × the input, √9 of it – it"))
    known.write_doubles(double="return 3 * x")
    coloured = re.sub(r"\x1b\[[\d;]*m", "", known.pytest("katas/00", "--color=yes").out)
    assert diagnosis(coloured) == "You take 3 × the input, √9 of it – it should be doubled."
    ascii_only = known.pytest("katas/00", PYTHONIOENCODING="ascii", PYTHONUTF8="0").out
    assert diagnosis(ascii_only) == "You take 3 x the input, sqrt 9 of it - it should be doubled."


@pytest.mark.measured
def test_a_diagnosis_that_takes_longer_follows_the_block(known: Miniature) -> None:
    set_budget(known, 0.0, late=60)
    known.write_doubles(double="return 3 * x")
    block, stuck, after = known.pytest("katas/00").out.partition("Stuck?")
    assert OPENING not in block
    assert stuck
    assert diagnosis(after) == "You triple the input; it should be doubled."


def test_nothing_follows_the_block_if_more_time_does_not_help(known: Miniature) -> None:
    set_budget(known, 0.0, late=0.0)
    known.write_doubles(double="return 3 * x")
    out = known.pytest("katas/00").out
    assert "3 of 3 entries differ" in out
    assert OPENING not in out


# --- two at once ---

TWO_IN_OUTER = """
[[slip]]
id = "squares"
find = "x[:, None]"
replace = "(x * x)[:, None]"
diagnosis = "You square x."
caught_by = "test_outer"

[[slip]]
id = "adds"
find = "* y\\n"
replace = "* (y + 1)\\n"
diagnosis = "You add one to y."
caught_by = "test_outer"
"""
TWO_IN_DOUBLE = """
[[slip]]
id = "quadruple"
find = "return 2"
replace = "return 4"
diagnosis = "You quadruple x."
caught_by = "test_double_of_one"

[[slip]]
id = "and-a-half"
find = "* x\\n"
replace = "* x * 1.5\\n"
diagnosis = "You take x one and a half times."
caught_by = "test_double_of_one"
"""
BOTH_IN_OUTER = {"outer": "return torch.einsum('n,m->nm', x.square(), y + 1)"}


def test_two_mistakes_that_only_together_have_the_same_result_are_both_named(known: Miniature) -> None:
    write_slips(known, TWO_IN_OUTER)
    known.write_doubles(**BOTH_IN_OUTER)
    out = known.pytest("katas/00").out
    assert OPENING not in out
    assert diagnosis(out, TOGETHER) == "1. You square x. 2. You add one to y."


@pytest.mark.measured
def test_two_pairs_with_the_same_result_are_not_named(known: Miniature) -> None:
    another = TWO_IN_OUTER.partition("[[slip]]")[2].partition("[[slip]]")[0]
    another = "[[slip]]" + another.replace("squares", "powers").replace("You square x", "You take its power")
    write_slips(known, TWO_IN_OUTER + another)
    known.write_doubles(**BOTH_IN_OUTER)
    assert TOGETHER not in known.pytest("katas/00").out


def test_two_mistakes_are_not_named_if_they_do_not_explain_another_case(known: Miniature) -> None:
    tests = known.doubles.tests.read_text()
    for old, new in {
        "def test_outer():": '@pytest.mark.parametrize("first", [1.0, -1.0])\ndef test_outer(first):',
        "torch.tensor([1.0, 2.0])": "torch.tensor([first, 2.0])",
        "[1.0, 10.0, 100.0], [2.0": "[first, first * 10.0, first * 100.0], [2.0",
    }.items():
        assert old in tests
        tests = tests.replace(old, new)
    known.doubles.tests.write_text(tests)
    write_slips(known, TWO_IN_OUTER)
    known.write_doubles(**BOTH_IN_OUTER)
    assert TOGETHER in known.pytest("katas/00").out
    known.write_doubles(outer="return torch.einsum('n,m->nm', torch.where(x < 0, x, x * x), y + 1)")
    assert TOGETHER not in known.pytest("katas/00").out


def test_two_mistakes_are_not_named_on_few_numbers(known: Miniature) -> None:
    """Many pairs of mistakes make the test see 6, 6, 6."""
    write_slips(known, TWO_IN_DOUBLE)
    known.write_doubles(double="return 6 * x")
    assert TOGETHER not in known.pytest("katas/00").out


TWO_BY_CASES = """
[[slip]]
id = "one-half"
find = "    return 2 * x"
replace = "    return 2 * torch.where(x == 0.5, x + 1, x)"
diagnosis = "You add one to one half."
caught_by = "test_double_of_any"

[[slip]]
id = "below-zero"
find = "Formula: 2 x.\\n    \\"\\"\\"\\n"
replace = "Formula: 2 x.\\n    \\"\\"\\"\\n    x = torch.where(x < 0, x - 1, x)\\n"
diagnosis = "You take one from what is below zero."
caught_by = "test_double_of_any"
"""
HALF = "return torch.where(x == 0.5, 2 * x + 2, torch.where(x < 0, {below}, 2 * x))"


@pytest.mark.measured
def test_a_second_mistake_that_shows_in_another_case_does_not_hide_the_first(known: Miniature) -> None:
    write_slips(known, TWO_BY_CASES)
    known.write_doubles(double=HALF.format(below="2 * x - 2"))
    found = diagnosis(known.pytest("katas/00").out, TOGETHER)
    assert found == "1. You add one to one half. 2. You take one from what is below zero."


ONE_HIDES_THE_OTHER = """
[[slip]]
id = "nothing-above-zero"
find = "    return 2 * x"
replace = "    return 2 * torch.where((x > 0) & (x != 1), 0 * x, x)"
diagnosis = "You return zero for what is above zero."
caught_by = "test_double_of_any"

[[slip]]
id = "half-as-large-again"
find = "Formula: 2 x.\\n    \\"\\"\\"\\n"
replace = "Formula: 2 x.\\n    \\"\\"\\"\\n    x = torch.where(x != 1, 1.5 * x, x)\\n"
diagnosis = "You add half of it."
caught_by = "test_double_of_any"
"""


def test_a_second_mistake_is_not_named_if_the_first_would_hide_it_where_the_test_failed(
    known: Miniature,
) -> None:
    """Alone it would show there, so there is nothing that could confirm it."""
    write_slips(known, ONE_HIDES_THE_OTHER)
    known.write_doubles(double="return torch.where(x < 0, 3 * x, 2 * x * (x == 1))")
    found = diagnosis(known.pytest("katas/00").out)
    assert found == "You return zero for what is above zero."


def test_a_mistake_is_not_named_if_nothing_known_explains_another_case(known: Miniature) -> None:
    write_slips(known, TWO_BY_CASES)
    known.write_doubles(double=HALF.format(below="2 * x - 3"))
    out = known.pytest("katas/00").out
    assert "(case value=0.5)" in out
    assert OPENING not in out
    assert TOGETHER not in out


# --- nothing is named ---

SILENT = {
    "an unknown mistake": {"double": "return 2.2 * x"},
    "nearly the same": {"double": "return 3.0001 * x"},
    "another dtype": {"double": "return (3 * x).double()"},
    "another shape": {"double": "return (3 * x)[None]"},
    "NaN": {"double": "return x * float('nan')"},
    "another error": {"double": "raise KeyError('x')"},
    "nothing": {"double": "return None"},
    "unwritten": {"double": "raise NotImplementedError"},
    "a right answer": {},
}


@pytest.mark.parametrize("bodies", SILENT.values(), ids=SILENT)
def test_nothing_is_named_if_no_mistake_has_the_same_result(known: Miniature, bodies: dict[str, str]) -> None:
    known.write_doubles(**bodies)
    out = known.pytest("katas/00").out
    assert "kata 00" in out
    assert OPENING not in out


def test_nothing_is_named_if_two_mistakes_have_the_same_result(known: Miniature) -> None:
    write_slips(known, SLIPS + slip("added-to-two", "return x + 2", "You add two to the input."))
    known.write_doubles(double="return 3 * x")
    assert OPENING not in known.pytest("katas/00").out


def test_nothing_is_named_if_the_reference_fails_the_same_way(known: Miniature) -> None:
    """Kata 01 is right, but kata 00, which it uses, was broken after it had passed."""
    doubler = '[[slip]]\nid = "same"\nfind = "return double(x)"\nreplace = "return 1 * double(x)"\n'
    doubler += 'diagnosis = "You multiply by one."\ncaught_by = "test_doubler"\n'
    (known.layers.solution_folder / "slips.toml").write_text(doubler)
    known.solve(known.doubles)
    known.pytest("katas/00")
    known.solve(known.layers)
    known.write_doubles(double="return 3 * x")
    out = known.pytest("katas/01").out
    assert "test_doubler" in out
    assert OPENING not in out


BROKEN = {
    "endless": ["while True:", "    x = x + 0"],
    "endless, swallowing errors": [
        "while True:",
        "    try:",
        "        x = x + 0",
        "    except Exception:",
        "        pass",
    ],
    "crashing": ["raise SystemExit(3)"],
    "a syntax error": ["return (("],
}


@pytest.mark.parametrize("lines", BROKEN.values(), ids=BROKEN)
def test_a_slip_that_cannot_be_tried_is_skipped(known: Miniature, lines: list[str]) -> None:
    write_slips(known, SLIPS + slip("broken", "\n    ".join(lines), "You break it."))
    set_budget(known, 1)
    known.write_doubles(double="return 7 * x")
    result = known.pytest("katas/00")
    assert result.code == 1
    assert "3 of 3 entries differ" in result.out
    assert OPENING not in result.out
    assert "INTERNAL" not in result.text


@pytest.mark.parametrize("slips", ["", "[[slip", '[[slip]]\nid = "x"\n'])
def test_slips_that_cannot_be_read_are_skipped(mini: Miniature, slips: str) -> None:
    write_slips(mini, slips)
    mini.write_doubles(double="return 3 * x")
    assert "3 of 3 entries differ" in mini.pytest("katas/00").out


def test_what_a_learner_prints_is_shown_once(known: Miniature) -> None:
    known.write_doubles(double="print('hello')\nreturn 3 * x")
    result = known.pytest("katas/00")
    assert result.text.count("hello") == 1
    assert diagnosis(result.out) == "You triple the input; it should be doubled."


def test_solutions_are_never_diagnosed(known: Miniature) -> None:
    source = known.doubles.solution.read_text()
    known.doubles.solution.write_text(source.replace("return 2 * x", "return 3 * x"))
    assert OPENING not in known.pytest("katas/00", "--solutions").out


def test_slips_are_not_read_if_all_tests_pass(known: Miniature) -> None:
    (known.doubles.solution_folder / "slips.toml").unlink()
    (known.doubles.solution_folder / "slips.toml").mkdir()
    known.solve(known.doubles)
    assert "4/4 complete" in known.pytest("katas/00").out


# --- which mistakes are tried ---


def test_only_mistakes_whose_first_failing_test_has_not_passed_are_tried() -> None:
    slips = [Slip(name, "", "", "", test) for name, test in (("x", "a"), ("y", "b"), ("z", "c"), ("w", "b"))]
    order = ["a", "b", "c"]
    assert [each.id for each in candidates(slips, order, "b", passed={"a"})] == ["y", "w"]
    assert [each.id for each in candidates(slips, order, "b", passed=())] == ["y", "w", "x"]
    assert candidates(slips, order, "their_own_test", passed=()) == []
