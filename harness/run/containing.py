"""Keeps what a test of a kata does from pytest and from the tests after it."""

from __future__ import annotations

import dis
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from _pytest import outcomes

from harness.course.katas import Course, Kata
from harness.explain.places import is_learners
from harness.isolation.causes import causes_of
from harness.isolation.importer import KataImporter
from harness.isolation.process_state import ProcessState, changes_in
from harness.run.items import KataItems


class EndedRun(Exception):
    """A call of pytest.exit by a learner's code, which would end the run without a word about the test."""


class Containing:
    """The plugin around the three phases of each test of a kata.

    The state of the process is restored in a learner's run only: the solutions leave it alone, and a snapshot
    makes each of the gate's many forks copy much of its memory.
    """

    def __init__(
        self, course: Course, items: KataItems, importer: KataImporter, *, restores_state: bool
    ) -> None:
        self._course = course
        self._restores_state = restores_state
        self._items = items
        self._importer = importer

    # Innermost, so that whatever other plugins do after a phase finds the process as it was.

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        with self._contained():
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        kata = self._items.kata(item)
        with self._contained(), self._restored(kata) if kata and self._restores_state else nullcontext():
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        with self._contained():
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Replace an error that cannot be shown before anybody tries."""
        if call.excinfo and self._items.kata(item) and not _can_be_shown(call.excinfo.value):
            call.excinfo = pytest.ExceptionInfo.from_exception(_nameless(call.excinfo.value))
        return (yield)

    def _files(self, kata: Kata) -> list[Path]:
        """The files of the kata and of those that it may use, the nearest first."""
        return [each.stub for each in (kata, *reversed(self._course.needed(kata)))]

    @contextmanager
    def _restored(self, kata: Kata) -> Iterator[None]:
        state = ProcessState()
        try:
            yield
        finally:
            self._importer.changes += changes_in(self._files(kata), state.restore())

    @contextmanager
    def _contained(self) -> Iterator[None]:
        try:
            yield
        except pytest.exit.Exception as error:
            if not self._is_learners(error):
                raise  # someone has left the debugger
            raise EndedRun(str(error)).with_traceback(error.__traceback__) from None
        except KeyboardInterrupt as error:
            if not (self._is_learners(error) and _is_raised_by_statement(error)):
                raise  # Ctrl-C
            raise _nameless(error) from None

    def _is_learners(self, error: BaseException) -> bool:
        """True if the function that raised the error, or called pytest.exit, is a learner's."""
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        files = [
            frame.f_code.co_filename for frame in frames if frame.f_code.co_filename != outcomes.__file__
        ]
        return is_learners(self._course, files[-1])


def _is_raised_by_statement(error: BaseException) -> bool:
    """True if the innermost function raised the error itself, rather than was interrupted."""
    innermost = error.__traceback__
    while innermost and innermost.tb_next:
        innermost = innermost.tb_next
    if innermost is None:
        return False
    return innermost.tb_frame.f_code.co_code[innermost.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def _can_be_shown(error: BaseException) -> bool:
    """True if the texts of an error and its causes can be read; pytest survives an Exception."""
    for each in (error, *causes_of(error)):
        try:
            str(each), repr(each)
        except Exception:
            pass
        except BaseException:  # a learner's own __str__ that calls sys.exit()
            return False
    return True


def _nameless(error: BaseException) -> BaseException:
    """Return an error with the name and the traceback of another one, and without its text."""
    substitute: type[Exception] = type(type(error).__name__, (Exception,), {})
    return substitute().with_traceback(error.__traceback__)
