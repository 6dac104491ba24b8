"""`harness update`: a newer course around the learner's own code.

If the learner and the course changed the same file, both changes are combined if they touch different lines;
otherwise a stub stays the learner's, and any other file becomes the course's. No file ever contains conflict
markers, and every file that the learner changed is copied first.
"""

from __future__ import annotations

import ast
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from harness.commands.repository import GitFailed, Repository
from harness.commands.reset import BACKUPS
from harness.course.definitions import Definition, Function
from harness.course.kata_tests import digest, parse_tests
from harness.course.katas import Course, Kata, load_course
from harness.course.whole_files import write_whole

BRANCH = "main"
REMOTES = ("upstream", "origin")  # a fork has both; the course is the first
PROJECT = "pyproject.toml"
_UNFINISHED = {"MERGE_HEAD": "merge", "rebase-merge": "rebase", "rebase-apply": "rebase"}
# Outcomes for a file that both changed.
COMBINED, MINE, THEIRS, REMOVED = "combined", "mine", "theirs", "removed"


class CannotUpdate(Exception):
    """Nothing was changed, for one of the reasons below."""


class NotAClone(CannotUpdate):
    """The course is not the root of a git repository."""


class NoRemote(CannotUpdate):
    """The clone does not know where the course is published."""


class NoBranch(CannotUpdate):
    """No branch is checked out."""


@dataclass(eq=False)
class Unfinished(CannotUpdate):
    """A merge, a rebase, or a stash left conflicts."""

    kind: str  # merge, rebase, or "" if only files are left
    files: Sequence[str]  # with conflicts
    backup: Path | None


@dataclass(eq=False)
class PartlyStaged(CannotUpdate):
    """Files differ from the version of them that is staged."""

    files: Sequence[str]


@dataclass(eq=False)
class Unreachable(CannotUpdate):
    """The course could not be fetched."""

    remote: str
    reason: str


@dataclass(eq=False)
class Unrelated(CannotUpdate):
    """The clone and the course have no commit in common."""

    remote: str


@dataclass(eq=False)
class NotBackedUp(CannotUpdate):
    """The learner's files could not be copied."""

    reason: str


@dataclass(frozen=True)
class KataNews:
    """What the course changed in one kata."""

    kata: Kata
    is_new: bool
    tests: tuple[str, ...]  # the new ones
    tests_changed: bool
    signatures: tuple[str, ...]  # of functions that the stub declares differently, or no longer, or newly


@dataclass(frozen=True)
class Updated:
    """The result of an update."""

    source: str  # "origin/main"
    commits: int = 0
    backup: Path | None = None
    kept: tuple[str, ...] = ()  # files with the learner's changes
    outcomes: Mapping[str, str] = field(default_factory=dict)  # of files that both have changed
    news: tuple[KataNews, ...] = ()
    project_changed: bool = False


@dataclass(frozen=True)
class FileVersions:
    """One file in three versions; None where it does not exist."""

    path: str
    base: bytes | None
    mine: bytes | None
    theirs: bytes | None


def update(course: Course, now: datetime) -> Updated:
    """Bring the course up to date.

    Raises CannotUpdate, GitMissing or GitFailed; then the files are as they were.
    """
    repository = Repository(course.root)
    _check(course, repository, now)
    source = _fetch(repository)
    head = repository.line("rev-parse", "HEAD")
    if repository.succeeds("merge-base", "--is-ancestor", source, head):
        return Updated(source)
    base = _common_commit(repository, head, source)
    backup = _back_up(course, _changed_files(repository, base, source), now)
    outcomes: dict[str, str] = {}
    new = _merge(repository, base, head, source, outcomes)
    _move(repository, course, head, new, outcomes)
    return Updated(
        source,
        int(repository.line("rev-list", "--count", f"{head}..{source}")),
        backup,
        tuple(path for path in repository.differing(source) if (course.root / path).exists()),
        outcomes,
        tuple(_news(repository, load_course(course.root), base, source)),
        PROJECT in repository.differing(head, new),
    )


