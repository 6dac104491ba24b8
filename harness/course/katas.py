"""The katas of a repository: their files, and the KATA argument."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from harness.course.graph import CORE, entries_of
from harness.course.words import unknown_kata

STATE = ".harness"  # the folder of recorded progress
_FOLDER = re.compile(r"k(\d\d)_([a-z][a-z0-9_]*)")
_ARGUMENT = re.compile(r"k?(\d{1,2})")


@dataclass(frozen=True)
class Kata:
    """One kata: a numbered folder with a stub, an ordered test suite and its texts."""

    root: Path
    name: str  # "k01_attention"
    needs: tuple[str, ...] = ()  # the names of the katas that it builds on directly
    track: str = CORE

    @property
    def number(self) -> str:
        return self.name[1:3]

    @property
    def topic(self) -> str:
        return self.name[4:]

    @property
    def title(self) -> str:
        return f"{self.number} {self.topic.replace('_', ' ')}"

    @property
    def folder(self) -> Path:
        return self.root / "katas" / self.name

    @property
    def stub(self) -> Path:
        return self.folder / f"{self.topic}.py"

    @property
    def tests(self) -> Path:
        return self.folder / f"test_{self.topic}.py"

    @property
    def hints(self) -> Path:
        return self.folder / "hints.toml"

    @property
    def solution_folder(self) -> Path:
        return self.root / "solutions" / self.name

    @property
    def solution(self) -> Path:
        return self.solution_folder / f"{self.topic}.py"

    @property
    def package(self) -> str:
        return f"katas.{self.name}"

    @property
    def module(self) -> str:
        return f"{self.package}.{self.topic}"

    @property
    def command(self) -> str:
        return f"pytest katas/{self.number}"


@dataclass(frozen=True)
class Course:
    """A repository of katas, in the order of their numbers."""

    root: Path
    katas: tuple[Kata, ...]

    @property
    def state(self) -> Path:
        return self.root / STATE

    def kata_of(self, path: Path) -> Kata | None:
        """Return the kata whose folder or solution folder contains `path`, if any."""
        for kata in self.katas:
            if path.is_relative_to(kata.folder) or path.is_relative_to(kata.solution_folder):
                return kata
        return None

    def needed(self, kata: Kata) -> tuple[Kata, ...]:
        """Return the katas that `kata` needs, directly or through others, in order."""
        names = set(kata.needs)
        earlier = [each for each in self.katas if each.name < kata.name]
        for each in reversed(earlier):
            names.update(each.needs if each.name in names else ())
        return tuple(each for each in earlier if each.name in names)

    def relative(self, path: Path) -> str:
        """Return `path` as a learner types it from the root, with forward slashes."""
        return display_path(self.root, path)


class UnknownKata(ValueError):
    """A KATA argument does not name a kata; the message lists those that exist."""


def display_path(root: Path, path: Path) -> str:
    """Return `path` as a learner types it from the root, with forward slashes."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def find_root(start: Path) -> Path | None:
    """Return the nearest folder at or above `start` that contains `katas/kNN_topic/`, if any."""
    for folder in (start, *start.parents):
        if _kata_names(folder):
            return folder
    return None


def courses_in(folder: Path) -> list[Path]:
    """Return the folders directly in `folder` that are roots of a course."""
    try:
        return sorted(each for each in folder.iterdir() if _kata_names(each))
    except OSError:
        return []


def load_course(root: Path) -> Course:
    """Return the course under `root`, its katas ordered by number."""
    entries = entries_of(root, _kata_names(root))
    katas = (Kata(root, name, entry.needs, entry.track) for name, entry in entries.items())
    return Course(root, tuple(katas))


def resolve_kata(course: Course, argument: str) -> Kata:
    """Return the kata named by `3`, `03`, `k03` or the folder's name.

    Raises UnknownKata naming the argument and the nearest kata.
    """
    number = _ARGUMENT.fullmatch(argument)
    for kata in course.katas:
        if argument == kata.name or (number and int(number[1]) == int(kata.number)):
            return kata
    raise UnknownKata(_describe_unknown(course, argument))


def _describe_unknown(course: Course, argument: str) -> str:
    names = [kata.name for kata in course.katas]
    topics = {kata.topic: kata.name for kata in course.katas}
    close = difflib.get_close_matches(argument, [*names, *topics], n=1, cutoff=0.5)
    nearest = topics.get(close[0], close[0]) if close else ""
    return unknown_kata(argument, course.katas[0].number, course.katas[-1].number, nearest)


def _kata_names(root: Path) -> list[str]:
    folder = root / "katas"
    if not folder.is_dir():
        return []
    return sorted(
        entry.name for entry in folder.iterdir() if _FOLDER.fullmatch(entry.name) and entry.is_dir()
    )
