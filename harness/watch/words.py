"""Every sentence of `harness watch`. Facts in, lines of text out."""

from __future__ import annotations

from collections.abc import Sequence

from harness.course.katas import Kata
from harness.progress.standing import KataProgress
from harness.terminal.lines import Line

# In 80 columns, with nothing to spare for a longer word.
KEY_LINE = Line("r run · h hint · n/p kata · s status · o solution · t trace · d demo · q quit", "dim")

_KEYS = (
    ("r", "run the tests now"),
    ("h", "one more hint for the next failing test"),
    ("n p", "the next kata, the previous one; back on the current one, watch follows your progress again"),
    ("s", "the status of every kata"),
    ("o", "your code beside the reference, once the kata is complete"),
    ("t", "trace: run again, and show what led to the failure"),
    ("d", "demo: a small model trains and writes, with your parts where they pass"),
    ("q", "quit"),
)


def started(follows: bool, kata: Kata | None) -> list[Line]:
    """The first line: what is watched."""
    if kata is None:
        return [Line("Watching katas/. Every kata is complete.", "title")]
    how = " (it follows your progress)" if follows else ""
    return [Line(f"Watching kata {kata.title}{how}. Save, and the tests run.", "title")]


def running(katas: Sequence[Kata], why: str, saved: Sequence[str]) -> list[Line]:
    """The line above a verdict: what is run, and why."""
    which = ", ".join(kata.title for kata in katas[:3]) + (", …" if len(katas) > 3 else "")
    noun = "kata" if len(katas) == 1 else "katas"
    files = ", ".join(saved[:3]) + (f" and {len(saved) - 3} more" if len(saved) > 3 else "")
    reason = {"saved": f" ({files} saved)", "time": " (the time is up)"}.get(why, "")
    return [Line(), Line(f"Running {noun} {which}{reason}", "dim")]


WARMING = "warming up; the verdict follows in a few seconds …"
CANCELLED = Line("Saved again: this run is stopped, and starts over.", "dim")
STOPPED = Line("This run is stopped.", "dim")
KILLED = Line("The test process was killed from outside; the next one takes over.", "dim")
GOODBYE = Line("Watch has ended. What passed is kept. Next: pytest", "dim")


def cannot_warm(status: int) -> str:
    """The process that runs the tests does not come up."""
    return (
        f"The process that runs the tests ended three times before it was ready (exit status {status}). "
        "Next: harness verify"
    )


def celebration(standing: KataProgress, news: int) -> list[Line]:
    """A test passes that never passed before."""
    done, total = len(standing.passed), len(standing.tests)
    more = "One test more" if news == 1 else f"{news} tests more"
    return [Line(f"✓ {more}: {_bar(done, total)} {done} of {total}", "good")]


def kata_done(progress: Sequence[KataProgress], following: KataProgress | None) -> list[Line]:
    """A kata is complete: how far that is, and how to begin the next one here."""
    done, total = sum(each.complete for each in progress), len(progress)
    lines = [Line(f"✓ Well done: {_bar(done, total)} {done} of {total} katas", "good")]
    if following:
        stub = f"katas/{following.kata.name}/{following.kata.topic}.py"
        lines.append(Line(f"Save {stub} to begin, or press r; o shows the reference beside yours."))
    return lines


def _bar(done: int, total: int) -> str:
    width = min(total, 20)
    filled = done * width // total if total else 0
    return f"[{'#' * filled}{'.' * (width - filled)}]"


def earlier_pass(katas: Sequence[Kata]) -> list[Line]:
    """The silent check was green."""
    noun = "The kata before still passes" if len(katas) == 1 else f"The {len(katas)} katas before still pass"
    return [Line(f"{noun}.", "dim")]


def earlier_fail() -> list[Line]:
    """It was not; what pytest says of it follows."""
    return [Line(), Line("A kata that was complete fails now:", "bad")]


def chosen(kata: Kata, follows: bool) -> list[Line]:
    """Another kata is watched."""
    note = "; watch follows your progress again" if follows else ""
    return [Line(f"Kata {kata.title}{note}.", "title")]


def keys_explained() -> list[Line]:
    """What every key does."""
    return [Line(), *(Line(f"  {key:<4} {meaning}") for key, meaning in _KEYS)]


def demo_ended(code: int) -> list[Line]:
    return [] if code == 0 else [Line(f"The demo ended with exit status {code}.", "dim")]


NOT_IN_A_RUN = Line("The demo waits until the tests have run. Press d again then.", "dim")
