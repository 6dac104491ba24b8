"""`make start` notices a `.venv` that cannot be used, says why, and creates another."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import harness
from harness.commands import environment, environment_words

pytestmark = [
    pytest.mark.measured,
    pytest.mark.skipif(os.name == "nt", reason="the stand-ins are links and shell scripts"),
]
# Stand-ins: an environment without the real pip is created in a tenth of the time, and nothing is downloaded.
VENV = """
import os, sys
sys.path = [path for path in sys.path if path != os.path.dirname(__file__)]
import venv
if os.environ.get("NO_VENV"):
    sys.exit("ensurepip is not available")
venv.EnvBuilder(symlinks=True).create(sys.argv[1])
"""
PIP = """
import os, sys
from pathlib import Path
if os.environ.get("PIP_STATUS"):
    status = os.environ["PIP_STATUS"]
    os.kill(os.getpid(), 9) if status == "killed" else sys.exit(int(status))
print("installed", *sys.argv[2:])
"""


def new_venv(path: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(path)], check=True)
    return path


def add_pip(venv: Path) -> None:
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "pip").mkdir()
    (site / "pip" / "__init__.py").write_text("__version__ = '1'")


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A good environment in a clone."""
    made = new_venv(tmp_path / "clone" / ".venv")
    add_pip(made)
    return made


def test_a_good_environment_has_no_problem(venv: Path) -> None:
    assert environment.problem_with(venv) is None


def test_an_environment_reached_by_a_link_has_no_problem(venv: Path, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(venv)
    assert environment.problem_with(tmp_path / ".venv") is None


def replace_python(venv: Path, script: str) -> None:
    environment.python_of(venv).unlink()
    environment.python_of(venv).write_text(f"#!/bin/sh\n{script}\n")
    environment.python_of(venv).chmod(0o755)


def without_python(venv: Path) -> None:
    environment.python_of(venv).unlink()
    environment.python_of(venv).symlink_to("/nowhere/python3")


def with_an_old_python(venv: Path) -> None:
    replace_python(venv, f"echo '{json.dumps([str(venv), [3, 9], True, '1'])}'")


def without_pip(venv: Path) -> None:
    shutil.rmtree(next(venv.glob("lib/python*/site-packages/pip")))


def with_a_torn_pip(venv: Path) -> None:
    """As a deletion that was interrupted leaves it: a folder without files."""
    next(venv.glob("lib/python*/site-packages/pip/__init__.py")).unlink()


def without_its_configuration(venv: Path) -> None:
    (venv / "pyvenv.cfg").unlink()


def empty(venv: Path) -> None:
    shutil.rmtree(venv)
    venv.mkdir()


def a_file(venv: Path) -> None:
    shutil.rmtree(venv)
    venv.touch()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda venv: (venv / environment.UNFINISHED).touch(), environment_words.UNFINISHED),
        (without_python, environment_words.NO_PYTHON),
        (empty, environment_words.NO_PYTHON),
        (a_file, environment_words.NO_PYTHON),
        (lambda venv: replace_python(venv, "exit 1"), environment_words.PYTHON_DOES_NOT_START),
        (with_an_old_python, "its Python is 3.9, and 3.11 or newer is needed"),
        (without_pip, environment_words.NO_PIP),
        (with_a_torn_pip, environment_words.NO_PIP),
        (without_its_configuration, environment_words.NOT_AN_ENVIRONMENT),
    ],
    ids=[
        *("interrupted", "Python deleted", "an empty folder", "a file", "Python broken", "an old Python"),
        *("pip deleted", "pip torn", "no pyvenv.cfg"),
    ],
)
def test_what_is_wrong_is_found(venv: Path, spoil: Callable[[Path], object], problem: str) -> None:
    spoil(venv)
    assert environment.problem_with(venv) == problem


@pytest.mark.parametrize("move", [shutil.move, lambda old, new: shutil.copytree(old, new, symlinks=True)])
def test_a_moved_and_a_copied_clone_are_noticed(venv: Path, move: Callable[[Path, Path], object]) -> None:
    move(venv.parent, venv.parent.with_name("other"))
    other = venv.parent.with_name("other") / ".venv"
    assert environment.problem_with(other) == f"it was created as {venv} and cannot be moved or copied"


@pytest.mark.parametrize(
    "line",
    [
        "VIRTUAL_ENV='{}'",
        'VIRTUAL_ENV="{}"',
        "    export VIRTUAL_ENV={}",
        'case x in\n    VIRTUAL_ENV=$(cygpath "{0}")\n    export VIRTUAL_ENV="{0}"',
    ],
)
def test_the_path_in_an_environment_of_any_tool_is_read(venv: Path, line: str) -> None:
    activate = venv / "bin" / "activate"
    activate.write_text(line.format(venv))
    assert environment.problem_with(venv) is None
    activate.write_text(line.format("/elsewhere/.venv"))
    assert environment.problem_with(venv) == environment_words.moved("/elsewhere/.venv")
    activate.write_text("VIRTUAL_ENV=$(dirname $0)")  # it can be moved
    assert environment.problem_with(venv) is None


