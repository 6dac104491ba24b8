"""The monitor of a training run, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from harness.training.monitor import Monitor


def test_the_monitor_counts_only_the_tokens_of_its_own_steps() -> None:
    monitor = Monitor(first_step=10, total_steps=20, tokens_per_step=100, quiet=True)
    assert monitor.tokens_per_second == 0
    with monitor.watching():
        monitor.step(11, 2.0)
        monitor.step(12, 1.0)
    assert monitor.tokens_per_second == pytest.approx(200 / monitor.train_seconds)
    assert monitor.seconds >= monitor.train_seconds


def test_an_evaluation_is_printed_with_its_sample(capsys: pytest.CaptureFixture[str]) -> None:
    monitor = Monitor(first_step=0, total_steps=20, tokens_per_step=100)
    with monitor.watching():
        monitor.evaluated(0, 4.2, "[red]xyz")
        monitor.step(1, 3.0)
        monitor.evaluated(1, 2.5, "words", perplexity=12.1825, bits_per_byte=3.6067)
    printed = capsys.readouterr().err
    assert "step 0 · validation loss 4.2000" in printed
    assert "[red]xyz" in printed, "a sample is not markup"
    assert "step 1 · training loss 3.0000 · validation loss 2.5000" in printed
    assert "perplexity 12.18 · 3.607 bits per byte" in printed


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_the_first_ctrl_c_sets_a_flag_and_the_second_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    monitor = Monitor(first_step=0, total_steps=2, tokens_per_step=1, quiet=True)
    with pytest.raises(KeyboardInterrupt), monitor.watching():
        os.kill(os.getpid(), signal.SIGINT)
        assert monitor.interrupted
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_the_monitor_works_outside_the_main_thread() -> None:
    monitor = Monitor(first_step=0, total_steps=2, tokens_per_step=1, quiet=True)

    def work() -> None:
        with monitor.watching():
            monitor.step(1, 1.0)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert monitor.train_seconds > 0
