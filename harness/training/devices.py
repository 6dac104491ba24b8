"""Which device to compute on. Nothing else in the repository asks torch what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

AUTO = "auto"


def available() -> list[str]:
    """The kinds of device that torch can use here, the fastest first; the last is always cpu."""
    import torch

    kinds = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [kind for kind, present in kinds.items() if present]


def choose_device(name: str = AUTO) -> torch.device:
    """The device of this name; with "auto" the fastest one here. Raises ValueError if it is not here."""
    import torch

    present = available()
    try:
        device = torch.device(present[0] if name == AUTO else name)
    except RuntimeError:
        raise ValueError(f"{name!r} names no device; choose {_alternatives(present)}") from None
    if device.type not in present:
        raise ValueError(f"torch finds no device {name!r} here; choose {_alternatives(present)}")
    return device


def _alternatives(present: list[str]) -> str:
    return " or ".join([AUTO, *present])
