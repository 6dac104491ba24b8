"""What a learner reads for each kind of finding, word for word."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.course.katas import Kata
from harness.explain.findings import Finding
from harness.explain.places import Place
from harness.explain.words import headline
from harness.progress.standing import KataProgress
from harness.run import words
from harness.run.words import failure_block

KATA = Kata(Path("/course"), "k00_doubles")
FILE = "katas/k00_doubles/doubles.py"
NONE = {"expected_shape": "", "returned_none": False, "wrong_dtype": False, "count": None, "axes": []}
FLOATS = 'Float[Tensor, "n d"]'


@dataclass(frozen=True)
class Case:
    """A finding's kind and facts, and what is to be read."""

    kind: str
    facts: dict[str, Any]
    text: str
    one_line: str = ""  # the first line, unless given
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def finding(self) -> Finding:
        return Finding(self.kind, self.facts, **self.more)


def unwritten(name: str, declaration: str, elsewhere: str = "") -> dict[str, Any]:
    return {"name": name, "declaration": declaration, "summary": "Return it.", "elsewhere": elsewhere}


def unimportable(kind: str, message: str, **more: str) -> dict[str, Any]:
    return {"file": FILE, "type": kind, "message": message, **more}


def raised(kind: str, message: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "message": message, "in_test": False, "wanted": "", "statement": "", **more}


def compared(message: str, by: str = "assert_close") -> dict[str, Any]:
    return {"type": "AssertionError", "message": message, "by": by, "table": ["expected  1", "actual    2"]}


def typed(argument: str | None, got: str, **more: Any) -> dict[str, Any]:
    return {**NONE, "function": "f", "argument": argument, "annotation": FLOATS, "got": got, **more}


AXIS = {"name": "d", "where": "last", "got": 4, "expected": 3, "bound_by": "key"}
META = """\
RuntimeError: Tensor on device cpu is not on the expected device meta!
The meta device keeps shapes but no numbers. What a function makes has to be
made on the device of its inputs (device=x.device), without looking at values."""
CLOSE = """Tensor-likes are not close!

Mismatched elements: {} / 4 (25.0%)
Greatest absolute difference: 0.123456 at index (0,) (up to 1e-05 allowed)
Greatest relative difference: inf at index (0,)"""
DEVICE = """\
The device is not the expected one. What a function makes has to be made on
the device of its inputs (device=x.device).
Here meta stands for another device, such as a GPU:"""
TABLE = "expected  1\nactual    2"

