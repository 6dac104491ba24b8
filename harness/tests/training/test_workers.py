"""Data-parallel training, with one worker and with several."""

from __future__ import annotations

import pytest
import torch

from harness.training.workers import Workers, join_workers


def test_a_single_process_does_everything() -> None:
    model, batch = torch.nn.Linear(2, 3), torch.arange(6).reshape(3, 2)
    with join_workers("cpu") as alone:
        assert (alone.rank, alone.count, alone.is_first) == (0, 1, True)
        assert alone.parallel(model) is model
        assert torch.equal(alone.share(batch), batch)
        assert alone.mean(2.5) == 2.5
        assert alone.any(True) and not alone.any(False)
        assert alone.agree("x") == "x"


def test_workers_split_a_batch_evenly() -> None:
    batch = torch.arange(8).reshape(4, 2)
    shares = [Workers(rank, 2, torch.device("cpu")).share(batch) for rank in (0, 1)]
    assert torch.equal(torch.cat(shares), batch)
    with pytest.raises(ValueError, match="4 sequences cannot be split evenly among 3 workers"):
        Workers(0, 3, torch.device("cpu")).share(batch)


def test_the_second_worker_draws_from_the_seed_after_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.nn.parallel.DistributedDataParallel", lambda model: model)
    torch.manual_seed(2**64 - 1)
    Workers(1, 2, torch.device("cpu")).parallel(torch.nn.Linear(1, 1))
    assert torch.initial_seed() == 0
