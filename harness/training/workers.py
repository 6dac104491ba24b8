"""Data-parallel training; a single process is a group of one.

`torchrun --nproc-per-node=2 -m harness train …` starts them. Each has a copy of the model and computes
its share of every batch. The gradients are averaged in each backward pass, so all copies take the same step.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from harness.training import words
from harness.training.devices import choose_device

if TYPE_CHECKING:
    import torch

_T = TypeVar("_T")


@dataclass(frozen=True)
class Workers:
    """This process within its group."""

    rank: int  # from 0
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """True for the process that evaluates, logs, saves and prints."""
        return self.rank == 0

    def parallel(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the model, wrapped to average gradients in backward if there are several workers.

        The wrapper shares the model's parameters. From now on, each worker draws its own dropout.
        """
        if self.count == 1:
            return model
        import torch
        from torch.nn.parallel import DistributedDataParallel

        if not self.is_first:
            torch.manual_seed((torch.initial_seed() + self.rank) % 2**64)  # torch takes no more
        return DistributedDataParallel(model)

    def share(self, batch: torch.Tensor) -> torch.Tensor:
        """Return this worker's rows of a batch. Raises ValueError if the batch cannot be split evenly."""
        if len(batch) % self.count != 0:
            raise ValueError(words.uneven_batch(len(batch), self.count))
        return batch.chunk(self.count)[self.rank].to(self.device)

    def mean(self, value: float) -> float:
        """Return the mean of a number over all workers."""
        return sum(self._gather(value)) / self.count

    def any(self, flag: bool) -> bool:
        """True if the flag is set in any worker."""
        return any(self._gather(flag))

    def agree(self, value: _T) -> _T:
        """Return the value of the first worker."""
        return self._gather(value)[0]

    def _gather(self, value: _T) -> list[_T]:
        if self.count == 1:
            return [value]
        from torch import distributed

        values = [value] * self.count
        distributed.all_gather_object(values, value)
        return values


@contextlib.contextmanager
def join_workers(device: str = "auto") -> Iterator[Workers]:
    """Inside, belong to the group of processes that torchrun started, if any.

    `device` is a name for `choose_device`; with several GPUs each worker gets one. A nested block yields the
    same group.
    """
    import torch
    from torch import distributed

    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    chosen = choose_device(device)
    if chosen.type == "cuda" and chosen.index is None:
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(chosen)
    joins = count > 1 and not distributed.is_initialized()
    if joins:
        distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Workers(rank, count, chosen)
    finally:
        if joins:
            distributed.destroy_process_group()
