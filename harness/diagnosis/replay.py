"""Runs one case of a test again in this process, on any version of its kata, and notes what it sees.

The test's file is executed anew for each version, so that every object in it is of that version. What
the learner's functions return, and the values at hand where the test fails, are the evidence.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from harness.diagnosis.case import CannotReplay, Case, _parameters, _parametrised
from harness.diagnosis.failed import Failed, _message, observe_failure
from harness.diagnosis.fixtures import Fixtures
from harness.diagnosis.reference import installed_as
from harness.diagnosis.snapshots import Snapshot, equivalent, snapshot
from harness.diagnosis.time_budget import TimeBudget
from harness.isolation.calls import public_functions
from harness.isolation.global_state import preserve_global_state

_MOST_RESULTS = 3000


class Differs(BaseException):
    """A version gives the test something else than the expected replay: the rest need not be run."""


@dataclass
class Replay:
    """What one run of a case saw."""

    results: list[Snapshot] = field(default_factory=list)  # of the contract's functions, called by the test
    failed: Failed | None = None
    expected: Sequence[Snapshot] | None = None
    depth: int = 0  # of calls of the contract's functions within one another

    def add(self, result: Snapshot) -> None:
        """The next result. Raises Differs where another one was expected."""
        at = len(self.results)
        if self.expected is not None and not (
            at < len(self.expected) and equivalent(result, self.expected[at])
        ):
            raise Differs
        self.results.append(result)


@dataclass(frozen=True)
class Replayer:
    """Runs cases of a test on versions of a kata, as far as the time allows."""

    case: Case
    contract: tuple[str, ...]
    program: CodeType  # the test's file
    time: TimeBudget

    @contextlib.contextmanager
    def on(self, version: ModuleType) -> Iterator[LoadedTests]:
        """The test's file, executed on this version of the kata. Raises OutOfTime."""
        stage = LoadedTests(self)
        with installed_as(version, self.case.module), _recorded(version, self.contract, stage):
            with self.time.guard():
                stage.execute(self.program)
            yield stage


class LoadedTests:
    """The test's file as executed on one version of a kata, ready for any case of the test."""

    def __init__(self, rerun: Replayer) -> None:
        self.case, self._time = rerun.case, rerun.time
        self.namespace: dict[str, Any] = {"__name__": self.case.tests.stem, "__file__": str(self.case.tests)}
        self.replay = Replay()

    def execute(self, program: CodeType) -> None:
        """Execute the test's file, and let its functions run as pytest compiled them."""
        exec(program, self.namespace)
        self.namespace.update({"@pytest_ar": SilentAssertRewriter(), "@py_builtins": builtins})
        for name, code in self.case.codes.items():
            value = self.namespace.get(name)
            _take_code(inspect.unwrap(value) if callable(value) else value, code)

    def play(
        self, choice: tuple[int, ...] | None = None, expected: Sequence[Snapshot] | None = None
    ) -> Replay:
        """What a case sees, by default the one that failed.

        Raises CannotReplay, OutOfTime, and Differs as soon as the results are not the `expected` ones.
        """
        self.replay = Replay(expected=expected)
        with contextlib.ExitStack() as stack:
            stack.enter_context(preserve_global_state())
            try:
                with self._time.guard():
                    function, arguments = self._prepared(choice, stack)
                    function(**arguments)
            except (KeyboardInterrupt, CannotReplay):
                raise
            except (Exception, pytest.fail.Exception) as error:
                self.replay.failed = observe_failure(error, self.case)
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
        wanted = Fixtures(self.namespace, given, stack)
        for name in self.case.fixtures:
            if name in self.namespace:
                wanted[name]
        return function, {name: wanted[name] for name in inspect.signature(function).parameters}


class SilentAssertRewriter:
    """In place of pytest's explanations of a failing assert, which nobody will read."""

    def __getattr__(self, name: str) -> Callable[..., str]:
        return lambda *args, **kwargs: ""


def _take_code(function: object, code: CodeType) -> None:
    """Let a function of the file run as pytest compiled it."""
    if isinstance(function, FunctionType) and code.co_freevars == function.__code__.co_freevars:
        function.__code__ = code


# --- what is returned ---


@contextlib.contextmanager
def _recorded(module: ModuleType, names: Iterable[str], stage: LoadedTests) -> Iterator[None]:
    """What the module's public functions and methods give to the test goes to the stage's replay inside."""
    undo = public_functions(module, names, stage.case.module)
    try:
        for owner, name, value in undo:
            setattr(owner, name, _recording(value, stage))
        yield
    finally:
        for owner, name, value in undo:
            setattr(owner, name, value)


def _recording(function: Callable[..., Any], stage: LoadedTests) -> Callable[..., Any]:
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
            replay.add(snapshot(result))
        return result

    return recording
