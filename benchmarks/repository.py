"""The repository that the benchmarks are in, and its katas."""

from __future__ import annotations

from pathlib import Path

from harness.course.katas import Course, find_root, load_course
from harness.isolation import importer
from harness.isolation.recorder import Recorder

IMPORT_LIMIT = 600.0  # seconds for the import of one kata


def repository_root() -> Path:
    """Return the folder of the repository."""
    root = find_root(Path(__file__).resolve().parent)
    assert root is not None  # this file is in the repository
    return root


def install_katas(*, solutions: bool = True) -> Course:
    """Make `katas.…` importable without checks of types, of the reference or your own. Return the course."""
    course = load_course(repository_root())
    solved = course.katas if solutions else ()
    importer.install(course, Recorder(None, IMPORT_LIMIT), solved=solved, checked=False)
    return course
