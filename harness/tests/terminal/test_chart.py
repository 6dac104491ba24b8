"""A curve is drawn in text."""

from __future__ import annotations

import math

import pytest

from harness.terminal.chart import curves, line_chart


def test_a_line_chart_goes_from_the_first_point_to_the_last() -> None:
    chart = line_chart([(1, 4.0), (2, 3.0), (3, 2.0)], width=9, height=3)
    assert chart == [
        "4.00 |*",
        "     |    *",
        "2.00 |        *",
        "     +---------",
        "      1       3",
    ]


@pytest.mark.parametrize("points", [[], [(1, math.nan)], [(1, math.inf), (2, math.nan)]])
def test_a_chart_of_nothing_has_no_lines(points) -> None:
    assert line_chart(points) == []


def test_a_flat_curve_has_a_chart_too() -> None:
    assert line_chart([(1, 2.0), (2, 2.0)], width=5, height=2)[1] == "2.00 |*   *"


def test_curves_share_a_logarithmic_axis_and_have_a_letter_each() -> None:
    chart = curves({"slow": [(1, 4.0), (100, 2.0)], "fast": [(10, 3.0)]}, width=9, height=3)
    assert chart == [
        "4.00 |a",
        "     |    b",
        "2.00 |        a",
        "     +---------",
        "      1     100",
        "  a slow",
        "  b fast",
    ]


def test_curves_of_a_single_point_have_a_chart_and_of_none_do_not() -> None:
    assert curves({"one": [(5, 2.0)]}, width=3, height=2)[1] == "2.00 |a"
    assert curves({"none": []}) == []
