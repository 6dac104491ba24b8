"""Slips edit a solution, and alternatives replace a part of it."""

from __future__ import annotations

import pytest

from harness.course.slips import BadSlip, Slip, alternative_sources, read_slips, read_worded_by_author
from harness.tests.support.miniature import Miniature

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


SLIP = """
[[slip]]
id = "tripled"
find = "2 * x"
replace = "3 * x"
diagnosis = "You triple the input; it should be doubled."
caught_by = "test_double"
"""


def test_a_slip_that_matches_twice_is_rejected() -> None:
    slip = Slip("twice", "x", "y", "", "")
    with pytest.raises(BadSlip, match="twice: its `find` occurs 2 times in the solution, not once"):
        slip.apply("x = x")


def test_slips_that_are_not_toml_are_rejected(mini: Miniature) -> None:
    (mini.doubles.solution_folder / "slips.toml").write_text("[[slip")
    with pytest.raises(BadSlip, match="not valid TOML"):
        read_slips(mini.doubles)


@pytest.mark.parametrize("named", [[], ["name_of", "describe"]])
def test_functions_with_an_authors_words_are_named_before_the_slips(
    mini: Miniature, named: list[str]
) -> None:
    text = f"worded_by_author = {named}\n" if named else ""
    (mini.doubles.solution_folder / "slips.toml").write_text(text + SLIP)
    assert read_worded_by_author(mini.doubles) == set(named)
    assert [slip.id for slip in read_slips(mini.doubles)] == ["tripled"]


def test_an_alternative_replaces_the_original_definition(mini: Miniature) -> None:
    sources = alternative_sources(mini.doubles.solution.read_text(), ALTERNATIVES)
    assert list(sources) == ["double__sum", "outer__einsum"]
    namespace: dict = {}
    exec(sources["double__sum"], namespace)
    assert namespace["double"].__doc__ == "Adds."


def test_an_alternative_keeps_its_decorators() -> None:
    alternative = "import functools\n\n\n@functools.cache\ndef double__cached(x):\n    return 2 * x\n"
    sources = alternative_sources("def double(x):\n    return x + x\n", alternative)
    assert "@functools.cache\ndef double(x):" in sources["double__cached"]
