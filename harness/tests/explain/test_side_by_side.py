"""Expected beside actual: in 80 columns, where the two differ, with a mark at what differs."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from harness.explain.side_by_side import COLUMNS, MARK, ROWS, Tolerance, side_by_side, summary

INDENT = 2  # of the block in which the lines are shown
nan, inf = math.nan, math.inf
DEFAULT = Tolerance()


def lines(expected: object, actual: object, tolerance: Tolerance = DEFAULT) -> list[str]:
    """The lines, each of which fits."""
    shown = side_by_side(expected, actual, tolerance)
    assert max(map(len, shown)) <= 80 - INDENT, "\n".join(shown)
    return shown


def marks(shown: list[str]) -> int:
    """How many entries are marked, the heading's explanation apart."""
    return sum(line.count(MARK) for line in shown if "differs)" not in line)


def changed(tensor: Tensor, *index: int, by: float = 1.0) -> Tensor:
    """A copy with one entry changed."""
    copy = tensor.clone()
    copy[index] += by
    return copy


# --- small tensors, shown in full ----------------------------------------------------------------


def test_two_matrices_stand_side_by_side():
    expected = torch.tensor([[1.0, -2.0], [0.5, 0.25]])
    assert lines(expected, changed(expected, 1, 0)) == [
        "expected          actual (* differs)",
        " 1.0000 -2.0000    1.0000  -2.0000",
        " 0.5000  0.2500    1.5000*  0.2500",
    ]


@pytest.mark.parametrize(
    ("expected", "actual", "row"),
    [
        ([1.0, 2.0], [1.0, 3.0], "1.0000 2.0000 1.0000 3.0000*"),
        ([1, 2], [1, -3], "1 2 1 -3*"),
        ([True, False], [True, True], "True False True True*"),
        ([1.0, nan], [1.0, 1.0], "1.0000 nan 1.0000 1.0000*"),
        ([1.0, 1.0], [1.0, nan], "1.0000 1.0000 1.0000 nan*"),
        ([inf, 1.0], [-inf, 1.0], "inf 1.0000 -inf* 1.0000"),
        ([0.0, 1e-9], [1e-3, 1e9], "0.0000 1.0e-09 0.0010* 1.0e+09*"),
        ([True, False], [1.0, 0.5], "True False 1.0000 0.5000*"),
    ],
    ids=["floats", "ints", "bools", "no nan", "nan", "other infinity", "sizes", "another dtype"],
)
def test_entries_that_differ_are_marked(expected: list[object], actual: list[object], row: str):
    last = lines(torch.tensor(expected), torch.tensor(actual))[-1]
    assert " ".join(last.split()) == row  # as tokens: the columns are tested above


@pytest.mark.parametrize("same", [nan, inf, -inf, 0.0, 1e30])
def test_special_values_that_agree_are_not_marked(same: float):
    expected = torch.tensor([[same, 1.0]])
    assert lines(expected, changed(expected, 0, 1))[-1].count(MARK) == 1


def test_minus_zero_is_no_difference():
    assert marks(lines(torch.tensor([0.0, 1.0]), torch.tensor([-0.0, 2.0]))) == 1


def test_rounding_is_no_difference_beside_a_real_one():
    expected = torch.tensor([1.0, 1000.0, 0.0, 0.0])
    actual = torch.tensor([1.0 + 5e-6, 1000.005, 5e-7, 1e-4])
    assert marks(lines(expected, actual)) == 1


def test_where_nothing_is_beyond_the_tolerance_every_difference_is_marked():
    expected = torch.tensor([[1.0], [1000.0], [0.0], [2.0]])
    actual = torch.tensor([[1.0 + 1e-6], [1000.001], [1e-7], [2.0]])
    assert marks(lines(expected, actual)) == 3


@pytest.mark.parametrize(
    ("tolerance", "marked"),
    [
        (Tolerance(rtol=0.0, atol=0.0), 3),
        (Tolerance(rtol=0.0, atol=0.02), 2),
        (Tolerance(rtol=0.02, atol=0.0), 1),
        (Tolerance(rtol=0.02, atol=0.02), 1),
        (Tolerance(rtol=None, atol=0.02), 2),
        (Tolerance(), 3),
    ],
)
def test_the_marks_follow_the_tolerance(tolerance: Tolerance, marked: int):
    expected, actual = torch.tensor([1.0, 10.0, 1.0]), torch.tensor([1.01, 10.1, 2.0])
    assert marks(lines(expected, actual, tolerance)) == marked


def test_the_tolerance_is_relative_to_the_expected_value():
    expected, actual = torch.tensor([1.0, 2.0, 0.0]), torch.tensor([2.0, 1.0, 1.0])
    shown = lines(expected, actual, Tolerance(rtol=0.5, atol=0.0))
    assert shown[-1].split()[3:] == ["2.0000*", "1.0000", "1.0000*"]


