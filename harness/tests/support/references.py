"""The reference solutions as modules, here and in a Python that a test starts."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from harness.course.katas import load_course, resolve_kata
from harness.tests.conftest import REPOSITORY

_INSTALL = """
from pathlib import Path
from harness.course.katas import load_course
from harness.isolation import importer
from harness.isolation.recorder import Recorder
course = load_course(Path.cwd())
importer.install(course, Recorder(None, 60), solved=course.katas, checked={checked})
"""


def solved(*, checked: bool = True) -> str:
    """Return the lines that make `katas.…` the reference in a Python that is started in the repository."""
    return _INSTALL.format(checked=checked)


def reference(number: str) -> ModuleType:
    """Return the reference solution of a kata as a module, with whatever is in katas/ before it."""
    path = resolve_kata(load_course(REPOSITORY), number).solution
    spec = importlib.util.spec_from_file_location(f"reference_{number}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
