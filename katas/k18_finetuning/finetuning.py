"""Finetuning: a trained model learns to follow instructions, by two thin matrices beside each wide one.

A trained model continues text. Shown some hundred instructions with their answers, it learns to answer. Here
its own weights stay as they are: a low-rank adapter, LoRA, beside some of its linear maps learns in their
place, a few percent of the parameters. Only the answers are learned, not the instructions.

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device. `LoRALinear` and `add_lora`, which take a model over to train it, are the exceptions.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from katas.k00_shapes.shapes import Linear
from katas.k07_sampling.sampling import generate


class LoRALinear(nn.Module):
    """A frozen linear map, and beside it a product of two thin matrices that is trained.

    out = linear(x) + (alpha / rank) · x Aᵀ Bᵀ

    So it computes what a linear map with the weight W + (alpha / rank) · B A would. A is called
    `lora_a`, of shape (rank, in), and B `lora_b`, of shape (out, rank).

    Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (2022), section 4.1.
    """

    def __init__(self, linear: nn.Linear | Linear, rank: int, alpha: float):
        """Freeze `linear` and keep it as the attribute `linear`; create the parameters lora_a and lora_b.

        The entries of lora_a are drawn from N(0, 1/√in), where 1/√in is the standard deviation, on
        PyTorch's global generator; those of lora_b are 0, so that at first nothing changes. Both
        have the dtype and the device of linear.weight. Frozen means that neither the weight nor the
        bias, if there is one, requires a gradient any more. Nothing else is in the state dict.

        `merged`, an attribute that is not in the state dict, is False.
        """
        raise NotImplementedError

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """Return linear(x) + (alpha / rank) · x Aᵀ Bᵀ; if merged, the weight has the second term in it."""
        raise NotImplementedError

    def merge(self) -> None:
        """Add (alpha / rank) · B A to the weight of `linear`, so that forward computes nothing else.

        `merged` is then True, and the outputs are as before, up to rounding. If it is True already,
        nothing happens. The weight stays frozen; lora_a and lora_b keep their values.
        """
        raise NotImplementedError

    def unmerge(self) -> None:
        """Undo `merge`, up to rounding: `merged` is then False. If it is False already, nothing happens."""
        raise NotImplementedError


def add_lora(model: nn.Module, rank: int, alpha: float, targets: Collection[str]) -> list[nn.Parameter]:
    """Freeze the model and put a LoRALinear around each linear map that `targets` name.

    Linear maps are modules inside the model of type nn.Linear or, as in these katas, `Linear` of kata
    00, however deep. A target names a linear map if it is its whole name in model.named_modules() or
    the last parts of that name: "query_proj" names blocks.0.attention.query_proj and its like in all
    blocks, "0.attention.query_proj" the one in blocks.0, and "proj" none of them. In the model a
    LoRALinear takes the place of the linear map, under its name.

    The model is modified. Afterwards no parameter requires a gradient but lora_a and lora_b of each
    LoRALinear. These are returned, for an optimizer: in the order of model.named_modules(), lora_a
    before lora_b.

    Raises ValueError naming the target, before anything has changed, if it names no linear map, or
    one whose weight also belongs to another module, as that of a tied head does: once merged, the
    adapter would change the table of the embedding, too.
    Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (2022), sections 4.2 and
    7.1.
    """
    raise NotImplementedError


def lora_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """Return the entries of model.state_dict() that are lora_a or lora_b of a LoRALinear.

    Another model with the same weights, after add_lora with the same rank, alpha and targets, becomes
    equal to this one by load_state_dict(entries, strict=False).

    Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (2022), section 4.2, for the
    size of a checkpoint.
    """
    raise NotImplementedError


def render(instruction: str, answer: str, tokenizer: Any) -> tuple[list[int], list[bool]]:
    """Return the ids of an example, and for each whether it is to be learned.

    ids = those of the instruction, then those of the answer, then that of the end, which is "\\n"

    To be learned are the answer and the end: a model that has not learned to end goes on for ever.
    The three are encoded one by one, so that no token is part of two. Nothing is put between
    instruction and answer: if something should be there, such as " > ", it is part of the instruction.
    `tokenizer` has `encode`, as CharTokenizer of kata 04 does.

    Raises ValueError naming the answer if it contains "\\n": it would seem to end there.
    Source: Ouyang et al., Training language models to follow instructions with human feedback (2022),
    section 3, for examples written to be imitated.
    """
    raise NotImplementedError


def collate(
    examples: Sequence[tuple[list[int], list[bool]]], pad_id: int, block_size: int
) -> tuple[Int64[Tensor, "batch seq"], Int64[Tensor, "batch seq"]]:
    """Return inputs and targets for `train_step` of kata 06, made of examples as `render` returns them.

    inputs[b, t] = ids[t], and targets[b, t] = ids[t + 1] if that is to be learned, otherwise -100

    An example of n tokens has n - 1 inputs, and seq is the largest number of inputs. Shorter examples are
    filled up on the right, inputs with pad_id and targets with -100. So pad_id may be any id, that of
    the end too: what counts is where it is. Right behind the inputs of a shorter example its last
    token may take the place of a pad_id.

    Raises ValueError naming n - 1 and block_size if an example has more inputs than block_size.
    Cut off, it would teach an answer without an end.
    """
    raise NotImplementedError


def exact_match(model: nn.Module, tokenizer: Any, tasks: Sequence[tuple[str, str]]) -> float:
    """Return the share of tasks, pairs of instruction and answer, that the model solves exactly.

    After the instruction, choosing the likeliest token each time, it writes the answer and then the
    end, as `render` has them: not a token more before the end, and none less. What it would write
    behind the end does not matter. Nothing is drawn at random.

    `model` is as in `generate` of kata 07, and computes in evaluation mode and without gradients, on
    its own device; each of its modules is in its own mode afterwards. `tasks` is not empty.

    Source: Rajpurkar et al., SQuAD: 100,000+ Questions for Machine Comprehension of Text (2016),
    section 6.1, for the name.
    """
    raise NotImplementedError
