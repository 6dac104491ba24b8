"""Tests of reading a failure from an exception and its traceback."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch

from harness.course.katas import load_course
from harness.explain.failures import (
    Failure,
    NameMissing,
    Raised,
    Slow,
    Unimportable,
    Unwritten,
    ValuesDiffer,
    WrongMessage,
    WrongSignature,
)
from harness.explain.findings import AssertedComparison, FailedTest, Finding, read_failure
from harness.explain.places import Place
from harness.explain.shown import Shown
from harness.isolation.calls import Call
from harness.isolation.standins import CannotImport, MissingName
from harness.tests.explain.test_places import code_of
from harness.tests.support.miniature import Miniature


def failure(mini: Miniature, source: str, call: Callable[[dict[str, Any]], object], **more: Any) -> Finding:
    """Return the finding of a call into a stub with this source."""
    path = mini.doubles.stub
    path.write_text(dedent(source))
    namespace: dict[str, Any] = {"torch": torch}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    with pytest.raises(BaseException) as raised:
        call(namespace)
    return read_failure(FailedTest(load_course(mini.root), mini.doubles, raised.value, **more))


def test_a_stub_is_unwritten(mini: Miniature) -> None:
    source = "def double(x):\n    raise NotImplementedError\n"
    finding = failure(mini, source, lambda names: names["double"](1))
    assert isinstance(finding.failure, Unwritten)
    assert finding.failure.summary == "Return twice the input."
    assert finding.place == Place("katas/k00_doubles/doubles.py", 2, "raise NotImplementedError")
    assert finding.failure.elsewhere == ""


def test_a_method_is_unwritten_and_shows_its_declaration(mini: Miniature) -> None:
    mini.doubles.solution.write_text(
        'class Linear:\n    def forward(self, x: int) -> int:\n        """Map."""\n        return x\n'
    )
    source = "class Linear:\n    def forward(self, x):\n        raise NotImplementedError\n"
    found = failure(mini, source, lambda names: names["Linear"]().forward(1)).failure
    assert isinstance(found, Unwritten)
    assert (found.name, found.summary) == ("Linear.forward", "Map.")
    assert found.declaration.strip() == "def forward(self, x: int) -> int:"


@pytest.mark.parametrize("body", ["torch.zeros(1, device='meta').tolist()", "torch.nn.Module()(x)"])
def test_an_error_that_torch_raises_is_not_an_unwritten_function(mini: Miniature, body: str) -> None:
    finding = failure(mini, f"def double(x):\n    {body}\n", lambda names: names["double"](1))
    assert isinstance(finding.failure, Raised)
    assert finding.failure.error == "NotImplementedError"
    assert finding.place is not None
    assert finding.place.text == body


BROKEN = """
class Broken(TypeError):
    def __str__(self):
        raise RuntimeError

def double(x):
    raise Broken
