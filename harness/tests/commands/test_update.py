"""`harness update` brings a newer course around the learner's code, and loses none of it."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

import pytest

from harness.commands import update
from harness.commands.update_words import cannot_update
from harness.course.kata_tests import manifest_text
from harness.course.unsolved import shipped_stub
from harness.tests.support.miniature import Miniature, make_miniature

pytestmark = pytest.mark.measured

SOMEBODY = {
    f"GIT_{role}_{part}": text
    for role in ("AUTHOR", "COMMITTER")
    for part, text in (("NAME", "Ana"), ("EMAIL", "ana@example.org"))
}
STUB, TESTS = "katas/k00_doubles/doubles.py", "katas/k00_doubles/test_doubles.py"
NEW_TEST = '''

def test_double_of_two():
    """Twice two is four."""
    assert double(torch.tensor([2.0])) == 4
'''


def git(root: Path, *arguments: str, check: bool = True, **environment: str) -> str:
    """Type a git command as a learner does, with no settings of this machine."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    own = {**clean, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, **environment}
    command = ["git", *arguments]
    return subprocess.run(command, cwd=root, env=own, capture_output=True, check=check).stdout.decode()


@dataclass(frozen=True)
class Clone:
    """A learner's clone, and the maintainer's, of one published course."""

    mine: Miniature
    course: Miniature

    def publish(self, edit: Callable[[Miniature], object]) -> None:
        """Let the maintainer change the course and publish it."""
        edit(self.course)
        (self.course.root / "katas" / "shipped.json").write_text(manifest_text(self.course.course))
        git(self.course.root, "add", "-A")
        git(self.course.root, "commit", "-qm", "Change the course", **SOMEBODY)
        git(self.course.root, "push", "-q", "origin", "main")

    def update(self) -> str:
        """Type `harness update`, and return what it printed; it must have succeeded."""
        result = self.mine.harness("update", GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_SYSTEM=os.devnull)
        assert result.code == 0, result.text
        assert "<<<<<<<" not in self.stub
        return " ".join(result.out.split())

    def refused(self) -> str:
        """Type `harness update`, and return its error; no file may have changed."""
        before = files(self.mine.root)
        result = self.mine.harness("update", GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_SYSTEM=os.devnull)
        assert result.code == 1, result.text
        assert files(self.mine.root) == before
        return result.err

    @property
    def stub(self) -> str:
        return self.mine.doubles.stub.read_text()

    def copies(self, path: str) -> list[str]:
        """Return the contents of the copies of a file."""
        return [copy.read_text() for copy in self.mine.root.glob(f".harness/backups/update-*/{path}")]

    def commit(self) -> None:
        git(self.mine.root, "commit", "-qam", "My work", **SOMEBODY)


def files(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.glob("[!.]*/**/*") if path.is_file()}


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    home, course, mine = (tmp_path / name for name in ("home.git", "course", "mine"))
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(home))
    course.mkdir()
    made = make_miniature(course)
    (course / ".gitignore").write_text(".harness/\n__pycache__/\n")
    git(course, "init", "-q", "-b", "main")
    git(course, "remote", "add", "origin", str(home))
    git(course, "add", "-A")
    git(course, "commit", "-qm", "The course", **SOMEBODY)
    git(course, "push", "-q", "origin", "main")
    git(tmp_path, "clone", "-q", str(home), str(mine))
    return Clone(Miniature(mine), made)


def add_a_test(course: Miniature) -> None:
    course.doubles.tests.write_text(course.doubles.tests.read_text() + NEW_TEST)


def edit_solution(old: str, new: str) -> Callable[[Miniature], None]:
    """Return a change of the course's solution, with the stub that follows from it."""

    def edit(course: Miniature) -> None:
        source = course.doubles.solution.read_text()
        assert old in source
        course.doubles.solution.write_text(source.replace(old, new))
        course.doubles.stub.write_text(shipped_stub(course.doubles))

    return edit


add_a_parameter = edit_solution(
    'def double(x: Float[Tensor, "*batch n"])', 'def double(x: Float[Tensor, "*batch n"], times: int = 2)'
)
edit_the_docstring = edit_solution("    Formula: 2 x.\n", "    Formula: 2 x, for every entry.\n")
edit_the_heading = edit_solution('"""Two functions of numbers."""', '"""Functions of numbers."""')


