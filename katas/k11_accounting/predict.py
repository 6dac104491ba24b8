"""Predict how fast your own model trains, and compare with a measurement. This module is given.

`python -m katas.k11_accounting.predict [ROUNDS]` measures the machine and one small model, and predicts the
other shapes from these; theory.md says how, under "Predicting the time". A round takes some 15 seconds.
With HARNESS_SOLUTIONS=1 in the environment it runs the reference solutions.
"""

import sys
from collections.abc import Callable

import torch

from harness.notebook import use_katas

# Width, heads, blocks, batch and window; the first one is measured, the others are predicted.
SHAPES = [
    (128, 4, 1, 12, 64),
    (64, 4, 2, 12, 64),
    (128, 4, 4, 12, 64),
    (128, 4, 4, 12, 256),
    (256, 4, 2, 8, 64),
    (256, 4, 4, 8, 128),
    (384, 6, 2, 4, 128),
    (512, 8, 2, 4, 128),
]
VOCABULARY = 65


def main(rounds: int = 1) -> None:
    """Print the table: the fastest of some rounds, in each of which every shape is measured once."""
    use_katas()
    from katas.k11_accounting.accounting import model_flops_utilization
    from katas.k11_accounting.machine import Machine, fastest, measure_machine

    steps = [_training_step(*shape) for shape in SHAPES]
    machines, times = [], []
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", flush=True)
        machines.append(measure_machine())
        times.append([fastest(step, 1.0) for step in steps])
    peak = max(machine.peak_flops for machine in machines)
    machine = Machine(peak, max(machine.bytes_per_second for machine in machines))
    measured = [min(seconds) for seconds in zip(*times, strict=True)]

    products, one_pass, optimizer = _parts(SHAPES[0], machine)
    passes = (measured[0] - products - optimizer) / one_pass
    print(f"peak {peak / 1e9:.1f} GFLOP/s, bandwidth {machine.bytes_per_second / 1e9:.1f} GB/s")
    print(f"p = {passes:.0f}, from the first shape\n")
    print(f"{'shape':<25}{'predicted':>10}{'measured':>10}{'ratio':>7}{'MFU':>6}  (tokens per second)")
    for shape, seconds in zip(SHAPES, measured, strict=True):
        products, one_pass, optimizer = _parts(shape, machine)
        tokens = shape[3] * shape[4]
        expected = tokens / (products + passes * one_pass + optimizer)
        share = model_flops_utilization(_config(shape), tokens / seconds, shape[4], peak)
        ratio = expected * seconds / tokens
        print(f"{shape!s:<25}{expected:10.0f}{tokens / seconds:10.0f}{ratio:7.2f}{share:6.0%}")


def _config(shape: tuple[int, ...]):
    from katas.k05_model.model import ModelConfig

    width, heads, blocks, _, window = shape
    return ModelConfig(VOCABULARY, window, width, heads, blocks)


def _training_step(*shape: int) -> Callable[[], object]:
    from katas.k05_model.model import TransformerLM
    from katas.k06_training.training import configure_optimizer, train_step

    model = TransformerLM(_config(shape))
    optimizer = configure_optimizer(model, learning_rate=1e-3, weight_decay=0.1)
    ids = torch.randint(VOCABULARY, shape[3:])
    return lambda: train_step(model, optimizer, [(ids, ids)])


def _parts(shape: tuple[int, ...], machine) -> tuple[float, float, float]:
    """Return the seconds for products, for one pass over the activations, and for the optimizer."""
    from katas.k11_accounting.accounting import train_flops, training_bytes

    batch, window = shape[3:]
    sizes = training_bytes(_config(shape), batch, window)
    numbers = 2 * (sizes["weights"] + sizes["gradients"] + sizes["optimizer"])
    return (
        train_flops(_config(shape), batch * window, window) / machine.peak_flops,
        sizes["activations"] / machine.bytes_per_second,
        numbers / machine.bytes_per_second,
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
