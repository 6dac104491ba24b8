"""Messages about the `.venv` of `make start`."""

from __future__ import annotations

from collections.abc import Sequence
from subprocess import CalledProcessError

UNFINISHED = "an earlier installation in it did not finish"
NO_PYTHON = "it has no Python, or its Python was removed from this machine"
PYTHON_DOES_NOT_START = "its Python does not start"
NOT_AN_ENVIRONMENT = "its Python belongs to another folder, so packages would be installed there"
NO_PIP = "it has no pip"
INTERRUPTED = "Interrupted. Type `make start` to begin again."


def too_old(version: Sequence[int], oldest: Sequence[int]) -> str:
    return f"its Python is {_dotted(version)}, and {_dotted(oldest)} or newer is needed"


def moved(path: str) -> str:
    return f"it was created as {path} and cannot be moved or copied"


def is_made_again(problem: str) -> str:
    return f"The folder .venv cannot be used: {problem}. It is created again."


def kept_as(name: str) -> str:
    return f"The old one is kept as {name}; delete it if you need nothing from it."


def not_created(error: OSError | CalledProcessError) -> str:
    """Return what to do if no environment can be created."""
    if isinstance(error, CalledProcessError):
        return (
            "Python could not create .venv; its reason is above. On Debian and Ubuntu, install the package "
            "python3-venv. Then type `make start` again."
        )
    return (
        f".venv cannot be replaced: {error.strerror or error}. Close the programs that use it, "
        "then type `make start` again."
    )


def not_installed(error: OSError | CalledProcessError) -> str:
    """Return what to do if packages cannot be installed."""
    if isinstance(error, CalledProcessError):
        return "pip could not install the packages; its reason is above. Type `make start` to try again."
    return f"The packages cannot be installed: {error.strerror or error}. Type `make start` to try again."


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
