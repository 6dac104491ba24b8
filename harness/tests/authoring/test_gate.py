"""The maintainers' gate reports each broken rule with its file and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.authoring.gate import check, fix
from harness.course.graph import COURSE_FILE
from harness.course.kata_tests import read_tests
from harness.course.katas import load_course
from harness.course.slips import slips_path
from harness.course.stubs import make_stub
from harness.tests.support.miniature import HINT, Miniature

pytestmark = pytest.mark.measured

QUESTION = '[[question]]\nask = "Why?"\nanswer = "Because."\n'


def complete_parts(mini: Miniature) -> None:
    for kata in (mini.doubles, mini.layers):
        (kata.folder / "theory.md").write_text("text")
        (kata.folder / "notebook.ipynb").write_text('{"cells": []}')
        rows = [f"| `{test.name}` | 1 |\n" for test in read_tests(kata)]
        (kata.folder / "README.md").write_text("".join(["| tests | minutes |\n|---|---|\n", *rows]))
        (kata.folder / "review.toml").write_text(5 * QUESTION)
    fix(load_course(mini.root))


def problems(mini: Miniature) -> list[str]:
    """Return the gate's problems, except that the miniature has too few tests."""
    return [str(problem) for problem in check(load_course(mini.root)) if "8 to 14" not in problem.remedy]


def test_the_miniature_passes(mini: Miniature) -> None:
    complete_parts(mini)
    assert problems(mini) == []


def test_a_refusal_that_is_promised_and_proven_passes(mini: Miniature) -> None:
    complete_parts(mini)
    add_a_refusal(mini, promise="Raises ValueError if x is empty.", slip=OMITTED)
    assert not [problem for problem in problems(mini) if "ValueError" in problem]


def test_the_readme_gets_the_numbers_of_slips_and_alternatives(mini: Miniature) -> None:
    slips_path(mini.doubles).write_text(2 * OMITTED)
    (mini.layers.solution_folder / "alternatives.py").write_text("def outer__loop(x, y):\n    return x\n")
    rows = "| known mistakes, each caught by the test listed for it | {} |\n"
    rows += "| other correct versions, all accepted | {} |"
    (mini.root / "README.md").write_text(rows.format("1,234", 0))
    fix(load_course(mini.root))
    assert (mini.root / "README.md").read_text() == rows.format(2, 1)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def add_a_refusal(
    mini: Miniature, promise: str = "", slip: str = "", test: str = "test_word_is_refused"
) -> None:
    """Let outer refuse empty vectors."""
    promised = f"x with an entry of y.\n\n    {promise}\n    " if promise else "x with an entry of y."
    edit(mini.doubles.solution, "x with an entry of y.", promised)
    edit(
        mini.doubles.solution,
        "    return x[:, None] * y",
        "    if not len(x):\n        raise ValueError(len(x))\n    return x[:, None] * y",
    )
    with mini.doubles.tests.open("a") as tests:
        tests.write(f'\n\ndef {test}():\n    """An empty x is refused."""\n')
    with mini.doubles.hints.open("a") as hints:
        hints.write(f"[{test}]\n{HINT}")
    with (mini.doubles.folder / "README.md").open("a") as readme:
        readme.write(f"| `{test}` | 1 |\n")
    with slips_path(mini.doubles).open("a") as slips:
        slips.write(slip)
    fix(mini.course)


OMITTED = """
[[slip]]
id = "not-refused"
find = "    if not len(x):\\n"
replace = "    if False:\\n"
diagnosis = "It is not refused."
caught_by = "test_word_is_refused"
"""


def refuse_early(mini: Miniature) -> None:
    for path in (mini.doubles.tests, mini.doubles.hints, mini.doubles.folder / "README.md"):
        edit(path, "test_double_of_any", "test_any_is_refused")


