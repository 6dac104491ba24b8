"""The hints of a kata, read from its hints.toml."""

from __future__ import annotations

import tomllib

from harness.course.katas import Kata

LEVELS = {"nudge": "Nudge", "where": "Where to look", "pseudocode": "Pseudocode"}


def read_hints(kata: Kata) -> dict[str, dict[str, str]]:
    """Read the kata's hints.toml. Raises OSError or tomllib.TOMLDecodeError."""
    table: dict[str, dict[str, str]] = tomllib.loads(kata.hints.read_text(encoding="utf-8"))
    return table
