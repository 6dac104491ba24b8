"""What is read from an exception and its traceback. Nothing is run in another process."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from types import CodeType
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
from harness.explain.places import Place, learner_place, place_under_test
from harness.explain.shown import ComparisonShown
from harness.explain.statements import read_statement
from harness.isolation.standins import CannotImport, MissingName
from harness.tests.support.miniature import Miniature

# --- the statement at a line ---------------------------------------------------------------------

STATEMENTS = """\
import pytest

def test_it():
    x = 1
    assert_close(
        f(x),
        g(x),
    )
    for y in (x, x):
        with pytest.raises(ValueError, match="much"):
            f(
                y,
            )
    with pytest.raises(IndexError): f(0)
    with open("file") as file:
        f(file)
    with pytest.raises(TypeError), pytest.warns(UserWarning):
        f(x)
    assert x == (
        1
    ), f"other words {x}"
"""


@pytest.mark.parametrize(
    ("line", "statement", "wanted"),
    [
        (4, "x = 1", ""),
        (5, "assert_close(\n    f(x),\n    g(x),\n)", ""),
        (6, "assert_close(\n    f(x),\n    g(x),\n)", ""),
        (10, 'with pytest.raises(ValueError, match="much"):\n    f(\n        y,\n    )', "ValueError"),
        (11, "f(\n    y,\n)", "ValueError"),
        (12, "f(\n    y,\n)", "ValueError"),
        (14, "with pytest.raises(IndexError): f(0)", "IndexError"),
        (16, "f(file)", ""),
        (18, "f(x)", "TypeError"),
        (19, "assert x == (\n    1\n)", ""),
        (99, "", ""),
    ],
)
def test_the_statement_at_a_line_and_the_error_that_it_is_to_raise(
    tmp_path: Path, line: int, statement: str, wanted: str
) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(STATEMENTS)
    assert read_statement(str(path), line) == (statement, wanted)


@pytest.mark.parametrize("text", ["def broken(:\n", ""])
def test_a_file_that_does_not_parse_or_is_empty_has_no_statement(tmp_path: Path, text: str) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(text)
    assert read_statement(str(path), 1) == ("", "")
    assert read_statement(str(tmp_path / "missing.py"), 1) == ("", "")


# --- which function a test is about --------------------------------------------------------------


def code_of(source: str, name: str) -> CodeType:
    namespace: dict[str, Any] = {}
    exec(compile(dedent(source), "test_it.py", "exec"), namespace)
    code: CodeType = namespace[name].__code__
    return code


TEST = """
def test_it():
    x = double(1)
    F.outer(x)
    y = outer.attribute
    assert_close(
        double(x),
        [outer(each) for each in y],
    )
    other(x)
"""


@pytest.mark.parametrize(
    ("line", "name"),
    [(3, "double"), (4, "double"), (5, "outer"), (6, "outer"), (7, "double"), (10, "outer"), (None, "outer")],
    ids=["first", "an attribute is none", "second", "whole call", "inside the call", "after it", "any line"],
)
def test_a_test_is_about_what_it_names_last_before_it_fails(
    mini: Miniature, line: int | None, name: str
) -> None:
    place = place_under_test(load_course(mini.root), mini.doubles, code_of(TEST, "test_it"), line)
    assert place is not None
    assert place.text.startswith(f"def {name}(")


LAYER = """
def double(x):
    return x


class outer:
    def forward(self, x):
        return x
