"""The `.venv` that `make start` creates, and repairs if it cannot be used.

make runs this module before anything is installed, so it imports only the standard library.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.commands import environment_words as words

FOLDER = ".venv"
OLDEST_PYTHON = (3, 11)
# Files in the environment that tell the next `make start` what this one did.
MADE = "made"  # this module created the environment
UNFINISHED = "unfinished"  # a step has begun and has not ended
INSTALLED, TOX = "installed", "tox"  # an installation is complete since the time of this file
TOX_REQUIREMENT = "tox>=4.20,<5"
_PIP_FAILED = 1  # pip has said why, and undone what it did
_BIN = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
_ACTIVATE = re.compile(r"^\s*(?:export )?VIRTUAL_ENV=([\"'/\\A-Za-z].*)$", re.MULTILINE)
_PROBE = """\
import json, sys
try:
    import pip
except Exception:
    pip = None
print(json.dumps([sys.prefix, list(sys.version_info[:2]), bool(pip), getattr(pip, "__version__", "")]))
"""


def python_of(venv: Path) -> Path:
    """Return the path of an environment's Python, which may be missing."""
    return venv.joinpath(*_BIN)


def problem_with(venv: Path) -> str | None:
    """Return why an environment cannot be used, in words; None if it can."""
    if (venv / UNFINISHED).exists():
        return words.UNFINISHED
    if not python_of(venv).exists():
        return words.NO_PYTHON
    facts = _probe(venv)
    if facts is None:
        return words.PYTHON_DOES_NOT_START
    prefix, version, has_pip = facts
    if not _same(Path(prefix), venv):
        return words.NOT_AN_ENVIRONMENT
    if version < OLDEST_PYTHON:
        return words.too_old(version, OLDEST_PYTHON)
    if not has_pip:
        return words.NO_PIP
    came_from = _recorded_path(venv)
    return words.moved(came_from) if came_from and not _same(Path(came_from), venv) else None


def _probe(venv: Path) -> tuple[str, tuple[int, ...], bool] | None:
    """Return the prefix and version of its Python, and whether it has pip; None if it does not start."""
    command = [str(python_of(venv)), "-c", _PROBE]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        prefix, version, has_pip, pip_version = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return prefix, tuple(version), has_pip and bool(pip_version)


def _recorded_path(venv: Path) -> str:
    """Return the path at which an environment was created; "" if it does not say."""
    try:
        text = (python_of(venv).parent / "activate").read_text(encoding="utf-8")
        found = _ACTIVATE.search(text)
        return "".join(shlex.split(found[1])) if found else ""
    except (OSError, ValueError):
        return ""


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def clear_away(venv: Path) -> Path | None:
    """Make room for a new environment: rename the old one, and return its new path.

    Delete it and return None only if `make` created it and completed no installation in it. Raises
    OSError.
    """
    if (venv / MADE).exists() and not any((venv / mark).exists() for mark in (INSTALLED, TOX)):
        shutil.rmtree(venv)
        return None
    number = 1
    while os.path.lexists(aside := venv.with_name(f"{FOLDER}.old{number}")):
        number += 1
    venv.rename(aside)
    return aside


def create(venv: Path) -> None:
    """Create an environment. Raises OSError, or CalledProcessError if Python cannot create it."""
    venv.mkdir()
    (venv / MADE).touch()
    (venv / UNFINISHED).touch()
    # The Python outside any environment: the active one may have been cleared away a moment ago.
    python = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([python, "-m", "venv", str(venv)], check=True)
    (venv / UNFINISHED).unlink()


def install(venv: Path, mark: str, packages: Sequence[str]) -> None:
    """Install packages, and leave `mark`. Raises CalledProcessError if pip fails.

    If pip is interrupted or killed, UNFINISHED remains, as the packages may be incomplete.
    """
    (venv / UNFINISHED).touch()
    pip = [str(python_of(venv)), "-m", "pip", "install", "--disable-pip-version-check"]
    status = subprocess.run([*pip, *packages]).returncode
    if status in (0, _PIP_FAILED):
        (venv / UNFINISHED).unlink()
    if status:
        raise subprocess.CalledProcessError(status, pip)
    (venv / mark).touch()


def is_current(venv: Path, project: Path) -> bool:
    """True if the project was installed after its last change."""
    mark = venv / INSTALLED
    return mark.exists() and mark.stat().st_mtime >= project.stat().st_mtime


def repair(venv: Path) -> None:
    """Create the environment; if there is one that cannot be used, say why, and clear it away first.

    Raises OSError, or CalledProcessError if Python cannot create it.
    """
    if os.path.lexists(venv):
        problem = problem_with(venv)
        if problem is None:
            return
        _say(words.is_made_again(problem))
        aside = clear_away(venv)
        if aside:
            _say(words.kept_as(aside.name))
    create(venv)


def main(arguments: Sequence[str]) -> int:
    """Do one step of `make`, and return the exit status: ready, create, install or tox."""
    (step,) = arguments
    venv, project = Path.cwd() / FOLDER, Path("pyproject.toml")
    try:
        if step == "ready":
            return int(problem_with(venv) is not None)
        if step == "create":
            repair(venv)
        elif step == "install" and not is_current(venv, project):
            install(venv, INSTALLED, ["-e", "."])
        elif step == "tox" and not (venv / TOX).exists():
            install(venv, TOX, [TOX_REQUIREMENT])
    except (OSError, subprocess.CalledProcessError) as error:
        _say((words.not_created if step == "create" else words.not_installed)(error))
        return 1
    except KeyboardInterrupt:
        _say(words.INTERRUPTED)
        return 130
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