def test_uncommitted_work_and_progress_are_kept_and_what_is_new_is_said(clone: Clone) -> None:
    clone.mine.write_doubles(double="return x + x")
    mine = clone.stub
    receipts = clone.mine.root / ".harness" / "progress.jsonl"
    receipts.parent.mkdir()
    receipts.write_text("receipts")
    clone.publish(add_a_test)
    said = clone.update()
    assert clone.stub == mine
    assert receipts.read_text() == "receipts"
    assert clone.mine.doubles.tests.read_text() == clone.course.doubles.tests.read_text()
    assert said.startswith("The course is up to date: 1 new commit from origin/main.")
    assert f"Your work is kept: {STUB}." in said
    assert "Your progress is kept." in said
    assert "New in kata 00 doubles: test_double_of_two." in said
    assert said.endswith("Next: pytest")
    assert clone.copies(STUB) == [mine]
    assert git(clone.mine.root, "status", "--porcelain") == f" M {STUB}\n"


def test_committed_work_is_merged_without_a_name_in_gits_settings(clone: Clone) -> None:
    clone.mine.write_doubles(double="return x + x")
    mine = clone.stub
    clone.commit()
    clone.publish(add_a_test)
    clone.update()
    assert clone.stub == mine
    assert clone.mine.doubles.tests.read_text() == clone.course.doubles.tests.read_text()
    assert git(clone.mine.root, "status", "--porcelain") == ""
    subjects = git(clone.mine.root, "log", "--format=%s").splitlines()
    assert subjects[0] == "Merge origin/main"
    assert {"My work", "Change the course"} <= set(subjects)


@pytest.mark.parametrize("is_committed", [False, True], ids=["uncommitted", "committed"])
def test_changes_of_other_lines_are_combined(clone: Clone, is_committed: bool) -> None:
    clone.mine.write_doubles(outer="return torch.outer(x, y)")
    if is_committed:
        clone.commit()
    clone.publish(edit_the_heading)
    said = clone.update()
    assert '"""Functions of numbers."""' in clone.stub
    assert "return torch.outer(x, y)" in clone.stub
    assert f"{STUB} has your changes and the new ones." in said


@pytest.mark.parametrize("is_committed", [False, True], ids=["uncommitted", "committed"])
def test_the_learners_stub_wins_where_both_changed_the_same_lines(clone: Clone, is_committed: bool) -> None:
    clone.mine.write_doubles(double='"""My own words."""\nreturn x + x')
    clone.mine.doubles.stub.write_text(clone.stub.replace("    Formula: 2 x.\n", "    Formula: x + x.\n"))
    mine = clone.stub
    if is_committed:
        clone.commit()
    clone.publish(edit_the_docstring)
    said = clone.update()
    assert clone.stub == mine
    assert f"{STUB} changed in the same lines as yours, and stays as you wrote it." in said
    assert f"git show origin/main:{STUB}" in said
    assert git(clone.mine.root, "show", f"origin/main:{STUB}") == clone.course.doubles.stub.read_text()


def test_committed_and_uncommitted_work_in_one_file_is_kept(clone: Clone) -> None:
    clone.mine.write_doubles(double="return x + x")
    clone.commit()
    clone.mine.write_doubles(double="return x + x", outer="return torch.outer(x, y)")
    mine = clone.stub
    clone.publish(edit_the_heading)
    clone.update()
    assert clone.stub == mine.replace("Two functions", "Functions")
    assert "return x + x" in git(clone.mine.root, "show", f"HEAD:{STUB}")


def test_a_changed_signature_is_named_with_the_new_stub(clone: Clone) -> None:
    clone.mine.write_doubles(double="return x + x")
    clone.publish(add_a_parameter)
    said = clone.update()
    assert "return x + x" in clone.stub
    assert "Changed in kata 00 doubles: the signature of double. The new stub:" in said
    assert f"git show origin/main:{STUB}" in said


def test_a_signature_that_only_moved_is_not_named() -> None:
    before = b"def f(x: int) -> int:\n    return x\n\nclass A:\n    def g(self): ...\n"
    after = b"class A:\n    def g(self, y): ...\n\n\ndef f(x: int) -> int:\n    raise NotImplementedError\n"
    assert update.changed_signatures(before, after) == ("A.g",)
    assert update.changed_signatures(before, b"def f(x: int) -> int: ...") == ("A.g",)
    assert update.changed_signatures(None, after) == update.changed_signatures(before, b"def f(") == ()