"""


@pytest.mark.parametrize(
    ("test", "called", "line"),
    [
        ("layer = outer(); layer.forward(1)", ["outer.forward"], "def forward(self, x):"),
        ("layer = made()", ["double", "outer.forward"], "def forward(self, x):"),
        ("layer = outer()", [], "class outer:"),
        ("layer = outer()", ["outer.forward", "double"], "class outer:"),
        ("layer = outer()", ["outer.backward"], "class outer:"),
        ("layer = outer()\n    double(layer)", ["outer.forward"], "def double(x):"),
    ],
    ids=["method", "made beside the test", "no call", "a function", "inherited", "function last"],
)
def test_a_test_of_a_layer_is_about_the_last_method_that_it_calls(
    mini: Miniature, test: str, called: list[str], line: str
) -> None:
    mini.doubles.stub.write_text(LAYER)
    code = code_of(f"def test_it():\n    {test}", "test_it")
    place = place_under_test(load_course(mini.root), mini.doubles, code, called=called)
    assert place is not None
    assert place.text == line


def test_no_test_is_about_what_is_given(mini: Miniature) -> None:
    solution = "def double(x):\n    return x\n\n\nclass outer:  # given\n    field = 1\n"
    mini.doubles.solution.write_text(solution)
    mini.doubles.stub.write_text(solution)
    code = code_of("def test_it():\n    assert double(1) == outer()", "test_it")
    place = place_under_test(load_course(mini.root), mini.doubles, code)
    assert place is not None
    assert place.text == "def double(x):"


def test_a_test_that_names_nothing_of_the_kata_has_no_place(mini: Miniature) -> None:
    code = code_of("def test_it(): F.outer()", "test_it")
    assert place_under_test(load_course(mini.root), mini.doubles, code) is None
    assert place_under_test(load_course(mini.root), mini.doubles, None) is None


# --- failures ------------------------------------------------------------------------------------


def failure(mini: Miniature, source: str, call: Callable[[dict[str, Any]], object], **more: Any) -> Finding:
    """The finding of a call into a stub with this source."""
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
    assert finding.failure == Raised("Broken", "")


def test_a_type_error_inside_is_not_blamed_on_the_signature(mini: Miniature) -> None:
    source = "def double(x, extra=0):\n    return x + 'a'\n"
    code = code_of("def test_it(): double(1)", "test_it")
    inside = failure(mini, source, lambda names: names["double"](1), code=code)
    at_call = failure(mini, "def double(x, y):\n    ...\n", lambda names: names["double"](1), code=code)
    assert isinstance(inside.failure, Raised)
    assert at_call.failure == WrongSignature("double(x)", "double(x, y)")


def test_the_first_argument_that_was_written_to_is_kept(mini: Miniature) -> None:
    changed = [("double", "x"), ("outer", "y")]
    finding = failure(mini, "def double(x):\n    1 / 0\n", lambda n: n["double"](1), changed=changed)
    assert finding.changed == ("double", "x")


def test_a_failed_assertion_of_the_learners_own_is_no_comparison(mini: Miniature) -> None:
    stale = AssertedComparison("==", 1, 2)
    code = code_of("def test_it(): double(1)", "test_it")
    source = "def double(x):\n    assert x == 2\n"
    finding = failure(mini, source, lambda n: n["double"](1), comparison=stale, code=code)
    assert isinstance(finding.failure, Raised)
    assert not finding.failure.in_test


def test_an_assertion_of_a_function_beside_the_test_is_compared_too(mini: Miniature) -> None:
    source = "def holds(x): assert x == 2\ndef test_it(): holds(1)"
    namespace: dict[str, Any] = {}
    exec(compile(source, "test_it.py", "exec"), namespace)
    test = namespace["test_it"]
    finding = failure(
        mini, "", lambda _: test(), comparison=AssertedComparison("==", 1, 2), code=test.__code__
    )
    assert isinstance(finding.failure, ValuesDiffer)
    assert finding.failure.shown.table == ["expected  2", "actual    1"]


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
def test_a_refusal_in_the_wrong_words_is_shown_with_the_line_that_raises_it(
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
    assert finding.failure == WrongMessage("ValueError", "not 7", tuple(lacks))
    assert finding.place == Place("katas/k00_doubles/doubles.py", 2, "raise ValueError(f'not {x}')")


def test_an_assertion_about_something_else_is_not_about_the_refusal(mini: Miniature, tmp_path: Path) -> None:
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
def test_what_fails_in_a_function_that_a_test_calls_is_read_there(
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


def test_the_error_that_a_case_wants_is_told_by_its_own_name(mini: Miniature, tmp_path: Path) -> None:
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


def test_values_that_cannot_be_shown_hide_nothing(mini: Miniature) -> None:
    class Touchy:
        def __repr__(self) -> str:
            raise LookupError("no")

    def compare(_: object) -> None:
        raise AssertionError

    comparison = AssertedComparison("==", Touchy(), 1)
    code = compare.__code__
    found = failure(mini, "", compare, comparison=comparison, code=code).failure
    assert isinstance(found, ValuesDiffer)
    assert found.shown.table == ["(the values cannot be shown: LookupError: no)"]


def test_stand_ins_tell_what_is_the_matter(mini: Miniature) -> None:
    course, kata = load_course(mini.root), mini.doubles
    file = "katas/k00_doubles/doubles.py"
    missing = read_failure(FailedTest(course, kata, MissingName(kata.stub, "double", ["dobule"])))
    assert missing.failure == NameMissing("double", file, ("dobule",))
    no_module = CannotImport(kata.stub, ModuleNotFoundError("x", name="scipy"))
    unimportable = read_failure(FailedTest(course, kata, no_module))
    assert unimportable.failure == Unimportable(file, "ModuleNotFoundError", "x", "scipy")
    assert unimportable.place == Place("katas/k00_doubles/doubles.py", 1)


def test_without_a_learners_line_there_is_no_place(mini: Miniature) -> None:
    assert learner_place(load_course(mini.root), None) is None


@pytest.mark.parametrize(
    "finding",
    [
        Finding(Raised("KeyError", "x"), diagnosis="You triple."),
        Finding(Slow(1.5), Place("a.py", 3, "x"), ("double", "x"), "printed\n"),
        Finding(ValuesDiffer("m", ComparisonShown("assert", ["a", "b"], {})), diagnosis="…"),
    ],
    ids=lambda finding: type(finding.failure).__name__,
)
def test_a_finding_can_be_sent_to_another_process(finding: Finding) -> None:
    assert pickle.loads(pickle.dumps(finding)) == finding
