"""The commands on docs/updating.md do what the page says."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable

import pytest

from harness.tests.commands.test_update import SOMEBODY, Clone, clone, edit_the_docstring, git
from harness.tests.conftest import REPOSITORY

__all__ = ["clone"]  # a fixture
PAGE = (REPOSITORY / "docs" / "updating.md").read_text(encoding="utf-8")
HEADINGS = ("After a `git pull` with conflicts", "In a fork", "With git alone")
QUIET = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, **SOMEBODY}


def section(heading: str) -> str:
    return PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def type_commands(clone: Clone, text: str) -> str:
    """Type every command of a part of the page, and return what the last one printed."""
    printed = ""
    for command in "".join(blocks(text, "sh")).splitlines():
        words = shlex.split(command.replace("ADDRESS", str(clone.course.root.parent / "home.git")))
        run = clone.mine.harness if words[0] == "harness" else clone.mine.run
        result = run(*(words[1:] if words[0] == "harness" else words), **QUIET)
        assert result.code == 0, result.text
        printed = result.out
    return printed


def test_one_command_updates_and_prints_what_the_page_shows(clone: Clone) -> None:
    clone.mine.write_doubles(double="return x + x")
    clone.publish(edit_the_docstring)
    start = PAGE.split("\n## ")[0]
    (shown,) = blocks(start, "text")
    assert shown in type_commands(clone, start)


def work_in_the_same_lines(clone: Clone) -> str:
    clone.mine.doubles.stub.write_text(clone.stub.replace("Formula: 2 x.", "Formula: x + x."))
    return clone.stub


def pulled_with_conflicts(clone: Clone) -> None:
    clone.commit()
    git(clone.mine.root, "pull", "-q", "--no-rebase", check=False, **SOMEBODY)
    assert "<<<<<<<" in clone.stub


def forked(clone: Clone) -> None:
    git(clone.mine.root, "remote", "set-url", "origin", "/nowhere")


@pytest.mark.parametrize(
    ("heading", "before"),
    [(HEADINGS[0], pulled_with_conflicts), (HEADINGS[1], forked), (HEADINGS[2], lambda clone: None)],
    ids=HEADINGS,
)
def test_the_commands_update_the_course_and_keep_the_work(
    clone: Clone, heading: str, before: Callable[[Clone], None]
) -> None:
    mine = work_in_the_same_lines(clone)
    clone.publish(edit_the_docstring)
    before(clone)
    type_commands(clone, section(heading))
    assert clone.stub == mine
    assert clone.mine.doubles.solution.read_text() == clone.course.doubles.solution.read_text()


def test_git_announces_a_conflict_as_the_page_shows_it(clone: Clone) -> None:
    work_in_the_same_lines(clone)
    clone.commit()
    clone.publish(edit_the_docstring)
    (shown,) = blocks(section(HEADINGS[0]), "text")
    assert shown in git(clone.mine.root, "pull", "--no-rebase", check=False, **SOMEBODY)
