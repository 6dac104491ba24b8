"""Errors of jaxtyping in terms of the signature: value, axis, expectation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType, FrameType, TracebackType, UnionType
from typing import Any, Union, get_args, get_origin

from harness.explain.axes import Binding, WrongAxis, compare, wrong_count
from harness.explain.failures import WrongType
from harness.explain.places import frames_of


def read_type_error(traceback: TracebackType | None) -> WrongType | None:
    """Return the value that a jaxtyping.TypeCheckError refused; None if its annotation is not understood."""
    frame = checking_frame(traceback)
    if frame is None:
        return None
    try:
        return _examine(frame.f_locals)
    except Exception:  # jaxtyping and beartype raise kinds of their own
        return None  # an annotation that is not understood here: jaxtyping's message is shown


def checked_code(traceback: TracebackType | None) -> CodeType | None:
    """Return the code of the function whose types were checked."""
    frame = checking_frame(traceback)
    return frame.f_locals["fn"].__code__ if frame else None


def checking_frame(traceback: TracebackType | None) -> FrameType | None:
    """Return jaxtyping's frame in which the check failed (a test pins that it can be found)."""
    frames = [frame for frame, _ in frames_of(traceback) if frame.f_code.co_name == "wrapped_fn_impl"]
    return frames[-1] if frames else None


def _examine(frame: Mapping[str, Any]) -> WrongType | None:
    function, arguments = frame["fn"], frame["bound"].arguments
    signature = inspect.signature(function, eval_str=True)  # from __future__ import annotations
    bindings: dict[str, Binding] = {}
    for name, value in _annotated_values(signature, arguments):
        problem = _check(function, name, signature.parameters[name].annotation, value, bindings, arguments)
        if problem:
            return problem
    if "out" not in frame:
        return None
    return _check(function, None, signature.return_annotation, frame["out"], bindings, arguments)


def _annotated_values(
    signature: inspect.Signature, arguments: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Yield each value with its parameter's name; *args and **kwargs are annotated item by item."""
    for name, value in arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            yield from ((name, item) for item in value)
        elif kind is inspect.Parameter.VAR_KEYWORD:
            yield from ((name, item) for item in value.values())
        else:
            yield name, value


def _check(
    function: Callable[..., Any],
    argument: str | None,
    annotation: Any,
    value: Any,
    bindings: dict[str, Binding],
    arguments: Mapping[str, Any],
) -> WrongType | None:
    """Return what is wrong with a value; if nothing is, bind its axes."""
    members = get_args(annotation)
    if get_origin(annotation) is tuple and Ellipsis not in members:
        if not isinstance(value, tuple) or len(value) != len(members):
            return _problem(function, argument, annotation, value)
        for member, item in zip(members, value, strict=True):
            problem = _check(function, argument, member, item, bindings, arguments)
            if problem:  # None in a tuple is not a missing return
                return _problem(function, argument, annotation, value) if item is None else problem
        return None
    found = tensor_types(annotation)
    tensor_type = found[0] if len(found) == 1 else None  # of several, it is unknown which one is meant
    if tensor_type is None or (value is None and type(None) in get_args(annotation)):
        return None if _fits(value, annotation) else _problem(function, argument, annotation, value)
    if not isinstance(value, tensor_type.array_type):
        return _problem(function, argument, annotation, value, "a tensor")
    tokens = tensor_type.dim_str.split()
    count = wrong_count(tokens, value.shape, bindings)
    expected, wrong = compare(tokens, tuple(value.shape), argument or "", bindings, arguments)
    listed = isinstance(tensor_type.dtypes, tuple | list)  # Shaped accepts any dtype, and lists none
    wrong_dtype = listed and str(value.dtype).removeprefix("torch.") not in tensor_type.dtypes
    if expected is None and not wrong_dtype:
        return None
    return _problem(function, argument, annotation, value, expected or "", wrong, wrong_dtype, count)


def _problem(
    function: Callable[..., Any],
    argument: str | None,
    annotation: Any,
    value: Any,
    expected: str = "",
    axes: Sequence[WrongAxis] = (),
    wrong_dtype: bool = False,
    count: tuple[int, int] | None = None,
) -> WrongType:
    return WrongType(
        function=function.__qualname__,
        argument=argument,
        annotation=_annotation_text(annotation),
        expected_shape=expected,
        got=describe(value),
        returned_none=argument is None and value is None,
        wrong_dtype=wrong_dtype,
        count=count,
        axes=() if count else tuple(axes),
    )


def describe(value: Any) -> str:
    """Describe a value briefly: a tensor's dtype and shape, the type and value of anything else."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        kind = "" if hasattr(value, "detach") else f"{type(value).__name__} "  # such as a numpy array
        return f"{kind}{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if value is None:
        return "None"
    if isinstance(value, tuple):
        return f"({', '.join(map(describe, value))})"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def tensor_types(annotation: Any) -> list[Any]:
    """Return the jaxtyping annotations in `annotation`: itself, or members of a union."""
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else [annotation]
    return [member for member in members if hasattr(member, "dim_str")]


def axis_tokens(annotation: Any) -> list[str]:
    """Return the axes of the only jaxtyping annotation in `annotation`; nothing if there is not just one."""
    found = tensor_types(annotation)
    return found[0].dim_str.split() if len(found) == 1 else []


def _fits(value: Any, annotation: Any) -> bool:
    """True if beartype accepts `value` for a type without axes."""
    if annotation is inspect.Parameter.empty or annotation is Any:
        return True
    from beartype import BeartypeConf
    from beartype.door import is_bearable

    return bool(is_bearable(value, annotation, conf=BeartypeConf(is_pep484_tower=True)))


def _annotation_text(annotation: Any) -> str:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return text.replace("jaxtyping.", "").replace("torch.", "").replace("'", '"')
