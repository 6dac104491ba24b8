"""The hints of a kata and the minutes that its tests take, read from its hints.toml."""

from __future__ import annotations

import tomllib
from typing import Any

from harness.course.katas import Kata

LEVELS = {"nudge": "Nudge", "where": "Where to look", "pseudocode": "Pseudocode"}
MINUTES = "minutes"  # how long a newcomer is expected to need for the test


def read_hints(kata: Kata) -> dict[str, dict[str, str]]:
    """Read the texts of the kata's hints.toml. Raises OSError or tomllib.TOMLDecodeError."""
    return {
        test: {level: text for level, text in entry.items() if level != MINUTES}
        for test, entry in _read(kata).items()
    }


def read_minutes(kata: Kata) -> dict[str, int]:
    """Read the expected minutes of each test that has any. Raises OSError or tomllib.TOMLDecodeError."""
    return {test: entry[MINUTES] for test, entry in _read(kata).items() if MINUTES in entry}


def _read(kata: Kata) -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = tomllib.loads(kata.hints.read_text(encoding="utf-8"))
    return table
