"""docs/troubleshooting.md quotes real messages, and its remedies work."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.course.katas import load_course
from harness.course.unsolved import write_shipped_stubs
from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature, Result

PAGE = (REPOSITORY / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
ON_POSIX = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
KATAS = ("k00_shapes", "k01_attention")
SHAPES, TESTS = Path("katas/k00_shapes/shapes.py"), Path("katas/k00_shapes/test_shapes.py")
RECEIPTS = Path(".harness/progress.jsonl")
NO_WAY_OUT = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@dataclass(frozen=True)
class Entry:
    """One trouble on the page: its message and its commands."""

    quoted: str
    commands: tuple[str, ...]


def read_entries() -> dict[str, Entry]:
    """Return the entries of the page by their headings."""
    sections = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    return {section.split("\n")[0]: read_entry(section) for section in sections}


def read_entry(section: str) -> Entry:
    (quoted,) = re.findall(r"^```text\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    typed = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    return Entry(quoted, tuple("".join(typed).splitlines()))


ENTRIES = read_entries()


@dataclass(frozen=True)
class Clone(Miniature):
    """A clone of this repository with its first katas."""

    def type(self, command: str, **environment: str) -> Result:
        """Type a command that may begin with `pytest`, `harness` or `git`."""
        words = shlex.split(command)
        own = words[0] in ("pytest", "harness")
        return self.python("-m", *words, **environment) if own else self.run(*words, **environment)

    def edit(self, path: Path, old: str, new: str) -> None:
        text = (self.root / path).read_text(encoding="utf-8")
        assert old in text
        (self.root / path).write_text(text.replace(old, new, 1), encoding="utf-8")

    def spoil_the_solution(self, old: str, new: str) -> None:
        """Put the reference in place of the stub of kata 00, with one change."""
        self.solve(self.doubles)
        self.edit(SHAPES, old, new)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    root = tmp_path / "clone"
    for name in (f"{folder}/{kata}" for folder in ("katas", "solutions") for kata in KATAS):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "conftest.py", "Makefile", ".gitignore", "katas/__init__.py"):
        shutil.copy(REPOSITORY / name, root / name)
    write_shipped_stubs(load_course(root))
    shutil.copy(REPOSITORY / "katas" / "shipped.json", root / "katas" / "shipped.json")
    made = Clone(root)
    for command in ("git init -q", "git add -A", "git -c user.name=a -c user.email=a@b.c commit -qm a"):
        assert made.type(command).code == 0
    return made


def nothing(clone: Clone) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Trouble:
    """The way into a trouble, and the manual part of its remedy."""

    typed: str  # shows the message until the remedy is applied
    spoil: Callable[[Clone], None] = nothing
    fix: Callable[[Clone], None] = nothing
    environment: Mapping[str, str] = field(default_factory=dict)  # without it, the command works
    again: str = ""  # the command after the remedy, if it differs


def renamed(clone: Clone) -> None:
    clone.spoil_the_solution("def masked_mean(", "def mean_masked(")


def with_an_argument_less(clone: Clone) -> None:
    clone.spoil_the_solution(', mask: Bool[Tensor, "*batch seq"]', "")


def solved(clone: Clone) -> None:
    clone.solve(clone.doubles)


def torn_receipts(clone: Clone) -> None:
    (clone.root / RECEIPTS).parent.mkdir(exist_ok=True)
    (clone.root / RECEIPTS).write_text('{"kata": "k00')


TROUBLES = {
    "The plugin is not loaded": Trouble("pytest", environment={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),
    "The data folder is missing": Trouble(
        "harness data tiny_tales", environment={"HARNESS_DATA_DIR": "/nowhere"}
    ),
    "A kata is locked but should not be": Trouble("pytest katas/01", spoil=solved),
    "The tests differ from the originals": Trouble(
        "harness status", spoil=lambda clone: clone.edit(TESTS, "def test_", "def  test_")
    ),
    "A line of the progress file cannot be read": Trouble("harness status", spoil=torn_receipts),
    "A package is missing": Trouble(
        "pytest katas/00",
        spoil=lambda clone: clone.edit(SHAPES, "import torch\n", "import torch\nimport einops\n"),
        fix=lambda clone: clone.edit(SHAPES, "import einops\n", ""),
    ),
    "A name is missing": Trouble("pytest katas/00", spoil=renamed, fix=solved),
    "The signature has changed": Trouble("pytest katas/00", spoil=with_an_argument_less, fix=solved),
    "The file is missing": Trouble("pytest katas/00", spoil=lambda clone: (clone.root / SHAPES).unlink()),
    "A module is not initialised": Trouble(
        "pytest katas/00",
        spoil=lambda clone: clone.spoil_the_solution("        super().__init__()\n", ""),
        fix=solved,
    ),
    "A tensor is created on the wrong device": Trouble(
        "pytest katas/00",
        spoil=lambda clone: clone.spoil_the_solution("(num_classes, device=ids.device)", "(num_classes)"),
        fix=solved,
    ),
    "A test does not finish": Trouble(
        "pytest katas/00 --time-limit 3",
        spoil=lambda clone: clone.spoil_the_solution(
            "    outside =", "    while True:\n        pass\n    o ="
        ),
        fix=solved,
        again="pytest katas/00",  # on a busy machine, 3 s may not be enough for correct code
    ),
}


@pytest.mark.parametrize(
    "heading",
    [
        pytest.param(heading, marks=ON_POSIX if "HARNESS_DATA_DIR" in trouble.environment else ())
        for heading, trouble in TROUBLES.items()
    ],
)
def test_the_page_quotes_the_message_and_its_remedy_works(clone: Clone, heading: str) -> None:
    trouble, entry = TROUBLES[heading], ENTRIES[heading]
    trouble.spoil(clone)
    shown = clone.type(trouble.typed, **trouble.environment)
    assert flush(entry.quoted) in flush(shown.text)
    trouble.fix(clone)
    for command in entry.commands:
        assert clone.type(command).code in (0, 1)  # 1: the stub of kata 01 fails its tests, as it should
    assert flush(entry.quoted) not in flush(clone.type(trouble.again or trouble.typed).text)


def test_no_remedy_deletes_the_backups_of_the_code(clone: Clone) -> None:
    clone.solve(clone.doubles)
    clone.type("harness reset 00")
    torn_receipts(clone)
    clone.type(ENTRIES["A line of the progress file cannot be read"].commands[0])
    assert not (clone.root / RECEIPTS).exists()
    assert clone.type("harness reset 00 --undo").code == 0


def flush(text: str) -> str:
    """Return text without the indentation that it has in a terminal but not on the page."""
    return "\n".join(line.strip() for line in text.strip().splitlines())


@ON_POSIX
def test_a_command_is_found_once_the_environment_is_active(clone: Clone) -> None:
    entry = ENTRIES["harness: command not found"]
    bare = {"PATH": "/usr/bin:/bin"}
    assert entry.quoted.strip() in clone.run("bash", "-c", "harness status", **bare).err
    (clone.root / ".venv").symlink_to(sys.prefix)
    (activate,) = entry.commands
    assert clone.run("bash", "-c", f"{activate} && harness status", **bare).code == 0


@ON_POSIX
@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_make_refuses_an_old_python_and_uses_a_named_newer_one(clone: Clone, tmp_path: Path) -> None:
    old = tmp_path / "bin" / "python3"
    old.parent.mkdir()
    old.write_text('#!/bin/sh\ntest "$1" = -V && echo Python 3.10.12\nexit 1\n')
    old.chmod(0o755)
    path = f"{old.parent}{os.pathsep}{os.environ['PATH']}"
    entry = ENTRIES["Python is too old"]
    assert entry.quoted.strip() in clone.run("make", "start", PATH=path).text.splitlines()
    # Only the first step of the remedy: the rest would download everything.
    assert clone.run("make", "environment", f"PYTHON={sys.executable}", PATH=path).code == 0


def test_outside_a_clone_the_message_points_to_it(clone: Clone) -> None:
    entry = ENTRIES["No katas here"]
    assert entry.quoted.strip() in Clone(clone.root.parent).type("harness status").err
    assert clone.type("harness status").code == 0


def test_without_a_network_a_generated_text_is_available(clone: Clone) -> None:
    entry = ENTRIES["A text cannot be downloaded"]
    assert entry.quoted.strip() in clone.type("harness data tiny_shakespeare", **NO_WAY_OUT).err
    (command,) = entry.commands
    assert clone.type(command, **NO_WAY_OUT).code == 0


WITHOUT_THE_EXTRA = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in ("starlette", "uvicorn") else find(name, *rest)
from harness.cli import main
main(["play"])
"""


def test_the_page_says_which_packages_it_needs_and_the_extra_has_them(clone: Clone) -> None:
    entry = ENTRIES["The page of harness play needs more packages"]
    assert entry.quoted.strip() in clone.python("-c", WITHOUT_THE_EXTRA).err
    # The remedy needs a network; that the project has what it names can be seen without one.
    assert entry.commands == ('python -m pip install -e ".[play]"',)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = " ".join(project["optional-dependencies"]["play"])
    assert "starlette" in extra
    assert "uvicorn" in extra


def test_every_entry_is_tried() -> None:
    by_hand = {"harness: command not found", "Python is too old", "No katas here"}
    by_hand |= {"The page of harness play needs more packages"}
    assert set(ENTRIES) == {*TROUBLES, *by_hand, "A text cannot be downloaded"}
