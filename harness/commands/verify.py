"""`harness verify`: is this machine ready, and if not, what to do about it."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.corpora import catalogue
from harness.corpora.catalogue import DATA_VARIABLE
from harness.course.katas import STATE
from harness.training.devices import choose_device

DISTRIBUTION = "transformer-katas"
OLDEST_PYTHON = (3, 11)
_REINSTALL = "in your virtual environment:  python -m pip install -e ."


@dataclass(frozen=True)
class Result:
    """One check: what was found, and what to do if it is not good."""

    name: str
    good: bool
    found: str
    remedy: str = ""


def run_and_show(root: Path) -> bool:
    """Run every check, print each as it is done, and say whether all are good."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    results = []
    for check in _CHECKS:
        with console.status(f"{check.__name__} …"):
            result = _guarded(check, root)
        results.append(result)
        mark, style = ("ok", "green") if result.good else ("FAILED", "bold red")
        console.print(f"{mark:<7}", style=style, end="")
        console.print(f"{result.name:<10} {result.found}", markup=False)
        if not result.good:
            console.print(f"        {result.remedy}", markup=False)
    return all(result.good for result in results)


def python(root: Path) -> Result:
    """The interpreter's version."""
    found = ".".join(map(str, sys.version_info[:3]))
    oldest = ".".join(map(str, OLDEST_PYTHON))
    remedy = f"Install Python {oldest} or newer and make the virtual environment with it."
    return Result("Python", sys.version_info >= OLDEST_PYTHON, f"{found} ({sys.executable})", remedy)


def packages(root: Path) -> Result:
    """The installed versions against those that the project asks for."""
    from packaging.requirements import Requirement

    wrong = []
    wanted = [Requirement(text) for text in importlib.metadata.requires(DISTRIBUTION) or []]
    needed = [each for each in wanted if not each.marker or each.marker.evaluate({"extra": ""})]
    for requirement in needed:
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is not {requirement.specifier}")
    found = "; ".join(wrong) or f"{len(needed)} of {len(needed)} present"
    return Result("packages", not wrong, found, f"Install what is asked for, {_REINSTALL}")


def torch(root: Path) -> Result:
    """Torch's version and the device that training will use."""
    torch = importlib.import_module("torch")
    return Result("torch", True, f"{torch.__version__}, device {choose_device()}", "")


def training(root: Path) -> Result:
    """A real forward and backward pass on that device."""
    torch = importlib.import_module("torch")
    device = choose_device()
    weight = torch.ones(3, 2, device=device, requires_grad=True)
    (torch.full((4, 3), 2.0, device=device) @ weight).sum().backward()
    good = bool((weight.grad == 8).all())
    remedy = f"torch computes wrong gradients on {device}; reinstall it, {_REINSTALL}"
    return Result("training", good, f"forward and backward on {device}", remedy)


def folders(root: Path) -> Result:
    """The folders in which progress and runs are kept."""
    blocked = [name for name in (STATE, "runs") if not _writable(root / name)]
    found = f"cannot write to {', '.join(blocked)}" if blocked else f"{STATE}/ and runs/ are writable"
    return Result("folders", not blocked, found, f"Give yourself the right to write in {root}.")


def data(root: Path) -> Result:
    """Which corpora are here; none has to be. A folder that is named has to exist."""
    chosen = os.environ.get(DATA_VARIABLE)
    good = not chosen or catalogue.folders(root)[0].is_dir()
    here = [corpus.name for corpus in catalogue.CORPORA if catalogue.locate(root, corpus)]
    others = [name for name in catalogue.NAMES if name not in here]
    found = f"here: {', '.join(here) or 'none yet'}"
    found += f"; harness data NAME gets {', '.join(others)}" if others else ""
    remedy = f"Set {DATA_VARIABLE} to a folder that exists, or unset it."
    return Result("data", good, found if good else f"{chosen} is not a folder", remedy)


_CHECKS: tuple[Callable[[Path], Result], ...] = (python, packages, torch, training, folders, data)


def _guarded(check: Callable[[Path], Result], root: Path) -> Result:
    """A check that fails with an error is a failed check, not a crash."""
    try:
        return check(root)
    except Exception as error:
        return Result(check.__name__, False, f"{type(error).__name__}: {error}", f"Reinstall, {_REINSTALL}")


def _writable(folder: Path) -> bool:
    """Whether a file can be made in `folder`, or in the nearest folder above it that exists."""
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
