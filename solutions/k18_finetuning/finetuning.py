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
        super().__init__()
        out_features, in_features = linear.weight.shape
        self.linear = linear.requires_grad_(False)  # the module itself: a copy would double the memory
        self.scale = alpha / rank
        self.merged = False
        options = {"dtype": linear.weight.dtype, "device": linear.weight.device}
        self.lora_a = nn.Parameter(torch.randn(rank, in_features, **options) / in_features**0.5)
        self.lora_b = nn.Parameter(torch.zeros(out_features, rank, **options))

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """Return linear(x) + (alpha / rank) · x Aᵀ Bᵀ; if merged, the weight has the second term in it."""
        out = self.linear(x)
        if self.merged:
            return out
        # From the left: rank numbers for each position. B A first would be a whole matrix.
        return out + self.scale * (x @ self.lora_a.T @ self.lora_b.T)

    def merge(self) -> None:
        """Add (alpha / rank) · B A to the weight of `linear`, so that forward computes nothing else.

        `merged` is then True, and the outputs are as before, up to rounding. If it is True already,
        nothing happens. The weight stays frozen; lora_a and lora_b keep their values.
        """
        if not self.merged:
            self._add_to_weight(self.scale)
            self.merged = True

    def unmerge(self) -> None:
        """Undo `merge`, up to rounding: `merged` is then False. If it is False already, nothing happens."""
        if self.merged:
            self._add_to_weight(-self.scale)
            self.merged = False

    @torch.no_grad()
    def _add_to_weight(self, factor: float) -> None:
        self.linear.weight += factor * (self.lora_b @ self.lora_a)  # (out, rank) @ (rank, in)


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
    found = {name: part for name, part in model.named_modules() if isinstance(part, nn.Linear | Linear)}
    owners = Counter(id(part._parameters.get("weight")) for part in model.modules())
    for target in targets:
        named = [part for name, part in found.items() if _names(target, name)]
        if not named:
            raise ValueError(f"no linear map of the model is called {target!r}")
        if any(owners[id(part.weight)] > 1 for part in named):
            raise ValueError(f"the weight of {target!r} is shared: it belongs to another module, too")
    model.requires_grad_(False)
    parameters = []
    for name, part in found.items():
        if any(_names(target, name) for target in targets):
            adapted = LoRALinear(part, rank, alpha)
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, adapted)
            parameters += [adapted.lora_a, adapted.lora_b]
    return parameters


def _names(target: str, name: str) -> bool:
    return f".{name}".endswith(f".{target}")  # whole parts: "proj" is not the end of "query_proj"


def lora_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """Return the entries of model.state_dict() that are lora_a or lora_b of a LoRALinear.

    Another model with the same weights, after add_lora with the same rank, alpha and targets, becomes
    equal to this one by load_state_dict(entries, strict=False).

    Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (2022), section 4.2, for the
    size of a checkpoint.
    """
    adapters = ("lora_a", "lora_b")
    return {name: each for name, each in model.state_dict().items() if name.endswith(adapters)}


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
    if "\n" in answer:
        raise ValueError(f"an answer ends at its first newline, and {answer!r} goes on behind it")
    prompt, rest = tokenizer.encode(instruction), tokenizer.encode(answer) + tokenizer.encode("\n")
    return prompt + rest, [False] * len(prompt) + [True] * len(rest)


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
    seq = max(len(ids) for ids, _ in examples) - 1
    if seq > block_size:
        raise ValueError(f"an example has {seq} inputs, more than the block_size of {block_size}")
    inputs = torch.full((len(examples), seq), pad_id)
    targets = torch.full((len(examples), seq), -100)
    for row, (ids, learned) in enumerate(examples):
        count = len(ids) - 1
        inputs[row, :count] = torch.tensor(ids[:-1])
        following = zip(ids[1:], learned[1:], strict=True)
        targets[row, :count] = torch.tensor([id if counts else -100 for id, counts in following])
    return inputs, targets


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
    device = next(model.parameters()).device
    by_length = defaultdict(list)  # equal lengths fit into one tensor, and nothing has to be padded
    for instruction, answer in tasks:
        ids, learned = render(instruction, answer, tokenizer)
        by_length[learned.index(True), len(ids)].append(ids)
    solved = 0
    for (prompt, total), rows in by_length.items():
        expected = torch.tensor(rows, device=device)  # (batch, total)
        written = generate(model, expected[:, :prompt], total - prompt, temperature=0)
        solved += (written == expected).all(dim=1).sum().item()
    return solved / len(tasks)
