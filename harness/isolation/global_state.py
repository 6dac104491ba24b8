"""Global state that a repeated test must leave unchanged."""

from __future__ import annotations

import contextlib
import io
import random
import warnings
from collections.abc import Iterator

from harness.isolation.process_state import ProcessState


@contextlib.contextmanager
def preserve_global_state() -> Iterator[None]:
    """Silence the block, and restore what it changes of random states and of the process.

    Repeats of the same block thus start with the same random numbers.
    """
    with _restore_random_states(), _restore_process(), _silence():
        yield


@contextlib.contextmanager
def _restore_random_states() -> Iterator[None]:
    import numpy
    import torch

    python, arrays, tensors = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        numpy.random.set_state(arrays)
        torch.set_rng_state(tensors)


@contextlib.contextmanager
def _restore_process() -> Iterator[None]:
    state = ProcessState()
    try:
        yield
    finally:
        state.restore()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