def quote_the_solution(mini: Miniature) -> None:
    edit(mini.doubles.solution, "return 2 * x", "return torch.sum(x + x, dim=0)")
    edit(mini.doubles.hints, "At its docstring.", "At return torch.sum(x+x, dim=0).")


BREAKAGES = [
    (
        lambda mini: edit(mini.doubles.hints, "minutes = 1\n", ""),
        "katas/k00_doubles/hints.toml: has no minutes for test_double_of_one."
        " Remedy: add minutes = … to [test_double_of_one]",
    ),
    (
        lambda mini: edit(mini.doubles.hints, "minutes = 1\n", "minutes = 2\n"),
        "katas/k00_doubles/README.md: says 1 minutes for test_double_of_one, hints.toml 2 for its row."
        " Remedy: add them up again",
    ),
    (
        lambda mini: edit(mini.doubles.folder / "README.md", "| `test_outer` | 1 |\n", ""),
        "katas/k00_doubles/README.md: lists test_outer 0 times."
        " Remedy: give its table one row per function, with the tests in order",
    ),
    (
        refuse_early,
        "katas/k00_doubles/test_doubles.py: test_double_leaves_its_input_alone stands after"
        " test_any_is_refused. Remedy: move the refusals to the end of the file",
    ),
    (
        lambda mini: add_a_refusal(mini, slip=OMITTED),
        "solutions/k00_doubles/doubles.py:19: raises ValueError, which no docstring promises."
        " Remedy: write: Raises ValueError …",
    ),
    (
        lambda mini: add_a_refusal(mini, promise="Raises ValueError if x is empty."),
        "solutions/k00_doubles/doubles.py:22: raises ValueError, and no slip shows that a test needs it."
        " Remedy: add a slip that omits it, caught by a test whose name ends in _is_refused or _are_refused",
    ),
    (
        lambda mini: edit(mini.doubles.stub, "Return twice", "Return two times"),
        "katas/k00_doubles/doubles.py: is not the stub made from its solution. Remedy: harness check --fix",
    ),
    (
        lambda mini: mini.solve(mini.doubles),
        "katas/k00_doubles/doubles.py: is not the stub made from its solution. Remedy: harness check --fix",
    ),
    (
        lambda mini: edit(mini.doubles.solution, "def double(x:", "def double(y:"),
        "katas/k00_doubles/doubles.py: is not the stub made from its solution. Remedy: harness check --fix",
    ),
    (
        lambda mini: mini.doubles.solution.unlink(),
        "katas/k00_doubles/doubles.py: has no solution. Remedy: write solutions/k00_doubles/doubles.py",
    ),
    (
        lambda mini: (mini.layers.folder / "theory.md").unlink(),
        "katas/k01_layers/theory.md: is missing. Remedy: write it; every kata has one",
    ),
    (
        lambda mini: edit(mini.doubles.hints, "[test_outer]", "[test_inner]"),
        "katas/k00_doubles/hints.toml: has no nudge for test_outer. Remedy: add [test_outer] nudge = …",
    ),
    (
        lambda mini: edit(mini.doubles.hints, "[test_outer]", "[test_inner]"),
        "katas/k00_doubles/hints.toml: hints at test_inner, which is not a test. Remedy: remove [test_inner]",
    ),
    (
        lambda mini: mini.doubles.hints.write_text("not = = toml"),
        "katas/k00_doubles/hints.toml: cannot be read",
    ),
    (
        lambda mini: edit(mini.doubles.tests, '    """Twice one is two."""\n', ""),
        "test_double_of_one has no sentence as docstring. Remedy: state the requirement in its first line",
    ),
    (
        lambda mini: edit(mini.doubles.tests, "def test_outer", "def test_product"),
        "katas/shipped.json: does not list the current tests. Remedy: harness check --fix",
    ),
    (
        lambda mini: edit(
            mini.doubles.solution, "import torch\n", "import torch\nimport katas.k01_layers.layers\n"
        ),
        "solutions/k00_doubles/doubles.py: imports k01_layers, which k00_doubles does not need."
        " Remedy: use only katas that it needs, or add it to needs in katas/course.toml if it is earlier",
    ),
    (
        lambda mini: edit(
            mini.doubles.tests, "import pytest\n", "import pytest\nfrom katas.k01_layers import layers\n"
        ),
        "katas/k00_doubles/test_doubles.py: imports k01_layers, which k00_doubles does not need.",
    ),
    (
        lambda mini: edit(mini.root / COURSE_FILE, 'needs = ["k00_doubles"]', "needs = []"),
        "katas/k01_layers/layers.py: imports k00_doubles, which k01_layers does not need.",
    ),
    (
        lambda mini: edit(mini.root / COURSE_FILE, 'needs = ["k00_doubles"]', 'needs = ["k02_none"]'),
        "katas/course.toml: lets k01_layers need k02_none, which is not an earlier kata."
        " Remedy: give each kata track, needs, hours and builds",
    ),
    (
        lambda mini: edit(mini.root / COURSE_FILE, 'track = "core"', 'track = "main"'),
        "katas/course.toml: cannot be read ([k00_doubles] lacks track"
        ' ("core" or "advanced"), needs, hours (two numbers) or builds).',
    ),
    (
        lambda mini: (mini.layers.folder / "notebook.ipynb").write_text('{"cells": ['),
        "katas/k01_layers/notebook.ipynb: is no notebook (Expecting value: line 1 column 12 (char 11))."
        " Remedy: save it in Jupyter",
    ),
    (
        lambda mini: (mini.root / COURSE_FILE).unlink(),
        "katas/course.toml: is missing.",
    ),
    (
        lambda mini: (mini.root / "README.md").write_text(
            "<!-- core: from katas/course.toml -->\n<!-- end -->"
        ),
        "README.md: differs from its generated text. Remedy: harness check --fix",
    ),
    (
        lambda mini: quote_the_solution(mini),
        "katas/k00_doubles/hints.toml: where of test_double_of_one quotes the solution: torch.sum(x+x,dim=0)."
        " Remedy: say it in words",
    ),
    (
        lambda mini: (mini.layers.folder / "theory.md").write_text(
            "See [there](nowhere.md#part) or [web](https://a.b)."
        ),
        "katas/k01_layers/theory.md: links to nowhere.md#part, which does not exist. Remedy: fix the link",
    ),
    (
        lambda mini: (mini.layers.folder / "theory.md").write_text(
            '<source media="x" srcset="no-dark.svg"><img src="test_layers.py">'
        ),
        "katas/k01_layers/theory.md: links to no-dark.svg, which does not exist. Remedy: fix the link",
    ),
    (
        lambda mini: (mini.root / "README.md").write_text("[a kata](katas/k09_none/README.md)"),
        "README.md: links to katas/k09_none/README.md, which does not exist. Remedy: fix the link",
    ),
    (
        lambda mini: (mini.layers.folder / "__init__.py").unlink(),
        "katas/k01_layers/__init__.py: is missing. Remedy: write it; every kata has one",
    ),
    (
        lambda mini: (mini.layers.folder / "review.toml").unlink(),
        "katas/k01_layers/review.toml: cannot be read (No such file or directory)."
        " Remedy: write [[question]] tables; see another kata's",
    ),
    (
        lambda mini: (mini.layers.folder / "review.toml").write_text(4 * QUESTION),
        "katas/k01_layers/review.toml: has 4 questions. Remedy: a kata has at least 5",
    ),
    (
        lambda mini: edit(mini.layers.folder / "review.toml", "Because.", 300 * "word "),
        "katas/k01_layers/review.toml: question 1 takes 26 lines with its answer."
        " Remedy: shorten it to 24, the lines of a small terminal",
    ),
    (
        lambda mini: edit(mini.layers.folder / "review.toml", "Because.", "Therefore."),
        "docs/review_questions.md: differs from its generated text. Remedy: harness check --fix",
    ),
    (
        lambda mini: (mini.root / "docs" / "review_questions.md").unlink(),
        "docs/review_questions.md: differs from its generated text. Remedy: harness check --fix",
    ),
    (
        lambda mini: (mini.layers.folder / "theory.md").write_text("# A part\n[back](#apart)"),
        "katas/k01_layers/theory.md: links to #apart, which does not exist. Remedy: fix the link",
    ),
    (
        lambda mini: (mini.root / "docs" / "more.md").write_text("[why](../katas/k01_layers/theory.md#why)"),
        "docs/more.md: links to ../katas/k01_layers/theory.md#why, which does not exist.",
    ),
    (
        lambda mini: (mini.layers.folder / "notebook.ipynb").write_text(
            '{"cells": [{"cell_type": "markdown", "source": ["[x](y.md)"]}]}'
        ),
        "katas/k01_layers/notebook.ipynb: links to y.md, which does not exist. Remedy: fix the link",
    ),
]


