"""Katas for notebooks: importable, type-checked, the learner's own by default."""

from __future__ import annotations

import os
from pathlib import Path

from harness.course.katas import find_root, load_course
from harness.course.words import NOT_A_COURSE
from harness.isolation import importer
from harness.isolation.recorder import Recorder
from harness.progress.ledger import Ledger
from harness.progress.words import notebook_before_its_kata_is_done, using_katas

SOLUTIONS_VARIABLE = "HARNESS_SOLUTIONS"
_TIME_LIMIT = 60.0  # seconds for the import of one kata


def use_katas(solutions: bool | None = None) -> None:
    """Make `katas.…` importable in this notebook: your own, or the reference with `solutions`.

    By default the environment decides: HARNESS_SOLUTIONS=1 selects the reference. Restart the kernel after
    editing a kata. In the folder of an incomplete kata, a notice is printed.
    Raises FileNotFoundError outside a clone of the katas.
    """
    root = find_root(Path.cwd().resolve())
    if root is None:
        raise FileNotFoundError(NOT_A_COURSE)
    chosen = os.environ.get(SOLUTIONS_VARIABLE) == "1" if solutions is None else solutions
    course = load_course(root)
    importer.install(course, Recorder(None, _TIME_LIMIT), solved=course.katas if chosen else ())
    print(using_katas(chosen))
    kata = course.kata_of(Path.cwd().resolve())
    if kata and not chosen:
        progress = Ledger(course).of(kata)
        if not progress.complete:
            print(notebook_before_its_kata_is_done(progress))
