"""A miniature course: two katas small enough to read, for the tests of the harness itself."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import CompletedProcess, Popen
from textwrap import dedent
from typing import Any, Self

from harness.course.graph import COURSE_FILE
from harness.course.kata_tests import manifest_text
from harness.course.katas import Course, Kata, load_course
from harness.course.stubs import make_stub
from harness.tests.support import commands
from harness.tests.support.plugins import AS_A_LEARNER

PYPROJECT = """
[tool.pytest.ini_options]
testpaths = ["katas"]
addopts = ["--import-mode=importlib"]
"""

NUMBERS = '''
"""Two functions of numbers."""

import torch
from jaxtyping import Float
from torch import Tensor


def double(x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
    """Return twice the input.

    Formula: 2 x.
    """
    return 2 * x


def outer(x: Float[Tensor, "n"], y: Float[Tensor, "m"]) -> Float[Tensor, "n m"]:
    """Return every product of an entry of x with an entry of y."""
    return x[:, None] * y
'''

TEST_NUMBERS = '''
"""Tests of kata 00."""

import pytest
import torch
from torch.testing import assert_close

from katas.k00_doubles.doubles import double, outer


def test_double_of_one():
    """Twice one is two."""
    assert_close(double(torch.ones(3)), torch.full((3,), 2.0), rtol=0, atol=0)


@pytest.mark.parametrize("value", [0.5, -3.0])
def test_double_of_any(value):
    """Twice any number is that number added to itself."""
    assert double(torch.tensor([value])).item() == value + value


def test_double_leaves_its_input_alone():
    """The input keeps its values."""
    x = torch.ones(2)
    double(x)
    assert_close(x, torch.ones(2), rtol=0, atol=0)


def test_outer():
    """Row i holds x[i] times every entry of y."""
    assert_close(
        outer(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 10.0, 100.0])),
        torch.tensor([[1.0, 10.0, 100.0], [2.0, 20.0, 200.0]]),
        rtol=0,
        atol=0,
    )
'''

LAYERS = '''
"""A layer that uses kata 00."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from katas.k00_doubles.doubles import double


class Doubler(nn.Module):
    """A layer that doubles."""

    def forward(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
        """Return twice the input."""
        return double(x)
'''

TEST_LAYERS = '''
"""Tests of kata 01."""

import torch

from katas.k01_layers.layers import Doubler


def test_doubler():
    """The layer doubles."""
    assert Doubler()(torch.ones(1)).item() == 2


def test_doubler_of_zero():
    """Twice nothing is nothing."""
    assert Doubler()(torch.zeros(1)).item() == 0
'''

HINT = 'minutes = 1\nnudge = "Look at {name}."\nwhere = "At its docstring."\npseudocode = "Twice."\n'

COURSE = """
[k00_doubles]
track = "core"
needs = []
hours = [0.25, 0.5]
builds = "twice a number"

[k01_layers]
track = "core"
needs = ["k00_doubles"]
hours = [1, 1]
builds = "a layer"
"""

_KATAS = {"k00_doubles": (NUMBERS, TEST_NUMBERS), "k01_layers": (LAYERS, TEST_LAYERS)}


@dataclass(frozen=True)
class Result:
    """What a command printed and how it ended."""

    out: str
    err: str
    code: int

    @classmethod
    def of(cls, done: CompletedProcess[bytes]) -> Self:
        return cls(
            done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"), done.returncode
        )

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass(frozen=True)
class Miniature:
    """A course on disk, and a learner who types commands in it."""

    root: Path
    is_cold: bool = False

    @property
    def cold(self) -> Self:
        """The same, but each command starts a Python of its own: for what shows only then (commands.py)."""
        return replace(self, is_cold=True)

    @property
    def course(self) -> Course:
        return load_course(self.root)

    @property
    def doubles(self) -> Kata:
        return self.course.katas[0]

    @property
    def layers(self) -> Kata:
        return self.course.katas[1]

    def solve(self, kata: Kata) -> None:
        """Put the solution in place of the stub."""
        kata.stub.write_text(kata.solution.read_text())

    def write_doubles(self, **bodies: str) -> None:
        """Edit the stub of kata 00 as a learner would: the bodies of some functions (default: right)."""
        right = {"double": "return 2 * x", "outer": "return x[:, None] * y"}
        source = self.doubles.solution.read_text()
        for name, body in bodies.items():
            source = source.replace(f"    {right[name]}\n", _indented(body))
        self.doubles.stub.write_text(source)

    def pytest(self, *args: str, folder: str = ".", **environment: str) -> Result:
        """Type `pytest ARGS` in a folder of the course."""
        return self.python("-m", "pytest", *args, folder=folder, **environment)

    def harness(self, *args: str, folder: str = ".", **environment: str) -> Result:
        """Type `harness ARGS` in a folder of the course."""
        return self.python("-m", "harness", *args, folder=folder, **environment)

    def python(self, *args: str, folder: str = ".", **environment: str) -> Result:
        """Type `python ARGS` in a folder of the course."""
        return self.run(sys.executable, *args, folder=folder, **environment)

    def run(self, *command: str, folder: str = ".", **environment: str) -> Result:
        """Type any command in a folder of the course."""
        environment = {**self._environment(), **environment}
        return Result.of(commands.run(command, self.root / folder, environment, cold=self.is_cold))

    def start(self, *command: str, **options: Any) -> Popen[bytes]:
        """Type a command and do not wait for its end; the options are those of `subprocess.Popen`."""
        return commands.start(command, cold=self.is_cold, cwd=self.root, env=self._environment(), **options)

    def _environment(self) -> dict[str, str]:
        own = _clean_environment()
        # What a cold command runs, warm ones run too; a cold start under coverage takes half as long again.
        return commands.without_coverage(own) if self.is_cold else own


def make_miniature(root: Path) -> Miniature:
    """Write the course to `root`, every stub unsolved."""
    (root / "pyproject.toml").write_text(PYPROJECT)
    for name, (solution, tests) in _KATAS.items():
        _write_kata(Kata(root, name), solution.lstrip(), tests.lstrip())
    (root / "katas" / "__init__.py").touch()
    (root / COURSE_FILE).write_text(COURSE)
    (root / "katas" / "shipped.json").write_text(manifest_text(load_course(root)))
    return Miniature(root)


def _write_kata(kata: Kata, solution: str, tests: str) -> None:
    kata.folder.mkdir(parents=True)
    kata.solution_folder.mkdir(parents=True)
    (kata.folder / "__init__.py").touch()
    kata.solution.write_text(solution)
    kata.stub.write_text(make_stub(solution))
    kata.tests.write_text(tests)
    names = re.findall(r"def (test_\w+)", tests)
    kata.hints.write_text("\n".join(f"[{name}]\n{HINT.format(name=name)}" for name in names))


def _indented(body: str) -> str:
    return "".join(f"    {line}\n" for line in dedent(body).strip("\n").splitlines())


def _clean_environment() -> dict[str, str]:
    """This process's environment without what would steer a pytest inside it: that of a learner.

    In tox, for one, all would keep what failed last in the same place, each other's too.
    """
    kept = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "COV_", "TEAMCITY", "PYCHARM", "TOX_")) or name in kept
    }
    return {**own, "PYTEST_ADDOPTS": AS_A_LEARNER}
