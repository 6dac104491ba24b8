# ruff: noqa: F722  # jaxtyping's axis names are not forward references
"""The call that a value came from, and the names of its axes."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from harness.explain.origin import origin
from harness.isolation.calls import CallLog, log_calls


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
