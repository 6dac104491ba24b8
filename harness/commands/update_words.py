"""Messages of `harness update`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from harness.commands.repository import GitFailed, GitMissing
from harness.commands.update import (
    BRANCH,
    COMBINED,
    MINE,
    REMOVED,
    CannotUpdate,
    KataNews,
    NoBranch,
    NoRemote,
    NotAClone,
    NotBackedUp,
    PartlyStaged,
    Unfinished,
    Unreachable,
    Unrelated,
    Updated,
)
from harness.course.katas import Course
from harness.terminal.lines import Line, plural

_THEN = "Then type: harness update"
_CLONE_AGAIN = "Clone the course, and copy your katas/ into the clone."


def updated(course: Course, result: Updated) -> list[Line]:
    """Return what was kept, what is new, and what to type next."""
    if not result.commits:
        return [Line(f"The course is up to date with {result.source}; nothing was changed.")]
    return [
        Line(
            f"The course is up to date: {plural(result.commits, 'new commit')} from {result.source}.", "good"
        ),
        *_kept(course, result),
        Line("Your progress is kept."),
        *(
            line
            for path, outcome in result.outcomes.items()
            for line in _outcome(result, path, outcome, course)
        ),
        *(line for news in result.news for line in _news(course, result, news)),
        Line(f"Next: {'make start' if result.project_changed else 'pytest'}"),
    ]


def _kept(course: Course, result: Updated) -> Iterator[Line]:
    if result.kept:
        yield Line(f"Your work is kept: {_listed(result.kept)}.")
    else:
        yield Line("You had not changed any file.")
    if result.backup:
        yield Line(f"Copies of your files as they were: {course.relative(result.backup)}")


def _outcome(result: Updated, path: str, outcome: str, course: Course) -> Iterator[Line]:
    if outcome == COMBINED:
        yield Line(f"{path} has your changes and the new ones.")
    elif outcome == REMOVED:
        yield Line(f"{path} is no longer part of the course; yours is kept.")
    elif outcome == MINE:
        yield Line(f"{path} changed in the same lines as yours, and stays as you wrote it. The new stub:")
        yield Line(f"  git show {result.source}:{shlex.quote(path)}", "command")
    else:
        yield Line(f"{path} changed in the same lines as yours, and is the new one. Yours:")
        copy = course.relative(result.backup / path) if result.backup else path
        yield Line(f"  {shlex.quote(copy)}", "command")


def _news(course: Course, result: Updated, news: KataNews) -> Iterator[Line]:
    title = f"kata {news.kata.title}"
    if news.is_new:
        yield Line(f"New: {title}.")
        return
    if news.tests:
        yield Line(f"New in {title}: {', '.join(news.tests)}.")
    elif news.tests_changed:
        yield Line(f"Changed in {title}: the tests.")
    if news.signatures:
        yield Line(f"Changed in {title}: the signature of {', '.join(news.signatures)}. The new stub:")
        yield Line(f"  git show {result.source}:{shlex.quote(course.relative(news.kata.stub))}", "command")


def _listed(paths: Sequence[str], most: int = 4) -> str:
    rest = f" and {plural(len(paths) - most, 'more file')}" if len(paths) > most else ""
    return ", ".join(paths[:most]) + rest


def cannot_update(course: Course, error: CannotUpdate | GitMissing | GitFailed) -> str:
    """Return why the course was not updated, and what to type."""
    match error:
        case GitMissing():
            return "git is not installed. Install it (https://git-scm.com), then type: harness update"
        case GitFailed():
            return f"git {error.command} failed, and the files are as they were:\n  {error}"
        case NotAClone():
            return f"{course.root} is not a git clone, so it cannot be updated. {_CLONE_AGAIN}"
        case NoRemote():
            return f"This clone does not know its origin. Type: git remote add origin ADDRESS\n{_THEN}"
        case NoBranch():
            return f"No branch is checked out. Type: git switch {BRANCH}\n{_THEN}"
        case Unfinished(kind, files, backup):
            copies = f"\nThe files as they are now are copied to {course.relative(backup)}." if backup else ""
            return f"{_unfinished(kind, files)}\n{_THEN}{copies}"
        case PartlyStaged(files):
            undo = f"git restore --staged {shlex.join(files)}"
            return f"{_listed(files)}: the staged version differs from the file. Type: {undo}\n{_THEN}"
        case Unreachable(remote, reason):
            problem = f"The course cannot be fetched from {remote}, so nothing was changed. git says:"
            return f"{problem}\n  {reason}\nCheck the network, and the address: git remote -v"
        case Unrelated(source):
            return f"This clone and {source} have no commit in common. {_CLONE_AGAIN}"
        case NotBackedUp(reason):
            return f"Nothing was changed: your files cannot be copied to .harness/backups ({reason})."
        case _:
            raise TypeError(f"no message for {type(error).__name__}")


def _unfinished(kind: str, files: Sequence[str]) -> str:
    """Return what to type to have the files as they were before a merge, a rebase or a stash."""
    if kind:
        where = f" (conflicts in {_listed(files)})" if files else ""
        return f"A {kind} is unfinished{where}. To restore your files, type: git {kind} --abort"
    yours = f"git checkout --theirs -- {shlex.join(files)} && git reset -q"
    return f"`git stash pop` left conflicts in {_listed(files)}. To restore your version, type: {yours}"
