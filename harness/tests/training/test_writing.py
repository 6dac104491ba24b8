"""Text is written by kata 07's loop or kata 14's, under a bar on a terminal."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn

from harness.training.writing import writer


class Model(nn.Module):
    """A table, which every pass reads once, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([nn.Embedding(3, 2), nn.Linear(2, 3)])

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        table, head = self.parts
        return head(table(ids))


def generate(model: Model, ids: torch.Tensor, max_new_tokens: int, **options: Any) -> tuple[str, Any]:
    for _ in range(max_new_tokens):
        model(ids)
    return "every position", options


def generate_cached(model: Model, ids: torch.Tensor, max_new_tokens: int, **options: Any) -> tuple[str, Any]:
    for _ in range(max_new_tokens):
        model.parts[0](ids)  # as a cache does: by the parts, not by the model
    return "the new position", options


@pytest.fixture(autouse=True)
def loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "katas.k07_sampling.sampling", SimpleNamespace(generate=generate))
    cache = SimpleNamespace(generate_cached=generate_cached)
    monkeypatch.setitem(sys.modules, "katas.k14_cache.cache", cache)


@pytest.mark.parametrize(
    ("parts", "cached", "computed"),
    [
        (("tokens", "modern"), True, "the new position"),
        (("modern",), False, "every position"),
        (("tokens", "optimizers"), True, "every position"),  # the core's model has no cache
    ],
)
def test_the_cache_writes_for_models_that_have_one(
    parts: tuple[str, ...], cached: bool, computed: str
) -> None:
    written = writer(parts, cached=cached)(Model(), torch.zeros(1, 2, dtype=torch.int64), 3, top_k=2)
    assert written == (computed, {"top_k": 2})


@pytest.mark.parametrize("cached", [True, False])
def test_on_a_terminal_a_bar_counts_the_passes(
    cached: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    counts = []
    monkeypatch.setattr("rich.progress.Progress.advance", lambda self, task: counts.append(task))
    model = Model()
    writer(("modern",), cached=cached)(model, torch.zeros(1, 2, dtype=torch.int64), 3)
    assert len(counts) == 3
    assert "writing" in capsys.readouterr().err
    model(torch.zeros(1, 2, dtype=torch.int64))
    assert len(counts) == 3, "the hook is still there"


def test_elsewhere_there_is_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert not Console(stderr=True).is_terminal
    writer((), cached=False)(Model(), torch.zeros(1, 2, dtype=torch.int64), 3)
    assert capsys.readouterr().err == ""
