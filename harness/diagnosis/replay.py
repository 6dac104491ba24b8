"""Runs one case of a test again in this process, on any version of its kata, and notes what it sees.

The test's file is executed anew for each version, so that every object in it is of that version. What
the learner's functions return, and the values at hand where the test fails, are the evidence.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import inspect
import io
import itertools
import operator
import random
import tempfile
import traceback as tracebacks
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

import pytest

from harness.course.katas import Kata
from harness.diagnosis.reference import in_place
from harness.diagnosis.snapshots import TEMPORARY, Seen, alike, see, see_message
from harness.diagnosis.time_budget import Time
from harness.explain.comparisons import refused_by_assert_close
from harness.explain.type_errors import read_type_error
from harness.isolation.importer import text_of

Item = pytest.Item
_MOST_RESULTS = 3000
_RAISE = "RAISE_VARARGS"


class CannotReplay(Exception):
    """The case needs something of pytest that is not imitated here."""


class Differs(BaseException):
    """A version gives the test something else than the expected replay: the rest need not be run."""


@dataclass(frozen=True)
class Case:
    """One case of a test function: all that is needed to run it again."""

    module: str  # the kata's
    tests: Path
    function: str
    fixtures: tuple[str, ...]  # all that pytest would set up, those of the whole file among them
    choice: tuple[int, ...]  # which of its sets of values each parametrize mark gives
    codes: Mapping[str, CodeType]  # the file's functions as pytest compiled them: failing asserts keep values
    kata_files: frozenset[str]


def case_of(item: Item, kata: Kata) -> Case:
    """The case that pytest ran as `item`. Raises CannotReplay."""
    function, callspec = getattr(item, "function", None), getattr(item, "callspec", None)
    if not isinstance(function, FunctionType) or getattr(item, "cls", None) is not None:
        raise CannotReplay(item.nodeid)
    written = {name: inspect.unwrap(each) for name, each in vars(item.module).items() if callable(each)}  # type: ignore[attr-defined]
    own = {name: each.__code__ for name, each in written.items() if isinstance(each, FunctionType)}
    return Case(
        module=kata.module,
        tests=kata.tests,
        function=function.__name__,
        fixtures=tuple(getattr(item, "fixturenames", ())),
        choice=_choice(function, callspec.params if callspec else {}),
        codes={name: code for name, code in own.items() if code.co_filename == str(kata.tests)},
        kata_files=frozenset({str(kata.stub), str(kata.solution)}),
    )


@dataclass(frozen=True)
class Failed:
    """Where and how a test failed, and the values that it had at hand."""

    kind: str
    place: tuple[tuple[str, int], ...]  # the lines of the test's file that led there
    values: dict[str, Seen]
    compared: tuple[Seen, Seen] | None = None  # actual and expected of assert_close


@dataclass
class Replay:
    """What one run of a case saw."""

    results: list[Seen] = field(default_factory=list)  # of the contract's functions, called by the test
    failed: Failed | None = None
    expected: Sequence[Seen] | None = None
    depth: int = 0  # of calls of the contract's functions within one another

    def add(self, result: Seen) -> None:
        """The next result. Raises Differs where another one was expected."""
        at = len(self.results)
        if self.expected is not None and not (at < len(self.expected) and alike(result, self.expected[at])):
            raise Differs
        self.results.append(result)


@dataclass(frozen=True)
class Rerun:
    """Runs cases of a test on versions of a kata, as far as the time allows."""

    case: Case
    contract: tuple[str, ...]
    program: CodeType  # the test's file
    time: Time

    @contextlib.contextmanager
    def on(self, version: ModuleType) -> Iterator[Stage]:
        """The test's file, executed on this version of the kata. Raises OutOfTime."""
        stage = Stage(self)
        with in_place(version, self.case.module), _recorded(version, self.contract, stage):
            with self.time.guard():
                stage.execute(self.program)
            yield stage


