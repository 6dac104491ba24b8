"""Which katas a pytest command line means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.course.katas import Course, UnknownKata, resolve_kata
from harness.run.words import number_is_a_folder, unknown_kata


class BadArgument(ValueError):
    """A command-line argument that matches nothing; the message says what to type instead."""


@dataclass(frozen=True)
class Selection:
    """The command line, with folders in place of kata numbers."""

    args: tuple[str, ...]
    touches_katas: bool  # True if one of them is in katas/, or contains it


def select(course: Course, args: list[str], here: Path) -> Selection:
    """Resolve every argument typed in the folder `here`. Raises BadArgument with the remedy."""
    resolved = tuple(_resolve(course, arg, here) for arg in args)
    touches = any(_touches_katas(course, here / arg.split("::")[0]) for arg in resolved)
    return Selection(resolved, touches)


def bare_touches_katas(course: Course, here: Path) -> bool:
    """True if `pytest` alone, typed in `here`, means the katas and not the harness's tests."""
    return not here.is_relative_to(course.root / "harness")


def _resolve(course: Course, arg: str, here: Path) -> str:
    path, separator, test = arg.partition("::")
    if (here / path).exists():
        return arg
    token = _kata_token(course, path, here)
    if token is None:
        return arg  # pytest reports it
    try:
        kata = resolve_kata(course, token)
    except UnknownKata as error:
        raise BadArgument(unknown_kata(arg, error)) from None
    if separator:
        target = f"{course.relative(kata.tests)}::{test}"
        raise BadArgument(number_is_a_folder(arg, target))
    return str(kata.folder)


def _kata_token(course: Course, path: str, here: Path) -> str | None:
    """Return the part of a nonexistent path that may be a KATA argument."""
    whole = Path(path)
    if path.endswith((".py", ".md", ".toml")):
        return None
    # From the root or from anywhere: a command that a message suggests works in every folder.
    in_katas = whole.parent == Path("katas") or (here / whole.parent).resolve() == course.root / "katas"
    bare_number = whole.name == path and path.removeprefix("k").isdigit()
    return whole.name if in_katas or bare_number else None


def _touches_katas(course: Course, path: Path) -> bool:
    katas = course.root / "katas"
    resolved = path.resolve()
    return resolved.is_relative_to(katas) or katas.is_relative_to(resolved)