def test_tests_that_both_changed_are_the_courses_and_the_learners_are_copied(clone: Clone) -> None:
    tests = clone.mine.doubles.tests
    tests.write_text(tests.read_text() + "\n\n# mine\n")
    mine = tests.read_text()
    clone.publish(add_a_test)
    said = clone.update()
    assert tests.read_text() == clone.course.doubles.tests.read_text()
    assert clone.copies(TESTS) == [mine]
    assert f"{TESTS} changed in the same lines as yours, and is the new one. Yours: .harness/backups/" in said


def test_a_file_of_ones_own_gives_way_to_one_of_the_course_and_is_copied(clone: Clone) -> None:
    (clone.mine.root / "notes.md").write_text("mine")
    (clone.mine.root / "other.md").write_text("untouched")
    clone.publish(lambda course: (course.root / "notes.md").write_text("theirs"))
    clone.update()
    assert (clone.mine.root / "notes.md").read_text() == "theirs"
    assert (clone.mine.root / "other.md").read_text() == "untouched"
    assert clone.copies("notes.md") == ["mine"]


def test_a_file_that_the_course_removed_is_kept_if_it_was_edited(clone: Clone) -> None:
    clone.mine.write_doubles(double="return x + x")
    mine = clone.stub
    clone.publish(lambda course: course.doubles.stub.unlink())
    said = clone.update()
    assert clone.stub == mine
    assert f"{STUB} is no longer part of the course; yours is kept." in said


def test_a_deleted_stub_is_the_new_one_again(clone: Clone) -> None:
    clone.mine.doubles.stub.unlink()
    clone.publish(edit_the_heading)
    clone.update()
    assert clone.stub == clone.course.doubles.stub.read_text()


def test_a_stub_that_nobody_edited_is_the_new_one(clone: Clone) -> None:
    clone.publish(edit_the_docstring)
    said = clone.update()
    assert clone.stub == clone.course.doubles.stub.read_text()
    assert "You had not changed any file." in said


def test_staged_work_and_line_ends_of_windows_are_kept(clone: Clone) -> None:
    clone.mine.write_doubles(double="return x + x")
    clone.mine.doubles.stub.write_bytes(clone.stub.replace("\n", "\r\n").encode())
    git(clone.mine.root, "add", STUB)
    clone.publish(edit_the_heading)
    clone.update()
    assert "return x + x" in clone.stub and "Functions of numbers" in clone.stub


def test_a_change_of_the_project_is_followed_by_an_installation(clone: Clone) -> None:
    clone.publish(lambda course: (course.root / "pyproject.toml").open("a").write("# new\n"))
    assert clone.update().endswith("Next: make start")


def test_a_second_update_changes_nothing(clone: Clone) -> None:
    clone.mine.write_doubles(double="return x + x")
    clone.publish(add_a_test)
    clone.update()
    assert clone.update() == "The course is up to date with origin/main; nothing was changed."
    assert len(clone.copies(STUB)) == 1


def test_a_fork_is_updated_from_upstream(clone: Clone) -> None:
    git(clone.mine.root, "remote", "rename", "origin", "upstream")
    git(clone.mine.root, "remote", "add", "origin", "/nowhere")
    git(clone.mine.root, "switch", "-q", "-c", "ana")
    clone.publish(add_a_test)
    assert "1 new commit from upstream/main." in clone.update()


def test_offline_nothing_changes(clone: Clone) -> None:
    clone.mine.write_doubles(double="return x + x")
    git(clone.mine.root, "remote", "set-url", "origin", "/nowhere")
    error = clone.refused()
    assert "The course cannot be fetched from origin, so nothing was changed. git says:\n" in error
    assert "'/nowhere' does not appear to be a git repository" in error
    assert "Check the network, and the address: git remote -v" in error


def test_without_a_copy_nothing_changes(clone: Clone) -> None:
    clone.mine.write_doubles(double="return x + x")
    clone.publish(edit_the_heading)
    (clone.mine.root / ".harness").write_text("a file instead of the folder")
    assert "Nothing was changed: your files cannot be copied to .harness/backups" in clone.refused()


def test_if_git_fails_the_files_are_as_they_were(clone: Clone) -> None:
    clone.mine.write_doubles(double="return x + x")
    clone.publish(edit_the_heading)
    (clone.mine.root / ".git" / "refs" / "heads" / "main.lock").touch()
    assert "git update-ref failed, and the files are as they were:" in clone.refused()


