"""The rungs of `harness ladder`, and how one is climbed: trained until its validation loss is low enough."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, log

from harness.training.monitor import Monitor
from harness.training.parts import MODERN, OPTIMIZERS, TOKENS


@dataclass(frozen=True)
class Rung:
    """One way to train; its sizes and rates are in katas/k09_capstone/configs/ladder/NAME.yaml."""

    name: str
    parts: tuple[str, ...]  # of later katas, in the place of the core's


RUNGS = (
    Rung("core", ()),
    Rung("tokens", (TOKENS,)),
    Rung("modern", (TOKENS, MODERN)),
    Rung("optimizers", (TOKENS, MODERN, OPTIMIZERS)),
    Rung("accounting", (TOKENS, MODERN, OPTIMIZERS)),  # in the sizes that suit so small a budget
)


@dataclass(frozen=True)
class Goal:
    """When to stop."""

    target: float = 1.88  # nats per character; nanoGPT's README, for a laptop's CPU
    budget: float = inf  # seconds


@dataclass(frozen=True)
class Point:
    """An evaluation on the whole validation split."""

    seconds: float  # of training until then
    step: int
    loss: float  # nats per character


@dataclass
class Climb:
    """A run on a rung, from outside: follows the evaluations, keeps the time, and ends the run.

    What counts as time: all from the start, with the making of the tokenizer, but not the evaluations,
    which only look.
    """

    goal: Goal
    show: Callable[[Monitor, int, float, float], None]  # after each step: its number, loss, seconds
    bytes_per_character: float = 1.0
    curve: list[Point] = field(default_factory=list)
    is_over: bool = False  # reached, or the budget is used up
    _started: float = field(default_factory=time.perf_counter)
    _before: float = 0.0  # seconds from the start to the first step

    @property
    def reached(self) -> bool:
        """True if the last evaluation is at the target."""
        return bool(self.curve) and self.curve[-1].loss <= self.goal.target

    def began(self, monitor: Monitor) -> None:
        """Take the time of the preparations."""
        self._before = time.perf_counter() - self._started

    def stepped(self, monitor: Monitor, step: int, loss: float) -> None:
        """Show a step, and end the run when the budget is used up."""
        seconds = self._before + monitor.train_seconds
        self.show(monitor, step, loss, seconds)
        if seconds > self.goal.budget:
            self._end(monitor)

    def evaluated(self, monitor: Monitor, step: int, val_loss: float, bits_per_byte: float | None) -> None:
        """Note an evaluation, and end the run when it is at the target."""
        loss = val_loss if bits_per_byte is None else bits_per_byte * log(2) * self.bytes_per_character
        self.curve.append(Point(self._before + monitor.train_seconds, step, loss))
        if self.reached:
            self._end(monitor)

    def _end(self, monitor: Monitor) -> None:
        self.is_over = monitor.interrupted = True