CASES = {
    "refused in words that name too little": Case(
        "refused",
        {"type": "ValueError", "message": "num_heads must divide d_model", "lacks": ["50", "7"]},
        "The ValueError is right, its text is not:\n  num_heads must divide d_model\nIt has to name 50, 7.",
    ),
    "refused, and what is missing is not known": Case(
        "refused",
        {"type": "IndexError", "message": "no", "lacks": []},
        "The IndexError is right, its text is not:\n  no",
    ),
    "unwritten function": Case(
        "unwritten",
        unwritten("f", "def f(x):"),
        "f is not written yet.\n\n  def f(x):\n\nReturn it.",
    ),
    "unwritten method of another kata": Case(
        "unwritten",
        unwritten("Linear.forward", "    def forward(\n        self, x\n    ):", "00 shapes"),
        "Linear.forward is not written yet.\nIt belongs to kata 00 shapes, which this one builds on.\n\n"
        "  def forward(\n      self, x\n  ):\n\nReturn it.",
    ),
    "unwritten, of the learner's own": Case(
        "unwritten", {**unwritten("_own", ""), "summary": ""}, "_own is not written yet."
    ),
    "syntax error": Case(
        "unimportable",
        unimportable("SyntaxError", "invalid syntax"),
        "doubles.py cannot be imported:\nSyntaxError: invalid syntax",
        "doubles.py cannot be imported: SyntaxError: invalid syntax",
    ),
    "missing module": Case(
        "unimportable",
        unimportable("ModuleNotFoundError", "No module named 'scipy'", module="scipy"),
        "doubles.py cannot be imported:\nModuleNotFoundError: No module named 'scipy'\n"
        "The katas need only the standard library, torch, numpy and jaxtyping.",
        "doubles.py cannot be imported: ModuleNotFoundError: No module named 'scipy'",
    ),
    "exit at import": Case(
        "unimportable",
        unimportable("SystemExit", "0"),
        "doubles.py ends the program (sys.exit) while it is imported; a kata only defines things.",
    ),
    "deleted file": Case(
        "unimportable",
        unimportable("FileNotFoundError", "[Errno 2] No such file or directory: '/c/doubles.py'"),
        "doubles.py is gone; `harness reset` brings the shipped file back.",
    ),
    "slow import, stopped inside": Case(
        "unimportable",
        unimportable("TooSlow", "still running after 10 s"),
        "Importing doubles.py was still running after 10 s and was stopped: an endless loop?",
    ),
    "missing name": Case(
        "missing",
        {"name": "double", "file": FILE, "present": ["dobule"]},
        "doubles.py defines no double; the tests import it by that name.\n"
        "It does define dobule: was it renamed?",
    ),
    "type of an argument": Case(
        "type",
        typed("x", "float32 (2, 4)", expected_shape="(n, 3)", axes=[AXIS]),
        "f was called with x = float32 (2, 4)\n"
        "expected              (n, 3)\n"
        f"as the signature says: {FLOATS}\n"
        "The last axis (d) is 4; expected 3, as in key.",
    ),
    "number of axes": Case(
        "type",
        typed("x", "float32 (2, 4, 1)", expected_shape="(n, 3)", count=[2, 3]),
        "f was called with x = float32 (2, 4, 1)\n"
        "expected              (n, 3)\n"
        f"as the signature says: {FLOATS}\n"
        "It has 3 axes; expected 2.",
    ),
    "type of the return value": Case(
        "type",
        typed(None, "list [tensor([1,\n 2])]"),
        f"f returned list [tensor([1, 2])]\nas the signature says: {FLOATS}",
    ),
    "nothing returned": Case(
        "type",
        typed(None, "None", returned_none=True),
        f"f returned None: is a `return` missing?\nIt is to return {FLOATS}.",
    ),
    "dtype": Case(
        "type",
        typed(None, "int64 (2, 3)", wrong_dtype=True),
        f"f returned int64 (2, 3)\nas the signature says: {FLOATS}\n"
        "The dtype is wrong: the signature asks for Float.",
    ),
    "rank": Case(
        "type",
        typed(None, "float32 (2,)", expected_shape="(2, 3)"),
        f"f returned float32 (2,)\nexpected   (2, 3)\nas the signature says: {FLOATS}",
    ),
    "signature": Case(
        "signature",
        {"shipped": "f(x, dim)", "own": "f(x)", "message": ""},
        "The signature is not the shipped one, so the test's call does not fit:\n"
        "shipped  f(x, dim)\nyours    f(x)",
    ),
    "compared by assert_close": Case(
        "compared",
        compared(CLOSE.format(2)),
        f"2 of 4 entries differ, by up to 0.123 (allowed: 1e-05):\n\n{TABLE}",
    ),
    "compared by assert_close, relative": Case(
        "compared",
        compared(CLOSE.format(2).replace("1e-05", "0") + " (up to 1e-06 allowed)"),
        f"2 of 4 entries differ, by up to 0.123 (allowed: 1e-06 of each value):\n\n{TABLE}",
    ),
    "another device": Case(
        "compared",
        compared("The values for attribute 'device' do not match: cpu != meta."),
        f"{DEVICE}\n\n{TABLE}",
    ),
    "one entry": Case(
        "compared",
        compared(CLOSE.format(1)),
        f"1 of 4 entries differs, by up to 0.123 (allowed: 1e-05):\n\n{TABLE}",
    ),
    "a scalar": Case(
        "compared",
        compared("Scalars are not equal!\n\nExpected 1.0 but got 2.0.\nAbsolute difference: 1.0\n"),
        f"The number is off by 1:\n\n{TABLE}",
    ),
    "another shape": Case(
        "compared",
        compared("The values for attribute 'shape' do not match: torch.Size([3]) != torch.Size([2])."),
        f"The shape is not the expected one:\n\n{TABLE}",
    ),
    "compared by assert": Case(
        "compared", compared("assert 2 == 1", "assert"), f"The value is not the expected one:\n{TABLE}"
    ),
    "compared by assert, with words": Case(
        "compared", compared("Weights sum to 1\nassert 2 == 1", "assert"), f"Weights sum to 1\n{TABLE}"
    ),
    "another error than wanted": Case(
        "raised",
        raised("RuntimeError", "sizes", wanted="ValueError"),
        "The test expects ValueError; your code raised:\nRuntimeError: sizes",
        "The test expects ValueError; your code raised: RuntimeError: sizes",
    ),
    "an assert of the learner's own where an error is wanted": Case(
        "raised",
        raised("AssertionError", "", wanted="ValueError"),
        "The test expects ValueError; your code raised:\nAssertionError",
        "The test expects ValueError; your code raised: AssertionError",
    ),
    "no error": Case(
        "raised",
        raised(
            "Failed",
            "DID NOT RAISE ValueError",
            in_test=True,
            wanted="ValueError",
            statement="with pytest.raises(ValueError):\n    f(1)",
        ),
        "No error was raised; the test expects ValueError.\n  with pytest.raises(ValueError):\n      f(1)",
    ),
    "right error, wrong text": Case(
        "raised",
        raised("AssertionError", "Regex pattern did not match.\n  Expected regex: 'n'\n  Actual message: 'm'")
        | {"in_test": True, "wanted": "ValueError"},
        "The ValueError is right, its text is not:\nRegex pattern did not match.\n"
        "  Expected regex: 'n'\n  Actual message: 'm'",
        "The ValueError is right, its text is not: Regex pattern did not match.",
    ),
    "failed assertion": Case(
        "raised",
        raised("AssertionError", "assert 2 < 1", in_test=True, statement="assert f() < 1"),
        "This does not hold:\n  assert f() < 1",
        "This does not hold: assert f() < 1",
    ),
    "failed assertion with the author's words": Case(
        "raised",
        raised("AssertionError", "Too large\nassert 2 < 1", in_test=True, statement="assert f() < 1"),
        "Too large\n  assert f() < 1",
    ),
    "meta device": Case(
        "raised", raised("RuntimeError", "Tensor on device cpu is not on the expected device meta!"), META
    ),
    "forgotten super().__init__()": Case(
        "raised",
        raised("AttributeError", "cannot assign module before Module.__init__() call"),
        "AttributeError: cannot assign module before Module.__init__() call\n"
        "Is super().__init__() the first line of __init__?",
    ),
    "an input that autograd does not reach": Case(
        "raised",
        raised("RuntimeError", "Index 1 appears to not have been used in the graph."),
        "RuntimeError: Index 1 appears to not have been used in the graph.\n"
        "The result is cut off from that input (0 is the first): it gets no gradient.",
    ),
    "a plain tensor where a parameter belongs": Case(
        "raised",
        raised("RuntimeError", 'Unexpected key(s) in state_dict: "bias".'),
        'RuntimeError: Unexpected key(s) in state_dict: "bias".\n'
        "Is it an nn.Parameter, a buffer or a module of the class, by exactly this name?",
    ),
    "recursion": Case(
        "raised",
        raised("RecursionError", "maximum recursion depth exceeded"),
        "The function calls itself without end (RecursionError).",
    ),
    "keyboard": Case(
        "raised",
        raised("OSError", "pytest: reading from stdin while output is captured!  Consider using `-s`."),
        "Your code reads from the keyboard; a kata gets everything from its arguments.",
    ),
    "exit": Case("left", {"status": 3}, "Your code ended the whole Python process: os._exit(3)."),
    "crash": Case(
        "crashed", {"how": "SIGSEGV"}, "Python itself crashed (SIGSEGV); no error could be raised."
    ),
    "slow test": Case(
        "slow",
        {"seconds": 10.0, "during": "test", "located": True},
        "The test was still running after 10 s and was stopped: an endless loop?\n"
        "The line below is where it was.",
    ),
    "slow import": Case(
        "slow",
        {"seconds": 0.5, "during": "import", "located": False, "file": FILE},
        "Importing doubles.py was still running after 0.5 s and was stopped: an endless loop?\n"
        "It was not in a line of yours.",
    ),
    "changed argument": Case(
        "raised",
        raised("KeyError", "'x'"),
        "f writes into its argument x; arguments are to stay as they are.\n\nKeyError: 'x'",
        more={"changed": ("f", "x")},
    ),
}


