"""What attention keeps for backward, and how long it takes: the figures of this kata's pages.

    OMP_NUM_THREADS=1 python solutions/k15_flash/measure.py

Attention of 4 heads, 32 features each, in float32, at several lengths: kata 01's, this kata's in blocks of 64
keys, and PyTorch's scaled_dot_product_attention. Bytes are those of causal attention; times are measured
with and without it. Writes the record that pictures.py draws.
"""

import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from harness.notebook import use_katas

RECORD = Path(__file__).parents[2] / "katas" / "k15_flash" / "pictures" / "memory.json"
COMMAND = "OMP_NUM_THREADS=1 python solutions/k15_flash/measure.py"
LENGTHS = [64, 128, 256, 512, 1024, 2048]
HEADS, D_HEAD, BLOCK, REPEATS = 4, 32, 64, 7


def attentions():
    """The three ways, by name."""
    from katas.k01_attention.attention import causal_mask, scaled_dot_product_attention
    from katas.k15_flash.flash import flash_attention

    def kata_01(query, key, value, causal):
        mask = causal_mask(query.shape[-2]) if causal else None
        return scaled_dot_product_attention(query, key, value, mask)

    def pytorch(query, key, value, causal):
        return F.scaled_dot_product_attention(query, key, value, is_causal=causal)

    def flash(query, key, value, causal):
        return flash_attention(query, key, value, causal=causal, block=BLOCK)

    return {"kata 01": kata_01, "flash": flash, "pytorch": pytorch}


def inputs(length):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, HEADS, length, D_HEAD, generator=generator).requires_grad_() for _ in range(3)]


def bytes_kept(attend, length):
    """Bytes of the storages that autograd keeps for backward, each counted once; inputs included."""
    storages = {}

    def see(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(see, lambda tensor: tensor):
        output = attend(*inputs(length), causal=True)
    del output
    return sum(storages.values())


def milliseconds(ways, length, causal):
    """The shortest time of each way for forward and backward, in processor time; the ways take turns."""
    times = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, attend in ways.items():
            arguments = inputs(length)
            start = time.process_time()
            output = attend(*arguments, causal=causal)
            output.backward(torch.ones_like(output))
            times[name].append(time.process_time() - start)
    return {name: round(1000 * min(each), 1) for name, each in times.items()}


def main():
    use_katas(solutions=True)
    torch.set_num_threads(1)
    ways = attentions()
    rows = {
        name: {"bytes": [bytes_kept(attend, length) for length in LENGTHS]} for name, attend in ways.items()
    }
    for causal, column in ((True, "causal_ms"), (False, "full_ms")):
        times = [milliseconds(ways, length, causal) for length in LENGTHS]
        for name in ways:
            rows[name][column] = [each[name] for each in times]
    for name, row in rows.items():
        print(name, row)
    record = {"command": COMMAND, "torch": torch.__version__.split("+")[0], "lengths": LENGTHS, **rows}
    RECORD.parent.mkdir(exist_ok=True)
    text = ",\n".join(f'"{name}": {json.dumps(value)}' for name, value in record.items())
    RECORD.write_text("{" + text + "}\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
