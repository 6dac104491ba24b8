"""`harness publish-solutions`: a branch that differs from main only in the solutions."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from harness.authoring.publish import CannotPublish
from harness.authoring.publish_words import cannot_publish
from harness.tests.support.miniature import Miniature

pytestmark = pytest.mark.measured

ME = {
    "GIT_AUTHOR_NAME": "Ana Ñ",
    "GIT_AUTHOR_EMAIL": "ana@example.org",
    "GIT_AUTHOR_DATE": "1700000000 +0100",
    "GIT_COMMITTER_NAME": "Bo",
    "GIT_COMMITTER_EMAIL": "bo@example.org",
    "GIT_COMMITTER_DATE": "1700000100 -0500",
}


def git(root: Path, *arguments: str, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *arguments], cwd=root, env={**clean, **environment}, capture_output=True, check=True
    )
    return done.stdout.decode()


@pytest.fixture
def repo(mini: Miniature) -> Miniature:
    """The miniature course, committed on main."""
    commit_all(mini.root)
    return mini


def commit_all(root: Path) -> None:
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "The course", **ME)


def tip(mini: Miniature, branch: str = "solutions") -> str:
    return git(mini.root, "rev-parse", f"refs/heads/{branch}").strip()


def test_the_branch_has_a_commit_for_each_kata_and_says_what_to_type(repo: Miniature) -> None:
    result = repo.harness("publish-solutions", folder="katas")
    assert result.code == 0
    assert result.out == (
        f"The branch solutions has 2 commits, one per kata, on top of main ({tip(repo, 'main')[:7]}).\n"
        "What a learner writes:  git diff main solutions -- katas/k01*\n"
        "To publish it:  git push --force-with-lease origin solutions\n"
    )
    subjects = git(repo.root, "log", "--format=%s", "--reverse", "main..refs/heads/solutions").splitlines()
    assert subjects == ["Kata 00 doubles: the solution", "Kata 01 layers: the solution"]


def test_the_branch_differs_from_main_in_the_solutions_only(repo: Miniature) -> None:
    repo.harness("publish-solutions")
    changed = git(repo.root, "diff", "--name-only", "main", "solutions", "--").splitlines()
    assert changed == ["katas/k00_doubles/doubles.py", "katas/k01_layers/layers.py"]
    difference = git(repo.root, "diff", "-U0", "main", "solutions", "--", "katas/k01*")
    edits = [line for line in difference.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert edits == ["-        raise NotImplementedError", "+        return double(x)"]
    shown = git(repo.root, "show", "solutions:katas/k01_layers/layers.py")
    assert shown == repo.layers.solution.read_text()


def test_nothing_else_is_touched(repo: Miniature) -> None:
    repo.write_doubles(double="return x + x")  # not staged
    (repo.root / "note.txt").write_text("mine")
    git(repo.root, "add", "note.txt")  # staged
    before = snapshot(repo)
    assert repo.harness("publish-solutions").code == 0
    assert snapshot(repo) == before


def snapshot(mini: Miniature) -> tuple[object, ...]:
    files = {path: path.read_bytes() for path in mini.root.glob("[!.]*/**/*") if path.is_file()}
    index = (mini.root / ".git" / "index").read_bytes()
    head = (mini.root / ".git" / "HEAD").read_text()
    return files, index, head, git(mini.root, "status", "--porcelain"), tip(mini, "main")


def test_the_same_main_gives_the_same_commits_in_every_clone(repo: Miniature, tmp_path: Path) -> None:
    repo.harness("publish-solutions")
    first = tip(repo)
    again = repo.harness("publish-solutions", GIT_AUTHOR_NAME="Somebody else", TZ="Asia/Tokyo")
    assert "The branch solutions still has 2 commits" in again.out
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repo.root), str(clone))
    git(clone, "config", "i18n.commitEncoding", "ISO-8859-1")
    git(clone, "config", "commit.gpgSign", "true")
    assert Miniature(clone).harness("publish-solutions").code == 0
    assert tip(Miniature(clone)) == tip(repo) == first


def test_the_printed_command_publishes_the_branch(repo: Miniature, tmp_path: Path) -> None:
    home = tmp_path / "home.git"
    git(tmp_path, "init", "-q", "--bare", str(home))
    git(repo.root, "remote", "add", "origin", str(home))
    out = repo.harness("publish-solutions").out
    git(repo.root, *out.splitlines()[-1].partition("git ")[2].split())
    assert git(home, "rev-parse", "refs/heads/solutions").strip() == tip(repo)


def test_commits_have_the_author_and_the_dates_of_main(repo: Miniature) -> None:
    repo.harness("publish-solutions")
    every = "--format=%an %ae %ad / %cn %ce %cd"
    signatures = git(repo.root, "log", "--date=raw", every, "refs/heads/solutions").splitlines()
    assert set(signatures) == {"Ana Ñ ana@example.org 1700000000 +0100 / Bo bo@example.org 1700000100 -0500"}


def test_the_branch_follows_main(repo: Miniature) -> None:
    repo.harness("publish-solutions")
    before = tip(repo)
    (repo.root / "README.md").write_text("More.")
    git(repo.root, "add", "README.md")
    git(repo.root, "commit", "-qm", "More", **ME)
    repo.harness("publish-solutions")
    assert tip(repo) != before
    assert git(repo.root, "rev-parse", "solutions~2").strip() == tip(repo, "main")


def test_only_committed_files_count(repo: Miniature) -> None:
    repo.layers.solution.write_text("# not committed\n")
    repo.harness("publish-solutions")
    assert "not committed" not in git(repo.root, "show", "solutions:katas/k01_layers/layers.py")


def test_another_base_can_be_named(repo: Miniature) -> None:
    git(repo.root, "branch", "-m", "main", "trunk")
    refused = repo.harness("publish-solutions")
    assert refused.code == 1
    assert refused.err == (
        "Error: There is no commit 'main' to start from. Name another: harness publish-solutions --from REF\n"
    )
    assert repo.harness("publish-solutions", "--from", "trunk").code == 0


def test_a_commit_without_katas_is_refused(repo: Miniature) -> None:
    git(repo.root, "checkout", "-q", "--orphan", "empty")
    git(repo.root, "commit", "-q", "--allow-empty", "-m", "Nothing", "--", **ME)
    git(repo.root, "rm", "-rqf", "--cached", ".")
    git(repo.root, "commit", "-q", "--allow-empty", "-m", "Nothing", **ME)
    result = repo.harness("publish-solutions", "--from", "empty")
    assert result.code == 1
    assert "The commit 'empty' has no kata with a solution." in result.err


def test_a_checked_out_branch_is_refused(repo: Miniature) -> None:
    repo.harness("publish-solutions")
    git(repo.root, "checkout", "-q", "solutions", "--")
    result = repo.harness("publish-solutions")
    assert result.code == 1
    assert f"The branch solutions is checked out in {repo.root.resolve().as_posix()}" in result.err
    assert "git switch main" in result.err


def test_a_branch_checked_out_in_another_working_tree_is_refused(repo: Miniature, tmp_path: Path) -> None:
    repo.harness("publish-solutions")
    git(repo.root, "worktree", "add", "-q", str(tmp_path / "other"), "solutions")
    result = repo.harness("publish-solutions")
    assert result.code == 1
    assert "The branch solutions is checked out in " in result.err and "other" in result.err


@pytest.mark.parametrize("where", ["on top", "in the middle", "alone", "another branch"])
def test_a_branch_with_commits_of_ones_own_is_refused(repo: Miniature, where: str) -> None:
    first = git(repo.root, "rev-parse", "main^{tree}").strip()
    if where in ("on top", "in the middle"):
        repo.harness("publish-solutions")
    parent = "solutions" if where == "on top" else "main"
    for _ in range(1 if where == "alone" else 2):
        mine = git(repo.root, "commit-tree", first, "-p", parent, "-m", "Mine", **ME).strip()
        parent = mine
    git(repo.root, "branch", "-f", "mine" if where == "another branch" else "solutions", mine)
    if where == "another branch":
        git(repo.root, "symbolic-ref", "refs/heads/solutions", "refs/heads/mine")
    result = repo.harness("publish-solutions")
    assert result.code == 1
    assert result.err == (
        f"Error: The branch solutions (at {mine[:7]}) has commits that this command did not make, so it is"
        " unchanged.\nKeep them under another name, then try again:  git branch -m solutions NAME\n"
    )
    assert tip(repo) == mine


def test_the_remedy_for_commits_of_ones_own_keeps_them(repo: Miniature) -> None:
    git(repo.root, "branch", "solutions", "main")
    git(repo.root, "tag", "solutions", "main")
    refused = repo.harness("publish-solutions").err
    git(repo.root, *refused.partition("git ")[2].replace("NAME", "mine").split())
    assert repo.harness("publish-solutions").code == 0
    assert tip(repo, "mine") == tip(repo, "main") != tip(repo)


def test_a_tag_does_not_take_the_place_of_a_branch(repo: Miniature) -> None:
    repo.harness("publish-solutions")
    first = tip(repo)
    git(repo.root, "tag", "solutions", "main")
    (repo.root / "README.md").write_text("More.")
    git(repo.root, "add", "README.md")
    git(repo.root, "tag", "main")
    git(repo.root, "commit", "-qm", "More", **ME)
    printed = repo.harness("publish-solutions").out
    assert git(repo.root, "rev-parse", "refs/heads/solutions~2") == git(
        repo.root, "rev-parse", "refs/heads/main"
    )
    assert first != tip(repo)
    assert "on top of heads/main\n" in printed
    assert "git diff heads/main heads/solutions -- katas/k01*\n" in printed
    assert "git push --force-with-lease origin heads/solutions\n" in printed


@pytest.mark.skipif(os.name == "nt", reason="the hook is a shell script")
def test_hooks_do_not_run(repo: Miniature) -> None:
    hooks = repo.root / "hooks"
    hooks.mkdir()
    for name in ("reference-transaction", "post-index-change", "monitor"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch '{hooks}/{name}-ran'\n")
        (hooks / name).chmod(0o755)
    git(repo.root, "config", "core.hooksPath", str(hooks))
    git(repo.root, "config", "core.fsmonitor", str(hooks / "monitor"))
    assert repo.harness("publish-solutions").code == 0
    assert list(hooks.glob("*-ran")) == []


def test_a_name_that_is_printed_in_a_command_is_quoted(repo: Miniature) -> None:
    git(repo.root, "branch", "-m", "main", "it's;main")
    printed = repo.harness("publish-solutions", "--from", "it's;main").out
    command = next(line for line in printed.splitlines() if "git diff" in line).partition("git ")[2]
    assert shlex.split(command)[1:3] == ["it's;main", "solutions"]


@pytest.mark.parametrize("reason", CannotPublish.__subclasses__())
def test_every_reason_has_a_message(reason: type[CannotPublish]) -> None:
    facts = [field.name for field in fields(reason)] if is_dataclass(reason) else []
    message = cannot_publish(reason(*facts))
    assert all(fact in message for fact in facts)
    assert (
        "try again" in message or "Go to a clone" in message or "git switch" in message or "--from" in message
    )


def test_without_git_it_says_so(repo: Miniature) -> None:
    result = repo.harness("publish-solutions", PATH=str(repo.root))
    assert result.code == 1
    assert "git is not installed. Install it" in result.err


def test_a_folder_outside_a_repository_is_refused(mini: Miniature) -> None:
    result = mini.harness("publish-solutions", GIT_CEILING_DIRECTORIES=str(mini.root.parent))
    assert result.code == 1
    assert "is not a git repository, so it cannot have a branch. Go to a clone." in result.err


def test_a_part_of_another_repository_is_refused(mini: Miniature) -> None:
    (mini.root / "inner").mkdir()
    for name in ("katas", "solutions"):
        (mini.root / name).rename(mini.root / "inner" / name)
    commit_all(mini.root)
    result = mini.harness("publish-solutions", folder="inner")
    assert result.code == 1
    assert "is only a part of a git repository" in result.err


def test_an_error_of_git_is_shown(repo: Miniature) -> None:
    lock = repo.root / ".git" / "refs" / "heads" / "solutions.lock"
    lock.touch()
    result = repo.harness("publish-solutions")
    assert result.code == 1
    assert "git update-ref failed:" in result.err and "solutions.lock" in result.err


def test_publishing_needs_no_package_but_click(repo: Miniature) -> None:
    """The workflow that publishes has little to install."""
    code = (
        "import sys\nfrom harness.cli import main\n"
        "try:\n    main(['publish-solutions'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "own = {*sys.stdlib_module_names, *sys.builtin_module_names, 'harness', 'click', '__main__'}\n"
        "print({name.split('.')[0] for name in sys.modules} - own - before)"
    )
    clean = "import sys\nbefore = {name.split('.')[0] for name in sys.modules}\n"
    result = repo.cold.python("-c", clean + code)
    assert result.out.splitlines()[-1] == "set()", result.text
