"""Several processes that train one model together; alone, a process is the one of one.

`torchrun --nproc-per-node=2 -m harness train …` starts them. Each works on its share of every batch with
a copy of the model, and the gradients are averaged in each backward pass, so all copies take the same step.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from harness.training.devices import choose_device

if TYPE_CHECKING:
    import torch

_T = TypeVar("_T")


@dataclass(frozen=True)
class Workers:
    """This process among those that train together."""

    rank: int  # which one this is, from 0
    count: int
    device: torch.device  # where this one computes

    @property
    def is_first(self) -> bool:
        """Whether this is the one that evaluates, logs, saves and talks."""
        return self.rank == 0

    def parallel(self, model: torch.nn.Module) -> torch.nn.Module:
        """`model` as it is, or, with several workers, wrapped so that backward averages the gradients.

        The wrapper shares the model's parameters. Each worker draws its own dropout from here on.
        """
        if self.count == 1:
            return model
        import torch
        from torch.nn.parallel import DistributedDataParallel

        if not self.is_first:
            torch.manual_seed(torch.initial_seed() + self.rank)
        return DistributedDataParallel(model)

    def share(self, batch: torch.Tensor) -> torch.Tensor:
        """The rows of a batch that this worker deals with. Raises ValueError if they do not come out even."""
        if len(batch) % self.count != 0:
            raise ValueError(
                f"{len(batch)} sequences cannot be shared among {self.count} workers:"
                " make batch_size / micro_batches a multiple of them"
            )
        return batch.chunk(self.count)[self.rank].to(self.device)

    def mean(self, value: float) -> float:
        """The mean of a number over all workers."""
        return sum(self._gather(value)) / self.count

    def any(self, flag: bool) -> bool:
        """Whether a flag is set in some worker."""
        return any(self._gather(flag))

    def agree(self, value: _T) -> _T:
        """The value that the first worker has."""
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
    """Join the processes that torchrun started with this one, if any, until the block is left.

    `device` is what `choose_device` takes; of several GPUs each worker gets its own. Inside another such
    block the same workers are given again.
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