def block(finding: Finding) -> list[str]:
    lines = failure_block(KATA, "test_f", "It works.", finding, case="a-1", passed=1, total=4)
    return [line.text for line in lines]


def explained(finding: Finding) -> str:
    """What stands between the test's name and what to do next."""
    return "\n".join(line.removeprefix("  ") for line in block(finding)[5:-3])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_finding_is_told_in_words(case: Case) -> None:
    assert explained(case.finding) == case.text


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_headline_is_one_line(case: Case) -> None:
    line = headline(case.finding)
    assert line == (case.one_line or case.text.splitlines()[0].removesuffix(":"))
    assert "\n" not in line


def test_a_long_case_stands_on_lines_of_its_own() -> None:
    case = "mask_shape=(2, 5, 5), bias=True, dtype=torch.float64, atol=1e-12, num_heads=3"
    lines = failure_block(
        KATA, "test_f", "It works.", Finding("left", {"status": 0}), case=case, passed=1, total=4
    )
    assert [line.text for line in lines][3:6] == [
        "  test_f",
        "  (case mask_shape=(2, 5, 5), bias=True, dtype=torch.float64, atol=1e-12,",
        "  num_heads=3)",
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("y = x", [f"  {FILE}:3   y = x"]),
        (f"y = {'x' * 60}", [f"  {FILE}:3", f"    y = {'x' * 60}"]),
        (f"y = {'x' * 90}", [f"  {FILE}:3", f"    y = {'x' * 71}…"]),
    ],
    ids=["short", "long", "too long"],
)
def test_a_line_of_code_stands_beside_its_place_or_below(text: str, lines: list[str]) -> None:
    shown = block(Finding("left", {"status": 0}, Place(FILE, 3, text)))
    assert shown[7 : 7 + len(lines)] == lines


