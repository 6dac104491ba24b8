"""The first lines of a notebook: whose katas it uses, and if they are complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.notebook import SOLUTIONS_VARIABLE
from harness.tests.support.miniature import Miniature

pytestmark = pytest.mark.measured

USE = "from harness.notebook import use_katas; use_katas()"
UNDONE = (
    "Using your own katas. Restart the kernel after editing one.\n"
    "Kata 00 doubles is not done yet: 0 of 4 tests pass. A cell that needs the others stops with"
    " NotImplementedError. In a terminal:  pytest katas/00\n"
)


def printed(folder: Path, code: str = USE, **environment: str) -> str:
    done = Miniature(folder).python("-c", code, **environment)
    assert done.code == 0, done.err
    return done.out


def test_an_incomplete_kata_is_reported_with_the_command(mini: Miniature) -> None:
    assert printed(mini.doubles.folder) == UNDONE


def test_it_is_reported_only_in_a_katas_folder(mini: Miniature) -> None:
    assert printed(mini.root) == UNDONE.splitlines(keepends=True)[0]


def test_with_the_reference_nothing_is_incomplete(mini: Miniature) -> None:
    code = f"{USE}; import torch; from katas.k00_doubles.doubles import double; print(double(torch.ones(1)))"
    assert printed(mini.doubles.folder, code, **{SOLUTIONS_VARIABLE: "1"}).startswith(
        "Using the reference solutions.\n"
    )


@pytest.mark.parametrize("checked", [True, False])
def test_arguments_are_checked_unless_times_are_measured(mini: Miniature, checked: bool) -> None:
    use = f"from harness.notebook import use_katas; use_katas(solutions=True, checked={checked})"
    code = f"{use}; from katas.k00_doubles.doubles import double; print(double('a'))"
    done = Miniature(mini.doubles.folder).python("-c", code)
    assert (done.code == 0, done.out.endswith("aa\n")) == (not checked, not checked), done.err


def test_outside_a_course_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.notebook import use_katas

    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="Go to your clone"):
        use_katas()
