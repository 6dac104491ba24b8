"""Rows of letters that can be predicted only by induction, and a model that does it. This module is given.

A row walks around a cycle of its own: 12 of the 26 letters, in an order drawn for this row alone. In one
step of four it jumps to any of the 12. So nobody can know what follows a letter before having seen it, and
because of the jumps an earlier copy is at no fixed distance. The model, in the folder induction_model,
was trained on such rows by `python benchmarks/induction.py --solutions --write`.
"""

import json
from pathlib import Path
from string import ascii_lowercase

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy

from katas.k05_model.model import ModelConfig, TransformerLM

FOLDER = Path(__file__).parent / "induction_model"
LETTERS = ascii_lowercase  # letter i has the id i
CYCLE = 12  # letters of a row
JUMPS = 0.25  # the share of steps that leave the cycle
LENGTH = 48  # tokens of a row that a model reads


def draw_rows(
    count: int, generator: torch.Generator, length: int = LENGTH + 1, jumps: float = JUMPS
) -> Int64[Tensor, "{count} {length}"]:
    """Return rows of ids; by default one token longer than LENGTH, so that each token read has a next.

    With jumps=0 every row repeats itself with a period of CYCLE letters.
    """
    order = torch.rand(count, len(LETTERS), generator=generator).argsort(dim=1)[:, :CYCLE]
    place = torch.randint(CYCLE, (count,), generator=generator)
    jump = torch.rand(count, length, generator=generator) < jumps
    anywhere = torch.randint(CYCLE, (count, length), generator=generator)
    places = []
    for step in range(length):
        places.append(place)
        place = torch.where(jump[:, step], anywhere[:, step], (place + 1) % CYCLE)
    return order.gather(1, torch.stack(places, dim=1))


def text_of(ids: Int64[Tensor, "seq"]) -> str:
    """Return a row as letters."""
    return "".join(LETTERS[each] for each in ids.tolist())


def repeats(rows: Int64[Tensor, "batch length"]) -> Bool[Tensor, "batch targets"]:
    """Return which targets repeat: the row has had this pair of letters before, in this order.

    Target s is the token at s + 1, which a model predicts at s.
    """
    same = rows[:, :, None] == rows[:, None, :]  # (batch, s, j): the letter of s, at j
    return (same[:, :-1, :-1] & same[:, 1:, 1:]).tril(-1).any(dim=-1)  # and the letter after it


def unheard(rows: Int64[Tensor, "batch length"]) -> Bool[Tensor, "batch targets"]:
    """Return which targets follow a letter that the row has not had before: nothing is to be copied."""
    same = (rows[:, :, None] == rows[:, None, :])[:, :-1, :-1]
    return ~same.tril(-1).any(dim=-1)


def losses(
    logits: Float[Tensor, "batch targets letters"], rows: Int64[Tensor, "batch length"]
) -> Float[Tensor, "batch targets"]:
    """Return the loss of each target, in nats, for logits = model(rows[:, :-1])."""
    return cross_entropy(logits.transpose(1, 2), rows[:, 1:], reduction="none")


def load_induction_model() -> TransformerLM:
    """Return your TransformerLM with the trained weights, in float32 and in evaluation mode."""
    config = ModelConfig(**json.loads((FOLDER / "config.json").read_text(encoding="utf-8")))
    model = TransformerLM(config).eval()
    model.load_state_dict(torch.load(FOLDER / "model.pt", weights_only=True))  # stored in float16
    return model
