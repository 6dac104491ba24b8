"""A call as text: the function, its arguments, and what is remarkable about them."""

from __future__ import annotations

import contextlib
import dis
import inspect
import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from types import CodeType, FrameType, TracebackType
from typing import Any

from harness.course.katas import Course
from harness.explain.places import frames_of, is_learners
from harness.explain.side_by_side import is_tensor
from harness.explain.type_errors import axis_tokens
from harness.explain.words import values_up_to
from harness.isolation import calls
from harness.isolation.calls import Call
from harness.terminal.lines import WIDTH

_MOST_ENTRIES = 6  # of a tensor or an array whose numbers are shown
_LONGEST = 36  # characters of a plain argument
_END = 24  # characters of a longer text: the end of a path, the beginning of any other
_MOST_LINES = 4
_LARGE = 1e3  # a number that decides something, among others a hundred times smaller


def call_lines(call: Call, label: str = "in") -> list[str]:
    """Return a call, wrapped: "in split_heads(x (2, 6), num_heads=3)"; nothing if it cannot be shown."""
    try:
        text = call_text(call)
    except Exception:  # best effort: a call that cannot be shown must not hide the failure itself
        return []
    lines = textwrap.wrap(
        f"{label} {text}",
        WIDTH - 2,
        subsequent_indent="  ",
        break_on_hyphens=False,
    )
    return lines if len(lines) <= _MOST_LINES else [*lines[: _MOST_LINES - 1], "  …"]


def call_text(call: Call) -> str:
    """Return the function and its arguments; a tensor by its shape, or by its numbers if they are few."""
    function = inspect.unwrap(call.function)
    owner, _, name = function.__qualname__.split("<locals>.")[-1].rpartition(".")
    called = owner if name in ("__init__", "__call__") and owner else f"{owner}.{name}".lstrip(".")
    return f"{called}({', '.join(_argument(*each) for each in _arguments(call))})"


def _arguments(call: Call) -> Iterator[tuple[str, Any]]:
    """Yield the arguments with their parameters' names, but not `self` and `cls`."""
    parameters = [
        each
        for each in inspect.signature(inspect.unwrap(call.function)).parameters.values()
        if each.kind <= each.POSITIONAL_OR_KEYWORD
    ]
    names = [each.name for each in parameters] + [""] * len(call.args)
    given = [*zip(names, call.args, strict=False), *call.kwargs.items()]
    yield from ((name, value) for name, value in given if name not in ("self", "cls"))


def _argument(name: str, value: Any) -> str:
    try:
        if is_tensor(value) or (hasattr(value, "dtype") and hasattr(value, "shape")):
            return f"{name} {_numbers(value)}".strip()
        return f"{name}={_plain(value)}" if name else _plain(value)
    except Exception:  # a value whose own methods fail
        return f"{name}={type(value).__name__}"


def _plain(value: Any) -> str:
    """Return a short value in full, others by their type; a path by its last part."""
    if isinstance(value, PurePath):
        return repr(value.name)
    if inspect.isroutine(value) or inspect.isclass(value):
        return "function" if value.__name__ == "<lambda>" else str(value.__name__)
    literal = value is None or isinstance(value, bool | int | float | str | bytes | list | tuple | dict)
    text = " ".join(repr(value).split()) if literal else ""
    if text and len(text) <= _LONGEST and "tensor(" not in text:
        return text
    if isinstance(value, str):
        return repr(f"…{value[-_END:]}" if "/" in value or "\\" in value else f"{value[:_END]}…")
    size = f" of {len(value)}" if literal and hasattr(value, "__len__") else ""
    return f"{type(value).__name__}{size}"


def _numbers(value: Any) -> str:
    """Return the shape of a tensor or an array, or its entries, with the dtype if it is not float."""
    dtype = str(value.dtype).removeprefix("torch.")
    kind = "" if dtype.startswith("float") else f"{dtype} "
    shape = tuple(value.shape)
    if str(getattr(value, "device", "cpu")) == "meta":
        return f"{kind}{shape} on meta"
    if 0 < math.prod(shape) <= _MOST_ENTRIES and len(shape) <= 1:
        return kind + _entries(value.tolist())
    return f"{kind}{shape}{_remark(value)}"


def _entries(entries: Any) -> str:
    if isinstance(entries, list):
        return f"[{', '.join(map(_entries, entries))}]"
    return f"{entries:.6g}" if isinstance(entries, float) else str(entries)


def _remark(value: Any) -> str:
    """Return what decides a result: NaN, infinities, or a few numbers far larger than the others."""
    if not is_tensor(value) or not value.is_floating_point() or not value.numel():
        return ""
    numbers = value.detach().double().flatten()
    odd = [
        text
        for text, found in (
            ("NaN", numbers.isnan()),
            ("inf", numbers == math.inf),
            ("-inf", numbers == -math.inf),
        )
        if found.any()
    ]
    sizes = numbers[numbers.isfinite()].abs()
    if sizes.numel() and sizes.max() >= _LARGE and sizes.max() >= 100 * sizes.median():
        odd.append(values_up_to(float(sizes.max())))
    return f" with {', '.join(odd)}" if odd else ""


def failed_call(course: Course, traceback: TracebackType | None) -> Call | None:
    """Return the call of the learner's function that raised, with its arguments as they were given."""
    found: Call | None = None
    for frame, _ in frames_of(traceback):
        if frame.f_code.co_filename == calls.__file__ and frame.f_code.co_name == "logged":
            given = frame.f_locals
            found = Call(given["function"], given["args"], given["kwargs"], None)
        elif is_learners(course, frame.f_code.co_filename):
            found = _of_frame(frame, found) or found
    return found


def _of_frame(frame: FrameType, outer: Call | None) -> Call | None:
    """Return the call of a function that is not logged; None if it is, or if its arguments are lost."""
    code = frame.f_code
    if (outer and inspect.unwrap(outer.function).__code__ is code) or code.co_name.startswith("<"):
        return None
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if any(name in _assigned(code) or name not in frame.f_locals for name in names):
        return None
    return Call(_named(code), (), {name: frame.f_locals[name] for name in names}, None)


def _assigned(code: CodeType) -> set[str]:
    """Return the variables that a function assigns: its arguments among them are not what was given."""
    return {
        each.argval for each in dis.get_instructions(code) if each.opname in ("STORE_FAST", "STORE_DEREF")
    }


def _named(code: CodeType) -> Callable[..., Any]:
    """Return a function with the name of this code, for `call_text`."""

    def function(**arguments: Any) -> None: ...

    function.__qualname__ = code.co_qualname
    return function


def batch_axes(call: Call) -> tuple[str, str, Sequence[int]] | None:
    """Return (argument, name of the axes, their sizes) of the first tensor with any number of axes."""
    function = inspect.unwrap(call.function)
    with contextlib.suppress(TypeError, NameError, ValueError):  # annotations that cannot be evaluated
        annotations: Mapping[str, Any] = inspect.get_annotations(function, eval_str=True)
        for name, value in _arguments(call):
            tokens = axis_tokens(annotations.get(name))
            variadic = [each for each in tokens if each.lstrip("#?").startswith("*")]
            spread = len(getattr(value, "shape", ())) - (len(tokens) - 1)
            if len(variadic) == 1 and hasattr(value, "shape") and spread >= 0:
                first = tokens.index(variadic[0])
                return name, variadic[0].lstrip("#?"), tuple(value.shape)[first : first + spread]
    return None
