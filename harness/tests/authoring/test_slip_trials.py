"""The gate's proof that tests are strong and fair can itself fail: each rule is broken here, and refused."""

from __future__ import annotations

import pytest

from harness.tests.support.miniature import Miniature

pytestmark = pytest.mark.measured

SLIPS = """
[[slip]]
id = "three-times"
find = "return 2 * x"
replace = "return 3 * x"
diagnosis = "You triple."
caught_by = "test_double_of_one"

[[slip]]
id = "in-place"
find = "return 2 * x"
replace = "return x.mul_(2)"
diagnosis = "You write into the input."
caught_by = "test_double_leaves_its_input_alone"
"""

ALTERNATIVES = '''
"""Other correct ways."""

import torch
from jaxtyping import Float
from torch import Tensor

from katas.k00_doubles.doubles import double


def double__sum(x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
    """Adds."""
    return x + x


def outer__einsum(x: Float[Tensor, "n"], y: Float[Tensor, "m"]) -> Float[Tensor, "n m"]:
    """By name; uses the other function of the kata too."""
    return torch.einsum("n,m->nm", double(x), y) / 2
'''

CHECK = """
from pathlib import Path
from harness.authoring import slip_trials
from harness.course.katas import load_course
course = load_course(Path.cwd())
print(*slip_trials.check(course, course.katas[{kata}]), sep="\\n")
"""


@pytest.fixture
def proven(mini: Miniature) -> Miniature:
    """The miniature with slips and alternatives for kata 00."""
    (mini.doubles.solution_folder / "slips.toml").write_text(SLIPS)
    (mini.doubles.solution_folder / "alternatives.py").write_text(ALTERNATIVES)
    return mini


def problems(mini: Miniature, kata: int = 0) -> list[str]:
    """What the proof finds wrong with a kata, without the number of slips, of which it has too few."""
    result = mini.python("-c", CHECK.format(kata=kata))
    assert result.code == 0, result.text
    return [line for line in result.out.splitlines() if line and "a kata has at least 8" not in line]


