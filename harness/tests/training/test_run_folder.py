"""Which folders a run may use, and the logs in them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from harness.training.request import CannotTrain
from harness.training.run_folder import (
    RunFolder,
    check_folder,
    read_losses,
    read_restatement,
    start,
    text_name,
)

THEIRS = ("config.yaml", "data.txt", "tokenizer.json", "steps.csv", "evaluations.jsonl")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "my run")


def refusal(run: RunFolder, *, resume: bool = False, solutions: bool = False) -> str:
    with pytest.raises(CannotTrain) as caught:
        check_folder(run, resume=resume, solutions=solutions)
    return str(caught.value)


def write(run: RunFolder, *names: str) -> None:
    run.path.mkdir(exist_ok=True)
    for name in names:
        (run.path / name).write_text("mine")


def test_missing_logs_have_no_losses(tmp_path) -> None:
    assert read_losses(RunFolder(tmp_path)) == ([], [])


@pytest.mark.parametrize("names", [THEIRS, ("notes.md",), (".hidden",)])
def test_a_folder_with_files_of_ones_own_is_refused(run: RunFolder, names: tuple[str, ...]) -> None:
    write(run, *names)
    assert refusal(run) == (
        f"{run.path} is not empty and holds no run, so nothing was written there."
        f" Name a new folder, for example:\n  --run-dir '{run.path / 'run'}'"
    )


def test_the_folder_that_is_suggested_is_a_new_one(run: RunFolder) -> None:
    write(run, "run")
    assert refusal(run).endswith("run.2'")


def test_a_new_or_an_empty_folder_is_used(run: RunFolder) -> None:
    check_folder(run, resume=False)
    write(run, ".DS_Store")
    check_folder(run, resume=False)


@pytest.mark.parametrize("names", [(), THEIRS, ("last.pt", "best.pt")], ids=["empty", "files", "weights"])
def test_only_a_run_is_resumed(run: RunFolder, names: tuple[str, ...]) -> None:
    write(run, *names)
    assert f"{run.path} holds no run to resume. --resume needs --run-dir" in refusal(run, resume=True)


def test_a_folder_that_holds_a_run_is_only_resumed(run: RunFolder) -> None:
    start(run, "tiny_tales")
    run.last.touch()
    assert refusal(run, solutions=True) == (
        f"{run.path} already holds a run, and nothing was changed. To resume it:\n"
        f"  harness train --solutions --resume --run-dir '{run.path}'\n"
        "For a new run, name another folder, or leave --run-dir out."
    )
    check_folder(run, resume=True)


def test_a_run_without_a_checkpoint_starts_again_in_its_folder(run: RunFolder) -> None:
    start(run, "tiny_tales")
    write(run, "steps.csv")
    check_folder(run, resume=False)
    check_folder(run, resume=True)


def test_a_run_of_an_older_version_is_recognised(run: RunFolder) -> None:
    write(run, "config.yaml", "tokenizer.json", "last.pt", "best.pt")
    run.text.write_text("tiny_tales\n")
    check_folder(run, resume=True)
    assert text_name(run) == "tiny_tales"
    assert "already holds a run" in refusal(run)


@pytest.mark.parametrize("name", ["tiny_tales", "/home/ana/my text.txt ", "/caf\udce9.txt", "/a\nb"])
def test_the_name_of_the_text_is_kept_to_the_byte(run: RunFolder, name: str) -> None:
    assert text_name(run) is None
    start(run, name)
    assert text_name(run) == name


@pytest.mark.parametrize("name", ["file/below", "x" * 300])
def test_a_folder_that_cannot_be_is_refused_with_a_remedy(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    message = refusal(RunFolder(tmp_path / name))
    assert "cannot be used for a run: " in message
    assert message.endswith(". Name another folder with --run-dir, or make this one writable.")
    assert "Error" not in message and "Errno" not in message


def test_a_folder_that_cannot_be_written_is_refused_with_a_remedy(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(CannotTrain, match=r"my run cannot be used for a run: Permission denied\. Name anoth"):
        start(run, "tiny_tales")


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("", None),
        ('{"step": 0, "val_loss": 4.0}\n', None),
        ('{"step": 0}\n{"step": 5, "val_loss": 0.7, "perplexity": 2.0, "bits_per_byte": 1.0}\n', (2.0, 1.0)),
    ],
    ids=["no log", "an older log", "two rows"],
)
def test_the_last_loss_is_restated_if_the_log_has_it(tmp_path: Path, log: str, expected: object) -> None:
    run = RunFolder(tmp_path)
    run.evaluations.write_text(log)
    assert read_restatement(run) == expected
