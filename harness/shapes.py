"""The shapes that lines of code produce: `with trace() as shapes: …`.

Every call of torch is recorded with the line that led to it, including calls inside layers and library
functions. In a notebook or a debugger:

    from harness.shapes import trace

    with trace() as shapes:
        attention_weights(query, key)
    shapes

As a decorator it prints the shapes of each call: `@trace()` above a `def`.
"""

from __future__ import annotations

import functools
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar

from harness.terminal.lines import WIDTH

_MOST_STEPS = 1000  # the last ones: a loop over a whole epoch must not fill the memory
_WIDTH = WIDTH - 4  # lines are indented below a failure
_MOST_LINES = 200  # that are printed
_NO_STEPS = "None of your lines called torch."
_HEADING = "Shapes that your lines produced (line: call, shape):"
_T = TypeVar("_T", bound=Callable[..., Any])


@dataclass(frozen=True)
class Step:
    """One call of torch: the line that made it, and the resulting shapes."""

    file: str
    line: int
    name: str  # "softmax"; "attention_weights" if the line called the learner's function of that name
    shapes: tuple[tuple[int, ...], ...]  # of the result; of the arguments, if the call failed
    settings: str = ""  # "dim=-2"
    failed: bool = False
    called: bool = False  # the name is that of the learner's function


