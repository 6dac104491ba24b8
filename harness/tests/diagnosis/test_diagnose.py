"""A learner's mistake is named when exactly one known one gives the same, and never otherwise."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from textwrap import dedent

import pytest

from harness.course.katas import Kata
from harness.course.slips import Slip
from harness.course.test_case import TestCase
from harness.diagnosis.diagnose import candidates
from harness.explain.failures import Raised, ValuesDiffer
from harness.explain.findings import Finding
from harness.explain.places import Place
from harness.explain.shown import Shown
from harness.run.words import failure_block
from harness.tests.support.miniature import Miniature

OPENING = "A known mistake produces exactly this result. Is it the one you made?"

SLIPS = """
[[slip]]
id = "tripled"
find = "return 2 * x"
replace = "return 3 * x"
diagnosis = "You triple the input; it is to be doubled."
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
diagnosis = "You write into the input."
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
    """The miniature, in which some mistakes of kata 00 are known."""
    know(mini, SLIPS)
    take_your_time(mini, 60)
    return mini


def take_your_time(mini: Miniature, seconds: float) -> None:
    """On a machine that is busy with other tests, half a second is over at once."""
    setting = f"from harness.diagnosis import diagnose\n\ndiagnose.BUDGET = {seconds}\n"
    (mini.root / "conftest.py").write_text(setting)
    options = mini.root / "pyproject.toml"
    options.write_text(options.read_text().replace("mode=importlib", 'mode=importlib", "--time-limit=120'))


def know(mini: Miniature, slips: str) -> None:
    (mini.doubles.solution_folder / "slips.toml").write_text(slips)


def slip(name: str, replace: str, diagnosis: str, caught_by: str = "test_double_of_one") -> str:
    return (
        f'\n[[slip]]\nid = "{name}"\nfind = "return 2 * x"\nreplace = """{replace}"""\n'
        f'diagnosis = "{diagnosis}"\ncaught_by = "{caught_by}"\n'
    )


def diagnosis(out: str) -> str:
    """What a run names, on one line; empty where it names nothing."""
    _, found, after = out.partition(OPENING)
    return " ".join(after.split("\n\n")[0].split()) if found else ""


# --- named ---


@pytest.mark.parametrize(
    ("bodies", "named"),
    [
        ({"double": "return 3 * x"}, "You triple the input; it is to be doubled."),
        ({"double": "factor = 3\nreturn x * factor"}, "You triple the input; it is to be doubled."),
        ({"double": "return x.square()"}, "You square the input."),
        ({"double": "x *= 2\nreturn x"}, "You write into the input."),
        ({"outer": "return torch.einsum('n,m->mn', x, y)"}, "Your rows belong to the entries of y."),
    ],
)
def test_the_one_mistake_that_gives_the_same_is_named(
    known: Miniature, bodies: dict[str, str], named: str
) -> None:
    known.write_doubles(**bodies)
    assert diagnosis(known.pytest("katas/00").out) == named


def test_the_case_that_failed_is_the_one_that_is_tried(known: Miniature) -> None:
    """x + 1 is right for the first test, which every mistake but this one fails."""
    known.write_doubles(double="return 1 + x")
    out = known.pytest("katas/00").out
    assert "(case value=0.5)" in out
    assert diagnosis(out) == "You add one to the input."


def test_mistakes_with_one_diagnosis_are_one(known: Miniature) -> None:
    know(
        known, SLIPS + slip("tripled-again", "return x + x + x", "You triple the input; it is to be doubled.")
    )
    known.write_doubles(double="return 3 * x")
    assert diagnosis(known.pytest("katas/00").out) == "You triple the input; it is to be doubled."


@pytest.mark.parametrize("options", [["-n", "2"], ["--all"], ["-v"], ["-p", "no:timeout"]])
def test_it_is_named_however_the_tests_are_run(known: Miniature, options: list[str]) -> None:
    known.write_doubles(double="return 3 * x")
    assert diagnosis(known.pytest("katas/00", *options).out) == "You triple the input; it is to be doubled."


def test_a_single_test_is_enough(known: Miniature) -> None:
    """The tests before it have not run, so their mistakes are looked at too."""
    known.write_doubles(double="return 3 * x")
    out = known.pytest("katas/k00_doubles/test_doubles.py::test_double_of_any").out
    assert diagnosis(out) == "You triple the input; it is to be doubled."


# --- the words ---

LONG = (
    "You mask after the softmax, when the hidden keys have already taken their share: the rest no longer "
    "sums to 1. Mask the scores, with -inf, before the softmax."
)