class Stage:
    """The test's file as executed on one version of a kata, ready for any case of the test."""

    def __init__(self, rerun: Rerun) -> None:
        self.case, self._time = rerun.case, rerun.time
        self.namespace: dict[str, Any] = {"__name__": self.case.tests.stem, "__file__": str(self.case.tests)}
        self.replay = Replay()

    def execute(self, program: CodeType) -> None:
        """Execute the test's file, and let its functions run as pytest compiled them."""
        exec(program, self.namespace)
        self.namespace.update({"@pytest_ar": _Mute(), "@py_builtins": builtins})
        for name, code in self.case.codes.items():
            value = self.namespace.get(name)
            _take_code(inspect.unwrap(value) if callable(value) else value, code)

    def play(self, choice: tuple[int, ...] | None = None, expected: Sequence[Seen] | None = None) -> Replay:
        """What a case sees, by default the one that failed.

        Raises CannotReplay, OutOfTime, and Differs as soon as the results are not the `expected` ones.
        """
        self.replay = Replay(expected=expected)
        with contextlib.ExitStack() as stack:
            for surroundings in (_same_randomness(), _silence()):
                stack.enter_context(surroundings)
            try:
                with self._time.guard():
                    function, arguments = self._prepared(choice, stack)
                    function(**arguments)
            except (KeyboardInterrupt, CannotReplay):
                raise
            except (Exception, pytest.fail.Exception) as error:
                self.replay.failed = read(error, self.case)
        return self.replay

    def other_cases(self) -> Iterator[tuple[int, ...]]:
        """The cases of the test besides the one that failed."""
        ranges = [range(len(sets)) for _, sets in _parametrised(self.namespace[self.case.function])]
        yield from (choice for choice in itertools.product(*ranges) if choice != self.case.choice)

    def _prepared(
        self, choice: tuple[int, ...] | None, stack: contextlib.ExitStack
    ) -> tuple[Callable[..., Any], dict[str, Any]]:
        function = self.namespace[self.case.function]
        given = _parameters(function, self.case.choice if choice is None else choice)
        wanted = _Wanted(self.namespace, given, stack)
        for name in self.case.fixtures:
            if name in self.namespace:
                wanted[name]
        return function, {name: wanted[name] for name in inspect.signature(function).parameters}


class _Mute:
    """In place of pytest's explanations of a failing assert, which nobody will read."""

    def __getattr__(self, name: str) -> Callable[..., str]:
        return lambda *args, **kwargs: ""


def _take_code(function: object, code: CodeType) -> None:
    """Let a function of the file run as pytest compiled it."""
    if isinstance(function, FunctionType) and code.co_freevars == function.__code__.co_freevars:
        function.__code__ = code


def _parametrised(function: Any) -> list[tuple[list[str], list[tuple[Any, ...]]]]:
    """For each parametrize mark of a test the names that it gives values to, and its sets of values."""
    return [_names_and_sets(mark) for mark in getattr(function, "pytestmark", ())]


def _names_and_sets(mark: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
    given = dict(zip(("argnames", "argvalues"), mark.args, strict=False)) | mark.kwargs
    if mark.name != "parametrize" or given.get("indirect"):
        raise CannotReplay(mark.name)
    names, sets = given["argnames"], []
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    for values in given["argvalues"]:
        if hasattr(values, "values") and hasattr(values, "marks"):  # pytest.param
            sets.append(tuple(values.values))
        else:
            sets.append(tuple(values) if len(names) > 1 else (values,))
    return names, sets


def _choice(function: Any, params: Mapping[str, Any]) -> tuple[int, ...]:
    """Which sets these parameters are from."""
    marks, found = _parametrised(function), []
    for names, sets in marks:
        wanted = [params.get(name) for name in names]
        same = (all(map(operator.is_, values, wanted)) for values in sets)
        found.append(next((at for at, is_it in enumerate(same) if is_it), -1))
    if -1 in found or {name for names, _ in marks for name in names} != params.keys():
        raise CannotReplay("parametrised elsewhere")
    return tuple(found)


def _parameters(function: Any, choice: Sequence[int]) -> dict[str, Any]:
    """The chosen values, from this version of the file."""
    marks = zip(_parametrised(function), choice, strict=True)
    return {name: value for (names, sets), at in marks for name, value in zip(names, sets[at], strict=True)}


class _Wanted(dict[str, Any]):
    """Values of arguments by name: parametrised ones, and fixtures, set up when they are asked for."""

    def __init__(
        self,
        namespace: Mapping[str, Any],
        given: Mapping[str, Any],
        stack: contextlib.ExitStack,
    ) -> None:
        super().__init__(given)
        self._namespace, self._stack, self._folders = namespace, stack, itertools.count()

    def __missing__(self, name: str) -> Any:
        self[name] = value = self._of_pytest(name) if name not in self._namespace else self._of_the_file(name)
        return value

    def _of_pytest(self, name: str) -> Any:
        if name == "monkeypatch":
            patch = pytest.MonkeyPatch()
            self._stack.callback(patch.undo)
            return patch
        if name == "tmp_path":
            return self._new_folder(name)
        if name == "tmp_path_factory":
            return SimpleNamespace(mktemp=self._new_folder)
        raise CannotReplay(name)

    @functools.cached_property
    def _folder(self) -> Path:
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix=TEMPORARY)))

    def _new_folder(self, name: str) -> Path:
        """The same path below the replay's folder in every replay."""
        path = self._folder / f"{name}{next(self._folders)}"
        path.mkdir()
        return path

    def _of_the_file(self, name: str) -> Any:
        function = inspect.unwrap(self._namespace[name])
        value = function(**{each: self[each] for each in inspect.signature(function).parameters})
        if not inspect.isgenerator(value):
            return value
        self._stack.callback(next, value, None)
        return next(value)


