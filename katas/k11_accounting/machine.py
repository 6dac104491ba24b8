"""How fast this machine is: its peak, its bandwidth, and the speed of some kernels. This module is given.

`python -m katas.k11_accounting.machine [FILE [ROUNDS]]` prints its measurements, in about ten seconds; it
writes them to FILE, and measures for longer if there are more ROUNDS than 3.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from time import perf_counter

import torch
import torch.nn.functional as F

_SECONDS = 0.15  # spent on each measurement; the fastest of its rounds counts


@dataclass(frozen=True)
class Machine:
    """The two limits of a processor, in FLOPs and in bytes per second."""

    peak_flops: float
    bytes_per_second: float


@dataclass(frozen=True)
class Kernel:
    """A computation: its FLOPs, the bytes that it has to move at least, and its time."""

    name: str
    flops: float
    bytes: float
    seconds: float


def fastest(run: Callable[[], object], seconds: float = _SECONDS) -> float:
    """Return the seconds of the fastest of many rounds: whatever else the machine does only adds to them."""
    run()  # a warm-up, which is not counted
    times = []
    end = perf_counter() + seconds
    while len(times) < 2 or perf_counter() < end:
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return min(times)


def measure_machine(seconds: float = 2 * _SECONDS) -> Machine:
    """Return the peak and the bandwidth of the CPU, in float32 and with the threads that PyTorch uses.

    The peak is that of a product of two large matrices; the bandwidth that of scaling numbers which are too
    many for a cache.
    """
    size, numbers = 768, 16 * 2**20
    a, b, product = (torch.randn(size, size) for _ in range(3))
    read, written = torch.ones(numbers), torch.empty(numbers)
    return Machine(
        peak_flops=2 * size**3 / fastest(lambda: torch.mm(a, b, out=product), seconds),
        bytes_per_second=2 * 4 * numbers / fastest(lambda: torch.mul(read, 0.5, out=written), seconds),
    )


def measure_kernels() -> Iterator[Kernel]:
    """Measure computations of the size of GPT-2's, one by one: products of few and many rows, and others."""
    with torch.no_grad():
        width, inner = 768, 3072
        # Several, as in the layers of a model, used in turn: a single one would stay in a cache.
        weights = cycle([torch.randn(inner, width) for _ in range(6)])
        for rows in (1, 8, 64, 512):
            x = torch.randn(rows, width)
            moved = 4 * (rows * width + width * inner + rows * inner)
            seconds = fastest(lambda x=x: F.linear(x, next(weights)))
            yield Kernel(
                f"linear map, {rows} row{'s' * (rows > 1)}", 2 * rows * width * inner, moved, seconds
            )
        query, key = torch.randn(48, 256, 64), torch.randn(48, 64, 256)
        moved = 4 * (2 * query.numel() + 48 * 256 * 256)
        flops = 2 * 48 * 256 * 64 * 256
        yield Kernel("scores", flops, moved, fastest(lambda: torch.bmm(query, key)))
        # What is not a product has no agreed count: here an exponential or an error function is one FLOP.
        pairs = cycle([(torch.randn(4096, width), torch.randn(4096, width)) for _ in range(6)])
        total = 4096 * width
        for name, flops, moved, run in (
            ("addition", 1, 12, lambda x, y: x + y),
            ("GELU", 5, 8, lambda x, y: F.gelu(x)),
            ("layer norm", 7, 8, lambda x, y: F.layer_norm(x, (width,))),
            ("softmax", 5, 8, lambda x, y: torch.softmax(x, -1)),
        ):
            seconds = fastest(lambda run=run: run(*next(pairs)))
            yield Kernel(name, flops * total, moved * total, seconds)


def main(path: str | None = None, rounds: str = "3") -> None:
    """Print the fastest of some rounds of all measurements; with a path, also write them to it as JSON."""
    print(
        f"Measuring with {torch.get_num_threads()} thread(s); {rounds} rounds of some 2 seconds.", flush=True
    )
    found = [(measure_machine(), list(measure_kernels())) for _ in range(int(rounds))]
    machine = Machine(
        peak_flops=max(machine.peak_flops for machine, _ in found),
        bytes_per_second=max(machine.bytes_per_second for machine, _ in found),
    )
    same = zip(*(kernels for _, kernels in found), strict=True)
    kernels = [min(each, key=lambda kernel: kernel.seconds) for each in same]
    knee = machine.peak_flops / machine.bytes_per_second
    print(f"peak {machine.peak_flops / 1e9:.1f} GFLOP/s, bandwidth {machine.bytes_per_second / 1e9:.1f} GB/s")
    print(f"knee at {knee:.1f} FLOPs per byte\n")
    print(f"{'kernel':<22}{'FLOPs per byte':>15}{'GFLOP/s':>10}")
    for kernel in kernels:
        rate = kernel.flops / kernel.seconds / 1e9
        print(f"{kernel.name:<22}{kernel.flops / kernel.bytes:15.2f}{rate:10.2f}")
    if path:
        record = {
            "command": f"python -m katas.k11_accounting.machine FILE {rounds}",
            "threads": torch.get_num_threads(),
            "machine": asdict(machine),
            "kernels": [asdict(kernel) for kernel in kernels],
        }
        Path(path).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
