"""Repeats of a test on any version of its kata.

The test's file is executed again for each version, so that every object in it belongs to that version. The
results of the learner's functions, and the test's variables where it fails, are the evidence.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from harness.diagnosis.case import CannotReplay, Case, chosen_parameters, parameter_sets
from harness.diagnosis.failed import ObservedFailure, observe_failure, observe_message
from harness.diagnosis.fixtures import Fixtures
from harness.diagnosis.reference import installed_as
from harness.diagnosis.snapshots import AuthorsText, Snapshot, equivalent, snapshot
from harness.diagnosis.time_budget import TimeBudget
from harness.isolation.calls import constructors, iterated_in, public_functions
from harness.isolation.global_state import preserve_global_state

_MOST_RESULTS = 3000


class UnexpectedResult(BaseException):
    """A version returned something else than the expected replay: the rest need not run.

    No `except Exception` of a test swallows it.
    """


@dataclass
class Replay:
    """The results and the failure of one repeat of a case."""

    results: list[Snapshot] = field(default_factory=list)  # of the contract's functions, called by the test
    failure: ObservedFailure | None = None
    expected: Sequence[Snapshot] | None = None
    depth: int = 0  # of calls of the contract's functions within one another

    @contextlib.contextmanager
    def nesting(self) -> Iterator[None]:
        """Record no result of a call in this block."""
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    def add(self, result: Snapshot) -> None:
        """Add the next result. Raises UnexpectedResult."""
        index = len(self.results)
        if self.expected is not None and not (
            index < len(self.expected) and equivalent(result, self.expected[index])
        ):
            raise UnexpectedResult
        self.results.append(result)


@dataclass(frozen=True)
class Replayer:
    """Repeats cases of a test on versions of a kata, within a time budget."""

    case: Case
    contract: tuple[str, ...]
    program: CodeType  # the test's file
    budget: TimeBudget
    worded_by_author: frozenset[str] = frozenset()  # functions whose text is no evidence

    @contextlib.contextmanager
    def load_tests(self, version: ModuleType) -> Iterator[LoadedTests]:
        """Execute the test's file on this version of the kata. Raises OutOfTime."""
        tests = LoadedTests(self)
        with installed_as(version, self.case.module), _record_results(version, self, tests):
            with self.budget.guard():
                tests.execute(self.program)
            yield tests


class LoadedTests:
    """The test's file as executed on one version of a kata, ready for any case of the test."""

    def __init__(self, replayer: Replayer) -> None:
        self.case, self._budget = replayer.case, replayer.budget
        self.namespace: dict[str, Any] = {"__name__": self.case.tests.stem, "__file__": str(self.case.tests)}
        self.replay = Replay()

    def execute(self, program: CodeType) -> None:
        """Execute the test's file, and let its functions run as pytest compiled them."""
        exec(program, self.namespace)
        self.namespace.update({"@pytest_ar": SilentAssertRewriter(), "@py_builtins": builtins})
        for name, code in self.case.codes.items():
            value = self.namespace.get(name)
            _replace_code(inspect.unwrap(value) if callable(value) else value, code)

    def play(
        self, choice: tuple[int, ...] | None = None, expected: Sequence[Snapshot] | None = None
    ) -> Replay:
        """Run a case, by default the one that failed, and return what it observed.

        Raises CannotReplay, OutOfTime, and UnexpectedResult at the first result that differs from `expected`.
        """
        self.replay = Replay(expected=expected)
        with contextlib.ExitStack() as stack:
            stack.enter_context(preserve_global_state())
            try:
                with self._budget.guard():
                    function, arguments = self._prepare(choice, stack)
                    function(**arguments)
            except (KeyboardInterrupt, CannotReplay):
                raise
            except (Exception, pytest.fail.Exception) as error:
                self.replay.failure = observe_failure(error, self.case)
        return self.replay

    def other_cases(self) -> Iterator[tuple[int, ...]]:
        """Yield the choices of parameters of all cases of the test except the one that failed."""
        ranges = [range(len(sets)) for _, sets in parameter_sets(self.namespace[self.case.function])]
        yield from (choice for choice in itertools.product(*ranges) if choice != self.case.choice)

    def _prepare(
        self, choice: tuple[int, ...] | None, stack: contextlib.ExitStack
    ) -> tuple[Callable[..., Any], dict[str, Any]]:
        """Return the test function and its arguments, with all fixtures set up."""
        function = self.namespace[self.case.function]
        parameters = chosen_parameters(function, self.case.choice if choice is None else choice)
        fixtures = Fixtures(self.namespace, parameters, stack)
        for name in self.case.fixtures:
            if name in self.namespace:
                fixtures[name]
        return function, {name: fixtures[name] for name in inspect.signature(function).parameters}


class SilentAssertRewriter:
    """Replaces pytest's explanations of a failing assert, which nobody would read."""

    def __getattr__(self, name: str) -> Callable[..., str]:
        return lambda *args, **kwargs: ""


def _replace_code(function: object, code: CodeType) -> None:
    """Let a function of the file run as pytest compiled it."""
    if isinstance(function, FunctionType) and code.co_freevars == function.__code__.co_freevars:
        function.__code__ = code


@contextlib.contextmanager
def _record_results(module: ModuleType, replayer: Replayer, tests: LoadedTests) -> Iterator[None]:
    """Record in the replay what the module's public functions and methods return to the test."""
    names = module, replayer.contract, replayer.case.module
    results, makers = public_functions(*names), constructors(*names)
    try:
        for maker in makers:
            maker.replace(_without_recording(maker.function, tests))
        for public in results:
            is_free = public.function.__name__ in replayer.worded_by_author
            function = _with_authors_text(public.function) if is_free else public.function
            public.replace(_with_recording(function, tests))
        yield
    finally:
        for public in [*results, *makers]:
            public.restore()


def _without_recording(function: Callable[..., Any], tests: LoadedTests) -> Callable[..., Any]:
    """What a constructor calls is not called by the test."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with tests.replay.nesting():
            return function(*args, **kwargs)

    return call


def _with_authors_text(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        return AuthorsText(result) if isinstance(result, str) else result

    return call


def _with_recording(function: Callable[..., Any], tests: LoadedTests) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        replay = tests.replay
        outermost = replay.depth == 0 and len(replay.results) < _MOST_RESULTS
        try:
            with replay.nesting():
                result = function(*args, **kwargs)
        except Exception as error:
            if outermost:
                replay.add(("error", type(error).__name__, observe_message(error, tests.case)))
            raise
        if outermost:
            replay.add(snapshot(result))
        return iterated_in(replay.nesting, result) if inspect.isgenerator(result) else result

    return call
