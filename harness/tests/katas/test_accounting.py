"""What kata 11 gives: meters that count what a model does, and a machine that is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.tests.conftest import REPOSITORY
from katas.k11_accounting import machine
from katas.k11_accounting.machine import Kernel, Machine, fastest
from katas.k11_accounting.meters import counted_flops, kept_bytes

# In a process of its own, which has the solutions of the earlier katas in the place of the stubs.
COMPARE = """
from itertools import product
import torch
from harness.notebook import use_katas
use_katas(solutions=True)
from katas.k05_model.model import ModelConfig, TransformerLM
from katas.k11_accounting.meters import plain_logits

for bias, norm_first, positions in product((True, False), (True, False), ("learned", "sinusoidal", "none")):
    model = TransformerLM(
        ModelConfig(17, 13, 30, 5, 2, bias=bias, norm_first=norm_first, positions=positions)
    ).double()
    for parameter in model.parameters():  # so that no bias is zero and no norm's weight one
        torch.nn.init.normal_(parameter, std=0.3)
    ids = torch.randint(17, (3, 11))
    torch.testing.assert_close(plain_logits(model, ids), model(ids), rtol=0, atol=1e-10)
"""


def test_plain_logits_are_those_of_the_model() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMPARE], cwd=REPOSITORY, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_flops_are_counted_without_numbers() -> None:
    a, b = torch.empty(3, 5, device="meta"), torch.empty(5, 7, device="meta")
    assert counted_flops(lambda: a @ b) == 2 * 3 * 5 * 7


def test_shared_memory_counts_once_and_parameters_not_at_all() -> None:
    layer = nn.Linear(5, 7)
    x = torch.randn(3, 5, requires_grad=True)
    kept = kept_bytes(lambda: layer(x).sin() + x.exp().sum(), layer)
    # x itself, the argument of the sine, and the exponential, each in float32.
    assert kept == 4 * (3 * 5 + 3 * 7 + 3 * 5)


def test_fastest_round_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.1, 0.5, 0.6, 0.7, 0.8, 1.1, 1.6, 2.0])
    monkeypatch.setattr(machine, "perf_counter", lambda: next(clock))
    assert fastest(lambda: None, seconds=1.0) == pytest.approx(0.1)


def test_measurements_are_written_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = iter([Machine(50e9, 9e9), Machine(40e9, 10e9)])
    kernels = iter([[Kernel("scores", 8e9, 2e9, 0.5)], [Kernel("scores", 8e9, 2e9, 0.4)]])
    monkeypatch.setattr(machine, "measure_machine", lambda: next(measured))
    monkeypatch.setattr(machine, "measure_kernels", lambda: next(kernels))
    machine.main(str(tmp_path / "kernels.json"), "2")
    record = json.loads((tmp_path / "kernels.json").read_text(encoding="utf-8"))
    assert record["machine"] == {"peak_flops": 50e9, "bytes_per_second": 10e9}
    assert [kernel["seconds"] for kernel in record["kernels"]] == [0.4]
    assert "knee at 5.0 FLOPs per byte" in capsys.readouterr().out
