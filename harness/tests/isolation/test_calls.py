"""A function that writes into a tensor it is given is noted, and otherwise left as it is."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.isolation.calls import CallLog, log_calls

SOURCE = '''
from torch.nn.functional import softmax


def scale(x, factor, *more, out=None):
    """Multiplies."""
    for tensor in (x, *more):
        tensor.mul_(factor)
    return x if out is None else out.copy_(x)


def double(x, y=None):
    return 2 * x


def double_(x):
    return x.mul_(2)


def fail(x):
    x.zero_()
    raise ValueError("too late")


def outer(x):
    return scale(x, 2)


class Counter:
    """Not a tensor, though it counts as one does."""

    _version = 0


def count(counter):
    counter._version += 1


class Layer:
    def forward(self, x, mask=None):
        return x if mask is None else x.masked_fill_(mask, 0)

    def reset_(self, x):
        x.zero_()

    def _hidden(self, x):
        x.zero_()
'''
NAMES = ("scale", "double", "double_", "fail", "outer", "count", "Layer", "softmax")


class Watched:
    """The module above, watched."""

    def __init__(self) -> None:
        self.notes = CallLog()
        self.module: Any = ModuleType("watched")
        exec(SOURCE, self.module.__dict__)
        self.unwatched = dict(vars(self.module))
        log_calls(self.module, NAMES, self.notes)

    @property
    def changed(self) -> list[tuple[str, str]]:
        return self.notes.changed


@pytest.fixture
def watched() -> Watched:
    return Watched()


def x() -> Tensor:
    return torch.ones(3)


def test_writing_into_a_positional_argument_is_noted(watched: Watched) -> None:
    given = x()
    assert watched.module.scale(given, 2) is given
    assert watched.changed == [("scale", "x")]


def test_writing_into_keyword_arguments_is_noted(watched: Watched) -> None:
    watched.module.scale(factor=2, x=x(), out=x())
    assert watched.changed == [("scale", "x"), ("scale", "out")]


def test_writing_into_further_arguments_is_noted_by_their_common_name(watched: Watched) -> None:
    watched.module.scale(x(), 2, x(), x(), out=None)
    assert watched.changed == [("scale", "x"), ("scale", "more"), ("scale", "more")]


def test_a_method_is_noted_with_its_class(watched: Watched) -> None:
    layer = watched.module.Layer()
    layer.forward(x())
    assert watched.changed == []
    layer.forward(x(), mask=torch.tensor([True, False, True]))
    assert watched.changed == [("Layer.forward", "x")]


def test_the_function_that_writes_is_noted_before_its_callers(watched: Watched) -> None:
    watched.module.outer(x())
    assert watched.changed == [("scale", "x"), ("outer", "x")]


def test_an_argument_that_is_only_read_is_not_noted(watched: Watched) -> None:
    watched.module.double(x(), y=x())
    watched.module.softmax(x(), dim=0)
    assert watched.changed == []


def test_a_name_that_ends_in_an_underscore_may_write(watched: Watched) -> None:
    watched.module.double_(x())
    watched.module.Layer().reset_(x())
    watched.module.Layer()._hidden(x())
    assert watched.changed == []


def test_what_is_no_tensor_is_not_noted(watched: Watched) -> None:
    watched.module.count(watched.module.Counter())
    assert watched.changed == []


class Touchy:
    """Raises whatever is asked of it, as a stand-in for an unimportable name does."""

    def __getattr__(self, name: str) -> Any:
        raise LookupError(name)


@pytest.mark.parametrize("value", [None, 3, "text", [x()], Touchy()], ids=type)
def test_arguments_of_any_kind_are_harmless(watched: Watched, value: object) -> None:
    watched.module.double(x(), value)
    assert watched.changed == []


def test_tensors_made_in_inference_mode_are_harmless(watched: Watched) -> None:
    with torch.inference_mode():
        watched.module.scale(x(), 2)
    assert watched.changed == []


def test_an_exception_passes_and_what_was_written_is_noted(watched: Watched) -> None:
    with pytest.raises(ValueError, match="too late"):
        watched.module.fail(x())
    assert watched.changed == [("fail", "x")]


def test_a_call_that_does_not_fit_raises_as_ever(watched: Watched) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        watched.module.double(x(), z=1)
    assert watched.changed == []


def test_name_docstring_and_signature_stay(watched: Watched) -> None:
    before, now = watched.unwatched["scale"], watched.module.scale
    assert now is not before
    assert (now.__name__, now.__doc__) == ("scale", "Multiplies.")
    assert inspect.signature(now) == inspect.signature(before)


def test_a_class_from_elsewhere_is_left_alone() -> None:
    module: Any = ModuleType("borrower")
    module.Linear = torch.nn.Linear
    forward = torch.nn.Linear.forward
    log_calls(module, ["Linear"], CallLog())
    assert torch.nn.Linear.forward is forward


def test_calls_are_noted_but_not_those_within_others(watched: Watched) -> None:
    layer = watched.module.Layer()
    layer.forward(x())
    watched.module.double(x())
    assert watched.notes.called == [("watched", "Layer.forward"), ("watched", "double")]
    watched.notes.clear()
    assert (watched.notes.called, watched.notes.changed) == ([], [])


def test_a_call_that_fails_is_noted_and_over(watched: Watched) -> None:
    with pytest.raises(ValueError, match="too late"):
        watched.module.fail(x())
    watched.module.double(x())
    assert [name for _, name in watched.notes.called] == ["fail", "double"]
