"""Results of `harness verify`, with their remedies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

GOOD = ("ok", "green")
FAILED = ("FAILED", "bold red")
_REINSTALL = "in your virtual environment:  python -m pip install -e ."


@dataclass(frozen=True)
class Result:
    """The result of one check, with a remedy if it failed."""

    name: str
    good: bool
    found: str
    remedy: str = ""


def lines(result: Result) -> list[str]:
    """Return the result in a line, and the remedy below if it is needed."""
    found = f"{result.name:<10} {result.found}"
    return [found] if result.good else [found, f"        {result.remedy}"]


def python(version: Sequence[int], oldest: Sequence[int], executable: str) -> Result:
    found = f"{_dotted(version)} ({executable})"
    remedy = f"Install Python {_dotted(oldest)} or newer and create the virtual environment with it."
    return Result("Python", tuple(version) >= tuple(oldest), found, remedy)


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


def packages(needed: int, problems: Sequence[str]) -> Result:
    found = "; ".join(problems) or f"{needed} of {needed} present"
    return Result("packages", not problems, found, f"Install the required packages {_REINSTALL}")


def package_missing(name: str) -> str:
    return f"{name} is missing"


def wrong_version(name: str, version: str, required: str) -> str:
    return f"{name} {version} is not {required}"


def torch(version: str, device: str) -> Result:
    return Result("torch", True, f"{version}, device {device}")


def training(good: bool, device: str) -> Result:
    remedy = f"torch computes wrong gradients on {device}; reinstall it {_REINSTALL}"
    return Result("training", good, f"forward and backward on {device}", remedy)


def folders(root: Path, names: Sequence[str], blocked: Sequence[str]) -> Result:
    writable = f"{' and '.join(f'{name}/' for name in names)} are writable"
    found = f"cannot write to {', '.join(blocked)}" if blocked else writable
    return Result("folders", not blocked, found, f"Make {root} writable for your user.")


def data(here: Sequence[str], others: Sequence[str]) -> Result:
    more = f"; harness data NAME gets {', '.join(others)}" if others else ""
    return Result("data", True, f"here: {', '.join(here) or 'none yet'}{more}")


def no_data_folder(variable: str, path: str) -> Result:
    return Result(
        "data", False, f"{path} is not a folder", f"Set {variable} to a folder that exists, or unset it."
    )


def crashed(check: str, error: Exception) -> Result:
    return Result(check, False, f"{type(error).__name__}: {error}", f"Reinstall {_REINSTALL}")
