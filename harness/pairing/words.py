"""Messages of `harness pair`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from harness.pairing.session import LONGEST, BadPair, Person, Session
from harness.progress.standing import KataProgress
from harness.terminal.lines import Line, plural

_START = "harness pair start ANA BO --minutes 7"


def bad_pair(problem: BadPair) -> str:
    """Return why no session was started."""
    if problem.why == "names":
        return f"{problem.value!r} is not a name. Give two names: {_START}"
    if problem.why == "same":
        return f"A pair needs two people, but both are called {problem.value}. Give two names: {_START}"
    limits = f"longer than 0 minutes and at most {LONGEST:g}"
    return f"A turn must be {limits}, not {problem.value}. Type: {_START}"


def already_running(session: Session) -> str:
    first, second = session.people
    return f"{first.name} and {second.name} are already a pair. End their session first: harness pair stop"


NO_SESSION = f"No pair session is running. Start one: {_START}"


def not_saved(path: str, problem: str) -> str:
    return f"The pair session is not saved in {path}: {problem}. Fix that, then try again."


def session_started(session: Session) -> list[Line]:
    """Return the lines after the start of a session."""
    return [
        Line(f"{session.driver.name} drives, {session.navigator.name} navigates.", "title"),
        Line(f"You swap when a test turns green, or at the first run after {_minutes(session.minutes)}."),
        Line("Next: pytest, or harness watch, which runs the tests when the time is up."),
    ]


def turn(session: Session, now: float) -> Line:
    """Return whose turn it is, in one line."""
    left = session.left(now)
    time = f"{_clock(left)} left" if left > 0 else "the time is up"
    return Line(f"{session.driver.name} drives, {session.navigator.name} navigates · {time}", "title")


def status(session: Session, now: float) -> list[Line]:
    """Return the lines of `harness pair status`."""
    remedy = [] if session.left(now) > 0 else [Line("Next: pytest   (then you swap)")]
    return [turn(session, now), *_times(session, now), *remedy]


def swap(session: Session, why: str, current: KataProgress | None) -> list[Line]:
    """Return whose turn it is after a swap, with a note to hand over."""
    reason = {"green": "Green", "time": "The time is up"}.get(why, "Swap")
    lines = [
        Line(f"{reason}: {session.driver.name} drives now, {session.navigator.name} navigates.", "title")
    ]
    return [*lines, *_note(current)]


def _note(current: KataProgress | None) -> list[Line]:
    if current is None:
        return []
    where = f"kata {current.kata.title} · {len(current.passed)}/{len(current.tests)}"
    following = f", next {current.next_test}" if current.next_test else ""
    return [Line(f"  To hand over: {where}{following}", "dim")]


def summary(session: Session, people: Sequence[Person]) -> list[Line]:
    """Return the end of a session; `people` have the addresses that were found."""
    first, second = session.people
    lines = [Line(f"The session of {first.name} and {second.name} is over.", "title")]
    lines += [*_times(session, session.latest), Line(), Line("For the commit message:")]
    lines += [Line(f"Co-authored-by: {each.name} <{each.address or 'ADDRESS'}>") for each in people]
    return [*lines, *_missing_addresses(people)]


def _missing_addresses(people: Sequence[Person]) -> list[Line]:
    unknown = [each.name for each in people if not each.address]
    if not unknown:
        return []
    named = shlex.join(f"{each.name} <{each.address or 'ADDRESS'}>" for each in people)
    it = "it" if len(unknown) == 1 else "them"
    return [
        Line(),
        Line(f"git has no e-mail address for {' or '.join(unknown)}; please fill {it} in. Next time, type:"),
        Line(f"  harness pair start {named}", "command"),
    ]


def _times(session: Session, now: float) -> list[Line]:
    first, second = session.seconds_driven(now)
    drove = f"  {session.people[0].name} drove {_clock(first)}, {session.people[1].name} {_clock(second)}"
    greens = plural(session.count("green"), "green")
    more = f"{plural(session.tests, 'more test')} {'passes' if session.tests == 1 else 'pass'}"
    return [Line(drove), Line(f"  {_swaps(session)}"), Line(f"  {greens}, {more}")]


def _swaps(session: Session) -> str:
    reasons = {"green": "on green", "time": "on time", "hand": "by hand"}
    counts = [f"{session.count(why)} {reason}" for why, reason in reasons.items() if session.count(why)]
    return plural(session.all_swaps, "swap") + (f" ({', '.join(counts)})" if counts else "")


def _clock(seconds: float) -> str:
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _minutes(minutes: float) -> str:
    return f"{minutes:g} minute{'' if minutes == 1 else 's'}"
