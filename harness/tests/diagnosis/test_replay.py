"""Tests of repeating a test on versions of a kata."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from harness.course.katas import Kata
from harness.diagnosis.case import Case
from harness.diagnosis.outcomes import same_outcome
from harness.diagnosis.replay import Replayer, UnexpectedResult
from harness.diagnosis.snapshots import OPAQUE, snapshot
from harness.diagnosis.time_budget import TimeBudget
from harness.tests.diagnosis.conftest import SOURCE

TESTS = """
import pytest
from katas.k00_parts.parts import double, half

@pytest.fixture
def offset(tmp_path):
    yield len(list(tmp_path.iterdir()))

@pytest.mark.parametrize("x", [2, 3, 5])
def test_half(x, offset):
    print(x)
    assert double(half(x)) + offset == 2 * half(x) == x
"""


def version_of(kata: Kata, source: str) -> ModuleType:
    module = ModuleType(kata.module)
    exec(compile(source, "version", "exec"), module.__dict__)
    return module


@pytest.fixture
def replayer(kata: Kata) -> Replayer:
    """A replayer of the case x = 3."""
    case = Case(kata.module, kata.tests, "test_half", ("offset", "tmp_path"), (1,), {}, frozenset())
    return Replayer(case, ("double", "half"), compile(TESTS, str(kata.tests), "exec"), TimeBudget(60))


def test_a_passing_case_observes_the_results_of_the_outermost_calls(kata: Kata, replayer: Replayer) -> None:
    right = version_of(kata, SOURCE)
    with replayer.load_tests(right) as tests:
        replay = tests.play()
    assert replay.failure is None
    assert replay.results == [snapshot(1.5), snapshot(3.0), snapshot(1.5)]


def test_a_failing_case_observes_its_failure(
    kata: Kata, replayer: Replayer, capsys: pytest.CaptureFixture[str]
) -> None:
    with replayer.load_tests(version_of(kata, SOURCE.replace("/ 4", "/ 2"))) as tests:
        replay = tests.play()
    assert replay.failure is not None
    assert replay.failure.place == (("test_half", 12),)
    assert replay.failure.values == {"0 x": snapshot(3), "0 offset": snapshot(0)}
    assert capsys.readouterr().out == ""


def test_an_error_of_the_kata_is_a_result(kata: Kata, replayer: Replayer) -> None:
    with replayer.load_tests(version_of(kata, SOURCE.replace("/ 4", "/ 0"))) as tests:
        results = tests.play().results
    assert [result[:2] for result in results] == [("error", "ZeroDivisionError")]


NAMED = """
from katas.k00_parts.parts import double

def test_names_are_in_order():
    names = [double(x) for x in (9, 10)]
    found = sorted(names) == names
    assert found
"""


@pytest.mark.parametrize(("worded_by_author", "alike"), [({"double"}, True), (set(), False)])
def test_texts_that_an_author_may_word_are_no_evidence(
    kata: Kata, worded_by_author: set[str], alike: bool
) -> None:
    case = Case(kata.module, kata.tests, "test_names_are_in_order", (), (), {}, frozenset())
    program = compile(NAMED, str(kata.tests), "exec")
    replayer = Replayer(case, ("double",), program, TimeBudget(60), frozenset(worded_by_author))
    replays = []
    for text in ("run-{x}", "{x} is the run"):
        source = SOURCE.replace("return 2 * x", f'return f"{text}"')
        with replayer.load_tests(version_of(kata, source)) as tests:
            replays.append(tests.play())
    assert all(replay.failure for replay in replays)
    assert same_outcome(*replays) == alike


FUNCTIONS = SOURCE[SOURCE.index("def double") :]
INNER_CALLS = """
class Whole:
    @classmethod
    def of(cls, x):
        return cls(double(x))

    def __init__(self, x):
        self._x = self.same(x)

    def same(self, x):
        return x

    @property
    def half(self):
        return half(self._x)

    def halves(self):
        yield half(self._x)
        yield half(self._x)
"""
CALLS = """
from katas.k00_parts.parts import Whole, double

def test_half():
    whole = Whole.of(2)
    assert [whole.half, *whole.halves(), double(1)] == 0
"""


def test_calls_inside_constructors_methods_properties_and_generators_are_not_results(kata: Kata) -> None:
    case = Case(kata.module, kata.tests, "test_half", (), (), {}, frozenset())
    program = compile(CALLS, str(kata.tests), "exec")
    replayer = Replayer(case, ("double", "half", "Whole"), program, TimeBudget(60))
    version = version_of(kata, SOURCE.partition("class Whole")[0] + FUNCTIONS + INNER_CALLS)
    with replayer.load_tests(version) as tests:
        results = tests.play().results
    assert results == [OPAQUE, snapshot(2.0), OPAQUE, snapshot(2)]


def test_an_unexpected_result_ends_the_replay(kata: Kata, replayer: Replayer) -> None:
    with replayer.load_tests(version_of(kata, SOURCE)) as tests:
        assert tests.play((2,), [snapshot(2.5), snapshot(5.0), snapshot(2.5)]).failure is None
        with pytest.raises(UnexpectedResult):
            tests.play((2,), [snapshot(2.5), snapshot(4.0)])
        with pytest.raises(UnexpectedResult):
            tests.play((2,), [snapshot(2.5)])


def test_the_other_cases_are_all_but_the_one_that_failed(kata: Kata, replayer: Replayer) -> None:
    with replayer.load_tests(version_of(kata, SOURCE)) as tests:
        assert list(tests.other_cases()) == [(0,), (2,)]


def test_the_version_and_its_functions_are_restored(kata: Kata, replayer: Replayer) -> None:
    learners, version = sys.modules[kata.module], version_of(kata, SOURCE)
    double, method = version.double, version.Part.of
    with replayer.load_tests(version):
        assert sys.modules[kata.module] is version
        assert version.double is not double
    assert sys.modules[kata.module] is learners
    assert (version.double, version.Part.of) == (double, method)
