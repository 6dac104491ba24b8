"""What is shown of a training run: the monitor, the curve as text, the curve as a picture."""

from __future__ import annotations

import json
import os
import signal
import threading

import pytest

from harness.training.curves import draw_curves
from harness.training.monitor import Monitor
from harness.training.run_folder import RunFolder, read_losses


def test_the_monitor_counts_tokens_of_its_own_steps_only() -> None:
    monitor = Monitor(first_step=10, total_steps=20, tokens_per_step=100, quiet=True)
    assert monitor.tokens_per_second == 0
    with monitor.watching():
        monitor.step(11, 2.0)
        monitor.step(12, 1.0)
    assert monitor.tokens_per_second == pytest.approx(200 / monitor.train_seconds)
    assert monitor.seconds >= monitor.train_seconds


def test_an_evaluation_is_told_with_its_sample(capsys: pytest.CaptureFixture[str]) -> None:
    monitor = Monitor(first_step=0, total_steps=20, tokens_per_step=100)
    with monitor.watching():
        monitor.evaluated(0, 4.2, "[red]xyz")
        monitor.step(1, 3.0)
        monitor.evaluated(1, 2.5, "words")
    told = capsys.readouterr().err
    assert "step 0 · validation loss 4.2000" in told
    assert "[red]xyz" in told, "what a model writes is no markup"
    assert "step 1 · training loss 3.0000 · validation loss 2.5000" in told


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_the_first_ctrl_c_is_a_wish_and_the_second_an_interrupt() -> None:
    before = signal.getsignal(signal.SIGINT)
    monitor = Monitor(first_step=0, total_steps=2, tokens_per_step=1, quiet=True)
    with pytest.raises(KeyboardInterrupt), monitor.watching():
        os.kill(os.getpid(), signal.SIGINT)
        assert monitor.interrupted
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_the_monitor_works_outside_of_the_main_thread() -> None:
    monitor = Monitor(first_step=0, total_steps=2, tokens_per_step=1, quiet=True)

    def work() -> None:
        with monitor.watching():
            monitor.step(1, 1.0)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert monitor.train_seconds > 0


def test_curves_are_drawn_from_the_logs(tmp_path) -> None:
    run = RunFolder(tmp_path)
    run.steps.write_text("step,loss,learning_rate\n1,4.0,0.1\n2,nan,0.1\n", encoding="utf-8")
    run.evaluations.write_text(json.dumps({"step": 0, "val_loss": 4.1}) + "\n", encoding="utf-8")
    assert draw_curves(tmp_path) == run.curves
    assert run.curves.read_bytes().startswith(b"\x89PNG")


def test_logs_that_are_not_there_hold_nothing(tmp_path) -> None:
    assert read_losses(RunFolder(tmp_path)) == ([], [])
