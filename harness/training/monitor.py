"""Progress bar, losses and samples of a training run, and Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from harness.terminal.lines import printable
from harness.training import words
from harness.training.samples import keep_sample

if TYPE_CHECKING:
    from rich.progress import Progress

_FOLLOWER: ContextVar[Follower | None] = ContextVar("follower", default=None)
_SMOOTHING = 0.98  # weight of the past in the displayed loss, as single batches differ a lot


class Follower(Protocol):
    """Sees a run's steps and evaluations in place of the terminal, and may set `interrupted`."""

    def began(self, monitor: Monitor) -> None: ...

    def stepped(self, monitor: Monitor, step: int, loss: float) -> None: ...

    def evaluated(
        self, monitor: Monitor, step: int, val_loss: float, bits_per_byte: float | None
    ) -> None: ...


@contextlib.contextmanager
def followed_by(follower: Follower) -> Iterator[None]:
    """Inside, monitors show nothing and tell the follower instead."""
    token = _FOLLOWER.set(follower)
    try:
        yield
    finally:
        _FOLLOWER.reset(token)


class Monitor:
    """Follow a run step by step, and measure the time of its steps without the evaluations.

    Call `step` and `evaluated` inside a `with monitor.watching():` block.
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
        self._follower = _FOLLOWER.get()
        self._quiet = quiet or self._follower is not None
        self._loss: float | None = None
        self._began = self._last = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Return the seconds since the monitor was created."""
        return time.perf_counter() - self._began

    @property
    def tokens_per_second(self) -> float:
        """Return the speed of the steps since the monitor was created; 0 before the first."""
        tokens = (self._step - self._first_step) * self._tokens_per_step
        return tokens / self.train_seconds if self.train_seconds else 0.0

    @contextlib.contextmanager
    def watching(self) -> Iterator[Monitor]:
        """Inside, show the bar (on a terminal, unless quiet) and let Ctrl-C set `interrupted`."""
        with _first_interrupt_calls(self._interrupt), self._bar() as self._progress:
            self._task = self._progress.add_task(
                "training", total=self._total_steps, completed=self._first_step, loss="", rate=""
            )
            if self._follower:
                self._follower.began(self)
            self._last = time.perf_counter()
            yield self

    def step(self, step: int, loss: float) -> None:
        """Record that `step` steps are done, the last one with this loss."""
        now = time.perf_counter()
        self.train_seconds += now - self._last
        self._step, self._last = step, now
        self._loss = loss if self._loss is None else _SMOOTHING * self._loss + (1 - _SMOOTHING) * loss
        rate = words.speed(self.tokens_per_second)
        self._progress.update(self._task, completed=step, loss=words.loss_so_far(self._loss), rate=rate)
        if self._follower:
            self._follower.stepped(self, step, self._loss)

    def evaluated(
        self,
        step: int,
        val_loss: float,
        sample: str,
        *,
        perplexity: float | None = None,
        bits_per_byte: float | None = None,
    ) -> None:
        """Print the losses of an evaluation and a text by the model, and keep that in the run's folder.

        Its time is not training time.

        `perplexity` and `bits_per_byte` restate val_loss, and are printed beside it.
        """
        if not self._quiet:
            heading = words.evaluation(step, self._loss, val_loss)
            self._progress.console.rule(heading, align="left", characters="─")
            if perplexity is not None and bits_per_byte is not None:
                self._progress.console.print(words.restated(perplexity, bits_per_byte), highlight=False)
            self._progress.console.print(printable(sample), markup=False, highlight=False, soft_wrap=True)
        keep_sample(step, sample)
        if self._follower:
            self._follower.evaluated(self, step, val_loss, bits_per_byte)
        self._last = time.perf_counter()

    def _interrupt(self) -> None:
        self.interrupted = True
        if not self._quiet:
            self._progress.console.print(words.STOPPING)

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
            TextColumn(words.TIME_LEFT),
            console=console,
            disable=self._quiet or not console.is_terminal,
            transient=True,
            refresh_per_second=4,
        )


@contextlib.contextmanager
def _first_interrupt_calls(callback: Callable[[], None]) -> Iterator[None]:
    """Let the first SIGINT call `callback` and the next interrupt as usual; main thread only."""
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