def _check(course: Course, repository: Repository, now: datetime) -> None:
    """Raise CannotUpdate if the clone is not in a state that can be updated."""
    try:
        inside = repository.line("rev-parse", "--show-prefix")
    except GitFailed:
        raise NotAClone from None
    if inside:
        raise NotAClone
    unmerged = sorted(set(repository.paths("diff", "--name-only", "--diff-filter=U", "-z")))
    kind = next((kind for name, kind in _UNFINISHED.items() if repository.has(name)), "")
    if unmerged or kind:
        raise Unfinished(kind, unmerged, _back_up(course, repository.differing("HEAD"), now))
    if not repository.succeeds("symbolic-ref", "-q", "HEAD"):
        raise NoBranch
    staged = set(repository.paths("diff", "--cached", "--name-only", "-z", "--"))
    partly = staged.intersection(repository.paths("diff", "--name-only", "-z", "--"))
    if partly:
        raise PartlyStaged(sorted(partly))


def _fetch(repository: Repository) -> str:
    """Fetch the course, and return the name of its newest commit: "origin/main"."""
    known = repository.line("remote").split()
    remote = next((name for name in REMOTES if name in known), None)
    if remote is None:
        raise NoRemote
    try:
        reference = f"+refs/heads/{BRANCH}:refs/remotes/{remote}/{BRANCH}"
        repository.run("fetch", "--quiet", "--no-tags", remote, reference)
    except GitFailed as error:
        raise Unreachable(remote, str(error)) from None
    return f"{remote}/{BRANCH}"


def _common_commit(repository: Repository, head: str, source: str) -> str:
    try:
        return repository.line("merge-base", head, source)
    except GitFailed:
        raise Unrelated(source) from None


def _changed_files(repository: Repository, base: str, source: str) -> list[str]:
    """Return the learner's files: those that differ from `base`, and untracked ones that the course adds."""
    added = repository.paths(
        "diff", "--name-only", "--no-renames", "--diff-filter=A", "-z", base, source, "--"
    )
    return sorted({*repository.differing(base), *added})


def _back_up(course: Course, paths: Sequence[str], now: datetime) -> Path | None:
    """Copy these files, and return the folder of the copies. Raises NotBackedUp.

    The folder has its name only once it is complete.
    """
    files = [path for path in paths if (course.root / path).is_file()]
    if not files:
        return None
    folder = course.state / BACKUPS / f"update-{now:%Y%m%dT%H%M%S%f}"
    part = folder.with_name(f"{folder.name}.part")
    try:
        for path in files:
            (part / path).parent.mkdir(parents=True, exist_ok=True)
            (part / path).write_bytes((course.root / path).read_bytes())
        part.rename(folder)
    except OSError as error:
        raise NotBackedUp(error.strerror or str(error)) from None
    return folder


def _merge(repository: Repository, base: str, head: str, source: str, outcomes: dict[str, str]) -> str:
    """Return the new commit: the course's if the learner committed nothing, else a merge."""
    if base == head:
        return repository.line("rev-parse", source)
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        repository.run("read-tree", "-i", "-m", "--aggressive", base, head, source, variables=index)
        for path, mode in _unmerged(repository, index):
            version = FileVersions(
                path, *(repository.content(commit, path) for commit in (base, head, source))
            )
            content = _resolve(repository, version, Path(folder), outcomes)
            if content is None:
                repository.run("update-index", "--force-remove", "--", path, variables=index)
            else:
                entry = f"{mode},{repository.store(content)},{path}"
                repository.run("update-index", "--add", "--cacheinfo", entry, variables=index)
        tree = repository.line("write-tree", variables=index)
    return repository.commit(tree, [head, source], f"Merge {source}")


