"""constraints.txt: versions of all packages, to install the same ones again.

`python -m harness.authoring.constraints` writes the versions in its environment, which needs the extras dev,
notebooks and play, and in which all tests should pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FILE = "constraints.txt"
PROJECT = "transformer-katas"
EXTRAS = ("dev", "notebooks", "play")
ANY_BUILD = (
    "torch"  # builds for CPUs and for every CUDA come in different versions: it keeps the project's range
)
HEADING = """\
# The versions with which all tests passed. To install the same ones:
#     python -m pip install -c constraints.txt -e .
# To write this file again: python -m harness.authoring.constraints
"""


def constraints(
    requires: Callable[[str], Iterable[str] | None], version: Callable[[str], str]
) -> dict[str, str]:
    """Return what pip may install, by package: the project's requirements, and theirs.

    `requires` and `version` are those of importlib.metadata, and raise its PackageNotFoundError.
    """
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(PROJECT, extra) for extra in ("", *EXTRAS)]
    while waiting:
        package, extra = waiting.pop()
        if (package, extra) in seen:
            continue
        seen.add((package, extra))
        for needed in _needed(requires(package) or (), extra):
            name = canonicalize_name(needed.name)
            waiting += [(name, each) for each in ("", *needed.extras)]
            if name != ANY_BUILD:
                found[name] = f"=={version(name)}"
            elif package == PROJECT:
                found[name] = str(needed.specifier)
    return dict(sorted(found.items()))


def _needed(texts: Iterable[str], extra: str) -> list[Requirement]:
    requirements = map(Requirement, texts)
    return [each for each in requirements if not each.marker or each.marker.evaluate({"extra": extra})]


def file_text(found: Mapping[str, str]) -> str:
    """Return the text of constraints.txt."""
    return HEADING + "".join(f"{name}{specifier}\n" for name, specifier in found.items())


def main() -> None:
    """Write the file in the current folder. Raises PackageNotFoundError if a package is not installed."""
    Path(FILE).write_text(file_text(constraints(metadata.requires, metadata.version)), encoding="utf-8")


if __name__ == "__main__":
    main()
