"""The branch `solutions`: a solution in place of each stub, one commit per kata.

git's plumbing builds it from committed files only, and touches neither the working tree, nor the index, nor
another branch; hooks do not run. The same base always gives the same commits, so a branch that the command
made is known by building it once more.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.commands.repository import GitFailed, Repository

BRANCH = "solutions"
_HEADS = "refs/heads/"  # a tag may have the name of a branch, and git prefers the tag
_REF = f"{_HEADS}{BRANCH}"
_SOLUTION = re.compile(r"solutions/(k\d\d_([a-z0-9_]+))/\2\.py")
_MODE = "100644"  # a file that is not executable
_SETTINGS = (
    *("-c", "i18n.commitEncoding=UTF-8"),
    *("-c", f"core.hooksPath={os.devnull}"),  # hooks are for the user's own commands
    *("-c", "core.fsmonitor=false"),  # it may be a program too
)


class CannotPublish(Exception):
    """The branch cannot be built, for one of the reasons below."""


@dataclass(eq=False)
class NotARepository(CannotPublish):
    """The course is not in a git repository."""

    folder: str


@dataclass(eq=False)
class PartOfARepository(CannotPublish):
    """The course is a subfolder of a git repository."""

    folder: str


@dataclass(eq=False)
class CheckedOut(CannotPublish):
    """A working tree has the branch checked out."""

    folder: str


@dataclass(eq=False)
class OwnCommits(CannotPublish):
    """The branch was made by somebody else, or has commits of theirs."""

    tip: str


@dataclass(eq=False)
class NoCommit(CannotPublish):
    """`base` does not name a commit."""

    base: str


@dataclass(eq=False)
class NoKatas(CannotPublish):
    """The commit has no kata with a solution."""

    base: str


@dataclass(frozen=True)
class Published:
    """The branch after publishing."""

    name: str  # of the base, so that git takes it for the same
    base: str  # its commit
    branch: str  # the name of the branch, likewise
    tip: str
    katas: tuple[str, ...]  # "k00_shapes", one commit each
    changed: bool  # True if the branch was different before


def publish(root: Path, base: str, message: Callable[[str], str]) -> Published:
    """Build the branch on the commit that `base` names. Raises CannotPublish, GitMissing or GitFailed.

    `message` returns the commit message for the name of a kata's folder.
    """
    git = _Git(root)
    git.check_place()
    name = git.full_name(base)
    start = git.id_of(name)
    before = git.tip()
    solutions = dict(_solutions(git, start))
    if not solutions:
        raise NoKatas(base)
    tip = _commits(git, start, solutions, message)
    if tip != before:
        _check_made_here(git, before, message)
        git.run("update-ref", "--no-deref", "-m", "harness publish-solutions", _REF, tip, before)
    return Published(git.short_name(name), start, git.short_name(_REF), tip, tuple(solutions), tip != before)


def _check_made_here(git: _Git, tip: str, message: Callable[[str], str]) -> None:
    """Check that there is no branch, or one that this command has made. Raises OwnCommits."""
    if not tip:
        return
    refused = OwnCommits(tip)
    if git.line("for-each-ref", "--format=%(symref)", _REF):  # another name for a branch of theirs
        raise refused
    solutions = dict(_solutions(git, tip))  # the base's, as only stubs differ
    try:
        base = git.id_of(f"{tip}~{len(solutions)}")
    except NoCommit:
        raise refused from None
    if not solutions or _commits(git, base, dict(_solutions(git, base)), message) != tip:
        raise refused


def _solutions(git: _Git, commit: str) -> Iterator[tuple[str, str]]:
    """Yield each kata with a stub and a solution in that commit, and the solution's blob."""
    files = dict(_files(git.line("ls-tree", "-r", "-z", commit, "katas", "solutions")))
    for path, blob in sorted(files.items()):
        match = _SOLUTION.fullmatch(path)
        if match and _stub(match[1]) in files:
            yield match[1], blob


def _files(listing: str) -> Iterator[tuple[str, str]]:
    for entry in filter(None, listing.split("\0")):
        facts, _, path = entry.partition("\t")
        yield path, facts.split()[2]


def _stub(kata: str) -> str:
    return f"katas/{kata}/{kata[4:]}.py"


def _commits(git: _Git, start: str, solutions: Mapping[str, str], message: Callable[[str], str]) -> str:
    """Create one commit per kata on top of `start`, with its author and dates. Return the last one."""
    signature = git.signature(start)
    parent = start
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git.run("read-tree", start, variables=index)
        for kata, blob in solutions.items():
            git.run("update-index", "--add", "--cacheinfo", f"{_MODE},{blob},{_stub(kata)}", variables=index)
            tree = git.line("write-tree", variables=index)
            parent = git.line("commit-tree", tree, "-p", parent, "-m", message(kata), variables=signature)
    return parent


class _Git(Repository):
    """The repository of the course, and what publishing asks of it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, _SETTINGS)

    def check_place(self) -> None:
        """Check that the course is a repository and no working tree has the branch checked out."""
        try:
            inside = self.line("rev-parse", "--show-prefix")
        except GitFailed as error:
            if "not a git repository" in str(error):
                raise NotARepository(str(self.root)) from None
            raise
        if inside:
            raise PartOfARepository(str(self.root))
        for tree in self.line("worktree", "list", "--porcelain").split("\n\n"):
            path, *facts = tree.splitlines()
            if f"branch {_REF}" in facts:
                raise CheckedOut(path.removeprefix("worktree "))

    def tip(self) -> str:
        """Return the id of the branch's last commit; empty if there is no branch."""
        try:
            return self.line("rev-parse", "--verify", "--quiet", _REF)
        except GitFailed:
            return ""

    def full_name(self, name: str) -> str:
        """Return the full name of a branch; another name as it is."""
        branch = f"{_HEADS}{name}"
        return branch if branch in self.line("for-each-ref", "--format=%(refname)", branch).split() else name

    def short_name(self, name: str) -> str:
        """Return the shortest name that git takes for the same branch; another name as it is."""
        return self.line("for-each-ref", "--format=%(refname:short)", name) or name

    def id_of(self, name: str) -> str:
        """Return the full id of the commit that a branch, a tag or an id names."""
        try:
            return self.line("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
        except GitFailed:
            raise NoCommit(name) from None

    def signature(self, commit: str) -> dict[str, str]:
        """Return the author and committer of a commit, with their dates, as variables for another commit."""
        names = ["AUTHOR_NAME", "AUTHOR_EMAIL", "AUTHOR_DATE"]
        names += [name.replace("AUTHOR", "COMMITTER") for name in names]
        values = self.line("log", "-1", "--no-show-signature", "--date=raw", _SIGNATURE, commit).split("\n")
        return {f"GIT_{name}": value for name, value in zip(names, values, strict=True)}


_SIGNATURE = "--format=%an%n%ae%n%ad%n%cn%n%ce%n%cd"
