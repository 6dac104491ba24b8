"""The gate's rules about katas/course.toml: it describes each kata, and each can be unlocked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.authoring.slip_trials import Problem
from harness.course.graph import COURSE_FILE, BadCourse, Entry, read_entries
from harness.course.katas import Course


def course_is_described(course: Course) -> Iterator[Problem]:
    """Report a file that cannot be used, and what in it contradicts the katas' folders."""
    try:
        found = contradictions(read_entries(course.root), [kata.name for kata in course.katas])
    except OSError:
        found = ["is missing"]
    except BadCourse as error:
        found = [f"cannot be read ({error})"]
    for rule in found:
        yield Problem(COURSE_FILE, rule, "give each kata track, needs, hours and builds")


def contradictions(entries: Mapping[str, Entry], names: Sequence[str]) -> list[str]:
    """Return missing and foreign entries, and needs that cannot be met."""
    found = [f"has no entry for {name}" for name in names if name not in entries]
    found += [f"describes {name}, which is not a kata" for name in entries if name not in names]
    for name, entry in entries.items():
        unmet = [need for need in entry.needs if need not in names or need >= name]
        found += [f"lets {name} need {need}, which is not an earlier kata" for need in unmet]
    return found
