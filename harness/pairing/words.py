"""Every sentence of `harness pair`. Facts in, lines of text out."""

from __future__ import annotations

from collections.abc import Sequence

from harness.pairing.session import LONGEST, BadPair, Person, Session
from harness.progress.standing import KataProgress
from harness.terminal.lines import Line, plural

_START = "harness pair start ANA BO --minutes 7"


def bad_pair(problem: BadPair) -> str:
    """Why no session began."""
    if problem.why == "names":
        return f"{problem.value!r} is no name. Type two: {_START}"
    if problem.why == "same":
        return f"A pair is two people; both are called {problem.value}. Type two names: {_START}"
    return f"A turn of {problem.value} minutes is none: give more than 0, up to {LONGEST:g}. Type: {_START}"


def runs_already(session: Session) -> str:
    first, second = session.people
    return f"{first.name} and {second.name} are a pair already. End that first: harness pair stop"


NO_SESSION = f"No pair session is running. Start one: {_START}"


def not_saved(path: str, problem: str) -> str:
    return f"The pair session is not saved ({problem}). Make {path} writable, then type it again."


def began(session: Session) -> list[Line]:
    """A session has begun."""
    return [
        Line(f"{session.drives.name} drives, {session.navigates.name} navigates.", "title"),
        Line(f"You swap when a test turns green, or after {_minutes(session.minutes)} at the next run."),
        Line("Next: pytest, or harness watch, which runs the tests when the time is up."),
    ]


def turn(session: Session, now: float) -> Line:
    """Whose turn it is, in one line."""
    left = session.left(now)
    time = f"{_clock(left)} left" if left > 0 else "the time is up"
    return Line(f"{session.drives.name} drives, {session.navigates.name} navigates · {time}", "title")


def standing(session: Session, now: float) -> list[Line]:
    """`harness pair status`."""
    remedy = [] if session.left(now) > 0 else [Line("Next: pytest   (after it, you swap)")]
    return [turn(session, now), *_times(session, now), *remedy]


def swapped(session: Session, why: str, current: KataProgress | None) -> list[Line]:
    """The turn has passed on; where things stand is the note that is handed over."""
    reason = {"green": "Green", "time": "The time is up"}.get(why, "Swap")
    lines = [
        Line(f"{reason}: {session.drives.name} drives now, {session.navigates.name} navigates.", "title")
    ]
    return [*lines, *_note(current)]


def _note(current: KataProgress | None) -> list[Line]:
    if current is None:
        return []
    where = f"kata {current.kata.title} · {len(current.passed)}/{len(current.tests)}"
    following = f", next {current.next_test}" if current.next_test else ""
    return [Line(f"  To hand over: {where}{following}", "dim")]


def summary(session: Session, people: Sequence[Person]) -> list[Line]:
    """The end of a session; `people` with the addresses that were found."""
    first, second = session.people
    lines = [Line(f"The session of {first.name} and {second.name} is over.", "title")]
    lines += [*_times(session, session.latest), Line(), Line("For the commit message:")]
    lines += [Line(f"Co-authored-by: {each.name} <{each.address or 'ADDRESS'}>") for each in people]
    unknown = [each.name for each in people if not each.address]
    if unknown:
        names = " and ".join(unknown)
        lines += [
            Line(),
            Line(f"git knows no address of {names}: put it in. Next time: "),
            Line(f'  harness pair start "{unknown[0]} <ADDRESS>" …'),
        ]
    return lines


def _times(session: Session, now: float) -> list[Line]:
    first, second = session.driven(now)
    drove = f"  {session.people[0].name} drove {_clock(first)}, {session.people[1].name} {_clock(second)}"
    swaps = [(session.count("green"), "on green"), (session.count("time"), "on time")]
    swaps.append((session.count("hand"), "by hand"))
    how = ", ".join(f"{number} {reason}" for number, reason in swaps if number)
    greens = plural(session.count("green"), "green")
    return [
        Line(drove),
        Line(f"  {plural(session.all_swaps, 'swap')}{f' ({how})' if how else ''}"),
        Line(f"  {greens}, {plural(session.tests, 'test')} more that pass"),
    ]


def _clock(seconds: float) -> str:
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _minutes(minutes: float) -> str:
    return f"{minutes:g} minute{'' if minutes == 1 else 's'}"