def _unmerged(repository: Repository, index: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the paths that both sides changed, with their modes."""
    found = {}
    for entry in repository.run("ls-files", "-u", "-z", variables=index).split(b"\0"):
        facts, _, path = entry.partition(b"\t")
        if path:
            found[os.fsdecode(path)] = facts.split()[0].decode()
    return list(found.items())


def _move(repository: Repository, course: Course, head: str, new: str, outcomes: dict[str, str]) -> None:
    """Move the branch and the files to a commit, around what the learner has not committed."""
    edited = set(repository.differing("HEAD"))
    versions = [
        FileVersions(
            path, repository.content(head, path), _read(course.root / path), repository.content(new, path)
        )
        for path in repository.differing(head, new)
        if path in edited or _is_in_the_way(repository, course, head, path)
    ]
    with tempfile.TemporaryDirectory() as folder:
        resolved = {each.path: _resolve(repository, each, Path(folder), outcomes) for each in versions}
    try:
        for each in versions:
            _restore(repository, course, each)
        repository.move(head, new)
    except BaseException:
        resolved = {each.path: each.mine for each in versions}
        raise
    finally:
        for path, content in resolved.items():
            _write(course.root / path, content)


def _is_in_the_way(repository: Repository, course: Course, head: str, path: str) -> bool:
    """True if the course adds a file of a name that the learner has given to one."""
    return os.path.lexists(course.root / path) and repository.content(head, path) is None


def _restore(repository: Repository, course: Course, version: FileVersions) -> None:
    """Make a file for a moment what it is in the learner's last commit, so that git may replace it."""
    if version.base is None:
        repository.run("rm", "--quiet", "--cached", "--ignore-unmatch", "--", version.path)
        _write(course.root / version.path, None)
    else:
        repository.run("restore", "--source=HEAD", "--staged", "--worktree", "--", version.path)


def _resolve(
    repository: Repository, version: FileVersions, folder: Path, outcomes: dict[str, str]
) -> bytes | None:
    """Return the content of a file after the update, and note in `outcomes` how two changes were resolved."""
    mine = _with_line_ends_of(version.base, version.mine)
    if mine == version.theirs or mine == version.base:
        return version.theirs
    if version.theirs == version.base:
        return version.mine
    if mine is None:
        return version.theirs
    if version.theirs is None:
        outcomes[version.path] = REMOVED
        return version.mine
    combined = repository.merge_file(mine, version.base, version.theirs, folder) if version.base else None
    if combined is not None and (not _is_stub(version.path) or _parses(combined) or not _parses(mine)):
        outcomes[version.path] = COMBINED
        return combined
    outcomes[version.path] = MINE if _is_stub(version.path) else THEIRS
    return version.mine if outcomes[version.path] == MINE else version.theirs


def _with_line_ends_of(base: bytes | None, mine: bytes | None) -> bytes | None:
    """Return the learner's text with the line ends of git, which may have others in the files (autocrlf)."""
    if mine is None or (base is not None and b"\r\n" in base):
        return mine
    return mine.replace(b"\r\n", b"\n")


def _is_stub(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return folder.startswith("katas/k") and name == f"{folder.removeprefix('katas/')[4:]}.py"


def _parses(source: bytes | None) -> bool:
    try:
        ast.parse(source or b"")
    except (SyntaxError, ValueError):
        return False
    return True


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _write(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)


def _news(repository: Repository, course: Course, base: str, source: str) -> Iterator[KataNews]:
    """Yield what the course changed in each kata since `base`."""
    for kata in course.katas:
        tests, stub = course.relative(kata.tests), course.relative(kata.stub)
        before, after = (repository.content(commit, tests) for commit in (base, source))
        news = KataNews(
            kata,
            before is None and after is not None,
            tuple(name for name in _tests(after) if name not in _tests(before)),
            digest(before or b"") != digest(after or b""),
            changed_signatures(repository.content(base, stub), repository.content(source, stub)),
        )
        if news.is_new or news.tests_changed or news.signatures:
            yield news


def _tests(source: bytes | None) -> list[str]:
    return [test.name for test in parse_tests(source.decode())] if source and _parses(source) else []


def changed_signatures(before: bytes | None, after: bytes | None) -> tuple[str, ...]:
    """Return the names of functions and methods that two stubs do not declare alike."""
    if before is None or after is None or not (_parses(before) and _parses(after)):
        return ()
    old, new = dict(_declarations(ast.parse(before).body)), dict(_declarations(ast.parse(after).body))
    return tuple(name for name in {**new, **old} if old.get(name) != new.get(name))


def _declarations(body: Sequence[ast.stmt], owner: str = "") -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, Function):
            returns = ast.unparse(node.returns) if node.returns else ""
            yield f"{owner}{node.name}", f"{ast.unparse(node.args)} -> {returns}"
        elif isinstance(node, Definition):
            yield from _declarations(node.body, f"{owner}{node.name}.")
