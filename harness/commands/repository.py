"""git in the learner's clone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

# They would point git to another repository, or to an index that is in use.
_NOT_INHERITED = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")
_NOBODY = {
    f"GIT_{role}_{part}": text
    for role in ("AUTHOR", "COMMITTER")
    for part, text in (("NAME", "harness update"), ("EMAIL", "harness@localhost"))
}


class GitMissing(Exception):
    """git is not installed."""


class GitFailed(Exception):
    """A git command failed; the message is its output."""

    def __init__(self, command: str, output: str) -> None:
        super().__init__(output)
        self.command = command


class Repository:
    """A clone, and the git commands that work in it. Every method raises GitMissing and GitFailed.

    `settings` are git's options for each of them, such as ("-c", "core.fsmonitor=false").
    """

    def __init__(self, root: Path, settings: Sequence[str] = ()) -> None:
        self.root = root
        self._settings = settings

    def run(
        self, *arguments: str, given: bytes | None = None, variables: Mapping[str, str] = MappingProxyType({})
    ) -> bytes:
        """Return the output of a git command."""
        inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
        command = ["git", "-c", "core.quotePath=false", *self._settings, *arguments]
        try:
            done = subprocess.run(
                command,
                cwd=self.root,
                env={**inherited, "LC_ALL": "C", "GIT_LITERAL_PATHSPECS": "1", **variables},
                input=given,
                stdin=subprocess.DEVNULL if given is None else None,
                capture_output=True,
            )
        except FileNotFoundError:
            raise GitMissing from None
        if done.returncode:
            raise GitFailed(arguments[0], done.stderr.decode(errors="replace").strip())
        return done.stdout

    def line(self, *arguments: str, variables: Mapping[str, str] = MappingProxyType({})) -> str:
        """Return what a git command prints, usually one line, without the last line end."""
        return self.run(*arguments, variables=variables).decode(errors="replace").removesuffix("\n")

    def paths(self, *arguments: str) -> list[str]:
        """Return the paths that a git command prints with -z."""
        return [os.fsdecode(path) for path in self.run(*arguments).split(b"\0") if path]

    def succeeds(self, *arguments: str) -> bool:
        """True if git exits with status 0."""
        try:
            self.run(*arguments)
        except GitFailed:
            return False
        return True

    def has(self, name: str) -> bool:
        """True if a file of this name is in the repository's own folder: MERGE_HEAD, rebase-merge."""
        return (self.root / self.line("rev-parse", "--git-path", name)).exists()

    def differing(self, one: str, other: str = "") -> list[str]:
        """Return the paths that differ between two commits, or between one and the files."""
        return self.paths("diff", "--name-only", "--no-renames", "-z", one, *([other] if other else []), "--")

    def content(self, commit: str, path: str) -> bytes | None:
        """Return a file as it is in a commit; None if it has none of that name."""
        try:
            return self.run("cat-file", "blob", f"{commit}:{path}")
        except GitFailed:
            return None

    def store(self, content: bytes) -> str:
        """Write a blob, and return its id."""
        return self.run("hash-object", "-w", "--stdin", given=content).decode().strip()

    def commit(self, tree: str, parents: Sequence[str], message: str) -> str:
        """Write a commit, and return its id; without a name in git's settings, in the harness's name."""
        known = self.succeeds("var", "GIT_AUTHOR_IDENT") and self.succeeds("var", "GIT_COMMITTER_IDENT")
        options = [word for parent in parents for word in ("-p", parent)]
        return self.line("commit-tree", tree, *options, "-m", message, variables={} if known else _NOBODY)

    def move(self, old: str, new: str) -> None:
        """Move the branch and its files from one commit to another; if that fails, all is as it was.

        Files that the two commits have alike are not touched, edited or not.
        """
        self.succeeds("update-index", "-q", "--refresh")  # it fails where files are edited
        self.run("read-tree", "-m", "-u", old, new)
        try:
            self.run("update-ref", "-m", "harness update", "HEAD", new, old)
        except BaseException:
            self.run("read-tree", "-m", "-u", new, old)
            raise

    def merge_file(self, mine: bytes, base: bytes, theirs: bytes, folder: Path) -> bytes | None:
        """Return a text with the changes of both; None if they touch the same lines."""
        names = [str(folder / name) for name in ("mine", "base", "theirs")]
        for name, content in zip(names, (mine, base, theirs), strict=True):
            Path(name).write_bytes(content)
        try:
            return self.run("merge-file", "-p", *names)
        except GitFailed:
            return None
