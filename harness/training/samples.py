"""What a model wrote at each evaluation, kept in the run's folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from harness.progress.line_file import append_line, read_lines
from harness.training.run_folder import RunFolder

_KEEPER: ContextVar[Callable[[int, str], None] | None] = ContextVar("keeper", default=None)


@contextlib.contextmanager
def samples_kept(run: RunFolder) -> Iterator[None]:
    """Inside, monitors write each sample into the run's folder too."""
    token = _KEEPER.set(lambda step, text: append_line(run.samples, {"step": step, "sample": text}))
    try:
        yield
    finally:
        _KEEPER.reset(token)


def keep_sample(step: int, text: str) -> None:
    """Write a sample where the innermost `samples_kept` says; nowhere outside of one. Raises OSError."""
    keeper = _KEEPER.get()
    if keeper:
        keeper(step, text)


def read_samples(run: RunFolder) -> dict[int, str]:
    """Return the samples of a run by step; of a step that was repeated after a resume, the later one."""
    facts = read_lines(run.samples)
    found = {each["step"]: each["sample"] for each in facts if {"step", "sample"} <= each.keys()}
    kept = {step: text for step, text in found.items() if isinstance(step, int) and isinstance(text, str)}
    return dict(sorted(kept.items()))