def edit(path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_sound_kata_passes(proven: Miniature) -> None:
    assert problems(proven) == []


BREAKAGES = [
    (
        "solutions/k00_doubles/doubles.py",
        "return x[:, None] * y",
        "return x[:, None] + y",
        "solutions/k00_doubles/doubles.py: fails test_outer. Remedy: fix the solution or the test",
    ),
    (
        "katas/k00_doubles/test_doubles.py",
        "    x = torch.ones(2)\n    double(x)",
        "    x = torch.ones(2)",
        "test_doubles.py: test_double_leaves_its_input_alone passes on the untouched stub."
        " Remedy: let it use the function",
    ),
    (
        "katas/k00_doubles/test_doubles.py",
        "import pytest",
        "import pytest\nimport no_such_module",
        "test_doubles.py: cannot run (E   ModuleNotFoundError: No module named 'no_such_module')",
    ),
    (
        "katas/k00_doubles/test_doubles.py",
        "import double, outer\n",
        "import double, outer\n\nTWO = double(torch.ones(1))\n",
        "test_doubles.py: cannot be loaded while the katas are unsolved (E   NotImplementedError)."
        " Remedy: use the katas inside functions and fixtures only",
    ),
    (
        "solutions/k00_doubles/slips.toml",
        'replace = "return x.mul_(2)"',
        'replace = "return x * 2"',
        "slips.toml: in-place passes every test. Remedy: strengthen katas/k00_doubles/test_doubles.py",
    ),
    (
        "solutions/k00_doubles/slips.toml",
        'caught_by = "test_double_of_one"',
        'caught_by = "test_double_of_any"',
        "slips.toml: three-times is caught by test_double_of_one, not by test_double_of_any."
        " Remedy: name the test that catches it first, or move the tests",
    ),
    (
        "solutions/k00_doubles/slips.toml",
        'find = "return 2 * x"',
        'find = "return 4 * x"',
        "slips.toml: three-times: its `find` occurs 0 times in the solution, not once."
        " Remedy: quote the solution as it is now, and enough of it",
    ),
    (
        "solutions/k00_doubles/slips.toml",
        'id = "in-place"',
        'id = "three-times"',
        "slips.toml: has more than one slip three-times. Remedy: give each an id of its own",
    ),
    (
        "solutions/k00_doubles/slips.toml",
        'diagnosis = "You triple."',
        "",
        "slips.toml: cannot be read (three-times: missing or unknown: diagnosis)",
    ),
    (
        "solutions/k00_doubles/alternatives.py",
        "return x + x",
        "return x + x.detach().long()",
        "alternatives.py: double__sum is refused by test_double_of_any. Remedy: fix one of them",
    ),
    (
        "solutions/k00_doubles/slips.toml",
        'replace = "return 3 * x"',
        'replace = "return 3 * ("',
        "slips.toml: three-times is no Python ('(' was never closed). Remedy: fix its `replace`",
    ),
    (
        "solutions/k00_doubles/slips.toml",
        'replace = "return 3 * x"',
        "replace = 3",
        "slips.toml: cannot be read (three-times: every field must be text)",
    ),
    (
        "solutions/k00_doubles/alternatives.py",
        "def double__sum",
        "def duoble__sum",
        "alternatives.py: has alternatives to duoble, which is not there. Remedy: rename them",
    ),
    (
        "solutions/k00_doubles/alternatives.py",
        "outer__einsum",
        "_unused",
        "alternatives.py: has no alternative to outer. Remedy: add outer__…",
    ),
    (
        "solutions/k00_doubles/slips.toml",
        'find = "return 2 * x"\nreplace = "return 3 * x"',
        'find = "def outer("\nreplace = "no_such_name\\n\\n\\ndef outer("',
        "slips.toml: three-times could not be tried (name 'no_such_name' is not defined)."
        " Remedy: fix its `replace`",
    ),
    (
        "solutions/k00_doubles/alternatives.py",
        'def outer__einsum(x: Float[Tensor, "n"], y:',
        'def outer__einsum(x: Float[Tensor, "n"], z: int = 0, *, y:',
        "alternatives.py: outer__einsum is declared outer(x, z=0, *, y). Remedy: declare it outer(x, y)",
    ),
    (
        "katas/k00_doubles/test_doubles.py",
        "    x = torch.ones(2)\n    double(x)",
        "    global x\n    x = torch.ones(2)\n    double(x)\n\n\n"
        'def test_what_the_one_above_left():\n    """Looks at it."""\n    assert len(double(x)) == 2',
        "test_doubles.py: test_what_the_one_above_left does not pass alone."
        " Remedy: let it make for itself what it needs",
    ),
]


@pytest.mark.parametrize(("path", "old", "new", "message"), BREAKAGES)
def test_a_broken_rule_is_refused(proven: Miniature, path: str, old: str, new: str, message: str) -> None:
    edit(proven.root / path, old, new)
    found = problems(proven)
    assert any(message in problem for problem in found), found


def test_a_slip_that_ends_the_process_is_refused(proven: Miniature) -> None:
    slips = proven.doubles.solution_folder / "slips.toml"
    edit(slips, '"return 3 * x"', "\"__import__('os')._exit(0)\"")
    problem = "three-times could not be tried (its process ended early). Remedy: fix its `replace`"
    assert any(problem in each for each in problems(proven))


def test_what_is_called_by_importing_the_solution_is_tried_in_full(proven: Miniature) -> None:
    edit(proven.doubles.solution, "def outer(", "TWO = double(torch.ones(1)).item()\n\n\ndef outer(")
    edit(proven.doubles.solution, "return x[:, None] * y", "return x[:, None] * y * (TWO / 2)")
    slips = proven.doubles.solution_folder / "slips.toml"
    edit(slips, '"return 3 * x"', '"return (3 if len(x) == 1 and x[0] == 1 else 2) * x"')
    edit(slips, 'caught_by = "test_double_of_one"', 'caught_by = "test_outer"')
    assert problems(proven) == []


def test_an_alternative_that_is_a_class_takes_the_place_of_the_solutions(proven: Miniature) -> None:
    folder = proven.layers.solution_folder
    (folder / "slips.toml").write_text("")
    way = (
        "class Doubler__{}(nn.Module):\n    def forward(self, x: Tensor) -> Tensor:\n        return {}\n\n\n"
    )
    ways = way.format("sum", "x + x") + way.format("triple", "3 * x")
    (folder / "alternatives.py").write_text(f"from torch import Tensor, nn\n\n\n{ways}")
    found = problems(proven, kata=1)
    assert any("alternatives.py: Doubler__triple is refused by test_" in problem for problem in found)
    assert not any("Doubler__sum" in problem for problem in found)


def test_where_nothing_can_be_forked_the_same_is_found(proven: Miniature) -> None:
    edit(proven.doubles.solution_folder / "slips.toml", "x.mul_(2)", "x * 2")
    elsewhere = "from harness.authoring import forks\nforks.IS_SAFE = False\n" + CHECK.format(kata=0)
    assert proven.python("-c", elsewhere).out == proven.python("-c", CHECK.format(kata=0)).out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("slips.toml", "solutions/k00_doubles/slips.toml: cannot be read ("),
        ("alternatives.py", "solutions/k00_doubles/alternatives.py: is missing."),
    ],
)
def test_a_missing_file_is_refused(proven: Miniature, name: str, message: str) -> None:
    (proven.doubles.solution_folder / name).unlink()
    assert any(message in problem for problem in problems(proven))


def test_a_kata_whose_tests_cannot_start_is_refused(proven: Miniature) -> None:
    (proven.root / "conftest.py").write_text("def pytest_sessionstart():\n    raise OSError('no room')")
    assert any("cannot run (OSError: no room)" in problem for problem in problems(proven))


def test_too_few_slips_are_refused(proven: Miniature) -> None:
    out = proven.python("-c", CHECK.format(kata=0)).out
    assert "slips.toml: has 2 slips. Remedy: a kata has at least 8" in out
