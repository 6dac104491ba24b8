"""The whole way of a learner: from an untouched copy, one function at a time, to the end of what exists."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from harness.course import Kata, load_course
from harness.stubs import contract, make_stub
from harness.tests.miniature import Miniature

NEXT_TEST = re.compile(r"✗ .*?\n  (test_\w+)", re.DOTALL)


@pytest.fixture
def clone(repository: Path, tmp_path: Path) -> Miniature:
    """This repository's katas and solutions as they are shipped, in a folder of their own."""
    for name in ("katas", "solutions"):
        shutil.copytree(repository / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "conftest.py"):
        shutil.copy(repository / name, tmp_path / name)
    for kata in load_course(tmp_path).katas:
        kata.stub.write_text(make_stub(kata.solution.read_text(encoding="utf-8")), encoding="utf-8")
    return Miniature(tmp_path)


def test_every_function_moves_the_next_failing_test_forward_to_the_end(clone: Miniature) -> None:
    katas = load_course(clone.root).katas
    for kata, following in zip(katas, [*katas[1:], None], strict=True):
        walk_through(clone, kata)
        closing = clone.pytest().out if following is None else clone.pytest(f"katas/{kata.number}").out
        assert f"kata {kata.title} · " in closing
        assert "complete ✓" in closing
        if following:
            assert (
                f"Next: read katas/{following.name}/README.md, then run  pytest katas/{following.number}"
                in closing
            )
    assert clone.harness("status", "--check").code == 0


def walk_through(clone: Miniature, kata: Kata) -> None:
    """Solve a kata function by function with the command that a learner types, `pytest`."""
    solution = kata.solution.read_text(encoding="utf-8")
    names = list(contract(solution))
    order = re.findall(r"^def (test_\w+)", kata.tests.read_text(encoding="utf-8"), re.MULTILINE)
    reached = -1
    for count, name in enumerate(names):
        result = clone.pytest()
        assert result.code == 1, result.text
        assert f"kata {kata.title} · " in result.out
        assert (
            f"{name} is not written yet." in result.out
            or f"{name}.__init__ is not written yet." in result.out
        )
        position = order.index(NEXT_TEST.search(result.out)[1])
        assert position > reached, f"{names[count - 1]} alone makes no test pass"
        reached = position
        kata.stub.write_text(make_stub(solution, solved=names[: count + 1]), encoding="utf-8")
