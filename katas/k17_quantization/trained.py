"""A small trained model of kata 05, and a text to measure its loss on. This module is given.

Both are in the folder small_model, made by solutions/k17_quantization/make_small_model.py: a block of 128
features, trained on stories by single characters, and 4,000 characters of stories that it has not seen.
"""

import json
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from katas.k04_embeddings.embeddings import CharTokenizer
from katas.k05_model.model import ModelConfig, TransformerLM

FOLDER = Path(__file__).parent / "small_model"


def load_small_model() -> tuple[TransformerLM, Int64[Tensor, "characters"]]:
    """Return your TransformerLM with the trained weights, in float32, and the ids of the text."""
    config = ModelConfig(**json.loads((FOLDER / "config.json").read_text(encoding="utf-8")))
    model = TransformerLM(config).eval()
    model.load_state_dict(torch.load(FOLDER / "model.pt", weights_only=True))  # stored in float16
    text = (FOLDER / "text.txt").read_text(encoding="utf-8")
    return model, torch.tensor(CharTokenizer.load(FOLDER / "tokenizer.json").encode(text))


@torch.no_grad()
def mean_loss(model: nn.Module, ids: Int64[Tensor, "characters"], block_size: int = 32) -> float:
    """Return the model's mean loss, in nats per character, over all whole windows of the text."""
    count = (len(ids) - 1) // block_size
    windows = ids[: count * block_size].reshape(count, block_size)
    targets = ids[1 : count * block_size + 1]
    return cross_entropy(model(windows).flatten(0, 1), targets).item()