"""


def test_an_exception_that_cannot_be_printed_is_read_without_its_text(mini: Miniature) -> None:
    finding = failure(mini, BROKEN, lambda names: names["double"](1))
    assert finding.failure == Raised("Broken", "", call=("in double(x=1)",))


def test_a_type_error_inside_is_not_blamed_on_the_signature(mini: Miniature) -> None:
    source = "def double(x, extra=0):\n    return x + 'a'\n"
    code = code_of("def test_it(): double(1)", "test_it")
    inside = failure(mini, source, lambda names: names["double"](1), code=code)
    at_call = failure(mini, "def double(x, y):\n    ...\n", lambda names: names["double"](1), code=code)
    assert isinstance(inside.failure, Raised)
    assert at_call.failure == WrongSignature("double(x)", "double(x, y)")


def test_the_first_modified_argument_is_kept(mini: Miniature) -> None:
    changed = [("double", "x"), ("outer", "y")]
    finding = failure(mini, "def double(x):\n    1 / 0\n", lambda n: n["double"](1), changed=changed)
    assert finding.changed == ("double", "x")


def test_a_failed_assertion_in_the_learners_code_is_not_a_comparison(mini: Miniature) -> None:
    stale = AssertedComparison("==", 1, 2)
    code = code_of("def test_it(): double(1)", "test_it")
    source = "def double(x):\n    assert x == 2\n"
    finding = failure(mini, source, lambda n: n["double"](1), comparison=stale, code=code)
    assert isinstance(finding.failure, Raised)
    assert not finding.failure.in_test


def test_an_assertion_in_a_function_of_the_tests_file_is_compared_too(mini: Miniature) -> None:
    source = "def holds(x): assert x == 2\ndef test_it(): holds(1)"
    namespace: dict[str, Any] = {}
    exec(compile(source, "test_it.py", "exec"), namespace)
    test = namespace["test_it"]
    finding = failure(
        mini, "", lambda _: test(), comparison=AssertedComparison("==", 1, 2), code=test.__code__
    )
    assert isinstance(finding.failure, ValuesDiffer)
    assert finding.failure.shown.table == ("expected  2", "actual    1")


def test_assert_close_is_read_with_its_tolerance(mini: Miniature) -> None:
    def compare(_: object) -> None:
        torch.testing.assert_close(torch.tensor([1.0, 2.1]), torch.tensor([0.0, 2.0]), rtol=0, atol=0.2)

    found = failure(mini, "", compare).failure
    assert isinstance(found, ValuesDiffer)
    assert found.shown.by == "assert_close"
    assert found.shown.table[-1].split() == ["0.0000", "2.0000", "1.0000*", "2.1000"]


REFUSALS = """
import pytest

def test_it(refuse):
    with pytest.raises(ValueError) as refusal:
        refuse(7)
    assert [number for number in ("7", "50") if number in str(refusal.value)] == ["7", "50"]

def test_other(refuse):
    with pytest.raises(ValueError) as refusal:
        refuse(7)
    assert refuse is None
"""
REFUSES = "def double(x):\n    raise ValueError(f'not {x}')\n"


@pytest.mark.parametrize(
    ("comparison", "lacks"),
    [
        (AssertedComparison("==", ["7"], ["7", "50"]), ["50"]),
        (AssertedComparison("in", "50", "not 7"), ["50"]),
        (None, []),
    ],
    ids=["list", "in", "not known"],
)
def test_a_wrong_message_is_shown_with_the_line_that_raises_it(
    mini: Miniature, tmp_path: Path, comparison: AssertedComparison | None, lacks: list[str]
) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(REFUSALS)
    namespace: dict[str, Any] = {}
    exec(compile(REFUSALS, str(path), "exec"), namespace)
    test = namespace["test_it"]
    finding = failure(
        mini, REFUSES, lambda names: test(names["double"]), code=test.__code__, comparison=comparison
    )
    assert finding.failure == WrongMessage("ValueError", "not 7", tuple(lacks), ("in double(x=7)",))
    assert finding.place == Place("katas/k00_doubles/doubles.py", 2, "raise ValueError(f'not {x}')")


def test_where_no_error_was_raised_the_call_that_returned_is_shown(mini: Miniature) -> None:
    names: dict[str, Any] = {}
    exec("import pytest\ndef test_it(f):\n    with pytest.raises(ValueError):\n        f(7)\n", names)

    def double(x: int) -> None: ...

    calls = [Call(double, (3,), {}, None), Call(double, (7,), {}, None)]
    finding = failure(
        mini, "", lambda _: names["test_it"](double), code=names["test_it"].__code__, calls=calls
    )
    assert isinstance(finding.failure, Raised)
    assert finding.failure.lines()[-1] == "last call: double(x=7)"


def test_an_assertion_about_something_else_is_not_about_the_message(mini: Miniature, tmp_path: Path) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(REFUSALS)
    namespace: dict[str, Any] = {}
    exec(compile(REFUSALS, str(path), "exec"), namespace)
    test = namespace["test_other"]
    finding = failure(mini, REFUSES, lambda names: test(names["double"]), code=test.__code__)
    assert isinstance(finding.failure, Raised)


CHECKED_ELSEWHERE = """
import torch

