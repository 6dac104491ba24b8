"""The shapes that lines of code make: `with trace() as shapes: …`, then look at `shapes`.

Every call of torch is noted with the line it was made on, also those inside of layers and functions that
come from elsewhere. In a notebook or a debugger:

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
_WIDTH = WIDTH - 4  # lines stand indented below a failure
_MOST_LINES = 200  # that are printed
_T = TypeVar("_T", bound=Callable[..., Any])


@dataclass(frozen=True)
class Step:
    """One call of torch: the line it was made on, and the shapes of what it gave."""

    file: str
    line: int
    name: str  # "softmax"; "attention_weights", if the line called a function of one's own that did it
    shapes: tuple[tuple[int, ...], ...]  # of the result; of the arguments, if the call failed
    settings: str = ""  # "dim=-2"
    failed: bool = False
    called: bool = False  # whether the name is that of a function of one's own


def trace(inside: Callable[[CodeType], bool] | None = None) -> Trace:
    """A context manager, and a decorator, that notes the shapes which lines of code make.

    A step is noted for the innermost line of a file that is not Python's, installed or the harness's.
    With `inside`, only steps within functions for which that is true are, for a line of the outermost one.
    """
    return Trace(inside)


class Trace:
    """The steps that were taken; its text is one step a line."""

    def __init__(self, inside: Callable[[CodeType], bool] | None) -> None:
        self.steps: deque[Step] = deque(maxlen=_MOST_STEPS)
        self._inside = inside
        self._mode: Any = None

    def __enter__(self) -> Trace:
        self._mode = _mode(self._note)
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

        return traced  # type: ignore[return-value]  # it takes and gives what the function does

    def __repr__(self) -> str:
        return "\n".join(self.lines(_MOST_LINES)) or "No torch call was made by a line of yours."

    def lines(self, most: int) -> list[str]:
        """The last steps as text, one a line."""
        return step_lines(list(self.steps), most)

    def _note(self, function: Any, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> None:
        failed = isinstance(result, BaseException)
        shapes = _shapes([*args, *kwargs.values()] if failed else result)
        found = self._line() if shapes else None
        if found is None:
            return
        frame, callee = found
        settings = "" if callee else _settings(args, kwargs)
        name = callee or _name(function)
        step = Step(frame.f_code.co_filename, frame.f_lineno, name, shapes, settings, failed, bool(callee))
        if callee and self.steps and _is_same_call(self.steps[-1], step):
            self.steps.pop()  # of a function that the line calls, only where it has got to
        self.steps.append(step)

    def _line(self) -> tuple[FrameType, str] | None:
        """The frame whose line led here, and the function of one's own that it has called, if any."""
        own: list[FrameType] = []  # the innermost first
        frame: FrameType | None = sys._getframe(3)
        while frame is not None:
            if is_own(frame.f_code.co_filename):
                own.append(frame)
            frame = frame.f_back
        if self._inside is None:
            return (own[0], "") if own else None
        chosen = [number for number, each in enumerate(own) if self._inside(each.f_code)]
        if not chosen:
            return None
        return own[chosen[-1]], _called(own[chosen[-1] - 1].f_code) if chosen[-1] else ""


def _is_same_call(one: Step, other: Step) -> bool:
    return (one.line, one.name, one.called, one.failed) == (other.line, other.name, other.called, False)


def _mode(note: Callable[..., None]) -> Any:
    """What torch hands every call to while it is entered."""
    from torch.overrides import TorchFunctionMode

    class Mode(TorchFunctionMode):  # type: ignore[misc]  # torch is not typed here
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            try:
                result = func(*args, **kwargs)
            except Exception as error:
                note(func, args, kwargs, error)
                raise
            note(func, args, kwargs, result)
            return result

    return Mode()


def _called(code: CodeType) -> str:
    """A function by its name, a layer by that of its class."""
    owner, _, name = code.co_qualname.split(".<locals>")[0].rpartition(".")
    return owner if name == "forward" and owner else name


def _shapes(value: Any) -> tuple[tuple[int, ...], ...]:
    """The shapes of the tensors in a result or among arguments."""
    if isinstance(value, tuple | list):
        return tuple(shape for each in value for shape in _shapes(each))
    return (tuple(value.shape),) if hasattr(value, "untyped_storage") else ()


def _name(function: Any) -> str:
    name = str(getattr(function, "__name__", function))
    if name == "__get__":  # a property: x.T
        name = str(getattr(function.__self__, "__name__", name))
    return name.strip("_") if name.startswith("__") else name


def _settings(args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    """The numbers among the arguments: axes and sizes."""
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
    """Whether a file is neither Python's, nor installed, nor of the harness, nor made up on the way."""
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
    """One line for each step, the last `most` of them: "18: softmax (2, 4, 8, 8) dim=-2"."""
    several = len({step.file for step in steps}) > 1
    texts = [_step(step, several) for step in steps]
    counted: list[list[Any]] = []
    for text in texts:
        if counted and counted[-1][0] == text:
            counted[-1][1] += 1
        else:
            counted.append([text, 1])
    lines = [text if count == 1 else f"{text}   × {count}" for text, count in counted]
    return lines if len(lines) <= most else ["…", *lines[1 - most :]]


def _step(step: Step, several: bool) -> str:
    where = f"{step.file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{step.line}" if several else step.line
    name = _OPERATORS.get(step.name, step.name)
    shapes = (" and " if step.failed else " ").join(_shape(shape) for shape in step.shapes[:4])
    text = f"{where}: {name} {shapes} {step.settings}".rstrip()
    return f"{text} failed" if step.failed else text


def _shape(shape: Sequence[int]) -> str:
    return str(tuple(shape))


def shape_trace(steps: Sequence[Step]) -> list[str]:
    """The shapes that a learner's lines made before a failure, the last few."""
    if not steps:
        return []
    lines = [line if len(line) <= _WIDTH - 2 else f"{line[: _WIDTH - 3]}…" for line in step_lines(steps, 8)]
    return ["", "What your lines made (line: call, shape):", *(f"  {line}" for line in lines)]
