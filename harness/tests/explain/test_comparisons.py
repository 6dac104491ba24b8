# ruff: noqa: F722  # jaxtyping's axis names are not forward references
"""What a failed comparison leaves behind: the values inside of containers, and what the test calls them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor
from torch.testing import assert_close

from harness.explain import comparisons
from harness.explain.origin import origin
from harness.explain.side_by_side import Tolerance
from harness.isolation.calls import CallLog, log_calls


def failed(test: Any) -> tuple[comparisons.ComparedValues, dict[str, Any]]:
    """What was compared when a test failed, and its variables."""
    with pytest.raises(AssertionError) as raised:
        test()
    compared = comparisons.by_assert_close(raised.value)
    assert compared is not None
    return compared, comparisons.names_in(raised.value.__traceback__, test.__code__)


def seen(test: Any) -> list[dict[str, Any]]:
    compared, names = failed(test)
    facts: list[dict[str, Any]] = comparisons.read(compared, names)["seen"]
    return facts


def x() -> Tensor:
    return torch.arange(6.0).reshape(2, 3)


# --- containers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actual", "expected", "item"),
    [
        (x(), x() + 1, ()),
        ((x(), x()), (x(), x() + 1), (1,)),
        ([x(), [x()]], [x(), [x() + 1]], (1, 0)),
        ({"a": x(), "b": x()}, {"a": x(), "b": x() + 1}, ("b",)),
    ],
)
def test_the_member_that_differs_is_what_was_compared(
    actual: Any, expected: Any, item: tuple[Any, ...]
) -> None:
    compared, _ = failed(lambda: assert_close(actual, expected, rtol=0, atol=0.5))
    assert compared.item == item
    assert torch.equal(compared.expected, x() + 1)
    assert compared.tolerance.atol == 0.5


# --- gradients -------------------------------------------------------------------------------------


def test_a_gradient_in_a_loop_has_the_name_that_the_loop_gives_it() -> None:
    def test() -> None:
        for name, gradient in {"out_proj.bias": x()}.items():
            assert_close(gradient, 2 * x(), rtol=0, atol=0)
            assert name

    assert seen(test)[0] == {"kind": "gradient", "of": "out_proj.bias"}


def test_a_gradient_that_does_not_arrive_is_all_that_is_said() -> None:
    def test() -> None:
        for name, gradient in {"out_proj.bias": torch.zeros(2, 3)}.items():
            assert_close(gradient, x(), rtol=0, atol=0)
            assert name

    assert seen(test) == [{"kind": "no_gradient", "of": "out_proj.bias"}]


def test_a_gradient_of_a_tuple_is_that_of_the_input_at_its_place() -> None:
    def test() -> None:
        query, key = x().requires_grad_(), x().requires_grad_()
        inputs = (query, key)
        actual_gradients = torch.autograd.grad((query + key).sum(), inputs)
        assert_close(actual_gradients, (torch.ones(2, 3), x()), rtol=0, atol=0)

    assert seen(test)[0] == {"kind": "gradient", "of": "key"}


def test_the_grad_of_a_variable_is_its_gradient() -> None:
    def test() -> None:
        value = x().requires_grad_()
        value.sum().backward()
        assert_close(value.grad, x(), rtol=0, atol=0)

    assert seen(test)[0] == {"kind": "gradient", "of": "value"}


def test_a_weight_in_a_loop_has_the_name_that_the_loop_gives_it() -> None:
    def test() -> None:
        for name, weight in {"head.weight": x()}.items():
            assert_close(x() + 1, weight, rtol=0, atol=0)
            assert name

    assert seen(test)[0] == {"kind": "named", "of": "head.weight"}


def test_what_is_no_gradient_has_no_name() -> None:
    def test() -> None:
        name, gradient = "of another", x()
        assert_close(x(), 2 * gradient, rtol=0, atol=0)
        assert name

    assert [fact["kind"] for fact in seen(test)] == ["scaled"]


# --- which position reads which ----------------------------------------------------------------------


def reading(differs: list[list[int]], *, place: tuple[int, int] = (1, 3), features: int = 0) -> list[Any]:
    """What is seen where position 3 of batch row 1 was changed, and these outputs took notice."""

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
def test_an_earlier_output_that_took_notice_reads_its_future(features: int) -> None:
    found = reading([[0] * 5, [0, 1, 1, 1, 1]], features=features)
    assert found == [{"kind": "reads", "readers": [1, 2], "read": 3}]


def test_another_batch_row_that_took_notice_reads_this_one() -> None:
    assert reading([[0, 0, 0, 0, 1], RIGHT]) == [{"kind": "reads_other_row", "rows": [0], "read": 1}]


def test_a_later_output_that_took_no_notice_is_deaf() -> None:
    assert reading([[0] * 5, [0, 0, 0, 1, 0]]) == [{"kind": "deaf", "positions": [4], "read": 3}]


def test_outputs_may_be_told_as_pairs_of_batch_row_and_position() -> None:
    x = torch.zeros(2, 5)
    changed = x.clone()
    changed[1, 3] = 1
    compared = comparisons.ComparedValues([(1, 3), (1, 4)], [(1, 2), (1, 3), (1, 4)], Tolerance(), "assert")
    found = comparisons.read(compared, {"x": x, "changed": changed})
    assert found["seen"] == [{"kind": "reads", "readers": [2], "read": 3}]


def test_where_not_one_position_was_changed_nothing_is_read_from_it() -> None:
    found = reading([[0] * 5, [0, 1, 1, 1, 1]], place=(slice(None), 3))  # type: ignore[arg-type]
    assert "reads" not in [fact["kind"] for fact in found]


# --- where a value comes from --------------------------------------------------------------------------


def scores(
    query: Float[Tensor, "*batch queries d_k"], key: Float[Tensor, "*batch keys d_k"]
) -> Float[Tensor, "*batch queries keys"]:
    return query @ key.transpose(-2, -1)


def heads(x: Float[Tensor, "*batch seq d"], num_heads: int) -> Float[Tensor, "*batch {num_heads} seq d_head"]:
    return x.unflatten(-1, (num_heads, -1)).transpose(-3, -2)


def pair(x: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "d n"], Float[Tensor, "n n"]]:
    return x.T, x @ x.T


def anything(x: Float[Tensor, "*dims"]) -> Float[Tensor, "*dims"]:
    return 2 * x


class Layer(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.num_heads = 4

    def forward(self, x: Float[Tensor, "*batch seq d"]) -> Float[Tensor, "*batch heads seq seq"]:
        return x[..., None, :, :] @ x[..., None, :, :].transpose(-2, -1)


@pytest.fixture
def watched() -> tuple[Any, CallLog]:
    module: Any = ModuleType(__name__)
    own = {"scores": scores, "heads": heads, "pair": pair, "anything": anything, "Layer": Layer}
    module.__dict__.update(own)
    notes = CallLog()
    log_calls(module, [name for name in own if name != "Layer"], notes)
    return module, notes


def test_a_result_has_the_names_of_the_signature(watched: tuple[Any, CallLog]) -> None:
    module, notes = watched
    result = module.scores(torch.randn(2, 5, 3), torch.randn(2, 7, 3))
    found = origin(result, notes.calls)
    assert list(found.axes) == ["batch", "queries", "keys"]
    assert {name: found.sizes[name] for name in ("d_k", "queries", "keys")} == {
        "d_k": 3,
        "queries": 5,
        "keys": 7,
    }
    assert found.code is scores.__code__


def test_several_batch_axes_have_no_name_of_their_own(watched: tuple[Any, CallLog]) -> None:
    module, notes = watched
    result = module.heads(torch.randn(2, 4, 5, 6), 3)
    assert list(origin(result, notes.calls).axes) == ["", "", "num_heads", "seq", "d_head"]
    assert origin(result, notes.calls).sizes["num_heads"] == 3


def test_a_result_in_another_dtype_is_still_that_of_the_call(watched: tuple[Any, CallLog]) -> None:
    module, notes = watched
    result = module.scores(torch.randn(5, 3), torch.randn(7, 3))
    assert list(origin(result.double(), notes.calls).axes) == ["queries", "keys"]
    assert list(origin(result.double() + 1, notes.calls).axes) == []
    assert list(origin(result.T, notes.calls).axes) == []


def test_a_member_of_a_tuple_has_the_names_of_its_place(watched: tuple[Any, CallLog]) -> None:
    module, notes = watched
    first, second = module.pair(torch.randn(5, 3))
    assert list(origin(first, notes.calls).axes) == ["d", "n"]
    assert list(origin(second, notes.calls).axes) == ["", ""]


def test_a_name_that_stands_for_all_axes_names_none(watched: tuple[Any, CallLog]) -> None:
    module, notes = watched
    assert list(origin(module.anything(torch.randn(2, 3)), notes.calls).axes) == ["", ""]


def test_positions_that_read_positions_are_queries_and_keys() -> None:
    module: Any = ModuleType(Layer.__module__)
    module.Layer, notes = (
        type("Layer", (Layer,), {"forward": Layer.forward, "__module__": Layer.__module__}),
        CallLog(),
    )
    log_calls(module, ["Layer"], notes)
    found = origin(module.Layer()(torch.randn(2, 5, 3)), notes.calls)
    assert list(found.axes) == ["batch", "heads", "queries", "keys"]
    assert found.sizes["num_heads"] == 4


def test_what_no_call_gave_has_no_origin(watched: tuple[Any, CallLog]) -> None:
    assert origin(torch.randn(2, 3), watched[1].calls).code is None
