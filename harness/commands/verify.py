"""`harness verify`: the checks of this machine."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands import verify_words as words
from harness.commands.verify_words import Result
from harness.corpora import catalogue, storage
from harness.corpora.storage import DATA_VARIABLE
from harness.course.katas import STATE
from harness.training.devices import choose_device

if TYPE_CHECKING:
    from packaging.requirements import Requirement

DISTRIBUTION = "transformer-katas"
OLDEST_PYTHON = (3, 11)


def run_and_show(root: Path) -> bool:
    """Run every check, print each result at once, and return True if all are good."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    results = []
    for check in _CHECKS:
        with console.status(f"{check.__name__} …"):
            results.append(_run_check(check, root))
        mark, style = words.GOOD if results[-1].good else words.FAILED
        console.print(f"{mark:<7}", style=style, end="")
        for line in words.lines(results[-1]):
            console.print(line, markup=False)
    return all(result.good for result in results)


def python(root: Path) -> Result:
    """Check the interpreter's version."""
    return words.python(sys.version_info[:3], OLDEST_PYTHON, sys.executable)


def packages(root: Path) -> Result:
    """Compare the installed versions with the project's requirements."""
    from packaging.requirements import Requirement

    listed = [Requirement(text) for text in importlib.metadata.requires(DISTRIBUTION) or []]
    needed = [each for each in listed if not each.marker or each.marker.evaluate({"extra": ""})]
    problems = [problem for each in needed if (problem := _problem_with(each))]
    return words.packages(len(needed), problems)


def _problem_with(requirement: Requirement) -> str | None:
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return words.package_missing(requirement.name)
    if requirement.specifier.contains(version, prereleases=True):
        return None
    return words.wrong_version(requirement.name, version, str(requirement.specifier))


def torch(root: Path) -> Result:
    """Import torch and choose the device that training will use."""
    torch = importlib.import_module("torch")
    return words.torch(torch.__version__, str(choose_device()))


def training(root: Path) -> Result:
    """Run a real forward and backward pass on that device."""
    torch = importlib.import_module("torch")
    device = choose_device()
    weight = torch.ones(3, 2, device=device, requires_grad=True)
    (torch.full((4, 3), 2.0, device=device) @ weight).sum().backward()
    return words.training(bool((weight.grad == 8).all()), str(device))


def folders(root: Path) -> Result:
    """Check that progress and runs can be saved."""
    names = (STATE, "runs")
    return words.folders(root, names, [name for name in names if not _writable(root / name)])


def data(root: Path) -> Result:
    """List the corpora on this machine; a folder named by HARNESS_DATA_DIR must exist."""
    chosen = os.environ.get(DATA_VARIABLE)
    if chosen and not storage.folders(root)[0].is_dir():
        return words.no_data_folder(DATA_VARIABLE, chosen)
    here = [corpus.name for corpus in catalogue.CORPORA if storage.locate(root, corpus)]
    return words.data(here, [name for name in catalogue.NAMES if name not in here])


_CHECKS: tuple[Callable[[Path], Result], ...] = (python, packages, torch, training, folders, data)


def _run_check(check: Callable[[Path], Result], root: Path) -> Result:
    """Turn an error during a check into a failed check."""
    try:
        return check(root)
    except Exception as error:
        return words.crashed(check.__name__, error)


def _writable(folder: Path) -> bool:
    """True if a file can be created in `folder`, or in its nearest existing parent."""
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