class Trace:
    """A context manager and decorator that records the shapes lines of code produce.

    A step is recorded for the innermost line outside Python, installed packages and the harness. With
    `inside`, only steps inside matching functions are recorded, attributed to the outermost one.
    """

    def __init__(self, inside: Callable[[CodeType], bool] | None = None) -> None:
        self.steps: deque[Step] = deque(maxlen=_MOST_STEPS)
        self._inside = inside
        self._mode: Any = None

    def __enter__(self) -> Trace:
        self._mode = _torch_mode(self._record)
        self._mode.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._mode.__exit__(*error)

    def __call__(self, function: _T) -> _T:
        @functools.wraps(function)
        def traced(*args: Any, **kwargs: Any) -> Any:
            with Trace(self._inside) as shapes:
                try:
                    return function(*args, **kwargs)
                finally:
                    print(shapes)

        return traced  # type: ignore[return-value]  # it has the signature of the function

    def __repr__(self) -> str:
        return "\n".join(self.lines(_MOST_LINES)) or _NO_STEPS

    def lines(self, most: int) -> list[str]:
        """Return the last steps as text, one a line."""
        return step_lines(list(self.steps), most)

    def _record(self, function: Any, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> None:
        failed = isinstance(result, BaseException)
        shapes = _shapes([*args, *kwargs.values()] if failed else result)
        found = self._find_line() if shapes else None
        if found is None:
            return
        frame, callee = found
        settings = "" if callee else _settings(args, kwargs)
        name = callee or _name(function)
        step = Step(frame.f_code.co_filename, frame.f_lineno, name, shapes, settings, failed, bool(callee))
        if callee and self.steps and _is_same_call(self.steps[-1], step):
            self.steps.pop()  # only the latest step of a function that the line calls
        self.steps.append(step)

    def _find_line(self) -> tuple[FrameType, str] | None:
        """Return the frame whose line led here, and the learner's function that it called, if any."""
        own = _own_frames(sys._getframe(3))  # the caller of torch
        if self._inside is None:
            return (own[0][0], "") if own else None
        chosen = [number for number, (_, of) in enumerate(own) if self._inside(of.f_code)]
        if not chosen:
            return None
        return own[chosen[-1]][0], _callable_name(own[chosen[-1] - 1][1].f_code) if chosen[-1] else ""


COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")

trace = Trace  # reads better in a `with`


def _own_frames(frame: FrameType | None) -> list[tuple[FrameType, FrameType]]:
    """Return the learner's frames, the innermost first: that of the line, and that of its function.

    They differ in a comprehension, which has a frame of its own before Python 3.12.
    """
    own: list[tuple[FrameType, FrameType]] = []
    while frame is not None:
        if is_own(frame.f_code.co_filename):
            if own and _is_part_of(own[-1][1].f_code, frame.f_code):
                own[-1] = own[-1][0], frame
            else:
                own.append((frame, frame))
        frame = frame.f_back
    return own


def _is_part_of(inner: CodeType, outer: CodeType) -> bool:
    """True if `inner` is a comprehension in the function `outer`."""
    return inner.co_name in COMPREHENSIONS and _parent(inner.co_qualname) == outer.co_qualname


def _parent(name: str) -> str:
    """Return the function or comprehension that a comprehension is in."""
    return name.rpartition(".")[0].removesuffix(".<locals>")


def function_name(code: CodeType) -> str:
    """Return the qualified name of a function; of a comprehension, that of the function it is in."""
    name = code.co_qualname
    while name.endswith(COMPREHENSIONS):
        name = _parent(name)
    return name


def _is_same_call(one: Step, other: Step) -> bool:
    return (one.line, one.name, one.called, one.failed) == (other.line, other.name, other.called, False)


def _torch_mode(record: Callable[..., None]) -> Any:
    """Return a context manager in which torch passes every call to `record`."""
    from torch.overrides import TorchFunctionMode

    class Mode(TorchFunctionMode):  # type: ignore[misc]  # torch is not typed here
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            try:
                result = func(*args, **kwargs)
            except Exception as error:
                record(func, args, kwargs, error)
                raise
            record(func, args, kwargs, result)
            return result

    return Mode()


def _callable_name(code: CodeType) -> str:
    """Return the name of a function, or of a layer's class."""
    owner, _, name = code.co_qualname.rpartition("<locals>.")[2].rpartition(".")
    return owner if name == "forward" and owner else name.strip("<>")


def _shapes(value: Any) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of the tensors in a result or among arguments."""
    if isinstance(value, tuple | list):
        return tuple(shape for each in value for shape in _shapes(each))
    return (tuple(value.shape),) if hasattr(value, "untyped_storage") else ()


def _name(function: Any) -> str:
    name = str(getattr(function, "__name__", function))
    if name == "__get__":  # a property: x.T
        name = str(getattr(function.__self__, "__name__", name))
    return name.strip("_") if name.startswith("__") else name


def _settings(args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    """Return the numbers among the arguments: axes and sizes."""
    positional = [_text(value) for value in args if _is_plain(value)]
    named = [f"{name}={_text(value)}" for name, value in kwargs.items() if _is_plain(value)]
    return ", ".join(positional + named)


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return 0 < len(value) <= 6 and all(type(each) is int for each in value)
    return type(value) in (int, bool)


def _text(value: Any) -> str:
    return str(tuple(value)) if isinstance(value, tuple | list) else str(value)


@functools.cache
def is_own(filename: str) -> bool:
    """True if a file belongs to neither Python, an installed package nor the harness, and exists."""
    if filename.startswith("<"):
        return filename.startswith(("<ipython", "<stdin>"))
    path = Path(filename)
    installed = "site-packages" in path.parts or "dist-packages" in path.parts
    elsewhere = (Path(__file__).parent, *(Path(sysconfig.get_path(name)) for name in ("stdlib", "scripts")))
    return not installed and not any(path.is_relative_to(folder) for folder in elsewhere)


_OPERATORS = {
    **{"add": "+", "radd": "+", "iadd": "+", "sub": "-", "rsub": "-", "isub": "-", "mul": "*", "rmul": "*"},
    **{"imul": "*", "truediv": "/", "rtruediv": "/", "div": "/", "itruediv": "/", "matmul": "@"},
    **{"rmatmul": "@", "pow": "**", "rpow": "**", "neg": "-", "invert": "~", "and": "&", "or": "|"},
    **{"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "getitem": "[]"},
    **{"setitem": "[] ="},
}


def step_lines(steps: Sequence[Step], most: int) -> list[str]:
    """Return a line for each of the last steps: "18: softmax (2, 4, 8, 8) dim=-2"."""
    several = len({step.file for step in steps}) > 1
    texts = [_step_line(step, several) for step in steps]
    counted: list[list[Any]] = []
    for text in texts:
        if counted and counted[-1][0] == text:
            counted[-1][1] += 1
        else:
            counted.append([text, 1])
    lines = [text if count == 1 else f"{text}   × {count}" for text, count in counted]
    return lines if len(lines) <= most else ["…", *lines[1 - most :]]


def _step_line(step: Step, several: bool) -> str:
    where = f"{step.file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{step.line}" if several else step.line
    name = _OPERATORS.get(step.name, step.name)
    shapes = (" and " if step.failed else " ").join(str(shape) for shape in step.shapes[:4])
    text = f"{where}: {name} {shapes} {step.settings}".rstrip()
    return f"{text} failed" if step.failed else text


def shape_trace(steps: Sequence[Step]) -> list[str]:
    """Return the last few shapes before a failure, under a heading."""
    if not steps:
        return []
    lines = [line if len(line) <= _WIDTH - 2 else f"{line[: _WIDTH - 3]}…" for line in step_lines(steps, 8)]
    return ["", _HEADING, *(f"  {line}" for line in lines)]
