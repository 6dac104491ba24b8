"""A small kata for tests that need no whole course."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from harness.course.katas import Kata

SOURCE = '''\
"""A module."""

import math

SIZE = 3


class Part:
    def of(self) -> "Part":
        return self


class Whole(Part):
    def part(self) -> Part:
        return Part()


def double(x):
    return 2 * x


def half(x):
    return double(x) / 4
'''


@pytest.fixture
def kata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kata:
    """A kata whose solution is SOURCE, with an empty module installed as the learner's."""
    kata = Kata(tmp_path, "k00_parts")
    kata.solution.parent.mkdir(parents=True)
    kata.solution.write_text(SOURCE)
    package, module = ModuleType(kata.package), ModuleType(kata.module)
    package.parts = module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, kata.package, package)
    monkeypatch.setitem(sys.modules, kata.module, module)
    return kata
