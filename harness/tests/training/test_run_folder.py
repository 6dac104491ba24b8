"""The logs in the folder of a training run."""

from __future__ import annotations

from harness.training.run_folder import RunFolder, read_losses


def test_missing_logs_have_no_losses(tmp_path) -> None:
    assert read_losses(RunFolder(tmp_path)) == ([], [])
