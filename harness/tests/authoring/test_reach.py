"""The difference of a version from the solution, which selects its tests."""

from __future__ import annotations

import pytest

from harness.authoring.reach import ENTERED, codes, difference, looks_at_code, marked, only

SOLUTION = '''
"""A module."""
import torch
from torch import nn

TWO = 2


def double(x, by=TWO):
    """Twice."""
    return by * x


class Linear(nn.Module):
    size = 3

    def __init__(self):
        super().__init__()

    def forward(self, x):
        return double(x)


def numbers():
    yield 1
'''


def changed(old: str, new: str) -> set[str] | None:
    """Return the functions that differ after an edit; None if not only functions differ."""
    assert SOLUTION.count(old) == 1
    found = difference(SOLUTION, SOLUTION.replace(old, new))
    return None if found is None else set(found.names)


def added(text: str) -> set[str] | None:
    """Return the functions that differ when this text is appended to the solution."""
    found = difference(SOLUTION, SOLUTION + text)
    return None if found is None else set(found.names)


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("return by * x", "return by + x", {"double"}),
        ("return double(x)", "return [double(y) for y in x]", {"Linear.forward"}),
        ('"""Twice."""', '"""Two times."""', set()),
        ("return by * x", "return by * x  # a comment", set()),
    ],
)
def test_changed_function_bodies_are_named(old: str, new: str, names: set[str]) -> None:
    assert changed(old, new) == names


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("TWO = 2", "TWO = 3"),
        ("by=TWO", "by=2"),
        ("def double(x,", "def double(y,"),
        ("size = 3", "size = 4"),
        ("    def forward", "    @torch.no_grad()\n    def forward"),
        ("    yield 1", "    return iter([1])"),  # runs when it is called, not when its result is used
        ("        super().__init__()", "        nn.Module.__init__(self)"),  # another kind of closure
        ("def numbers():\n    yield 1\n", ""),
    ],
)
def test_other_changes_count_as_different_everywhere(old: str, new: str) -> None:
    assert changed(old, new) is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("\nimport math\n\ndef double(x, by=TWO):\n    return math.prod([x, by])\n", {"double"}),
        ("\nfrom torch import nn\n\ndef double(x, by=TWO):\n    return x\n", {"double"}),
        (
            "\nimport numpy as torch\n\ndef double(x, by=TWO):\n    return x\n",
            {"double"},
        ),  # used nowhere here
        ("\nfrom my import nn\n\ndef double(x, by=TWO):\n    return x\n", None),
        ("\ndef double(x):\n    return x\n", None),
        ("\ndef treble(x):\n    return x\n", None),
        ("\nclass Linear:\n    pass\n", None),
        ("\nTWO = 3\n", None),
    ],
)
def test_a_function_may_be_redefined_below(text: str, names: set[str] | None) -> None:
    assert added(text) == names


def test_a_function_defined_twice_cannot_be_changed_alone() -> None:
    twice = SOLUTION + "\ndef double(x, by=TWO):\n    return x\n"
    assert difference(twice, twice.replace("return x", "return 5")) is None


def test_only_the_definitions_of_the_functions_are_compiled_each_in_its_place() -> None:
    names = frozenset({"Linear.forward"})
    whole, part = (codes(compile(text, "", "exec"), names) for text in (SOLUTION, only(SOLUTION, names)))
    assert whole == part  # the lines too
    assert "double(x, by" not in only(SOLUTION, names)
    decorated = "from __future__ import annotations\n@property\ndef double():\n    return 1"
    assert only(decorated, frozenset({"double"})) == decorated


def test_marked_functions_record_that_they_are_entered() -> None:
    namespace: dict = {"__name__": "marked"}
    exec(marked(SOLUTION), namespace)
    ENTERED.clear()
    assert namespace["Linear"]()(2) == 4
    assert sorted(ENTERED) == ["Linear.__init__", "Linear.forward", "double"]
    assert namespace["double"].__doc__ == "Twice."
    ENTERED.clear()
    numbers = namespace["numbers"]()
    assert not ENTERED
    assert list(numbers) == [1]
    assert list(ENTERED) == ["numbers"]


def test_tests_that_look_at_code_are_recognised() -> None:
    assert looks_at_code("import inspect")
    assert not looks_at_code("from katas.k00_shapes.shapes import one_hot")
