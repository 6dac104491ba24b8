"""The words for axes and indices, with and without names in the signature."""

from __future__ import annotations

import pytest

from harness.explain.axis_names import AxisNames

WEIGHTS = AxisNames(("", "heads", "queries", "keys"), (2, 3, 5, 7))


def test_an_axis_has_the_name_in_the_signature_or_a_number() -> None:
    assert [WEIGHTS.called(axis) for axis in range(4)] == ["axis 0", "heads", "queries", "keys"]
    assert [AxisNames((), (2, 3)).called(axis) for axis in range(2)] == [
        "the second-last axis",
        "the last axis",
    ]


def test_names_that_do_not_fit_the_shape_are_ignored() -> None:
    assert AxisNames(("queries", "keys"), (2, 3, 4)).called(0) == "axis 0"


@pytest.mark.parametrize(
    ("axis", "which", "words"),
    [
        (1, [1], "head 1"),
        (2, [1, 4], "queries 1 and 4"),
        (2, [1, 2, 3], "queries 1 to 3"),
        (3, [0, 2, 6], "keys 0, 2 and 6"),
        (0, [1], "index 1 of axis 0"),
        (0, [0, 1], "indices 0 and 1 of axis 0"),
    ],
)
def test_indices_along_an_axis(axis: int, which: list[int], words: str) -> None:
    assert WEIGHTS.indices(axis, which) == words


@pytest.mark.parametrize(("one", "other", "words"), [(2, 3, "queries and keys"), (0, 3, "axes 0 and 3")])
def test_two_axes(one: int, other: int, words: str) -> None:
    assert WEIGHTS.both(one, other) == words


def test_half_of_the_features_is_a_number_of_pairs() -> None:
    assert AxisNames(("max_len", "half"), (7, 5)).indices(1, [1, 2, 3]) == "pairs 1 to 3"