@pytest.mark.parametrize(
    ("expected", "actual", "row"),
    [
        (1.0, 1.00004, "1 1.00004*"),
        (12345.678, 12345.679, "12345.678 12345.679*"),
        (1.0, 1 + 2**-52, "1 1.0000000000000002*"),
    ],
    ids=["four digits do not show it", "nor two", "nor nine"],
)
def test_there_are_digits_enough_to_show_what_differs(expected: float, actual: float, row: str):
    pair = [torch.tensor([value], dtype=torch.float64) for value in (expected, actual)]
    assert " ".join(lines(*pair, Tolerance(0.0, 0.0))[-1].split()) == row


def test_a_number_without_axes_is_shown():
    assert lines(torch.tensor(1.0), torch.tensor(2.0)) == [
        "expected   actual (* differs)",
        "1.0000     2.0000*",
    ]


def test_another_dtype_is_told_first():
    shown = lines(torch.tensor([1.0]), torch.tensor([1.0], dtype=torch.float64))
    assert shown[0] == "dtype: expected torch.float32, actual torch.float64"
    assert marks(shown) == 0


def test_a_parameter_that_requires_gradients_can_be_shown():
    assert marks(lines(torch.zeros(2), nn.Parameter(torch.ones(2)))) == 2


# --- large tensors -------------------------------------------------------------------------------

LARGE = torch.linspace(-1, 1, 5000, dtype=torch.float64).reshape(50, 100)


@pytest.mark.parametrize("index", [(0, 0), (0, 99), (49, 0), (49, 99), (25, 50), (1, 98)])
def test_a_single_difference_in_a_large_matrix_is_in_sight(index: tuple[int, int]):
    shown = lines(LARGE, changed(LARGE, *index))
    assert marks(shown) == 1
    assert shown[-1] == "…"
    assert len(shown) == ROWS + 2


@pytest.mark.parametrize(
    ("shape", "cut"), [((ROWS, COLUMNS), False), ((ROWS + 1, 1), True), ((1, COLUMNS + 1), True)]
)
def test_dots_tell_that_there_is_more(shape: tuple[int, int], cut: bool):
    assert (lines(torch.zeros(shape), torch.ones(shape))[-1] == "…") is cut


def test_rounding_everywhere_does_not_hide_the_difference():
    noise = 1e-9 * torch.rand(LARGE.shape, dtype=torch.float64)
    assert marks(lines(LARGE, changed(LARGE + noise, 40, 70))) == 1


def test_where_all_is_within_rounding_the_largest_difference_is_in_sight():
    expected = torch.zeros(3, 2, 2)
    shown = lines(expected, changed(expected, 2, 0, 1, by=5e-7))
    assert shown[0] == "at index [2] of shape (3, 2, 2):"
    assert "5.0e-07" in shown[2]


def test_of_a_huge_batch_the_worst_matrix_is_shown_with_its_index():
    expected = torch.zeros(30, 40, 8, 8)
    actual = changed(changed(expected, 3, 5, 0, 0, by=0.5), 17, 23, 7, 6, by=-2.0)
    shown = lines(expected, actual)
    assert shown[0] == "at index [17, 23] of shape (30, 40, 8, 8):"
    assert marks(shown) == 1
    assert any("-2.0000" in line for line in shown)


@pytest.mark.parametrize("wrong", [nan, inf, -inf])
def test_a_matrix_with_a_wrong_nan_or_infinity_is_the_worst(wrong: float):
    expected = torch.zeros(3, 2, 2)
    actual = changed(expected, 0, 0, 0, by=1e6)
    actual[1, 1, 1] = wrong
    actual[0, 0, 0] = 0
    assert lines(expected, actual)[0] == "at index [1] of shape (3, 2, 2):"


@pytest.mark.parametrize("same", [nan, inf, -inf])
def test_a_matrix_of_nan_or_infinities_that_agree_is_not_the_worst(same: float):
    expected = torch.zeros(3, 2, 2)
    expected[0] = same
    assert lines(expected, changed(expected, 2, 0, 0, by=1e-2))[0] == "at index [2] of shape (3, 2, 2):"


def test_large_numbers_within_rounding_do_not_outweigh_a_small_wrong_one():
    expected = torch.tensor([[[1e6]], [[0.0]]])
    actual = torch.tensor([[[1e6 + 10]], [[0.5]]])
    assert lines(expected, actual)[0] == "at index [1] of shape (2, 1, 1):"


@pytest.mark.parametrize("column", [0, 3, 9])
@pytest.mark.parametrize("value", [10**12, -(10**17), 2**62])
def test_integers_of_many_digits_fit_and_differ_by_one(value: int, column: int):
    expected = torch.full((2, 10), value)
    shown = lines(expected, changed(expected, 1, column, by=1))
    assert marks(shown) == 1
    assert any(f"{value + 1}{MARK}" in line for line in shown)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool], ids=str)
def test_integers_are_compared_exactly_whatever_the_tolerance(dtype: torch.dtype):
    expected, actual = torch.zeros(2, dtype=dtype), torch.tensor([0, 1], dtype=dtype)
    assert marks(lines(expected, actual, Tolerance(rtol=1.0, atol=10.0))) == 1


def test_a_matrix_whose_large_integers_differ_by_one_is_the_worst():
    expected = torch.full((3, 2, 2), 2**62)
    assert lines(expected, changed(expected, 2, 0, 1, by=1))[0] == "at index [2] of shape (3, 2, 2):"


