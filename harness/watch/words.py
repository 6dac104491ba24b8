"""What a learner reads from `harness watch`."""

from __future__ import annotations

from collections.abc import Sequence

from harness.course.katas import Kata
from harness.progress.standing import KataProgress
from harness.terminal.lines import Line

# It must fit in 80 columns.
KEY_LINE = Line("r run · h hint · n/p kata · s status · o solution · t trace · d demo · q quit", "dim")

_KEYS = (
    ("r", "run the tests now"),
    ("h", "one more hint for the next failing test"),
    ("n p", "next or previous kata; on the current one, watch follows your progress again"),
    ("s", "your progress in every kata"),
    ("o", "your code and the reference side by side, once the kata is complete"),
    ("t", "trace: run again, and show the shapes that led to the failure"),
    ("d", "demo: a small model trains and writes, using your complete katas"),
    ("q", "quit"),
)


def started(follows: bool, kata: Kata | None) -> list[Line]:
    """Return the line that names the watched kata."""
    if kata is None:
        return [Line("Watching katas/. All katas are complete.", "title")]
    how = ", following your progress" if follows else ""
    return [Line(f"Watching kata {kata.title}{how}. Save a file to run the tests.", "title")]


def running(katas: Sequence[Kata], why: str, saved: Sequence[str]) -> list[Line]:
    """Return the line above a verdict: what runs, and why."""
    which = ", ".join(kata.title for kata in katas[:3]) + (", …" if len(katas) > 3 else "")
    noun = "kata" if len(katas) == 1 else "katas"
    files = ", ".join(saved[:3]) + (f" and {len(saved) - 3} more" if len(saved) > 3 else "")
    reason = {"saved": f" ({files} saved)", "time": " (time is up)"}.get(why, "")
    return [Line(), Line(f"Running {noun} {which}{reason}", "dim")]


WARMING = "Warming up; the verdict follows in a few seconds."
CANCELLED = Line("Saved again: this run was stopped and starts over.", "dim")
STOPPED = Line("This run was stopped.", "dim")
KILLED = Line("The test process was killed from outside; the next one takes over.", "dim")
GOODBYE = Line("Watch has ended. Tests that passed are recorded. Next: pytest", "dim")


def cannot_warm(status: int) -> str:
    """Return why watch gives up."""
    return (
        f"The process that runs the tests ended three times before it was ready (exit status {status}). "
        "Next: harness verify"
    )


def celebration(standing: KataProgress, news: int) -> list[Line]:
    """Return the line after tests passed for the first time."""
    done, total = len(standing.passed), len(standing.tests)
    more = "One more test passes" if news == 1 else f"{news} more tests pass"
    return [Line(f"✓ {more}: {_bar(done, total)} {done} of {total}", "good")]


def kata_done(progress: Sequence[KataProgress], following: KataProgress | None) -> list[Line]:
    """Return the number of complete katas, and how to begin the next one."""
    done, total = sum(each.complete for each in progress), len(progress)
    lines = [Line(f"✓ Well done: {_bar(done, total)} {done} of {total} katas", "good")]
    if following:
        stub = f"katas/{following.kata.name}/{following.kata.topic}.py"
        lines.append(Line(f"To begin, save {stub} or press r; o shows your code and the reference."))
    return lines


def _bar(done: int, total: int) -> str:
    width = min(total, 20)
    filled = done * width // total if total else 0
    return f"[{'#' * filled}{'.' * (width - filled)}]"


def earlier_pass(katas: Sequence[Kata]) -> list[Line]:
    """Return the line after a silent run passed."""
    one = len(katas) == 1
    text = "The earlier kata still passes." if one else f"The {len(katas)} earlier katas still pass."
    return [Line(text, "dim")]


def earlier_fail() -> list[Line]:
    """Return the line above pytest's block after a silent run failed."""
    return [Line(), Line("A complete kata fails now:", "bad")]


def chosen(kata: Kata, follows: bool) -> list[Line]:
    """Return the line after another kata was chosen."""
    note = "; watch follows your progress again" if follows else ""
    return [Line(f"Kata {kata.title}{note}.", "title")]


def keys_explained() -> list[Line]:
    """Return the effect of every key."""
    return [Line(), *(Line(f"  {key:<4} {meaning}") for key, meaning in _KEYS)]


def demo_ended(code: int) -> list[Line]:
    return [] if code == 0 else [Line(f"The demo ended with exit status {code}.", "dim")]


DEMO_WAITS = Line("The demo cannot start while tests run. Press d again afterwards.", "dim")