def check(y):
    assert y == 2
    assert y > 5, "too small"
    torch.testing.assert_close(torch.tensor(y), torch.tensor(7))

def check_double(x):
    check(double(x))

def test_it(x):
    check_double(x)
"""


@pytest.mark.parametrize(
    ("spoilt", "kind", "statement"),
    [
        ("y == 3", ValuesDiffer, None),
        ("y > 5", Raised, "assert y > 5"),
        ("y > 1", ValuesDiffer, None),
    ],
    ids=["assert", "own words", "assert_close"],
)
def test_a_failure_in_a_function_that_the_test_calls_is_read_there(
    mini: Miniature, tmp_path: Path, spoilt: str, kind: type[Failure], statement: str | None
) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(CHECKED_ELSEWHERE.replace("y == 2" if "==" in spoilt else "y > 5", spoilt))
    names: dict[str, Any] = {"double": lambda x: 2 * x}
    exec(compile(path.read_text(), str(path), "exec"), names)
    stub = "def double(x):\n    return 2 * x\n"
    code, comparison = names["test_it"].__code__, AssertedComparison(spoilt.split()[1], 2, 3)
    finding = failure(mini, stub, lambda _: names["test_it"](1), comparison=comparison, code=code)
    assert finding.place is not None and finding.place.text == "def double(x):"
    assert isinstance(finding.failure, kind)
    assert getattr(finding.failure, "statement", None) == statement


def test_the_expected_error_of_a_case_is_shown_by_its_own_name(mini: Miniature, tmp_path: Path) -> None:
    path = tmp_path / "test_it.py"
    path.write_text("def test_it(error):\n    with pytest.raises(error):\n        double(1)\n")
    names: dict[str, Any] = {"pytest": pytest}
    exec(compile(path.read_text(), str(path), "exec"), names)

    def call(stub: dict[str, Any]) -> None:
        names["double"] = stub["double"]
        names["test_it"](IndexError)

    code = names["test_it"].__code__
    finding = failure(mini, "def double(x):\n    raise KeyError(x)\n", call, code=code)
    assert isinstance(finding.failure, Raised)
    assert (finding.failure.error, finding.failure.wanted) == ("KeyError", "IndexError")


def test_values_that_cannot_be_shown_are_reported_as_such(mini: Miniature) -> None:
    class Touchy:
        def __repr__(self) -> str:
            raise LookupError("no")

    def compare(_: object) -> None:
        raise AssertionError

    comparison = AssertedComparison("==", Touchy(), 1)
    code = compare.__code__
    found = failure(mini, "", compare, comparison=comparison, code=code).failure
    assert isinstance(found, ValuesDiffer)
    assert found.shown.table == ("(the values cannot be shown: LookupError: no)",)


def test_stand_ins_show_why_the_import_failed(mini: Miniature) -> None:
    course, kata = load_course(mini.root), mini.doubles
    file = "katas/k00_doubles/doubles.py"
    missing = read_failure(FailedTest(course, kata, MissingName(kata.stub, "double", ["dobule"])))
    assert missing.failure == NameMissing("double", file, ("dobule",))
    no_module = CannotImport(kata.stub, ModuleNotFoundError("x", name="scipy"))
    unimportable = read_failure(FailedTest(course, kata, no_module))
    assert unimportable.failure == Unimportable(file, "ModuleNotFoundError", "x", "scipy")
    assert unimportable.place == Place("katas/k00_doubles/doubles.py", 1)


@pytest.mark.parametrize(
    "finding",
    [
        Finding(Raised("KeyError", "x"), diagnoses=("You triple.",)),
        Finding(Slow(1.5), Place("a.py", 3, "x"), ("double", "x"), "printed\n"),
        Finding(ValuesDiffer("m", Shown("assert", ("a", "b"))), diagnoses=("…",)),
    ],
    ids=lambda finding: type(finding.failure).__name__,
)
def test_a_finding_can_be_sent_to_another_process(finding: Finding) -> None:
    assert pickle.loads(pickle.dumps(finding)) == finding