_ENTRIES = st.floats(width=64, allow_subnormal=False) | st.sampled_from([0.0, 1.0, -1e300, nan, inf, -inf])


@settings(deadline=None)
@given(st.data(), st.lists(st.integers(1, 7), max_size=4))
def test_any_two_tensors_fit_in_80_columns(data: st.DataObject, shape: list[int]):
    size = math.prod(shape)
    values = st.lists(_ENTRIES, min_size=size, max_size=size)
    expected, actual = (torch.tensor(data.draw(values), dtype=torch.float64).reshape(shape) for _ in "ab")
    shown = lines(expected, actual)
    same = (expected == actual) | (expected.isnan() & actual.isnan())
    assert (marks(shown) > 0) is not bool(same.all())


# --- what cannot stand side by side --------------------------------------------------------------


def test_different_shapes_are_told_as_such():
    assert lines(torch.zeros(2, 300), torch.zeros(300, 2)) == [
        "expected  float32 (2, 300)",
        "actual    float32 (300, 2)",
    ]


def test_small_tensors_of_different_shapes_show_their_values():
    assert lines(torch.tensor([1.0, 2.0]), torch.tensor([1.0])) == [
        "expected  1.0000 2.0000  float32 (2,)",
        "actual    1.0000  float32 (1,)",
    ]


def test_empty_tensors_are_told_by_shape():
    shown = lines(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64))
    assert shown == [
        "dtype: expected torch.float32, actual torch.int64",
        "expected  float32 (0, 3)",
        "actual    int64 (0, 3)",
    ]


def test_tensors_without_values_are_told_by_shape():
    shown = lines(torch.zeros(2, device="meta"), torch.zeros(2))
    assert shown == [
        "device: expected meta, actual cpu",
        "expected  float32 (2,)",
        "actual    0.0000 0.0000  float32 (2,)",
    ]


@pytest.mark.parametrize(
    ("expected", "actual", "shown"),
    [
        (3, 4, ["expected  3", "actual    4"]),
        ([1, 2], None, ["expected  [1, 2]", "actual    None"]),
        ("a\nb", "a b", [r"expected  'a\nb'", "actual    'a b'"]),
        (1.5, torch.tensor(2.5), ["expected  1.5", "actual    2.5000  float32 ()"]),
        (list(range(99)), [], ["expected  " + str(list(range(99)))[:63] + "...", "actual    []"]),
    ],
    ids=["ints", "none", "text", "number and tensor", "long"],
)
def test_other_values_are_shown_below_each_other(expected: object, actual: object, shown: list[str]):
    assert lines(expected, actual) == shown


@pytest.mark.parametrize("count", range(COLUMNS + 2))
def test_a_summary_fits_on_a_line(count: int):
    text = summary(torch.full((count,), -(2**63)))
    assert text.endswith(f"int64 ({count},)")
    assert len(text) <= 66


# --- lists of numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "actual", "shown"),
    [
        ([0.0, 0.6, 2.0], [0.0, 0.7, 2.0], ["0.0000 0.6000 2.0000   0.0000  0.7000* 2.0000"]),
        (pytest.approx([0.0, 0.6]), [1e-13, 0.7], ["0.0000 0.6000   1.0e-13  0.7000*"]),
        (pytest.approx([1.0, 2.0], abs=0.5), [1.4, 2.6], ["1.0000 2.0000   1.4000  2.6000*"]),
        (pytest.approx((1.0, 2.0), rel=0.5), (1.4, 3.1), ["1.0000 2.0000   1.4000  3.1000*"]),
        ([nan, inf, 1], [nan, inf, 2], ["nan inf   1   nan  inf    2*"]),
        ([*range(10)], [*range(9), 0], ["from index 6 on:", "6 7 8 9   6  7  8  0*"]),
        ([*range(10)], [0, 0, *range(2, 10)], ["0 1 2 3   0  0* 2  3", "…"]),
    ],
    ids=["plain", "approx", "absolute", "relative", "special", "late", "early"],
)
def test_lists_of_numbers_stand_side_by_side(expected: object, actual: object, shown: list[str]):
    heading = "expected actual (* differs)"
    found = [" ".join(line.split()) for line in lines(expected, actual)]
    assert [line for line in found if line != heading] == [" ".join(line.split()) for line in shown]
    assert heading in found


@pytest.mark.parametrize(
    ("expected", "actual", "shown"),
    [
        (pytest.approx([1.0, 2.0]), [1.0], "[1.0, 2.0]"),
        (pytest.approx({"a": 1.0}), {"a": 2.0}, "{'a': 1.0}"),
        ([1, "x"], [2, "x"], "[1, 'x']"),
        ([], [1], "[]"),
        (pytest.approx(65.0, rel=1e-12), 18.0, "65.0 ± 6.5e-11"),
    ],
    ids=["lengths", "mapping", "strings", "empty", "one number"],
)
def test_what_is_no_list_of_numbers_is_shown_as_it_is(expected: object, actual: object, shown: str):
    assert lines(expected, actual) == [f"expected  {shown}", f"actual    {actual}"]