# --- surroundings ---


@contextlib.contextmanager
def _same_randomness() -> Iterator[None]:
    """The global random numbers, the same for every run and untouched by it."""
    import numpy
    import torch

    states = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        yield
    finally:
        random.setstate(states[0])
        numpy.random.set_state(states[1])
        torch.set_rng_state(states[2])
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# --- what is returned ---


@contextlib.contextmanager
def _recorded(module: ModuleType, names: Iterable[str], stage: Stage) -> Iterator[None]:
    """What the module's public functions and methods give to the test goes to the stage's replay inside."""
    undo: list[tuple[Any, str, Any]] = []
    for name in names:
        value = getattr(module, name, None)
        if inspect.isfunction(value):
            undo.append((module, name, value))
        elif inspect.isclass(value) and value.__module__.startswith(stage.case.module):
            own = [(key, each) for key, each in vars(value).items() if not key.startswith("_")]
            undo += [(value, key, each) for key, each in own if inspect.isfunction(each)]
    try:
        for owner, name, value in undo:
            setattr(owner, name, _recording(value, stage))
        yield
    finally:
        for owner, name, value in undo:
            setattr(owner, name, value)


def _recording(function: Callable[..., Any], stage: Stage) -> Callable[..., Any]:
    @functools.wraps(function)
    def recording(*args: Any, **kwargs: Any) -> Any:
        replay = stage.replay
        outermost = replay.depth == 0 and len(replay.results) < _MOST_RESULTS
        replay.depth += 1
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            if outermost:
                replay.add(("error", type(error).__name__, _message(error, stage.case)))
            raise
        finally:
            replay.depth -= 1
        if outermost:
            replay.add(see(result))
        return result

    return recording


# --- what a failure shows ---


def read(error: BaseException, case: Case) -> Failed:
    """What can be compared of a failure of the case."""
    frames = [(frame, line) for frame, line in tracebacks.walk_tb(error.__traceback__)]
    own = [(frame, line) for frame, line in frames if frame.f_code.co_filename == str(case.tests)]
    values = {
        f"{at} {name}": see(value)
        for at, (frame, _) in enumerate(own)
        for name, value in frame.f_locals.items()
    }
    refused = refused_by_assert_close(error)
    compared = (see(refused["actual"]), see(refused["expected"])) if refused else None
    if compared:
        values |= {"actual": compared[0], "expected": compared[1]}
    if not isinstance(error, AssertionError | pytest.fail.Exception):
        values["message"] = _message(error, case)
    place = tuple((frame.f_code.co_name, line) for frame, line in own)
    return Failed(type(error).__name__, place, values, compared)


def _message(error: BaseException, case: Case) -> Seen:
    """What an error says: in the terms of the signature, or in its words."""
    if type(error).__name__ == "TypeCheckError":
        problem = read_type_error(error.__traceback__)
        told = [problem.function, problem.argument, problem.got] if problem else []
        return ("many", [see(told), *_refused(error)])
    return see_message(text_of(error), written=_written(error, case))


def _refused(error: BaseException) -> list[Seen]:
    """The result that jaxtyping refused."""
    frames = [frame for frame, _ in tracebacks.walk_tb(error.__traceback__)]
    found = [frame.f_locals for frame in frames if frame.f_code.co_name == "wrapped_fn_impl"]
    return [see(found[-1]["out"])] if found and "out" in found[-1] else []


def _written(error: BaseException, case: Case) -> bool:
    """Whether a `raise` of the kata's own made the error, in the words of whoever wrote it."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or last.tb_frame.f_code.co_filename not in case.kata_files:
        return False
    instructions = _instructions(last.tb_frame.f_code)
    return instructions.get(last.tb_lasti) == _RAISE


@functools.lru_cache(maxsize=64)
def _instructions(code: CodeType) -> dict[int, str]:
    import dis

    return {each.offset: each.opname for each in dis.get_instructions(code)}
