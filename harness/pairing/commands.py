"""`harness pair`, with the session saved in `.harness/pair.jsonl`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from harness.course.katas import Course
from harness.pairing import words
from harness.pairing.session import (
    BadPair,
    Person,
    Session,
    clock_went_back,
    due,
    new_event,
    pair_of,
    replay,
    start_event,
)
from harness.progress.ledger import Ledger
from harness.progress.line_file import append_line, read_lines
from harness.progress.standing import KataProgress, next_kata
from harness.terminal.lines import Line

FILE = "pair.jsonl"
_LOG_FORMAT = "--format=%aN%x09%aE"
_COMMITS = "-2000"  # the latest ones, enough to find who works here
_PATIENCE = 10.0  # seconds for git, on a slow disk


class NotNow(Exception):
    """The command cannot be executed; the message says why and what to type."""


def start(course: Course, first: str, second: str, minutes: float, now: float) -> list[Line]:
    """Start a session. Raises NotNow."""
    running = current_session(course, now)
    if running:
        raise NotNow(words.already_running(running))
    try:
        people = pair_of(first, second, minutes)
    except BadPair as problem:
        raise NotNow(words.bad_pair(problem)) from None
    _note(course, start_event(people, minutes, now))
    return words.session_started(_running_session(course, now))


def swap(course: Course, now: float) -> list[Line]:
    """Swap driver and navigator. Raises NotNow."""
    _running_session(course, now)
    return _swap_now(course, Ledger(course).progress(), now, why="hand", tests=0)


def status(course: Course, now: float) -> list[Line]:
    """Return whose turn it is, for how long, and the counts so far. Raises NotNow."""
    return words.status(_running_session(course, now), now)


def stop(course: Course, now: float) -> list[Line]:
    """End the session and summarise it. Raises NotNow."""
    _running_session(course, now)
    _note(course, new_event("stop", now))
    session = replay(_events(course))
    assert session is not None  # its last event was just written
    return words.summary(session, [_with_address(course.root, each) for each in session.people])


def after_run(course: Course, ledger: Ledger, now: float) -> list[Line]:
    """Swap at the end of a run if a test turned green or the time is up, and say so."""
    session = current_session(course, now)
    tests = sum(len(names) for names in ledger.newly_passed.values())
    why = due(session, now, newly_passed=tests) if session else ""
    if not why:
        return []
    try:
        return [Line(), *_swap_now(course, ledger.progress(), now, why=why, tests=tests)]
    except NotNow as problem:
        return [Line(), Line(str(problem), "bad")]


def turn_line(course: Course, now: float) -> list[Line]:
    """Return whose turn it is, in one line; empty without a session."""
    session = current_session(course, now)
    return [words.turn(session, now)] if session else []


def time_is_up(course: Course, now: float) -> bool:
    """True if a session is running and its turn is over."""
    session = current_session(course, now)
    return session is not None and session.left(now) <= 0


def _swap_now(
    course: Course, progress: Sequence[KataProgress], now: float, *, why: str, tests: int
) -> list[Line]:
    following = next_kata(progress)
    note = following.next_test if following else None
    _note(course, new_event("swap", now, why=why, tests=tests, next_test=note))
    return words.swap(_running_session(course, now), why, following)


def _running_session(course: Course, now: float) -> Session:
    session = current_session(course, now)
    if session is None:
        raise NotNow(words.NO_SESSION)
    return session


def current_session(course: Course, now: float) -> Session | None:
    """Return the running session, with a new turn if the clock was set back."""
    session = replay(_events(course))
    if session is None or session.over:
        return None
    if clock_went_back(session, now):
        session = replace(session, turn_began=now, latest=now)
        with suppress(NotNow):  # reading works even if the folder is read-only
            _note(course, new_event("clock", now))
    return session


def _path(course: Course) -> Path:
    return course.state / FILE


def _events(course: Course) -> list[dict[str, object]]:
    return read_lines(_path(course))


def _note(course: Course, event: dict[str, object]) -> None:
    path = _path(course)
    try:
        append_line(path, event)
    except OSError as error:
        raise NotNow(words.not_saved(course.relative(path), error.strerror or str(error))) from None


def _with_address(root: Path, person: Person) -> Person:
    """Return the person with the address that git has for the name, if any."""
    if person.address:
        return person
    known = dict(_known_people(root))
    wanted = person.name.casefold()
    full = {name.casefold(): name for name in known}
    first = {name.casefold().split()[0]: name for name in reversed(known) if name.split()}
    name = full.get(wanted) or first.get(wanted)
    return Person(name, known[name]) if name else person


def _known_people(root: Path) -> Iterator[tuple[str, str]]:
    """Yield names and addresses from the latest commits, oldest first, then from git's configuration."""
    lines = ["\t".join(_git(root, "config", key) for key in ("user.name", "user.email"))]
    lines += _git(root, "log", _COMMITS, _LOG_FORMAT).splitlines()
    for line in reversed(lines):  # so that dict() keeps the latest address
        name, _, address = line.partition("\t")
        if name.strip() and address.strip():
            yield name.strip(), address.strip()


def _git(root: Path, *arguments: str) -> str:
    """Return the output of git; empty if git is missing or fails."""
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""
