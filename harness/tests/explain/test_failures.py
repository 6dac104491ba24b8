"""What a learner reads for each kind of failure, word for word."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from harness.explain.axes import WrongAxis
from harness.explain.causes import Cause
from harness.explain.failures import (
    Crashed,
    Failure,
    HardExit,
    NameMissing,
    Raised,
    Slow,
    Unimportable,
    Unwritten,
    ValuesDiffer,
    WrongMessage,
    WrongSignature,
    WrongType,
)
from harness.explain.findings import Finding
from harness.explain.shown import Shown
from harness.run.words import explanation, headline

FILE = "katas/k00_doubles/doubles.py"
FLOATS = 'Float[Tensor, "n d"]'


@dataclass(frozen=True)
class Case:
    """A failure, and what a learner reads."""

    failure: Failure
    text: str
    one_line: str = ""  # the first line, unless given
    changed: tuple[str, str] | None = None

    @property
    def finding(self) -> Finding:
        return Finding(self.failure, changed=self.changed)


def unwritten(name: str, declaration: str, elsewhere: str = "") -> Unwritten:
    return Unwritten(name, declaration, "Return it.", elsewhere)


def unimportable(error: str, message: str, module: str = "") -> Unimportable:
    return Unimportable(FILE, error, message, module)


def compared(message: str, by: str = "assert_close") -> ValuesDiffer:
    return ValuesDiffer(message, Shown(by, ("expected  1", "actual    2")))


def replace_shown(message: str, by: str = "assert_close", **changes: Any) -> ValuesDiffer:
    return ValuesDiffer(message, replace(compared("", by).shown, **changes))


def typed(argument: str | None, got: str, **more: Any) -> WrongType:
    return WrongType("f", argument, FLOATS, got, **more)


AXIS = WrongAxis("d", where="last", got=4, expected=3, bound_by="key")
META = """\
RuntimeError: Tensor on device cpu is not on the expected device meta!
The meta device has shapes but no values. Create tensors on the device of the
inputs (device=x.device), and do not look at values."""
CLOSE = """Tensor-likes are not close!

