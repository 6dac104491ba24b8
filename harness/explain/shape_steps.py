"""The shapes that led to an error, recorded by repeating the failed test.

Recording every call of torch would slow down tests that pass, so it is done only after one has failed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import CodeType

from harness.explain.places import frames_of
from harness.isolation.global_state import preserve_global_state
from harness.shapes import Step, function_name, trace

_LONGEST = 2.0  # CPU seconds that a test may have taken to be repeated
_RUNS_IN_LIMIT = 3  # the time limit must leave room for so many runs
_MOST_STEPS = 40  # the last ones; a block shows a few of them


def is_quick(took: float, went_by: float, limit: float) -> bool:
    """True if a test may be run again: it is fast, and its time limit (0: none) leaves room."""
    return took <= _LONGEST and (not limit or went_by * _RUNS_IN_LIMIT <= limit)


def steps_to(
    error: BaseException, run: Callable[[], object], files: Collection[str], function: str
) -> list[Step]:
    """Return the steps up to the same error; nothing if another error is raised.

    Returns the steps taken by lines of `function` in `files`; by default the function that failed.
    """
    inside = function or _failing_function(error, files)

    def in_function(code: CodeType) -> bool:
        return code.co_filename in files and inside in ("", function_name(code))

    with preserve_global_state(), trace(in_function) as shapes:
        try:
            run()
        except KeyboardInterrupt:
            raise
        except BaseException as again:  # whatever the test raised: SystemExit, pytest's own
            if type(again) is type(error) and _failing_function(again, files) == _failing_function(
                error, files
            ):
                return list(shapes.steps)[-_MOST_STEPS:]
    return []


def _failing_function(error: BaseException, files: Collection[str]) -> str:
    """Return the function of these files in which an error was raised, or ""."""
    codes = [frame.f_code for frame, _ in frames_of(error.__traceback__)]
    own = [code for code in codes if code.co_filename in files]
    return function_name(own[-1]) if own else ""
