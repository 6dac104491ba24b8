"""Pure decisions of `harness watch`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from signal import Signals

from harness.course.katas import Course, Kata
from harness.isolation.supervisor import Ending
from harness.progress.standing import KataProgress, bare_run, next_kata

MOST_TRIES = 3  # of one run whose process was killed from outside

# What every key does, in upper or lower case.
KEYS: Mapping[str, str] = {
    "r": "run",
    "h": "hint",
    "n": "next",
    "p": "previous",
    "s": "status",
    "o": "solution",
    "t": "trace",
    "d": "demo",
    "q": "quit",
    "?": "keys",
}
TRACE = ("--shapes",)  # shows the shapes that led to a failure
_ALSO_QUIT = ("\x03", "\x04")  # Ctrl-C and Ctrl-D, where the terminal passes them on as keys


def action_of(key: str) -> str | None:
    """Return the action of a key; `keys` for a letter without one, None for any other key."""
    if key in _ALSO_QUIT:
        return "quit"
    return KEYS.get(key.lower()) or ("keys" if key.isalnum() else None)


@dataclass(frozen=True)
class RunRequest:
    """A requested run, and why."""

    katas: tuple[Kata, ...]
    why: str  # start, saved, key, chosen, time, trace, earlier
    saved: tuple[str, ...] = ()  # file names, after a save
    options: tuple[str, ...] = ()  # for pytest
    tries: int = 1

    @property
    def silent(self) -> bool:
        """True if only a failure is reported."""
        return self.why == "earlier"

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return pytest's arguments."""
        return (*(str(kata.folder) for kata in self.katas), *self.options)


def katas_to_run(progress: Sequence[KataProgress], chosen: Kata | None) -> list[Kata]:
    """Return the chosen kata; without one, those that `pytest` alone runs."""
    return [chosen] if chosen else bare_run(progress)


def has_work(progress: Sequence[KataProgress], chosen: Kata | None) -> bool:
    """True if there is something to run at the start: if all is complete, a run shows nothing new."""
    return chosen is not None or next_kata(progress) is not None


def neighbour(course: Course, shown: Kata, step: int) -> Kata:
    """Return the kata before or after the one shown; at either end, the same one."""
    place = course.katas.index(shown) + step
    return course.katas[min(max(place, 0), len(course.katas) - 1)]


def completed(before: set[str], after: Sequence[KataProgress]) -> list[Kata]:
    """Return the katas that a run completed for the first time."""
    return [each.kata for each in after if each.complete and each.kata.name not in before]


def earlier_ones(progress: Sequence[KataProgress], done: Kata) -> tuple[Kata, ...]:
    """Return the complete katas before the one just completed, which it may have broken."""
    return tuple(each.kata for each in progress if each.complete and each.kata.name < done.name)


def another_try(ending: Ending, tries: int) -> bool:
    """True if the process died before its first step, or was killed from outside.

    The learner's code may kill its own process, too: the third time it is taken to have done so.
    """
    by_itself = ending.exit_status is not None or ending.hard_exit is not None or ending.status is None
    if by_itself or tries >= MOST_TRIES:
        return False
    killed = getattr(Signals, "SIGKILL", None)
    return not ending.step or (killed is not None and ending.status == -killed)
