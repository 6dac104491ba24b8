"""The worked examples of every theory.md are true of the solutions."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.course import load_course
from harness.tests.conftest import REPOSITORY

KATAS = load_course(REPOSITORY).katas
RUN_EXAMPLES = """
import doctest, sys
from pathlib import Path
from harness import standins
from harness.course import load_course
from harness.flight import Recorder
COURSE = load_course(Path.cwd())
standins.install(COURSE, Recorder(None, 60), solved=COURSE.katas)
text = Path(sys.argv[1]).read_text(encoding="utf-8").replace("```", "")  # a fence is no output
examples = doctest.DocTestParser().get_doctest(text, {}, "theory.md", sys.argv[1], 0)
result = doctest.DocTestRunner().run(examples)
sys.exit(f"{result.failed} of {result.attempted} failed" if result.failed or not result.attempted else 0)
"""


@pytest.mark.parametrize("kata", KATAS, ids=lambda kata: kata.name)
def test_the_worked_example_is_true(kata) -> None:
    theory = str(kata.folder / "theory.md")
    command = [sys.executable, "-c", RUN_EXAMPLES, theory]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
