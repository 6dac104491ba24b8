"""The course as it is shipped: the stub of a kata, and a copy in which nothing is solved."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.course.katas import Course, Kata, load_course
from harness.course.stubs import make_stub


def shipped_stub(kata: Kata) -> str:
    """What the kata's stub says before anybody has worked on it. Raises OSError or SyntaxError."""
    return make_stub(kata.solution.read_text(encoding="utf-8"))


def write_shipped_stubs(course: Course) -> None:
    """Put the shipped stub in place of what was made of it, in every kata."""
    for kata in course.katas:
        kata.stub.write_text(shipped_stub(kata), encoding="utf-8")


def copy_shipped(root: Path, into: Path) -> Course:
    """The katas and solutions of a repository, as they are shipped, and what pytest needs to run them."""
    for name in ("katas", "solutions"):
        shutil.copytree(root / name, into / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "conftest.py"):
        shutil.copy(root / name, into / name)
    copied = load_course(into)
    write_shipped_stubs(copied)
    return copied
