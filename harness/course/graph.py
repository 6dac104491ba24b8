"""The course as a graph: the track of each kata, what it needs and its hours, from katas/course.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COURSE_FILE = "katas/course.toml"
CORE, ADVANCED = "core", "advanced"
TRACKS = (CORE, ADVANCED)


class BadCourse(ValueError):
    """The file cannot be used; the message says where and why."""


@dataclass(frozen=True)
class Entry:
    """What the file says about a kata."""

    track: str = CORE
    needs: tuple[str, ...] = ()  # other katas, by their folders' names
    hours: tuple[float, float] | None = None  # at least, at most
    builds: str = ""  # what one builds, in a few words


def read_entries(root: Path) -> dict[str, Entry]:
    """Return the entries by kata. Raises BadCourse; OSError if the file is missing."""
    try:
        table = tomllib.loads((root / COURSE_FILE).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadCourse(str(error)) from None
    return {name: _entry(name, row) for name, row in table.items()}


def entries_of(root: Path, names: Sequence[str]) -> dict[str, Entry]:
    """Return an entry for each kata; one that the file lacks needs the kata before it.

    Without a usable file, which the gate reports, the course is a chain.
    """
    try:
        entries = read_entries(root)
    except (OSError, BadCourse):
        entries = {}
    before = [(), *((name,) for name in names)]
    return {name: entries.get(name, Entry(needs=before[place])) for place, name in enumerate(names)}


def _entry(name: str, row: object) -> Entry:
    match row:
        case {"track": str(track), "needs": list(needs), "hours": [low, high], "builds": str(builds)} if (
            track in TRACKS and _are_names(needs) and _are_hours(low, high)
        ):
            return Entry(track, tuple(needs), (low, high), builds)
    raise BadCourse(f'[{name}] lacks track ("core" or "advanced"), needs, hours (two numbers) or builds')


def _are_names(needs: Sequence[Any]) -> bool:
    return all(isinstance(name, str) for name in needs)


def _are_hours(low: Any, high: Any) -> bool:
    return isinstance(low, int | float) and isinstance(high, int | float) and 0 < low <= high