Mismatched elements: {} / 4 (25.0%)
Greatest absolute difference: 0.123456 at index (0,) (up to 1e-05 allowed)
Greatest relative difference: inf at index (0,)"""
DEVICE = """\
The device is not as expected. Create tensors on the device of the inputs
(device=x.device).
Here meta stands for another device, such as a GPU:"""
TABLE = "expected  1\nactual    2"

CASES = {
    "refused in words that name too little": Case(
        WrongMessage("ValueError", "num_heads must divide d_model", ("50", "7")),
        "ValueError is right, but its message must mention 50, 7:\n  num_heads must divide d_model",
    ),
    "refused, and what is missing is not known": Case(
        WrongMessage("IndexError", "no"),
        "IndexError is right, but its message is not as expected:\n  no",
    ),
    "unwritten function": Case(
        unwritten("f", "def f(x):"),
        "f is not written yet.\n\n  def f(x):\n\nReturn it.",
    ),
    "unwritten method of another kata": Case(
        unwritten("Linear.forward", "    def forward(\n        self, x\n    ):", "00 shapes"),
        "Linear.forward is not written yet.\nIt belongs to kata 00 shapes, which this one builds on.\n\n"
        "  def forward(\n      self, x\n  ):\n\nReturn it.",
    ),
    "unwritten, of the learner's own": Case(Unwritten("_own"), "_own is not written yet."),
    "syntax error": Case(
        unimportable("SyntaxError", "invalid syntax"),
        "doubles.py cannot be imported:\nSyntaxError: invalid syntax",
        "doubles.py cannot be imported: SyntaxError: invalid syntax",
    ),
    "missing module": Case(
        unimportable("ModuleNotFoundError", "No module named 'scipy'", module="scipy"),
        "doubles.py cannot be imported:\nModuleNotFoundError: No module named 'scipy'\n"
        "The katas need only the standard library, torch, numpy and jaxtyping.",
        "doubles.py cannot be imported: ModuleNotFoundError: No module named 'scipy'",
    ),
    "exit at import": Case(
        unimportable("SystemExit", "0"),
        "doubles.py ends the program (sys.exit) when imported; a kata only defines things.",
    ),
    "deleted file": Case(
        unimportable("FileNotFoundError", "[Errno 2] No such file or directory: '/c/doubles.py'"),
        "doubles.py is missing; `harness reset` restores the original.",
    ),
    "slow import, stopped inside": Case(
        unimportable("TooSlow", "still running after 10 s"),
        "Importing doubles.py was still running after 10 s and was stopped. An infinite loop?",
    ),
    "missing name": Case(
        NameMissing("double", FILE, ("dobule",)),
        "doubles.py does not define double, which the tests import.\nIt does define dobule: was it renamed?",
    ),
    "type of an argument": Case(
        typed("x", "float32 (2, 4)", expected_shape="(n, 3)", axes=(AXIS,)),
        "f was called with x = float32 (2, 4)\n"
        "expected              (n, 3)\n"
        f"as the signature says: {FLOATS}\n"
        "The last axis (d) is 4; expected 3, as in key.",
    ),
    "number of axes": Case(
        typed("x", "float32 (2, 4, 1)", expected_shape="(n, 3)", count=(2, 3)),
        "f was called with x = float32 (2, 4, 1)\n"
        "expected              (n, 3)\n"
        f"as the signature says: {FLOATS}\n"
        "It has 3 axes; expected 2.",
    ),
    "type of the return value": Case(
        typed(None, "list [tensor([1,\n 2])]"),
        f"f returned list [tensor([1, 2])]\nas the signature says: {FLOATS}",
    ),
    "nothing returned": Case(
        typed(None, "None", returned_none=True),
        f"f returned None: is a `return` missing?\nIt should return {FLOATS}.",
    ),
    "dtype": Case(
        typed(None, "int64 (2, 3)", wrong_dtype=True),
        f"f returned int64 (2, 3)\nas the signature says: {FLOATS}\n"
        "The dtype is wrong: the signature asks for Float.",
    ),
    "rank": Case(
        typed(None, "float32 (2,)", expected_shape="(2, 3)"),
        f"f returned float32 (2,)\nexpected   (2, 3)\nas the signature says: {FLOATS}",
    ),
    "signature": Case(
        WrongSignature("f(x, dim)", "f(x)"),
        "Your signature differs from the original, so the test cannot call it:\n"
        "original  f(x, dim)\nyours     f(x)",
    ),
    "compared by assert_close": Case(
        compared(CLOSE.format(2)),
        f"2 of 4 entries differ, by up to 0.123 (allowed: 1e-05):\n\n{TABLE}",
    ),
    "compared by assert_close, relative": Case(
        compared(CLOSE.format(2).replace("1e-05", "0") + " (up to 1e-06 allowed)"),
        f"2 of 4 entries differ, by up to 0.123 (allowed: 1e-06 of each value):\n\n{TABLE}",
    ),
    "compared by assert_close, with a computed tolerance": Case(
        compared(CLOSE.format(2).replace("1e-05", "0.000580351711742437")),
        f"2 of 4 entries differ, by up to 0.123 (allowed: 0.00058):\n\n{TABLE}",
    ),
    "another device": Case(
        compared("The values for attribute 'device' do not match: cpu != meta."),
        f"{DEVICE}\n\n{TABLE}",
    ),
    "one entry": Case(
        compared(CLOSE.format(1)),
        f"1 of 4 entries differs, by up to 0.123 (allowed: 1e-05):\n\n{TABLE}",
    ),
    "a scalar": Case(
        compared("Scalars are not equal!\n\nExpected 1.0 but got 2.0.\nAbsolute difference: 1.0\n"),
        f"The number is off by 1:\n\n{TABLE}",
    ),
    "a whole number": Case(
        compared("Scalars are not equal!\n\nExpected 9120 but got 7980.\nAbsolute difference: 1140\n"),
        f"The number is off by 1140:\n\n{TABLE}",
    ),
    "another shape": Case(
        compared("The values for attribute 'shape' do not match: torch.Size([3]) != torch.Size([2])."),
        f"The shape is not as expected:\n\n{TABLE}",
    ),
    "compared by assert": Case(
        compared("assert 2 == 1", "assert"), f"The value is not as expected:\n{TABLE}"
    ),
    "compared by assert, with words": Case(
        compared("Weights sum to 1\nassert 2 == 1", "assert"), f"Weights sum to 1\n{TABLE}"
    ),
    "another error than wanted": Case(
        Raised("RuntimeError", "sizes", wanted="ValueError"),
        "The test expects ValueError; your code raised:\nRuntimeError: sizes",
        "The test expects ValueError; your code raised: RuntimeError: sizes",
    ),
    "an assert of the learner's own where an error is wanted": Case(
        Raised("AssertionError", "", wanted="ValueError"),
        "The test expects ValueError; your code raised:\nAssertionError",
        "The test expects ValueError; your code raised: AssertionError",
    ),
    "no error": Case(
        Raised(
            "Failed",
            "DID NOT RAISE ValueError",
            in_test=True,
            wanted="ValueError",
            statement="with pytest.raises(ValueError):\n    f(1)",
        ),
        "No error was raised; the test expects ValueError.\n  with pytest.raises(ValueError):\n      f(1)",
    ),
    "right error, wrong text": Case(
        Raised(
            "AssertionError",
            "Regex pattern did not match.\n  Expected regex: 'n'\n  Actual message: 'm'",
            in_test=True,
            wanted="ValueError",
        ),
        "ValueError is right, but its message is not:\nRegex pattern did not match.\n"
        "  Expected regex: 'n'\n  Actual message: 'm'",
        "ValueError is right, but its message is not: Regex pattern did not match.",
    ),
    "failed assertion": Case(
        Raised("AssertionError", "assert 2 < 1", in_test=True, statement="assert f() < 1"),
        "This assertion fails:\n  assert f() < 1",
        "This assertion fails: assert f() < 1",
    ),
    "failed assertion that compares": Case(
        Raised(
            "AssertionError",
            "assert 2.4 in (2.0, 0.4)",
            in_test=True,
            statement="assert f() in (2.0, 0.4)",
            compared=("2.4 in (2.0, 0.4)",),
        ),
        "This assertion fails:\n  assert f() in (2.0, 0.4)\nThe values: 2.4 in (2.0, 0.4)",
        "This assertion fails: assert f() in (2.0, 0.4)",
    ),
    "failed assertion that compares two longer values": Case(
        Raised(
            "AssertionError",
            "assert 'late' < 'early'",
            in_test=True,
            statement="assert name(now) < name(then)",
            compared=("'late'", "< 'early'"),
        ),
        "This assertion fails:\n  assert name(now) < name(then)\nThe values:\n  'late'\n  < 'early'",
        "This assertion fails: assert name(now) < name(then)",
    ),
    "a number of which the test says what it is": Case(
        replace_shown("Absolute difference: 1.0\n", subject="kept.mean()"),
        f"kept.mean() is off by 1:\n\n{TABLE}",
    ),
    "a value of which the test says what it is": Case(
        replace_shown("assert 2 == 1", by="assert", subject="tokenizer.vocab_size"),
        f"tokenizer.vocab_size is not as expected:\n{TABLE}",
    ),
    "infinitely far": Case(
        compared(CLOSE.format(2).replace("0.123456", "inf")),
        f"2 of 4 entries differ:\n\n{TABLE}",
    ),
    "a mask": Case(
        replace_shown(CLOSE.format(2), is_mask=True),
        f"2 of 4 entries differ:\n\n{TABLE}",
    ),
    "a value that a call with large arguments returned": Case(
        replace_shown(CLOSE.format(2), is_mask=True, call=("returned by f(x (5, 7) with NaN)",)),
        f"2 of 4 entries differ:\n\n{TABLE}\n\nreturned by f(x (5, 7) with NaN)",
    ),
    "failed assertion with the author's words": Case(
        Raised("AssertionError", "Too large\nassert 2 < 1", in_test=True, statement="assert f() < 1"),
        "Too large\n  assert f() < 1",
    ),
    "meta device": Case(
        Raised("RuntimeError", "Tensor on device cpu is not on the expected device meta!"), META
    ),
    "forgotten super().__init__()": Case(
        Raised("AttributeError", "cannot assign module before Module.__init__() call"),
        "AttributeError: cannot assign module before Module.__init__() call\n"
        "Is super().__init__() the first line of __init__?",
    ),
    "an input that autograd does not reach": Case(
        Raised("RuntimeError", "Index 1 appears to not have been used in the graph."),
        "RuntimeError: Index 1 appears to not have been used in the graph.\n"
        "The result is cut off from that input (0 is the first): it gets no gradient.",
    ),
    "a plain tensor where a parameter belongs": Case(
        Raised("RuntimeError", 'Unexpected key(s) in state_dict: "bias".'),
        'RuntimeError: Unexpected key(s) in state_dict: "bias".\n'
        "Is it an nn.Parameter, a buffer or a module of the class, by exactly this name?",
    ),
    "code for another number of axes": Case(
        Raised(
            "ValueError",
            "not enough values to unpack (expected 3, got 2)",
            call=("in split_heads(x (2, 6), num_heads=3)",),
            axes=("x", "*batch", ()),
        ),
        "ValueError: not enough values to unpack (expected 3, got 2)\n"
        "in split_heads(x (2, 6), num_heads=3)\n"
        "*batch may be empty, as it is in x here.",
    ),
    "code for fewer axes": Case(
        Raised("IndexError", "tuple index out of range", axes=("query", "*batch", (2, 3))),
        "IndexError: tuple index out of range\n*batch may be several axes: query has 2 of them here.",
    ),
    "an error that is not about axes": Case(
        Raised("KeyError", "'x'", call=("in f(x (2, 6))",), axes=("x", "*batch", ())),
        "KeyError: 'x'\nin f(x (2, 6))",
    ),
    "an error made of another": Case(
        Raised("ValueError", "last.pt is damaged", causes=(Cause("KeyError", "'modle'", 547),)),
        "ValueError: last.pt is damaged\ncaused by KeyError: 'modle', line 547",
    ),
    "a wrong message of an error made of another": Case(
        WrongMessage("ValueError", "damaged", ("7",), ("in load(path='a')",), (Cause("OSError", "", 3),)),
        "ValueError is right, but its message must mention 7:\n  damaged\nin load(path='a')\n"
        "caused by OSError, line 3",
    ),
    "recursion": Case(
        Raised("RecursionError", "maximum recursion depth exceeded"),
        "The function calls itself forever (RecursionError).",
    ),
    "keyboard": Case(
        Raised("OSError", "pytest: reading from stdin while output is captured!  Consider using `-s`."),
        "Your code reads from the keyboard; a kata gets everything from its arguments.",
    ),
    "exit": Case(HardExit(3), "Your code ended the whole Python process: os._exit(3)."),
    "crash": Case(Crashed("SIGSEGV"), "Python itself crashed (SIGSEGV); no error could be raised."),
    "slow test": Case(
        Slow(10.0, located=True),
        "The test was still running after 10 s and was stopped. An infinite loop?\nIt was at the line below.",
    ),
    "slow import": Case(
        Slow(0.5, FILE),
        "Importing doubles.py was still running after 0.5 s and was stopped. An infinite loop?\n"
        "It was not in your code.",
    ),
    "changed argument": Case(
        Raised("KeyError", "'x'"),
        "f modifies its argument x. Functions must leave their arguments unchanged.\n\nKeyError: 'x'",
        changed=("f", "x"),
    ),
}


def explained(finding: Finding) -> str:
    return "\n".join(line.text.removeprefix("  ") for line in explanation(finding))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_failure_is_explained_in_words(case: Case) -> None:
    assert explained(case.finding) == case.text


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_headline_is_one_line(case: Case) -> None:
    line = headline(case.finding)
    assert line == (case.one_line or case.text.splitlines()[0].removesuffix(":"))
    assert "\n" not in line


@pytest.mark.parametrize(
    "run",
    [
        lambda x: [size for size, _, _ in [x.size()]],
        lambda x: x.shape[2],
        lambda x: x.size(2),
        lambda x: x[:, :, 0],
        lambda x: x.transpose(1, 2),
        lambda x: x.permute(0, 2, 1),
        lambda x: x.view(2, 5, 6),
        lambda x: torch.einsum("bsd->bds", x),
        lambda x: torch.bmm(x, x),
        lambda x: x[0].mT,
        lambda x: torch.stack([x, x]).t(),
        lambda x: x.sum(dim=2),
        lambda x: x.chunk(2, dim=2),
    ],
)
def test_code_for_a_fixed_number_of_axes_is_told_that_batch_may_be_empty(run: Any) -> None:
    with pytest.raises((ValueError, IndexError, RuntimeError)) as error:
        run(torch.ones(2, 6))
    failure = Raised(type(error.value).__name__, str(error.value), axes=("x", "*batch", ()))
    assert failure.lines()[-1] == "*batch may be empty, as it is in x here."


@pytest.mark.parametrize(
    ("failure", "helps"),
    [
        (Raised("RuntimeError", "mat1 and mat2 shapes cannot be multiplied (3x4 and 3x4)"), True),
        (Raised("RuntimeError", "The size of tensor a (5) must match"), True),
        (Raised("IndexError", "Dimension out of range"), True),
        (Raised("ValueError", "not enough values to unpack (expected 3, got 2)"), True),
        (Raised("IndexError", "tuple index out of range"), True),
        (Raised("IndexError", "list index out of range"), False),
        (Raised("KeyError", "'size'"), False),
        (Raised("ZeroDivisionError", "division by zero"), False),
        (Raised("RuntimeError", "element 0 of tensors does not require grad"), False),
        (typed(None, "None", returned_none=True, expected_shape="(2,)"), False),
        (typed(None, "float32 (3,)", expected_shape="(2,)"), True),
        (typed(None, "float32 (3,)"), False),
        (compared("The values for attribute 'shape' do not match: (2,) != (3,)."), True),
        (compared("Tensor-likes are not close!"), False),
        (Unwritten("f"), False),
    ],
)
def test_shapes_are_shown_where_they_explain_the_failure(failure: Failure, helps: bool) -> None:
    assert failure.has_shapes_to_explain() is helps


def test_a_known_mistake_may_explain_a_message_that_lacks_something() -> None:
    assert WrongMessage("ValueError", "not in the list", ("4",)).nameable
