"""The test's variables say which tensor is wrong, and which position reads which."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.testing import assert_close

from harness.explain import comparisons
from harness.explain.factors import Scaled
from harness.explain.observation import Observation
from harness.explain.side_by_side import Tolerance
from harness.explain.variables import (
    GradientOf,
    Ignores,
    NamedTensor,
    NoGradient,
    Reads,
    ReadsOtherRow,
)
from harness.tests.explain.test_comparisons import failed, x


def seen(test: Any) -> list[Observation]:
    compared, names = failed(test)
    return list(comparisons.show(compared, names).observations)


# --- gradients -------------------------------------------------------------------------------------


def test_a_gradient_in_a_loop_has_the_name_that_the_loop_gives_it() -> None:
    def test() -> None:
        for name, gradient in {"out_proj.bias": x()}.items():
            assert_close(gradient, 2 * x(), rtol=0, atol=0)
            assert name

    assert seen(test)[0] == GradientOf("out_proj.bias")


def test_a_gradient_that_is_zero_is_the_only_observation() -> None:
    def test() -> None:
        for name, gradient in {"out_proj.bias": torch.zeros(2, 3)}.items():
            assert_close(gradient, x(), rtol=0, atol=0)
            assert name

    assert seen(test) == [NoGradient("out_proj.bias")]


def test_a_gradient_of_a_tuple_is_that_of_the_input_at_its_place() -> None:
    def test() -> None:
        query, key = x().requires_grad_(), x().requires_grad_()
        inputs = (query, key)
        actual_gradients = torch.autograd.grad((query + key).sum(), inputs)
        assert_close(actual_gradients, (torch.ones(2, 3), x()), rtol=0, atol=0)

    assert seen(test)[0] == GradientOf("key")


def test_the_grad_of_a_variable_is_its_gradient() -> None:
    def test() -> None:
        value = x().requires_grad_()
        value.sum().backward()
        assert_close(value.grad, x(), rtol=0, atol=0)

    assert seen(test)[0] == GradientOf("value")


def test_a_weight_in_a_loop_has_the_name_that_the_loop_gives_it() -> None:
    def test() -> None:
        for name, weight in {"head.weight": x()}.items():
            assert_close(x() + 1, weight, rtol=0, atol=0)
            assert name

    assert seen(test)[0] == NamedTensor("head.weight")


def test_a_tensor_that_is_not_a_gradient_has_no_name() -> None:
    def test() -> None:
        name, gradient = "of another", x()
        assert_close(x(), 2 * gradient, rtol=0, atol=0)
        assert name

    assert [type(each) for each in seen(test)] == [Scaled]


# --- which position reads which ----------------------------------------------------------------------


def reading(differs: list[list[int]], *, place: tuple[int, int] = (1, 3), features: int = 0) -> list[Any]:
    """What is observed when position 3 of batch row 1 was changed and these outputs differ."""

    def test() -> None:
        ids = torch.arange(10).reshape(2, 5)
        if features:
            ids = ids[..., None].expand(2, 5, features).clone()
        changed = ids.clone()
        changed[place] += 1
        before, after = ids, changed
        expected = torch.zeros(2, 5, dtype=torch.bool)
        expected[1, 3:] = True
        assert_close(torch.tensor(differs).int(), expected.int(), rtol=0, atol=0)
        assert before is not after

    return seen(test)


RIGHT = [0, 0, 0, 1, 1]


@pytest.mark.parametrize("features", [0, 4])
def test_an_earlier_output_that_differs_reads_its_future(features: int) -> None:
    found = reading([[0] * 5, [0, 1, 1, 1, 1]], features=features)
    assert found == [Reads((1, 2), 3)]


def test_another_batch_row_that_differs_reads_this_one() -> None:
    assert reading([[0, 0, 0, 0, 1], RIGHT]) == [ReadsOtherRow((0,), 1)]


def test_a_later_output_that_does_not_differ_ignores_the_position() -> None:
    assert reading([[0] * 5, [0, 0, 0, 1, 0]]) == [Ignores((4,), 3)]


def test_outputs_may_be_given_as_pairs_of_batch_row_and_position() -> None:
    x = torch.zeros(2, 5)
    changed = x.clone()
    changed[1, 3] = 1
    compared = comparisons.ComparedValues([(1, 3), (1, 4)], [(1, 2), (1, 3), (1, 4)], Tolerance(), "assert")
    found = comparisons.show(compared, {"x": x, "changed": changed})
    assert found.observations == (Reads((2,), 3),)


def test_pairs_of_other_numbers_or_a_table_of_another_size_are_no_positions() -> None:
    x = torch.zeros(2, 5)
    changed = x.clone()
    changed[1, 3] = 1
    for expected, actual in [
        ([(1, 7)], [(1, 7), (1, 8)]),  # shapes, say
        (torch.eye(5).int(), torch.ones(5, 5).int()),
    ]:
        compared = comparisons.ComparedValues(expected, actual, Tolerance(), "assert")
        found = comparisons.show(compared, {"x": x, "changed": changed}).observations
        assert not {Reads, ReadsOtherRow, Ignores} & {type(each) for each in found}


@pytest.mark.parametrize("gradient", [x(), 0 * x()], ids=["zero expected", "zero too"])
def test_a_gradient_that_should_be_zero_lacks_nothing(gradient: torch.Tensor) -> None:
    names = {"name": "out_proj.bias", "gradient": gradient}
    compared = comparisons.ComparedValues(0 * x(), gradient, Tolerance(), "assert_close")
    observed = comparisons.show(compared, names).observations
    assert NoGradient("out_proj.bias") not in observed


def test_where_not_one_position_was_changed_nothing_is_read_from_it() -> None:
    found = reading([[0] * 5, [0, 1, 1, 1, 1]], place=(slice(None), 3))  # type: ignore[arg-type]
    assert not any(isinstance(each, Reads) for each in found)
