"""The worked examples of the theory pages are true of the solutions."""

from __future__ import annotations

import pytest

from harness.course.katas import load_course
from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature

KATAS = load_course(REPOSITORY).katas
RUN_EXAMPLES = """
import doctest, sys
from pathlib import Path
from harness.isolation import importer
from harness.course.katas import load_course
from harness.isolation.recorder import Recorder
COURSE = load_course(Path.cwd())
importer.install(COURSE, Recorder(None, 60), solved=COURSE.katas)
text = Path(sys.argv[1]).read_text(encoding="utf-8").replace("```", "")  # a fence is not output
examples = doctest.DocTestParser().get_doctest(text, {}, sys.argv[1], sys.argv[1], 0)
result = doctest.DocTestRunner().run(examples)
sys.exit(f"{result.failed} of {result.attempted} failed" if result.failed or not result.attempted else 0)
"""


PAGES = sorted(
    page
    for kata in KATAS
    for page in kata.folder.glob("*.md")
    if page.name == "theory.md" or ">>> " in page.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_the_worked_example_is_true(page) -> None:
    done = Miniature(REPOSITORY).python("-c", RUN_EXAMPLES, str(page))
    assert done.code == 0, done.text
