"""Pair sessions as pure facts and decisions.

A session is computed from its events in order: start, swap, clock, stop. Times are those of the system's
clock, so that a session outlives the commands; the clock may be changed meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

LONGEST = 24 * 60.0  # minutes of a turn
_COUNTED = 2.0  # turns at most: if it took longer, nobody was there or the clock was set forward


class BadPair(ValueError):
    """Invalid names or length of a turn; `why` is names, same or minutes."""

    def __init__(self, why: str, value: str) -> None:
        super().__init__(f"{why}: {value}")
        self.why = why
        self.value = value


@dataclass(frozen=True)
class Person:
    """A name, and the e-mail address for a commit if it was given."""

    name: str
    address: str = ""


@dataclass(frozen=True)
class Session:
    """The state of a session. `driver_index` is 0 or 1, the position in `people`."""

    people: tuple[Person, Person]
    minutes: float
    began: float
    turn_began: float
    latest: float  # the time of the latest event
    driver_index: int = 0
    seconds: tuple[float, float] = (0.0, 0.0)  # driven by each, without the current turn
    swaps: Mapping[str, int] | None = None  # how many, by reason: green, time, hand
    tests: int = 0  # newly passed
    over: bool = False

    def count(self, why: str) -> int:
        """Return the number of swaps for a reason."""
        return (self.swaps or {}).get(why, 0)

    @property
    def all_swaps(self) -> int:
        return sum((self.swaps or {}).values())

    @property
    def driver(self) -> Person:
        return self.people[self.driver_index]

    @property
    def navigator(self) -> Person:
        return self.people[1 - self.driver_index]

    def left(self, now: float) -> float:
        """Return the seconds until the turn is over; zero or less once it is."""
        return self.minutes * 60 - max(now - self.turn_began, 0.0)

    def seconds_driven(self, now: float) -> tuple[float, float]:
        """Return the seconds that each has driven until now."""
        turn = 0.0 if self.over else min(max(now - self.turn_began, 0.0), _COUNTED * 60 * self.minutes)
        first, second = self.seconds
        return (first + turn, second) if self.driver_index == 0 else (first, second + turn)


def person(text: str) -> Person:
    """Read `Ana` or `Ana <ana@example.org>`. Raises BadPair for an empty name."""
    name, _, rest = " ".join(text.split()).partition("<")
    if not name.strip() or not name.strip().isprintable():
        raise BadPair("names", text)
    return Person(name.strip(), rest.rstrip("> ").strip())


def pair_of(first: str, second: str, minutes: float) -> tuple[Person, Person]:
    """Return the two people of a session. Raises BadPair."""
    people = (person(first), person(second))
    if people[0].name.casefold() == people[1].name.casefold():
        raise BadPair("same", people[0].name)
    if not (math.isfinite(minutes) and 0 < minutes <= LONGEST):
        raise BadPair("minutes", f"{minutes:g}")
    return people


def start_event(people: tuple[Person, Person], minutes: float, now: float) -> dict[str, object]:
    """Return the event that starts a session."""
    rows = [{"name": each.name, "address": each.address} for each in people]
    return {"event": "start", "time": now, "people": rows, "minutes": minutes}


def new_event(event: str, now: float, **facts: object) -> dict[str, object]:
    """Return another event: swap (with `why` and `tests`), clock or stop."""
    return {"event": event, "time": now, **facts}


def replay(events: Iterable[Mapping[str, Any]]) -> Session | None:
    """Return the latest session in the events, over or not; None if there is none."""
    session: Session | None = None
    for event in events:
        try:
            session = _new_session(event) if event["event"] == "start" else _after(session, event)
        except (KeyError, TypeError, ValueError):
            continue  # a torn or foreign line
    return session


def clock_went_back(session: Session, now: float) -> bool:
    """True if the clock shows an earlier time than the latest event."""
    return not session.over and now < session.latest - 1


def due(session: Session, now: float, *, newly_passed: int) -> str:
    """Return why to swap at the end of a run: green, time or (do not swap) empty."""
    if session.over:
        return ""
    return "green" if newly_passed else "time" if session.left(now) <= 0 else ""


def _new_session(event: Mapping[str, Any]) -> Session:
    first, second = (Person(str(row["name"]), str(row["address"])) for row in event["people"])
    time = float(event["time"])
    return Session((first, second), float(event["minutes"]), time, time, time)


def _after(session: Session | None, event: Mapping[str, Any]) -> Session | None:
    if session is None or session.over:
        return session
    now, kind = float(event["time"]), event["event"]
    if kind == "clock":  # the length of the turn is unknown: it starts again
        return replace(session, turn_began=now, latest=now)
    if kind == "stop":
        return replace(session, seconds=session.seconds_driven(now), latest=now, over=True)
    swaps = {**(session.swaps or {})}
    swaps[str(event["why"])] = swaps.get(str(event["why"]), 0) + 1
    return replace(
        session,
        seconds=session.seconds_driven(now),
        driver_index=1 - session.driver_index,
        turn_began=now,
        latest=now,
        swaps=swaps,
        tests=session.tests + int(event.get("tests", 0)),
    )
