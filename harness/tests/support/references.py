"""The reference solutions as modules."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from harness.course.katas import load_course, resolve_kata
from harness.tests.conftest import REPOSITORY


def reference(number: str) -> ModuleType:
    """Return the reference solution of a kata as a module, with whatever is in katas/ before it."""
    path = resolve_kata(load_course(REPOSITORY), number).solution
    spec = importlib.util.spec_from_file_location(f"reference_{number}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
