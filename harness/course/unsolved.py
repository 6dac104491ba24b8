"""The unsolved course: the original stubs, and copies with them."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.course.katas import Course, Kata, load_course
from harness.course.stubs import make_stub


def shipped_stub(kata: Kata) -> str:
    """Return the original stub of the kata. Raises OSError or SyntaxError."""
    return make_stub(kata.solution.read_text(encoding="utf-8"))


def write_shipped_stubs(course: Course) -> None:
    """Restore the original stub of every kata."""
    for kata in course.katas:
        kata.stub.write_text(shipped_stub(kata), encoding="utf-8")


def copy_shipped(root: Path, into: Path) -> Course:
    """Copy the unsolved katas, their solutions, and the files that pytest needs."""
    for name in ("katas", "solutions"):
        shutil.copytree(root / name, into / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "conftest.py"):
        shutil.copy(root / name, into / name)
    copied = load_course(into)
    write_shipped_stubs(copied)
    return copied
