"""The device to compute on; only this module asks torch for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.training import words

if TYPE_CHECKING:
    import torch

AUTO = "auto"


def available() -> list[str]:
    """Return the kinds of device that torch can use here, the fastest first, cpu last."""
    import torch

    kinds = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [kind for kind, present in kinds.items() if present]


def choose_device(name: str = AUTO) -> torch.device:
    """Return the device of this name; with "auto", the fastest. Raises ValueError if there is none."""
    import torch

    present = available()
    try:
        device = torch.device(present[0] if name == AUTO else name)
    except RuntimeError:
        raise ValueError(words.not_a_device(name, [AUTO, *present])) from None
    if device.type not in present:
        raise ValueError(words.device_missing(name, [AUTO, *present]))
    return device