def test_after_a_pull_with_conflicts_the_printed_commands_restore_the_work_and_update(clone: Clone) -> None:
    """The work is that of the last commit; what was edited since is in the copy."""
    clone.mine.write_doubles(double="return x + x")
    clone.mine.doubles.stub.write_text(clone.stub.replace("    Formula: 2 x.\n", "    Formula: x + x.\n"))
    mine = clone.stub
    clone.commit()
    clone.publish(edit_the_docstring)
    git(clone.mine.root, "pull", "-q", "--no-rebase", check=False, **SOMEBODY)
    assert "<<<<<<<" in clone.stub
    with_markers = clone.stub
    error = clone.refused()
    assert (
        f"A merge is unfinished (conflicts in {STUB}). To restore your files, type: git merge --abort"
        in error
    )
    assert "The files as they are now are copied to .harness/backups/update-" in error
    assert clone.copies(STUB) == [with_markers]
    type_what_it_says(clone, error)
    clone.update()
    assert clone.stub == mine


def test_after_a_pull_that_rebases_with_conflicts_too(clone: Clone) -> None:
    clone.mine.doubles.stub.write_text(clone.stub.replace("Formula: 2 x.", "Formula: x + x."))
    mine = clone.stub
    clone.commit()
    clone.publish(edit_the_docstring)
    git(clone.mine.root, "pull", "-q", "--rebase", check=False, **SOMEBODY)
    error = clone.refused()
    assert "A rebase is unfinished" in error
    type_what_it_says(clone, error)
    clone.update()
    assert clone.stub == mine


def test_after_a_stash_with_conflicts_too(clone: Clone) -> None:
    clone.mine.doubles.stub.write_text(clone.stub.replace("Formula: 2 x.", "Formula: x + x."))
    mine = clone.stub
    clone.publish(edit_the_docstring)
    git(clone.mine.root, "stash", "-q", **SOMEBODY)
    git(clone.mine.root, "pull", "-q")
    git(clone.mine.root, "stash", "pop", "-q", check=False)
    error = clone.refused()
    assert f"`git stash pop` left conflicts in {STUB}. To restore your version, type:" in error
    type_what_it_says(clone, error)
    assert clone.stub == mine
    clone.publish(add_a_test)
    clone.update()
    assert clone.stub == mine


def type_what_it_says(clone: Clone, error: str) -> None:
    typed = error.split("type: ")[1].splitlines()[0]
    for command in typed.split(" && "):
        git(clone.mine.root, *shlex.split(command)[1:])


def test_a_file_that_is_staged_in_another_version_is_refused(clone: Clone) -> None:
    clone.mine.write_doubles(double="return x + x")
    git(clone.mine.root, "add", STUB)
    clone.mine.write_doubles(double="return x * 2")
    error = clone.refused()
    assert f"{STUB}: the staged version differs from the file. Type: git restore --staged {STUB}" in error
    git(clone.mine.root, *shlex.split(error.split("Type: git ")[1].splitlines()[0]))
    clone.update()


def test_without_a_branch_it_says_so(clone: Clone) -> None:
    git(clone.mine.root, "switch", "-q", "--detach")
    assert "No branch is checked out. Type: git switch main" in clone.refused()


def test_outside_a_clone_it_says_so(mini: Miniature) -> None:
    result = mini.harness("update", GIT_CEILING_DIRECTORIES=str(mini.root.parent))
    assert result.code == 1
    assert "is not a git clone, so it cannot be updated. Clone the course" in " ".join(result.err.split())


def test_a_course_with_another_history_is_refused(clone: Clone) -> None:
    git(clone.course.root, "checkout", "-q", "--orphan", "other")
    git(clone.course.root, "commit", "-qm", "Another course", **SOMEBODY)
    git(clone.course.root, "push", "-q", "--force", "origin", "other:main")
    assert "This clone and origin/main have no commit in common. Clone the course" in clone.refused()


def test_without_git_it_says_so(clone: Clone) -> None:
    result = clone.mine.harness("update", PATH=str(clone.mine.root))
    assert result.code == 1
    assert "git is not installed. Install it" in result.err


@pytest.mark.parametrize("reason", [*update.CannotUpdate.__subclasses__()])
def test_every_refusal_says_what_to_do(reason: type[update.CannotUpdate], mini: Miniature) -> None:
    values = {"files": ["a b"], "backup": None}
    names = [field.name for field in fields(reason)] if is_dataclass(reason) else []
    message = cannot_update(mini.course, reason(*(values.get(name, name) for name in names)))
    assert any(word in message for word in ("type: ", "Type: ", "Check ", "Clone ", "copied"))