def test_only_an_environment_in_which_nothing_was_completed_is_deleted(venv: Path) -> None:
    (venv / environment.MADE).touch()
    assert environment.clear_away(venv) is None
    assert list(venv.parent.iterdir()) == []


def test_any_other_is_set_aside_under_a_name_that_is_free(venv: Path) -> None:
    (venv.parent / ".venv.old1").symlink_to("/nowhere")
    (venv / environment.MADE).touch()
    (venv / environment.INSTALLED).touch()
    assert environment.clear_away(venv) == venv.parent / ".venv.old2"
    new_venv(venv)
    assert environment.clear_away(venv) == venv.parent / ".venv.old3"


def test_an_installation_is_repeated_once_the_project_has_changed(venv: Path) -> None:
    project = venv.parent / "pyproject.toml"
    project.touch()
    assert not environment.is_current(venv, project)
    (venv / environment.INSTALLED).touch()
    os.utime(project, (0, 0))
    assert environment.is_current(venv, project)
    os.utime(venv / environment.INSTALLED, (0, 0))
    os.utime(project)
    assert not environment.is_current(venv, project)


@dataclass(frozen=True)
class Clone:
    """A clone in which `make` runs with the stand-ins."""

    root: Path

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    def make(self, target: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.root / "standins"), **variables}
        command = ["make", target, f"PYTHON={sys.executable}"]
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    if not shutil.which("make"):
        pytest.skip("needs make")
    package = Path(harness.__file__).parent
    root = tmp_path / "clone"
    (root / "standins" / "pip").mkdir(parents=True)
    (root / "standins" / "venv.py").write_text(VENV)
    (root / "standins" / "pip" / "__init__.py").write_text("__version__ = '1'")
    (root / "standins" / "pip" / "__main__.py").write_text(textwrap.dedent(PIP))
    (root / "harness").symlink_to(package)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(package.parent / name, root / name)
    return Clone(root)


def test_make_installs_once(clone: Clone) -> None:
    first, second = clone.make("install"), clone.make("install")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "installed --disable-pip-version-check -e .\n" in first.stdout
    assert second.stdout + second.stderr == ""


def test_make_repairs_an_interrupted_installation_and_says_why(clone: Clone) -> None:
    assert clone.make("install", PIP_STATUS="killed").returncode
    again = clone.make("install")
    assert again.returncode == 0
    why = "an earlier installation in it did not finish"
    assert again.stderr == f"The folder .venv cannot be used: {why}. It is created again.\n"
    assert [path.name for path in clone.root.glob(".venv*")] == [".venv"]


def test_without_a_network_the_environment_is_kept_and_the_next_make_tries_again(clone: Clone) -> None:
    failed = clone.make("install", PIP_STATUS="1")
    assert failed.returncode
    assert (
        "pip could not install the packages; its reason is above. Type `make start` to try again."
        in failed.stderr
    )
    (clone.venv / "kept").touch()
    again = clone.make("install")
    assert (again.returncode, again.stderr) == (0, "")
    assert (clone.venv / "kept").exists()


def test_without_python3_venv_it_names_the_package_and_succeeds_once_that_is_there(clone: Clone) -> None:
    failed = clone.make("install", NO_VENV="1")
    assert failed.returncode
    assert "ensurepip is not available" in failed.stderr
    assert "On Debian and Ubuntu, install the package python3-venv." in failed.stderr
    again = clone.make("install")
    assert again.returncode == 0
    assert environment_words.UNFINISHED in again.stderr


def test_an_environment_of_ones_own_is_used_if_it_is_good_and_kept_if_it_is_not(clone: Clone) -> None:
    new_venv(clone.venv)
    (clone.venv / "mine").touch()
    good = clone.make("install")
    assert (good.returncode, good.stderr) == (0, "")
    assert (clone.venv / "mine").exists()
    without_python(clone.venv)
    bad = clone.make("install")
    assert bad.returncode == 0
    assert environment_words.NO_PYTHON in bad.stderr
    assert "The old one is kept as .venv.old1; delete it if you need nothing from it." in bad.stderr
    assert (clone.root / ".venv.old1" / "mine").exists()
    assert environment.problem_with(clone.venv) in (None, environment_words.NO_PIP)  # that of the stand-ins


def test_make_works_in_a_clone_that_was_moved(clone: Clone) -> None:
    assert clone.make("install").returncode == 0
    moved = Clone(clone.root.rename(clone.root.with_name("moved")))
    again = moved.make("install")
    assert again.returncode == 0
    assert f"it was created as {clone.venv} and cannot be moved or copied" in again.stderr
    assert moved.make("install").stderr == ""


def test_the_environment_module_needs_only_the_standard_library() -> None:
    code = "import sys, harness.commands.environment\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=Path(harness.__file__).parents[1],
        capture_output=True,
        text=True,
    )
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded - set(sys.stdlib_module_names) - {"__main__"} == {"harness"}, done.stderr