@pytest.mark.parametrize(("breakage", "message"), BREAKAGES)
def test_a_broken_rule_is_reported(mini: Miniature, breakage, message: str) -> None:
    complete_parts(mini)
    breakage(mini)
    assert any(message in problem for problem in problems(mini)), problems(mini)


def test_one_kata_can_be_checked_alone(mini: Miniature) -> None:
    (mini.root / "README.md").write_text("[nowhere](nowhere.md)")
    result = mini.harness("check", "1")
    assert "katas/k01_layers/README.md: is missing" in result.err
    assert "k00_doubles" not in result.err and "nowhere" not in result.err
    assert "1 kata checked, " in result.out


def test_too_few_tests_are_reported(mini: Miniature) -> None:
    found = [str(problem) for problem in check(load_course(mini.root))]
    assert "katas/k00_doubles/test_doubles.py: has 4 tests. Remedy: a kata has 8 to 14" in found


def test_the_command_exits_with_1_and_prints_every_problem(mini: Miniature) -> None:
    result = mini.harness("check")
    assert result.code == 1
    assert "katas/k00_doubles/README.md: is missing" in result.err
    assert "2 katas checked, " in result.out


def test_fix_writes_only_generated_files_and_backs_up_the_code_in_them(mini: Miniature) -> None:
    mini.write_doubles(double="return 'mine'")
    mine = mini.doubles.stub.read_text()
    course = load_course(mini.root)
    (written,) = fix(course)
    path, _, backup = written.partition("; what it held is now in ")
    assert path == "katas/k00_doubles/doubles.py"
    assert (mini.root / backup).read_text() == mine
    assert mini.doubles.stub.read_text() == make_stub(mini.doubles.solution.read_text())
    assert fix(course) == []


def test_fix_writes_the_page_of_questions(mini: Miniature) -> None:
    complete_parts(mini)
    course = load_course(mini.root)
    edit(mini.layers.folder / "review.toml", "Because.", "Therefore.")
    assert fix(course) == ["docs/review_questions.md"]
    assert "Therefore." in (mini.root / "docs" / "review_questions.md").read_text()
    assert fix(course) == []


def test_fix_makes_the_first_stub_of_a_new_kata(mini: Miniature) -> None:
    """docs/authoring.md begins like this."""
    for name in ("solutions/k02_new", "katas/k02_new"):
        (mini.root / name).mkdir()
    (mini.root / "katas" / "k02_new" / "__init__.py").touch()
    source = 'def new() -> int:\n    """Return one."""\n    return 1\n'
    (mini.root / "solutions" / "k02_new" / "new.py").write_text(source)
    assert fix(load_course(mini.root)) == ["katas/k02_new/new.py", "katas/shipped.json"]
    assert "raise NotImplementedError" in (mini.root / "katas" / "k02_new" / "new.py").read_text()
