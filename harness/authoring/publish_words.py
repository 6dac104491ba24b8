"""Messages of `harness publish-solutions` and of its commits."""

from __future__ import annotations

import shlex

from harness.authoring.publish import (
    BRANCH,
    CannotPublish,
    CheckedOut,
    NoCommit,
    NoKatas,
    NotARepository,
    OwnCommits,
    PartOfARepository,
    Published,
)
from harness.commands.repository import GitFailed, GitMissing
from harness.terminal.lines import Line, plural

_ANOTHER_BASE = "Name another: harness publish-solutions --from REF"


def published(branch: Published) -> list[Line]:
    """Return what the branch is now, and what to do with it."""
    commits = f"{plural(len(branch.katas), 'commit')}, one per kata"
    has = "has" if branch.changed else "still has"
    kata, base, solutions = branch.katas[-1], shlex.quote(branch.name), shlex.quote(branch.branch)
    return [
        Line(f"The branch {BRANCH} {has} {commits}, on top of {branch.name} ({branch.base[:7]}).", "good"),
        Line(f"What a learner writes:  git diff {base} {solutions} -- katas/{kata[:3]}*"),
        Line(f"To publish it:  git push --force-with-lease origin {solutions}"),
    ]


def commit_message(kata: str) -> str:
    """Return the message of a kata's commit, by the name of its folder."""
    title = kata[4:].replace("_", " ")
    return f"Kata {kata[1:3]} {title}: the solution\n\nsolutions/{kata}/{kata[4:]}.py replaces the stub."


def cannot_publish(error: CannotPublish | GitMissing | GitFailed) -> str:
    """Return why the branch cannot be built, and what to type."""
    match error:
        case GitMissing():
            return "git is not installed. Install it (https://git-scm.com), then try again."
        case NotARepository(folder):
            return f"{folder} is not a git repository, so it cannot have a branch. Go to a clone."
        case PartOfARepository(folder):
            return f"{folder} is only a part of a git repository. Go to a clone of the course."
        case CheckedOut(folder):
            return f"The branch {BRANCH} is checked out in {folder}. There, type: git switch main"
        case OwnCommits(tip):
            return (
                f"The branch {BRANCH} (at {tip[:7]}) has commits that this command did not make, so it is"
                f" unchanged.\nKeep them under another name, then try again:  git branch -m {BRANCH} NAME"
            )
        case NoCommit(base):
            return f"There is no commit {base!r} to start from. {_ANOTHER_BASE}"
        case NoKatas(base):
            return f"The commit {base!r} has no kata with a solution. {_ANOTHER_BASE}"
        case GitFailed():
            return (
                f"git {error.command} failed:\n  {error}\nThe branch is unchanged. Fix this, then try again."
            )
        case _:
            raise TypeError(f"no message for {type(error).__name__}")
