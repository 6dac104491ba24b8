"""Which katas a pytest command line means. Pure: paths and strings in, a decision out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.course.katas import Course, Kata, UnknownKata, resolve_kata


class BadArgument(ValueError):
    """A command-line argument that names nothing; the message says what to type instead."""


@dataclass(frozen=True)
class Selection:
    """The command line after kata numbers became folders."""

    args: tuple[str, ...]
    touches_katas: bool  # something in it lies in, or contains, katas/
    by_node_id: bool  # it names single tests


def select(course: Course, args: list[str], here: Path) -> Selection:
    """Resolve every argument typed in the folder `here`. Raises BadArgument with the remedy."""
    resolved = tuple(_resolve(course, arg, here) for arg in args)
    touches = any(_touches_katas(course, here / arg.split("::")[0]) for arg in resolved)
    return Selection(resolved, touches, any("::" in arg for arg in resolved))


def bare_touches_katas(course: Course, here: Path) -> bool:
    """Whether `pytest` alone, typed in `here`, is about the katas rather than the harness's tests."""
    return not here.is_relative_to(course.root / "harness")


def inside_kata(course: Course, here: Path) -> Kata | None:
    """The kata in whose folder `here` lies."""
    return course.kata_of(here)


def _resolve(course: Course, arg: str, here: Path) -> str:
    path, separator, test = arg.partition("::")
    if (here / path).exists():
        return arg
    token = _kata_token(course, path, here)
    if token is None:
        return arg  # Not ours: pytest says what it thinks of it.
    try:
        kata = resolve_kata(course, token)
    except UnknownKata as error:
        raise BadArgument(f"{arg}: {error} For all of them: harness status") from None
    if separator:
        target = f"{course.relative(kata.tests)}::{test}"
        raise BadArgument(
            f"{arg}: a number stands for a kata's folder, not for its test file. Type: pytest {target}"
        )
    return str(kata.folder)


def _kata_token(course: Course, path: str, here: Path) -> str | None:
    """The part of a path that does not exist which may be meant as a KATA argument."""
    whole = Path(path)
    if path.endswith((".py", ".md", ".toml")):
        return None
    # From the root, or from wherever one is: what a message told to type works in every folder.
    in_katas = whole.parent == Path("katas") or (here / whole.parent).resolve() == course.root / "katas"
    bare_number = whole.name == path and path.removeprefix("k").isdigit()
    return whole.name if in_katas or bare_number else None


def _touches_katas(course: Course, path: Path) -> bool:
    katas = course.root / "katas"
    resolved = path.resolve()
    return resolved.is_relative_to(katas) or katas.is_relative_to(resolved)
