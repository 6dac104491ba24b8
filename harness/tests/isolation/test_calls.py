"""Calls and modified arguments are logged; the functions behave as before."""

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


def each(xs):
    for x in xs:
        yield double(x)
    return "the end"


class Counter:
    """Not a tensor, though it counts as one does."""

    _version = 0


def count(counter):
    counter._version += 1


class Layer:
    def __init__(self, width=3, fill=None):
        self.width = width if fill is None else double(fill)

    def forward(self, x, mask=None):
        return x if mask is None else x.masked_fill_(mask, 0)

    def reset_(self, x):
        x.zero_()

    @classmethod
    def filled(cls, x):
        return cls(fill=x)

    @staticmethod
    def tripled(x):
        return x.mul_(3)

    @property
    def size(self):
        return self.width

    def _hidden(self, x):
        x.zero_()
'''
NAMES = ("scale", "double", "double_", "fail", "outer", "each", "count", "Layer", "softmax")


class Logged:
    """The module above with its calls logged."""

    def __init__(self) -> None:
        self.notes = CallLog()
        self.module: Any = ModuleType("logged")
        exec(SOURCE, self.module.__dict__)
        self.original = dict(vars(self.module))
        log_calls(self.module, NAMES, self.notes)

    @property
    def changed(self) -> list[tuple[str, str]]:
        return self.notes.changed


@pytest.fixture
def logged() -> Logged:
    return Logged()


def x() -> Tensor:
    return torch.ones(3)


def test_modifying_a_positional_argument_is_logged(logged: Logged) -> None:
    given = x()
    assert logged.module.scale(given, 2) is given
    assert logged.changed == [("scale", "x")]


def test_modifying_keyword_arguments_is_logged(logged: Logged) -> None:
    logged.module.scale(factor=2, x=x(), out=x())
    assert logged.changed == [("scale", "x"), ("scale", "out")]


def test_modifying_variadic_arguments_is_logged_under_their_common_name(logged: Logged) -> None:
    logged.module.scale(x(), 2, x(), x(), out=None)
    assert logged.changed == [("scale", "x"), ("scale", "more"), ("scale", "more")]


def test_a_method_is_logged_with_its_class(logged: Logged) -> None:
    layer = logged.module.Layer()
    layer.forward(x())
    assert logged.changed == []
    layer.forward(x(), mask=torch.tensor([True, False, True]))
    assert logged.changed == [("Layer.forward", "x")]


def test_the_modifying_function_is_logged_before_its_callers(logged: Logged) -> None:
    logged.module.outer(x())
    assert logged.changed == [("scale", "x"), ("outer", "x")]


def test_an_argument_that_is_only_read_is_not_logged(logged: Logged) -> None:
    logged.module.double(x(), y=x())
    logged.module.softmax(x(), dim=0)
    assert logged.changed == []


def test_a_function_whose_name_ends_in_an_underscore_may_modify_its_arguments(logged: Logged) -> None:
    logged.module.double_(x())
    logged.module.Layer().reset_(x())
    logged.module.Layer()._hidden(x())
    assert logged.changed == []


def test_only_tensors_are_logged(logged: Logged) -> None:
    logged.module.count(logged.module.Counter())
    assert logged.changed == []


class Touchy:
    """Raises on every attribute, like a stand-in for a name that cannot be imported."""

    def __getattr__(self, name: str) -> Any:
        raise LookupError(name)


@pytest.mark.parametrize("value", [None, 3, "text", [x()], Touchy()], ids=type)
def test_arguments_of_any_kind_are_accepted(logged: Logged, value: object) -> None:
    logged.module.double(x(), value)
    assert logged.changed == []


def test_tensors_of_inference_mode_are_accepted(logged: Logged) -> None:
    with torch.inference_mode():
        logged.module.scale(x(), 2)
    assert logged.changed == []


def test_an_exception_propagates_and_modified_arguments_are_logged(logged: Logged) -> None:
    with pytest.raises(ValueError, match="too late"):
        logged.module.fail(x())
    assert logged.changed == [("fail", "x")]


def test_a_call_with_wrong_arguments_raises_the_usual_error(logged: Logged) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        logged.module.double(x(), z=1)
    assert logged.changed == []


def test_name_docstring_and_signature_are_preserved(logged: Logged) -> None:
    before, now = logged.original["scale"], logged.module.scale
    assert now is not before
    assert (now.__name__, now.__doc__) == ("scale", "Multiplies.")
    assert inspect.signature(now) == inspect.signature(before)


def test_an_imported_class_is_not_modified() -> None:
    module: Any = ModuleType("borrower")
    module.Linear = torch.nn.Linear
    forward = torch.nn.Linear.forward
    log_calls(module, ["Linear"], CallLog())
    assert torch.nn.Linear.forward is forward


def test_only_outermost_calls_are_logged(logged: Logged) -> None:
    layer = logged.module.Layer()
    layer.forward(x())
    logged.module.double(x())
    assert logged.notes.called == [("logged", "Layer.forward"), ("logged", "double")]
    logged.notes.clear()
    assert (logged.notes.called, logged.notes.changed) == ([], [])


def test_a_call_of_a_constructor_is_logged_with_the_calls_in_it(logged: Logged) -> None:
    logged.module.Layer(7, fill=x())
    assert [(call.function.__qualname__, call.args[1:], [*call.kwargs]) for call in logged.notes.calls] == [
        ("double", (), []),
        ("Layer.__init__", (7,), ["fill"]),
    ]
    assert logged.notes.called == [("logged", "double")]


def test_a_call_made_by_another_one_is_logged_as_nested(logged: Logged) -> None:
    logged.module.outer(x())
    assert [(call.function.__name__, call.nested) for call in logged.notes.calls] == [
        ("scale", True),
        ("outer", False),
    ]


def test_what_the_functions_return_is_logged_even_if_they_modify_their_arguments(logged: Logged) -> None:
    given = x()
    logged.module.double_(given)
    assert logged.notes.calls[-1].result is given


def test_a_failed_call_is_logged_and_ends(logged: Logged) -> None:
    with pytest.raises(ValueError, match="too late"):
        logged.module.fail(x())
    logged.module.double(x())
    assert [name for _, name in logged.notes.called] == ["fail", "double"]
    assert [(call.function.__name__, call.nested) for call in logged.notes.calls] == [
        ("fail", False),
        ("double", False),
    ]


def test_class_methods_and_static_methods_are_logged_and_remain_what_they_are(logged: Logged) -> None:
    layer = logged.module.Layer.filled(x())
    assert isinstance(layer, logged.module.Layer)
    layer.tripled(x())
    assert logged.notes.called == [("logged", "Layer.filled"), ("logged", "Layer.tripled")]
    assert logged.changed == [("Layer.tripled", "x")]


def test_a_property_remains_one_and_is_not_logged(logged: Logged) -> None:
    assert logged.module.Layer(7).size == 7
    assert logged.notes.called == []


def test_calls_that_a_generator_makes_are_nested_and_those_between_its_steps_are_not(logged: Logged) -> None:
    generator = logged.module.each([x(), x()])
    next(generator)
    logged.module.double_(x())
    next(generator)
    with pytest.raises(StopIteration, match="the end"):
        next(generator)
    assert logged.notes.called == [("logged", "each"), ("logged", "double_")]
    assert logged.notes.depth == 0
