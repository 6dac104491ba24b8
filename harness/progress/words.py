"""Messages about progress."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.course.katas import Course, Kata
from harness.progress.receipts import Receipts
from harness.progress.standing import KataProgress
from harness.terminal.lines import Line


def lock_reason(blocker: KataProgress) -> str:
    done = f"{len(blocker.passed)}/{len(blocker.tests)}"
    return f"kata {blocker.kata.title} is not complete ({done})"


def notices(course: Course, katas: Iterable[KataProgress], stored: Receipts) -> list[Line]:
    """Return a line for each test file that was edited and for each problem with the saved progress."""
    path = course.relative(stored.path)
    shown = list(katas)
    lines = [_tests_differ(course.relative(each.kata.tests)) for each in shown if each.tests_differ]
    lines += [_proves_nothing(each.kata) for each in shown if each.complete and not each.proven]
    if stored.unreadable:
        lines.append(_unreadable_lines(path, stored.unreadable))
    if stored.problem:
        lines.append(_unreadable_file(path, stored.problem))
    return lines


def _tests_differ(path: str) -> Line:
    return Line(f"Note: {path} differs from the original tests (git diff {path}).", "dim")


def _proves_nothing(kata: Kata) -> Line:
    return Line(
        f"Note: kata {kata.title} has passed other tests than the original ones. Restore those"
        f" (git checkout katas/{kata.name}/test_{kata.topic}.py), then run  {kata.command}",
        "bad",
    )


def _unreadable_lines(path: str, numbers: Sequence[int]) -> Line:
    which = ", ".join(map(str, numbers[:5])) + ("…" if len(numbers) > 5 else "")
    noun = "line" if len(numbers) == 1 else "lines"
    return Line(f"Note: {path}: {noun} {which} cannot be read and {_are(numbers)} ignored.", "dim")


def _are(items: Sequence[object]) -> str:
    return "is" if len(items) == 1 else "are"


def _unreadable_file(path: str, problem: str) -> Line:
    return Line(f"Note: {path} cannot be read ({problem}); progress starts from zero.", "bad")


def not_saved(path: str, problem: str) -> Line:
    return Line(
        f"Note: progress is not saved in {path}: {problem}. Fix that, then run the tests again.", "bad"
    )


def using_katas(solutions: bool) -> str:
    if solutions:
        return "Using the reference solutions."
    return "Using your own katas. Restart the kernel after editing one."


def notebook_before_its_kata_is_done(progress: KataProgress) -> str:
    """Return a notice for a notebook that needs more than the learner has written."""
    kata, passed, tests = progress.kata, len(progress.passed), len(progress.tests)
    return (
        f"Kata {kata.title} is not done yet: {passed} of {tests} tests pass. A cell that needs the others"
        f" stops with NotImplementedError. In a terminal:  {kata.command}"
    )


def course_complete(proven: bool = True) -> list[Line]:
    """Suggest what to do after the last kata; `proven`: by the original tests."""
    if not proven:
        return [Line("Nothing is left to do, but not every kata has passed the original tests.", "title")]
    return [Line("All katas are complete. You have built a language model!", "good"), _TRAIN]


def core_complete() -> list[Line]:
    """Suggest what to do after the last kata of the core, when others are left."""
    return [Line("The core is complete. You have built a language model!", "good"), _TRAIN]


_TRAIN = Line("Train it and let it write:  harness train, then  harness sample")


def state_of(progress: KataProgress, current: KataProgress | None) -> str:
    """Return a kata's state in a word or two."""
    if progress.edited_since_pass:
        return "edited since pass"
    if progress.complete:
        return "complete" if progress.proven else "other tests"
    if progress is current:
        return "current"
    return "locked" if progress.locked else "open"


def status_next(following: KataProgress | None, proven: bool) -> list[Line]:
    if following is None:
        return course_complete(proven)
    test = [Line(f"      {following.next_test}", "dim")] if following.next_test else []
    return [Line(f"Next: {following.kata.command}"), *test]


GUESS_FIRST = "Put your guess in the place of ... and run this cell again."
GUESS_KEPT = "Your guess is kept; you will see it beside the result."
GUESS_TOO_LATE = "You have seen the result: your guess from before stays."
NO_SLIDERS = "A slider would be here:  pip install ipywidgets  (and restart the kernel)"


def guess_and_result(name: str, guess: str | None, result: str) -> str:
    return f"{name}: {result} (you guessed {guess})" if guess else f"{name}: {result} (you made no guess)"
