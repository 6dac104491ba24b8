"""Tests of reading a jaxtyping error in terms of the signature."""
# ruff: noqa: F722, F821  # jaxtyping's axis names are not forward references

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
import pytest
import torch
from jaxtyping import Bool, Float, Int, Int64, Integer, Shaped, TypeCheckError, jaxtyped
from torch import Tensor, nn

from harness.explain.axes import WrongAxis
from harness.explain.failures import WrongType
from harness.explain.type_errors import checked_code, describe, read_type_error
from harness.isolation.typecheck import checked

# The functions under test. They return an argument of the test's choice, so that any value can be checked.
shaped = jaxtyped(typechecker=checked)


@shaped
def attend(
    query: Float[Tensor, "*batch queries d_k"],
    key: Float[Tensor, "*batch keys d_k"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
    returned: object = None,
) -> Float[Tensor, "*batch queries keys"]:
    return returned


@shaped
def one_hot(
    ids: Int[Tensor, "*batch"], num_classes: int, returned: object = None
) -> Float[Tensor, "*batch {num_classes}"]:
    return returned


@shaped
def square(x: Float[Tensor, "n n"], returned: object = None) -> Float[Tensor, ""]:
    return returned


@shaped
def image(x: Float[Tensor, "_ rgb=3"], y: Float[Tensor, "_ 3"]) -> None: ...


@shaped
def head_first(x: Float[Tensor, "batch heads ..."], y: Shaped[Tensor, "batch 2"]) -> None: ...


@shaped
def batches(
    tokens: Integer[np.ndarray, "tokens"], size: int, returned: object = None
) -> tuple[Int64[Tensor, "{size} block"], Int64[Tensor, "{size} block"]]:
    return returned


@shaped
def first_of(pair: tuple[Float[Tensor, "n"], int]) -> Float[Tensor, "n"]:
    return pair[0][1:]


@shaped
def longer(x: Float[Tensor, "n"], y: Float[Tensor, "n+1"]) -> None: ...


@shaped
def parts(size: int, parts: list[Float[Tensor, "{size}"]]) -> int:
    return "parts"


@shaped
def mean(parts: Iterable[Tensor], kind: Literal["a", "b"] = "a", *more: int, scale: float = 1.0) -> float:
    return "a lot"


@shaped
def log(step: int, **metrics: float) -> int:
    return "logged"


@shaped
def named(new: int) -> Float[Tensor, "{new}+1"]:
    return torch.zeros(new)


class Layer(nn.Module):
    @shaped
    def forward(self, x: Float[Tensor, "*batch features"]) -> Float[Tensor, "*batch features"]:
        return x[..., 1:]


def f(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


def b(*shape: int) -> Tensor:
    return f(*shape, dtype=torch.bool)


def i(*shape: int) -> Tensor:
    return f(*shape, dtype=torch.int64)


def problem(function: Callable[..., Any], *args: Any, **kwargs: Any) -> WrongType | None:
    """Return the facts of the type error that a call raises."""
    with pytest.raises(TypeCheckError) as raised:
        function(*args, **kwargs)
    return read_type_error(raised.tb)


def in_words(axis: WrongAxis) -> str:
    by = f" by {axis.bound_by}" if axis.bound_by else ""
    return f"{axis.where} {axis.name}: {axis.got} for {axis.expected}{by}"


# --- shapes --------------------------------------------------------------------------------------

Q, K = f(2, 3, 4), f(2, 5, 4)
SHAPES = {
    # function, arguments, the wrong value, expected, got, wrong axes
    "argument, last axis": (
        attend,
        (Q, f(2, 5, 6)),
        ("key", "(2, keys, 4)", "float32 (2, 5, 6)", ["last d_k: 6 for 4 by query"]),
    ),
    "argument, batch": (attend, (Q, f(7, 5, 4)), ("key", "(2, keys, 4)", "float32 (7, 5, 4)", [])),
    "argument, batch of another rank": (
        attend,
        (Q, f(2, 2, 5, 4)),
        ("key", "(2, keys, 4)", "float32 (2, 2, 5, 4)", []),
    ),
    "argument, too few axes": (attend, (Q, f(4)), ("key", "(2, keys, 4)", "float32 (4,)", [])),
    "first argument, too few axes": (attend, (f(4), K), ("query", "(…, queries, d_k)", "float32 (4,)", [])),
    "return, last axis": (
        attend,
        (Q, K, None, f(2, 3, 4)),
        (None, "(2, 3, 5)", "float32 (2, 3, 4)", ["last keys: 4 for 5 by key"]),
    ),
    "return, second-last axis": (
        attend,
        (Q, K, None, f(2, 1, 5)),
        (None, "(2, 3, 5)", "float32 (2, 1, 5)", ["second-last queries: 1 for 3 by query"]),
    ),
    "return, transposed": (
        attend,
        (Q, K, None, f(2, 5, 3)),
        (
            None,
            "(2, 3, 5)",
            "float32 (2, 5, 3)",
            ["second-last queries: 5 for 3 by query", "last keys: 3 for 5 by key"],
        ),
    ),
    "return, batch": (attend, (Q, K, None, f(1, 3, 5)), (None, "(2, 3, 5)", "float32 (1, 3, 5)", [])),
    "return, no batch": (
        attend,
        (f(3, 4), f(5, 4), None, f(1, 3, 5)),
        (None, "(3, 5)", "float32 (1, 3, 5)", []),
    ),
    "return, size of an argument": (
        one_hot,
        (i(2, 3), 7, f(2, 3, 8)),
        (None, "(2, 3, 7)", "float32 (2, 3, 8)", ["last {num_classes}: 8 for 7"]),
    ),
    "return, rank one": (
        one_hot,
        (i(), 7, f(8)),
        (None, "(7,)", "float32 (8,)", ["last {num_classes}: 8 for 7"]),
    ),
    "return, rank zero": (square, (f(2, 2), f(1)), (None, "()", "float32 (1,)", [])),
    "one name twice": (square, (f(2, 3),), ("x", "(n, n)", "float32 (2, 3)", ["last n: 3 for 2 by x"])),
    "fixed by the signature": (
        image,
        (f(2, 3), f(9, 4)),
        ("y", "(_, 3)", "float32 (9, 4)", ["last 3: 4 for 3"]),
    ),
    "fixed and named": (image, (f(2, 4), f(9, 3)), ("x", "(_, 3)", "float32 (2, 4)", ["last 3: 4 for 3"])),
    "axes before an ellipsis": (
        head_first,
        (f(6, 5, 4, 3), f(7, 2)),
        ("y", "(6, 2)", "float32 (7, 2)", ["second-last batch: 7 for 6 by x"]),
    ),
    "mask, last axis": (
        attend,
        (Q, K, b(2, 3, 4)),
        ("mask", "(2, 3, 5)", "bool (2, 3, 4)", ["last keys: 4 for 5 by key"]),
    ),
    "mask, batch": (attend, (Q, K, b(3, 3, 5)), ("mask", "(2, 3, 5)", "bool (3, 3, 5)", [])),
    "mask, too many axes": (
        attend,
        (Q, K, b(9, 2, 3, 5)),
        ("mask", "(2, 3, 5)", "bool (9, 2, 3, 5)", []),
    ),
    "mask, larger than a batch of one": (
        attend,
        (f(1, 3, 4), f(1, 5, 4), b(2, 3, 5)),
        ("mask", "(1, 3, 5)", "bool (2, 3, 5)", []),
    ),
    "mask, too few axes": (attend, (Q, K, b(5)), ("mask", "(2, 3, 5)", "bool (5,)", [])),
}


@pytest.mark.parametrize(("function", "args", "expected"), SHAPES.values(), ids=SHAPES)
def test_a_wrong_shape_is_reported_by_value_and_axis(
    function: Callable[..., Any], args: tuple[Any, ...], expected: tuple[str | None, str, str, list[str]]
):
    found = problem(function, *args)
    assert (found.argument, found.expected_shape, found.got, [in_words(a) for a in found.axes]) == expected
    assert (found.returned_none, found.wrong_dtype) == (False, False)


@pytest.mark.parametrize(
    "mask", [b(2, 3, 5), b(1, 3, 5), b(2, 1, 5), b(2, 3, 1), b(1, 1, 1), b(3, 5), b(1, 5), None]
)
def test_a_mask_that_broadcasts_is_not_blamed_for_a_wrong_return(mask: Tensor | None):
    assert problem(attend, Q, K, mask, f(2, 3, 4)).argument is None


def test_anonymous_axes_may_differ():
    found = problem(image, f(2, 3), f(9, 4))
    assert [axis.name for axis in found.axes] == ["3"]


def test_keyword_arguments_are_read_in_the_order_of_the_signature():
    found = problem(attend, mask=b(2, 3, 4), key=K, query=Q)
    assert (found.argument, found.axes[0].bound_by) == ("mask", "key")


def test_an_axis_far_from_the_end_is_counted():
    found = problem(head_first, f(6, 5, 4, 3), f(6, 3))
    assert [in_words(axis) for axis in found.axes] == ["last 2: 3 for 2"]


# --- dtypes, None and other things ---------------------------------------------------------------

FLOATS = 'Float[Tensor, "*batch queries keys"]'
MASK = 'Bool[Tensor, "*#batch #queries #keys"] | None'
OTHERS = {
    # function, arguments, argument, annotation, got
    "return of another dtype": (attend, (Q, K, None, i(2, 3, 5)), None, FLOATS, "int64 (2, 3, 5)"),
    "argument of another dtype": (
        attend,
        (i(2, 3, 4), K),
        "query",
        'Float[Tensor, "*batch queries d_k"]',
        "int64 (2, 3, 4)",
    ),
    "mask of another dtype": (attend, (Q, K, f(2, 3, 5)), "mask", MASK, "float32 (2, 3, 5)"),
    "array of another dtype": (
        batches,
        (np.zeros(4), 2),
        "tokens",
        'Integer[ndarray, "tokens"]',
        "ndarray float64 (4,)",
    ),
}


@pytest.mark.parametrize(("function", "args", "argument", "annotation", "got"), OTHERS.values(), ids=OTHERS)
def test_a_wrong_dtype_is_reported(
    function: Callable[..., Any], args: tuple[Any, ...], argument: str | None, annotation: str, got: str
):
    found = problem(function, *args)
    assert (found.argument, found.annotation, found.got) == (argument, annotation, got)
    assert found.wrong_dtype
    assert found.axes == ()


def test_a_wrong_dtype_and_a_wrong_axis_are_both_reported():
    found = problem(attend, Q, K, None, i(2, 3, 4))
    assert found.wrong_dtype
    assert [in_words(axis) for axis in found.axes] == ["last keys: 4 for 5 by key"]


def test_a_missing_return_is_reported():
    found = problem(attend, Q, K)
    assert (found.argument, found.got, found.returned_none) == (None, "None", True)


def test_none_for_an_argument_is_not_a_missing_return():
    found = problem(attend, None, K)
    assert (found.argument, found.got, found.returned_none) == ("query", "None", False)


@pytest.mark.parametrize(
    ("function", "args", "argument", "got"),
    [
        (attend, (Q, K, True), "mask", "bool True"),
        (attend, ([1.0], K), "query", "list [1.0]"),
        (attend, (Q, K, None, 3.0), None, "float 3.0"),
        (one_hot, (i(2), "7"), "num_classes", "str '7'"),
        (one_hot, (i(2), 7.0), "num_classes", "float 7.0"),
        (mean, ([f(1)], "c"), "kind", "str 'c'"),
        (mean, ([f(1)], "b", 1, 2.5), "more", "float 2.5"),
        (mean, ([f(1)], "b", 1, 2), None, "str 'a lot'"),
        (mean, (3,), "parts", "int 3"),
        (log, ("one",), "step", "str 'one'"),
    ],
)
def test_a_value_of_a_wrong_type_is_reported(
    function: Callable[..., Any], args: tuple[Any, ...], argument: str | None, got: str
):
    found = problem(function, *args)
    assert (found.argument, found.got, found.axes) == (argument, got, ())


def test_an_int_passes_for_a_float():
    assert problem(mean, [f(1)], scale=2).argument is None


@pytest.mark.parametrize(("loss", "argument"), [("low", "metrics"), (0.5, None)])
def test_keyword_arguments_of_any_name_are_checked_one_by_one(loss: object, argument: str | None):
    assert problem(log, 1, acc=1, loss=loss).argument == argument


# --- tuples --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returned", "got", "axes"),
    [
        ((i(2, 8), i(3, 8)), "int64 (3, 8)", ["second-last {size}: 3 for 2"]),
        ((i(2, 8), i(2, 7)), "int64 (2, 7)", ["last block: 7 for 8"]),
        ((f(2, 8), i(2, 8)), "float32 (2, 8)", []),
        ((i(2, 8),), "(int64 (2, 8))", []),
        ((i(2, 8), None), "(int64 (2, 8), None)", []),
        (i(2, 8), "int64 (2, 8)", []),
        (None, "None", []),
    ],
    ids=["size", "unlike the first", "dtype", "too few", "one missing", "not a tuple", "none"],
)
def test_a_returned_tuple_is_read_item_by_item(returned: object, got: str, axes: list[str]):
    found = problem(batches, np.zeros(4, dtype=int), 2, returned)
    assert (found.argument, found.got, [in_words(axis) for axis in found.axes]) == (None, got, axes)
    assert found.returned_none == (returned is None)


# --- whose error it is ---------------------------------------------------------------------------


def test_a_method_is_named_with_its_class():
    found = problem(Layer(), f(2, 3))
    assert (found.function, found.expected_shape) == ("Layer.forward", "(2, 3)")


def test_the_innermost_checked_function_is_at_fault():
    @shaped
    def outer(x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        return Layer()(x)

    with pytest.raises(TypeCheckError) as raised:
        outer(f(3))
    found = read_type_error(raised.tb)
    assert found is not None
    assert found.function == "Layer.forward"
    assert checked_code(raised.tb) is Layer.forward.__wrapped__.__code__


def test_an_argument_that_is_a_tuple_binds_axes_too():
    found = problem(first_of, (f(3), 1))
    assert [in_words(axis) for axis in found.axes] == ["last n: 2 for 3 by pair"]


@pytest.mark.parametrize(
    ("function", "args"),
    [(named, (3,)), (longer, (f(3), f(3))), (parts, (2, [f(2)]))],
    ids=["arithmetic in the return", "arithmetic in an argument", "a size inside a list"],
)
def test_an_annotation_that_is_not_understood_gives_no_answer(
    function: Callable[..., Any], args: tuple[Any, ...]
):
    assert problem(function, *args) is None


@pytest.mark.parametrize("error", [ValueError("x"), TypeCheckError("raised by hand")])
def test_an_error_of_another_origin_is_not_read(error: Exception):
    with pytest.raises(type(error)) as raised:
        raise error
    assert read_type_error(raised.tb) is None


def test_without_a_traceback_there_is_nothing_to_read():
    assert read_type_error(None) is None


def test_string_annotations_are_read_too():
    """As in a file that starts with `from __future__ import annotations`."""

    @shaped
    def tail(x: "Float[Tensor, 'n']", mask: "Bool[Tensor, '#n'] | None" = None) -> "Float[Tensor, 'n']":
        return x[1:]

    found = problem(tail, f(3))
    assert (found.argument, found.annotation) == (None, 'Float[Tensor, "n"]')
    assert [in_words(axis) for axis in found.axes] == ["last n: 2 for 3 by x"]


# --- a brief description ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (f(2, 3), "float32 (2, 3)"),
        (torch.zeros((), dtype=torch.bfloat16), "bfloat16 ()"),
        (nn.Parameter(f(2)), "float32 (2,)"),
        (np.zeros(3, dtype=np.uint16), "ndarray uint16 (3,)"),
        (None, "None"),
        ("x" * 100, "str '" + "x" * 56 + "..."),
    ],
)
def test_a_value_is_described_briefly(value: object, text: str):
    assert describe(value) == text
