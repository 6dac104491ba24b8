"""Writes katas/k17_quantization/pictures/losses.json: the small model's loss by bits and groups.

Run `python solutions/k17_quantization/measure.py` in the top folder.
"""

import json
from pathlib import Path

import torch

from harness.notebook import use_katas

BITS = range(2, 9)
GROUPS = (None, 64, 32, 16)


def losses():
    """The loss in float32, and by group and bits."""
    from katas.k17_quantization.quantization import quantize_model  # after use_katas
    from katas.k17_quantization.trained import load_small_model, mean_loss

    model, ids = load_small_model()
    measured = {
        str(group or "row"): {bits: mean_loss(quantize_model(model, bits, group), ids) for bits in BITS}
        for group in GROUPS
    }
    return {"float32": mean_loss(model, ids), "quantized": measured}


if __name__ == "__main__":
    torch.set_num_threads(1)  # the last digits depend on it
    use_katas(solutions=True)
    path = Path(__file__).parents[2] / "katas" / "k17_quantization" / "pictures" / "losses.json"
    path.write_text(json.dumps(losses(), indent=2) + "\n", encoding="utf-8")
