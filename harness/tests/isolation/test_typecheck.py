"""Checking signatures."""

from __future__ import annotations

import random

import pytest

from harness.isolation.typecheck import checked


def test_checking_a_list_leaves_the_global_generator_as_it_is() -> None:
    @checked
    def longest(texts: list[str], *, others: list[str]) -> list[str]:
        return max(texts, others, key=len)

    before = random.getstate()
    assert longest(["a", "b", "c"], others=["d"]) == ["a", "b", "c"]
    assert random.getstate() == before
    with pytest.raises(Exception, match="texts"):
        longest([1, 2], others=[])  # type: ignore[list-item]