def test_the_block_says_where_what_and_what_next() -> None:
    finding = Finding("left", {"status": 0}, Place(FILE, 3, "os._exit(0)"), printed="hello\n")
    assert block(finding) == [
        "kata 00 doubles · 1/4",
        "",
        "✗ It works.",
        "  test_f  (case a-1)",
        "",
        "  Your code ended the whole Python process: os._exit(0).",
        "",
        "  Your code printed:",
        "    hello",
        "",
        f"  {FILE}:3   os._exit(0)",
        "",
        "Next: change it, save, and run  pytest katas/00",
        "Stuck? harness hint 00",
    ]


def test_a_flood_of_output_is_cut() -> None:
    lines = block(Finding("left", {"status": 0}, printed="".join(f"{i} {'x' * 200}\n" for i in range(9000))))
    start = next(i for i, line in enumerate(lines) if "Your code printed" in line)
    assert lines[start] == "  Your code printed, the last of 1,852,890 characters:"
    assert [line.split()[0] for line in lines[start + 1 : start + 6]] == [f"{i}" for i in range(8995, 9000)]
    assert max(map(len, lines)) <= 80
    assert len(lines) == start + 9


@pytest.mark.parametrize(("done", "unlocks"), [("k00_doubles", True), ("k02_later", False)])
def test_only_a_later_kata_is_unlocked(done: str, unlocks: bool) -> None:
    kata = Kata(Path("/course"), "k01_layers")
    following = KataProgress(kata, ("test_doubler",), (), "test_doubler", False, False, False, None)
    told = [line.text for line in words.after_completion(following, done, unlocked=True)]
    assert ("Unlocked: kata 01 layers" in told) == unlocks
