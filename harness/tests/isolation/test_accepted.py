"""A call is checked once for each kind of arguments and result, and never let through unchecked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from jaxtyping import TypeCheckError, config, install_import_hook

from harness.isolation import accepted
from harness.isolation.accepted import remember_accepted
from harness.isolation.importer import TYPECHECKER

_SOURCE = """
from typing import Literal
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

class Table(nn.Module):
    def forward(self, ids: Int[Tensor, "*batch seq"], keep: bool = True) -> Float[Tensor, "*batch seq d"]:
        return torch.zeros(*(ids if keep else ids[..., 1:]).shape, 3)

def first(x: Float[Tensor, "seq d"], count: int) -> Float[Tensor, "{count} d"]:
    return x[:2]

def scaled(x: Float[Tensor, "seq d"], form: Literal["none", "half"] = "none", by: float = 1.0):
    return by * x

def longest(texts: list[str]) -> list[str]:
    return texts

def pair(x: Float[Tensor, "seq d"], swapped: bool) -> tuple[Float[Tensor, "seq d"], Float[Tensor, "d seq"]]:
    return (x.mT, x) if swapped else (x, x.mT)

def both(x: Float[Tensor, "seq d"], y: Float[Tensor, "seq d"]) -> None:
    pass

def has_three_columns(x: Float[Tensor, "seq d"]) -> bool:
    d = 3
    return isinstance(torch.zeros(2, d), Float[Tensor, "rows d"])
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module whose functions are checked, and remember what they have accepted."""
    (tmp_path / "with_shapes.py").write_text(_SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with install_import_hook("with_shapes", TYPECHECKER):
        import with_shapes  # type: ignore[import-not-found]  # written above
    remember_accepted(with_shapes)
    yield with_shapes
    del sys.modules["with_shapes"]


def checks_of(module: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Put a remembering version of a checked function into its place; return what will be checked."""
    check: Callable[..., Any] = getattr(module, name).__wrapped__
    seen: list[object] = []

    def noting(*args: Any, **kwargs: Any) -> Any:
        seen.append(args)
        return check(*args, **kwargs)

    noting.__wrapped__ = check.__wrapped__  # type: ignore[attr-defined]  # as jaxtyping does
    monkeypatch.setattr(module, name, accepted.remembering(noting))
    return seen


def test_second_call_with_the_same_shapes_is_not_checked(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = checks_of(module, "scaled", monkeypatch)
    for by in (1.0, 2.0, 3.0):
        torch.testing.assert_close(module.scaled(torch.ones(2, 3), by=by), torch.full((2, 3), by))
    assert len(seen) == 1
    module.scaled(torch.ones(4, 3), by=1.0)
    assert len(seen) == 2


def test_other_shape_dtype_and_type_are_refused_after_an_accepted_call(module: Any) -> None:
    module.scaled(torch.ones(2, 3))
    for wrong in (torch.ones(2), torch.ones(2, 3, dtype=torch.int64), [[1.0]]):
        with pytest.raises(TypeCheckError):
            module.scaled(wrong)


def test_axes_that_agreed_once_must_agree_again(module: Any) -> None:
    module.both(torch.ones(2, 3), torch.ones(2, 3))
    with pytest.raises(TypeCheckError):
        module.both(torch.ones(2, 3), torch.ones(3, 3))


def test_other_value_of_a_literal_is_refused(module: Any) -> None:
    module.scaled(torch.ones(2, 3), "half")
    with pytest.raises(TypeCheckError):
        module.scaled(torch.ones(2, 3), "double")


def test_number_that_an_axis_is_compared_with_counts(module: Any) -> None:
    module.first(torch.ones(5, 3), 2)
    module.first(torch.ones(5, 3), count=2)
    with pytest.raises(TypeCheckError, match="return value"):
        module.first(torch.ones(5, 3), 3)


def test_result_of_another_shape_is_refused_after_an_accepted_call(module: Any) -> None:
    table, ids = module.Table(), torch.zeros(2, 3, dtype=torch.int64)
    assert table(ids, keep=True).shape == (2, 3, 3)
    monkeyed = module.Table.forward.__wrapped__.__wrapped__
    monkeyed.__code__ = (lambda self, ids, keep=True: torch.zeros(2, 1, 3)).__code__
    monkeyed.__globals__["torch"] = torch
    with pytest.raises(TypeCheckError, match=r"return value\s+of with_shapes\.Table\.forward"):
        table(ids, keep=True)


def test_result_of_several_tensors_is_checked_whole(module: Any) -> None:
    module.pair(torch.ones(2, 3), False)
    with pytest.raises(TypeCheckError):
        module.pair(torch.ones(2, 3), True)


def test_items_of_a_list_are_checked_each_time(module: Any) -> None:
    for _ in range(2):
        module.longest(["a"])
    with pytest.raises(TypeCheckError):
        module.longest([1])


def test_comparison_with_the_axes_of_the_signature_stays_in_the_body(module: Any) -> None:
    assert [module.has_three_columns(torch.ones(2, d)) for d in (3, 3, 4, 4)] == [True, True, False, False]


def test_what_passes_while_checks_are_off_is_refused_afterwards(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(config, "jaxtyping_disable", True)
        module.both(torch.ones(2, 3), torch.ones(3, 3))
    with pytest.raises(TypeCheckError):
        module.both(torch.ones(2, 3), torch.ones(3, 3))


def test_only_so_much_is_remembered(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = checks_of(module, "scaled", monkeypatch)
    monkeypatch.setattr(accepted, "_MOST", 3)
    for rows in (1, 2, 3, 4, 1):
        module.scaled(torch.ones(rows, 3))
    assert len(seen) == 5
