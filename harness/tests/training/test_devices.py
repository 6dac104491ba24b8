"""Choosing a device."""

from __future__ import annotations

import pytest
import torch

from harness.training.devices import available, choose_device


def test_auto_is_the_fastest_available_device(monkeypatch: pytest.MonkeyPatch) -> None:
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
        ("cuda", "torch cannot use the device 'cuda' on this machine; choose auto or cpu"),
        ("toaster", "'toaster' is not a device; choose auto or cpu"),
    ],
)
def test_an_unavailable_device_is_refused(monkeypatch, name: str, message: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=message):
        choose_device(name)
