"""What a person sees of a training run while it goes: the bar, losses, samples; and Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

_SMOOTHING = 0.98  # share of the past in the loss that is shown: single batches differ a lot


class Monitor:
    """Follows a run step by step. It measures the time of the steps, without evaluations.

    Ctrl-C sets `interrupted`, so that the run can save what it has; a second one interrupts at once.
    """

    def __init__(
        self, *, first_step: int, total_steps: int, tokens_per_step: int, quiet: bool = False
    ) -> None:
        self.interrupted = False
        self.train_seconds = 0.0
        self._first_step = self._step = first_step
        self._total_steps = total_steps
        self._tokens_per_step = tokens_per_step
        self._quiet = quiet
        self._loss: float | None = None
        self._began = self._last = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the monitor was made."""
        return time.perf_counter() - self._began

    @property
    def tokens_per_second(self) -> float:
        """Of the steps since the monitor was made; 0 before the first."""
        tokens = (self._step - self._first_step) * self._tokens_per_step
        return tokens / self.train_seconds if self.train_seconds else 0.0

    @contextlib.contextmanager
    def watching(self) -> Iterator[Monitor]:
        """Show the bar (on a terminal, unless quiet) and take Ctrl-C as a wish, until the block is left."""
        with _first_interrupt_calls(self._interrupt), self._bar() as self._progress:
            self._task = self._progress.add_task(
                "training", total=self._total_steps, completed=self._first_step, loss="", rate=""
            )
            self._last = time.perf_counter()
            yield self

    def step(self, step: int, loss: float) -> None:
        """Note that `step` steps are done, the last one with this loss."""
        now = time.perf_counter()
        self.train_seconds += now - self._last
        self._step, self._last = step, now
        self._loss = loss if self._loss is None else _SMOOTHING * self._loss + (1 - _SMOOTHING) * loss
        rate = f"{self.tokens_per_second:,.0f} tokens/s"
        self._progress.update(self._task, completed=step, loss=f"loss {self._loss:.3f}", rate=rate)

    def evaluated(self, step: int, val_loss: float, sample: str) -> None:
        """Tell what an evaluation found, with a text that the model wrote. Not counted as training time."""
        if not self._quiet:
            trained = "" if self._loss is None else f"training loss {self._loss:.4f} · "
            self._progress.console.rule(
                f"step {step:,} · {trained}validation loss {val_loss:.4f}", align="left", characters="─"
            )
            self._progress.console.print(sample, markup=False, highlight=False, soft_wrap=True)
        self._last = time.perf_counter()

    def _interrupt(self) -> None:
        self.interrupted = True
        if not self._quiet:
            self._progress.console.print("Stopping after this step; Ctrl-C again stops at once.")

    def _bar(self) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        return Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            disable=self._quiet or not console.is_terminal,
            transient=True,
            refresh_per_second=4,
        )


@contextlib.contextmanager
def _first_interrupt_calls(callback: Callable[[], None]) -> Iterator[None]:
    """Let the first SIGINT call `callback`, and the next interrupt as usual; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        callback()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