def test_a_diagnosis_stands_after_the_message_within_80_columns() -> None:
    place = Place("katas/k01_attention/attention.py", 71, "def attention_weights(")
    failure = ValuesDiffer("", Shown("assert", ("expected  1.0", "actual    0.4")))
    finding = Finding(failure, place, diagnosis=LONG)
    case = TestCase("k01_attention", "test_x", "test_x", requirement="The rest sums to one.")
    block = failure_block(Kata(Path(), "k01_attention"), case, finding, passed=8, total=14)
    assert "\n".join(line.text for line in block) == dedent(
        """\
        kata 01 attention · 8/14

        ✗ The rest sums to one.
          test_x

          The value is not as expected:
          expected  1.0
          actual    0.4

          A known mistake produces exactly this result. Is it the one you made?
            You mask after the softmax, when the hidden keys have already taken their
            share: the rest no longer sums to 1. Mask the scores, with -inf, before the
            softmax.

          katas/k01_attention/attention.py:71   def attention_weights(

        Next: change it, save, and run  pytest katas/01
        Stuck? harness hint 01"""
    )


def test_a_diagnosis_reads_the_same_in_colour_and_without_glyphs(known: Miniature) -> None:
    know(known, SLIPS.replace("You triple the input; it", "You take 3 × the input, √9 of it – it"))
    known.write_doubles(double="return 3 * x")
    coloured = re.sub(r"\x1b\[[\d;]*m", "", known.pytest("katas/00", "--color=yes").out)
    assert diagnosis(coloured) == "You take 3 × the input, √9 of it – it is to be doubled."
    ascii_only = known.pytest("katas/00", PYTHONIOENCODING="ascii", PYTHONUTF8="0").out
    assert diagnosis(ascii_only) == "You take 3 x the input, sqrt 9 of it - it is to be doubled."


def test_a_finding_with_its_diagnosis_survives_the_way_to_the_controller() -> None:
    finding = Finding(Raised("KeyError", "x"), diagnosis="You triple.")
    assert pickle.loads(pickle.dumps(finding)) == finding


# --- silent ---

SILENT = {
    "another mistake": {"double": "return 2.2 * x"},
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
def test_nothing_is_named_where_no_mistake_gives_the_same(known: Miniature, bodies: dict[str, str]) -> None:
    known.write_doubles(**bodies)
    out = known.pytest("katas/00").out
    assert "kata 00" in out
    assert OPENING not in out


def test_nothing_is_named_where_two_mistakes_give_the_same(known: Miniature) -> None:
    know(known, SLIPS + slip("added-to-two", "return x + 2", "You add two to the input."))
    known.write_doubles(double="return 3 * x")
    assert OPENING not in known.pytest("katas/00").out


def test_nothing_is_named_where_the_reference_fails_alike(known: Miniature) -> None:
    """Kata 01 is as it should be; what it rests on was broken after it had passed."""
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
    "endless and deaf": [
        "while True:",
        "    try:",
        "        x = x + 0",
        "    except Exception:",
        "        pass",
    ],
    "crashing": ["raise SystemExit(3)"],
    "no Python": ["return (("],
}


@pytest.mark.parametrize("lines", BROKEN.values(), ids=BROKEN)
def test_a_slip_that_cannot_be_tried_harms_nothing(known: Miniature, lines: list[str]) -> None:
    know(known, SLIPS + slip("broken", "\n    ".join(lines), "You break it."))
    take_your_time(known, 1)
    known.write_doubles(double="return 7 * x")
    result = known.pytest("katas/00")
    assert result.code == 1
    assert "3 of 3 entries differ" in result.out
    assert OPENING not in result.out
    assert "INTERNAL" not in result.text


@pytest.mark.parametrize("slips", ["", "[[slip", '[[slip]]\nid = "x"\n'])
def test_slips_that_cannot_be_read_harm_nothing(mini: Miniature, slips: str) -> None:
    know(mini, slips)
    mini.write_doubles(double="return 3 * x")
    assert "3 of 3 entries differ" in mini.pytest("katas/00").out


def test_what_a_learner_prints_is_told_once(known: Miniature) -> None:
    known.write_doubles(double="print('hello')\nreturn 3 * x")
    result = known.pytest("katas/00")
    assert result.text.count("hello") == 1
    assert diagnosis(result.out) == "You triple the input; it is to be doubled."


def test_the_solutions_are_never_diagnosed(known: Miniature) -> None:
    source = known.doubles.solution.read_text()
    known.doubles.solution.write_text(source.replace("return 2 * x", "return 3 * x"))
    assert OPENING not in known.pytest("katas/00", "--solutions").out


def test_tests_that_pass_cost_nothing(known: Miniature) -> None:
    """The list of mistakes is not even read."""
    (known.doubles.solution_folder / "slips.toml").unlink()
    (known.doubles.solution_folder / "slips.toml").mkdir()
    known.solve(known.doubles)
    assert "4/4 complete" in known.pytest("katas/00").out


# --- which may be behind a failure ---


def test_only_mistakes_whose_first_failing_test_has_not_passed_are_tried() -> None:
    slips = [Slip(name, "", "", "", test) for name, test in (("x", "a"), ("y", "b"), ("z", "c"), ("w", "b"))]
    order = ["a", "b", "c"]
    assert [each.id for each in candidates(slips, order, "b", passed={"a"})] == ["y", "w"]
    assert [each.id for each in candidates(slips, order, "b", passed=())] == ["y", "w", "x"]
    assert candidates(slips, order, "their_own_test", passed=()) == []
