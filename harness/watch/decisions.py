"""What `harness watch` does next. Decisions only: no process, no terminal, no clock of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from signal import Signals

from harness.course.katas import Course, Kata
from harness.isolation.supervisor import Ending
from harness.progress.standing import KataProgress, bare_run, next_kata

MOST_TRIES = 3  # of one run whose process was killed from outside

# What every key does. Upper and lower case are one.
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
TRACE = ("--shapes",)  # what shows how a failure came about: the shapes that the learner's lines made
_ALSO_QUIT = ("\x03", "\x04")  # Ctrl-C and Ctrl-D, where the terminal passes them on as keys


def action_of(key: str) -> str | None:
    """What a key asks for; None for one that has no meaning, `keys` for a letter that is no key."""
    if key in _ALSO_QUIT:
        return "quit"
    return KEYS.get(key.lower()) or ("keys" if key.isalnum() else None)


@dataclass(frozen=True)
class RunRequest:
    """A run that is wanted, and why."""

    katas: tuple[Kata, ...]
    why: str  # start, saved, key, chosen, time, trace, earlier
    saved: tuple[str, ...] = ()  # the names of the files, of a save
    options: tuple[str, ...] = ()  # for pytest
    tries: int = 1

    @property
    def silent(self) -> bool:
        """Whether only bad news of it is told."""
        return self.why == "earlier"

    @property
    def arguments(self) -> tuple[str, ...]:
        """What pytest is called with."""
        return (*(str(kata.folder) for kata in self.katas), *self.options)


def katas_to_run(progress: Sequence[KataProgress], chosen: Kata | None) -> list[Kata]:
    """The chosen kata; without one, what `pytest` alone runs."""
    return [chosen] if chosen else bare_run(progress)


def has_work(progress: Sequence[KataProgress], chosen: Kata | None) -> bool:
    """Whether there is something to show at the start: with all complete, a run would show nothing new."""
    return chosen is not None or next_kata(progress) is not None


def neighbour(course: Course, shown: Kata, step: int) -> Kata:
    """The kata before or after the one that is shown; at either end, that one itself."""
    place = course.katas.index(shown) + step
    return course.katas[min(max(place, 0), len(course.katas) - 1)]


def completed(before: set[str], after: Sequence[KataProgress]) -> list[Kata]:
    """The katas that a run completed for the first time."""
    return [each.kata for each in after if each.complete and each.kata.name not in before]


def earlier_ones(progress: Sequence[KataProgress], done: Kata) -> tuple[Kata, ...]:
    """The complete katas before the one just completed, which it may have broken."""
    return tuple(each.kata for each in progress if each.complete and each.kata.name < done.name)


def another_try(ending: Ending, tries: int) -> bool:
    """Whether a process died for no reason of the run's: before its first step, or killed from outside.

    The learner's code may kill its own process too, which the third time is taken for what it is.
    """
    by_itself = ending.exit_status is not None or ending.hard_exit is not None or ending.status is None
    if by_itself or tries >= MOST_TRIES:
        return False
    killed = getattr(Signals, "SIGKILL", None)
    return not ending.step or (killed is not None and ending.status == -killed)
