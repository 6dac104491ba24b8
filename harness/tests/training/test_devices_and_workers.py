"""The device is chosen in one place; a worker alone is the one of one."""

from __future__ import annotations

import pytest
import torch

from harness.training.devices import available, choose_device
from harness.training.workers import Workers, join_workers


def test_auto_takes_the_fastest_device_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("auto").type == available()[0]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device().type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device().type == "cuda"
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cuda", "torch finds no device 'cuda' here; choose auto or cpu"),
        ("toaster", "'toaster' names no device; choose auto or cpu"),
    ],
)
def test_a_device_that_is_not_here_is_refused(monkeypatch, name: str, message: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=message):
        choose_device(name)


def test_a_process_alone_does_everything_itself() -> None:
    model, batch = torch.nn.Linear(2, 3), torch.arange(6).reshape(3, 2)
    with join_workers("cpu") as alone:
        assert (alone.rank, alone.count, alone.is_first) == (0, 1, True)
        assert alone.parallel(model) is model
        assert torch.equal(alone.share(batch), batch)
        assert alone.mean(2.5) == 2.5
        assert alone.any(True) and not alone.any(False)
        assert alone.agree("x") == "x"


def test_workers_share_a_batch_without_rest() -> None:
    batch = torch.arange(8).reshape(4, 2)
    shares = [Workers(rank, 2, torch.device("cpu")).share(batch) for rank in (0, 1)]
    assert torch.equal(torch.cat(shares), batch)
    with pytest.raises(ValueError, match="4 sequences cannot be shared among 3 workers"):
        Workers(0, 3, torch.device("cpu")).share(batch)
