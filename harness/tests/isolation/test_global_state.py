"""Tests of repeating code without a trace."""

from __future__ import annotations

import random
import sys
import warnings

import numpy as np
import pytest
import torch

from harness.isolation.global_state import preserve_global_state


def draw() -> list[float]:
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]


def test_repeats_draw_the_same_random_numbers() -> None:
    drawn = []
    for _ in range(2):
        with preserve_global_state():
            drawn.append(draw())
    assert drawn[0] == drawn[1]
    assert draw() == drawn[0]


def test_torchs_defaults_are_restored_even_after_an_error() -> None:
    with pytest.raises(KeyError), preserve_global_state():
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        raise KeyError
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()


def test_the_block_prints_and_warns_nothing(
    capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    with preserve_global_state():
        print("loud")
        print("louder", file=sys.stderr)
        warnings.warn("loudest", stacklevel=1)
    assert capsys.readouterr() == ("", "")
    assert not recwarn.list
