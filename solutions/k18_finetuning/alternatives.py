"""Other correct ways to write this kata; its tests must accept every one."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from katas.k00_shapes.shapes import Linear
from katas.k07_sampling.sampling import generate
from katas.k18_finetuning.finetuning import LoRALinear, collate, render


class LoRALinear__effective_weight(nn.Module):
    """The whole weight, W + (alpha / rank) · B A, in each forward."""

    def __init__(self, linear: nn.Linear | Linear, rank: int, alpha: float):
        super().__init__()
        for parameter in linear.parameters():
            parameter.requires_grad = False
        self.linear, self.rank, self.alpha, self.merged = linear, rank, alpha, False
        weight = linear.weight
        self.lora_a = nn.Parameter(weight.new_empty(rank, weight.size(1)).normal_(std=weight.size(1) ** -0.5))
        self.lora_b = nn.Parameter(weight.new_zeros(weight.size(0), rank))

    def change(self):
        return self.lora_b @ self.lora_a * self.alpha / self.rank

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        weight = self.linear.weight if self.merged else self.linear.weight + self.change()
        return F.linear(x, weight, self.linear.bias)

    def merge(self) -> None:
        if self.merged:
            return
        self.linear.weight.data = self.linear.weight.data + self.change().detach()
        self.merged = True

    def unmerge(self) -> None:
        if not self.merged:
            return
        self.linear.weight.data = self.linear.weight.data - self.change().detach()
        self.merged = False


class LoRALinear__einsum(nn.Module):
    """Names for the axes, the factor on the inner numbers, and the weights of an nn.Linear for A and B."""

    def __init__(self, linear: nn.Linear | Linear, rank: int, alpha: float):
        super().__init__()
        self.linear = linear
        self.linear.weight.requires_grad_(False)
        if self.linear.bias is not None:
            self.linear.bias.requires_grad_(False)
        out_features, in_features = linear.weight.shape
        self.lora_a = nn.Parameter(torch.empty(rank, in_features).to(linear.weight))
        self.lora_b = nn.Parameter(torch.zeros(out_features, rank).to(linear.weight))
        nn.init.normal_(self.lora_a, mean=0.0, std=1 / math.sqrt(in_features))
        self.factor = float(alpha) / rank
        self.merged = False

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        out = self.linear(x)
        if not self.merged:
            inner = self.factor * torch.einsum("...i,ri->...r", x, self.lora_a)
            out = out + torch.einsum("...r,or->...o", inner, self.lora_b)
        return out

    def merge(self) -> None:
        if not self.merged:
            with torch.no_grad():
                self.linear.weight.add_(self.lora_b @ self.lora_a, alpha=self.factor)
        self.merged = True

    def unmerge(self) -> None:
        if self.merged:
            with torch.no_grad():
                self.linear.weight.sub_(self.lora_b @ self.lora_a, alpha=self.factor)
        self.merged = False


class LoRALinear__remembered_weight(nn.Module):
    """F.linear three times; merge keeps the old weight aside, and unmerge puts it back, exactly."""

    def __init__(self, linear: nn.Linear | Linear, rank: int, alpha: float):
        super().__init__()
        self.add_module("linear", linear.requires_grad_(requires_grad=False))
        out_features, in_features = linear.weight.size()
        like = {"dtype": linear.weight.dtype, "device": linear.weight.device}
        deviation = torch.full((rank, in_features), in_features**-0.5, **like)
        drawn = torch.empty_like(deviation).normal_() * deviation
        self.register_parameter("lora_a", nn.Parameter(drawn))
        self.register_parameter("lora_b", nn.Parameter(torch.zeros((out_features, rank), **like)))
        self.rank, self.alpha, self._before = rank, alpha, None

    @property
    def merged(self):
        return self._before is not None

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        if self.merged:
            return self.linear(x)
        return self.linear(x) + F.linear(F.linear(x, self.lora_a), self.lora_b).mul(self.alpha).div(self.rank)

    def merge(self) -> None:
        if self._before is None:
            self._before = self.linear.weight.detach().clone()
            change = torch.matmul(self.lora_b.detach(), self.lora_a.detach())
            self.linear.weight.detach().add_(change * self.alpha / self.rank)

    def unmerge(self) -> None:
        if self._before is not None:
            self.linear.weight.detach().copy_(self._before)
            self._before = None


def add_lora__recursion(
    model: nn.Module, rank: int, alpha: float, targets: Collection[str]
) -> list[nn.Parameter]:
    """Down the tree of modules, once to check and once to replace; names as lists of parts."""
    wanted = {target: tuple(target.split(".")) for target in targets}

    def walk(module: nn.Module, path: tuple[str, ...]):
        for name, child in module.named_children():
            if isinstance(child, (nn.Linear, Linear)):
                yield module, (*path, name), child
            yield from walk(child, (*path, name))

    linear_maps = list(walk(model, ()))
    everybody = [each for each in model.modules() if isinstance(getattr(each, "weight", None), Tensor)]
    for target, parts in wanted.items():
        named = [child for _, path, child in linear_maps if path[-len(parts) :] == parts]
        if len(named) == 0:
            raise ValueError(f"{target} is not the name of a linear map")
        for child in named:
            if sum(each.weight is child.weight for each in everybody) > 1:
                raise ValueError(f"{target} is tied")
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for parent, path, child in linear_maps:
        if any(path[-len(parts) :] == parts for parts in wanted.values()):
            setattr(parent, path[-1], LoRALinear(child, rank, alpha))
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def add_lora__removed_from_a_set(
    model: nn.Module, rank: int, alpha: float, targets: Collection[str]
) -> list[nn.Parameter]:
    """All names with duplicates first; the targets that are left over at the end are unknown."""
    seen, shared = set(), set()
    for _, parameter in model.named_parameters(remove_duplicate=False):
        (shared if id(parameter) in seen else seen).add(id(parameter))
    unknown, chosen = set(targets), {}
    for name, part in model.named_modules():
        if not isinstance(part, Linear) and not isinstance(part, nn.Linear):
            continue
        for target in targets:
            if name == target or name.endswith("." + target):
                unknown.discard(target)
                if id(part.weight) in shared:
                    raise ValueError(f"cannot adapt {target}: its weight is that of another module, too")
                chosen[name] = part
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    for parameter in model.parameters():
        parameter.requires_grad = False
    made = {name: LoRALinear(part, rank, alpha) for name, part in chosen.items()}
    for name, adapted in made.items():
        *above, last = name.split(".")
        parent = model
        for each in above:
            parent = getattr(parent, each)
        parent._modules[last] = adapted
    return [each for adapted in made.values() for each in (adapted.lora_a, adapted.lora_b)]


def lora_state_dict__by_gradient(model: nn.Module) -> dict[str, Tensor]:
    """What is trained; detached."""
    return {name: each.detach() for name, each in model.named_parameters() if "lora_" in name.split(".")[-1]}


def lora_state_dict__by_module(model: nn.Module) -> dict[str, Tensor]:
    """From each LoRALinear, as copies."""
    small = {}
    for name, part in model.named_modules():
        if isinstance(part, LoRALinear):
            before = name + "." if name else ""
            small[before + "lora_a"] = part.lora_a.detach().clone()
            small[before + "lora_b"] = part.lora_b.detach().clone()
    return small


def render__piece_by_piece(instruction: str, answer: str, tokenizer: Any) -> tuple[list[int], list[bool]]:
    """A loop over the three pieces."""
    if answer.count("\n") > 0:
        raise ValueError(f"newline in answer: {answer}")
    ids, learned = [], []
    for text, counts in ((instruction, False), (answer, True), ("\n", True)):
        for id in tokenizer.encode(text):
            ids.append(id)
            learned.append(counts)
    return ids, learned


def render__compared_places(instruction: str, answer: str, tokenizer: Any) -> tuple[list[int], list[bool]]:
    """The place of each token compared with the length of the prompt."""
    if len(answer.split("\n")) != 1:
        raise ValueError(f"the answer {answer!r} has a newline in it")
    prompt = tokenizer.encode(instruction)
    ids = [*prompt, *tokenizer.encode(answer), *tokenizer.encode("\n")]
    return ids, [place >= len(prompt) for place in range(len(ids))]


def collate__pad_sequence(
    examples: Sequence[tuple[list[int], list[bool]]], pad_id: int, block_size: int
) -> tuple[Int64[Tensor, "batch seq"], Int64[Tensor, "batch seq"]]:
    """PyTorch's own padding, and a mask as a tensor."""
    for ids, _ in examples:
        if len(ids) > block_size + 1:
            raise ValueError(f"{len(ids) - 1} inputs exceed block_size = {block_size}")
    inputs = [torch.tensor(ids[:-1]) for ids, _ in examples]
    targets = [
        torch.tensor(ids[1:]).masked_fill(~torch.tensor(learned[1:]), -100) for ids, learned in examples
    ]
    return (
        pad_sequence(inputs, batch_first=True, padding_value=pad_id),
        pad_sequence(targets, batch_first=True, padding_value=-100),
    )


def collate__lists(
    examples: Sequence[tuple[list[int], list[bool]]], pad_id: int, block_size: int
) -> tuple[Int64[Tensor, "batch seq"], Int64[Tensor, "batch seq"]]:
    """Whole examples filled up first, as lists, then cut into inputs and targets."""
    longest = max(len(ids) for ids, _ in examples)
    if longest - 1 > block_size:
        raise ValueError(f"{longest - 1} > block_size = {block_size}")
    ids = torch.tensor([each + [pad_id] * (longest - len(each)) for each, _ in examples])
    learned = torch.tensor([each + [False] * (longest - len(each)) for _, each in examples])
    targets = torch.where(learned, ids, -100)
    return ids[:, :-1].contiguous(), targets[:, 1:].contiguous()


def collate__entry_by_entry(
    examples: Sequence[tuple[list[int], list[bool]]], pad_id: int, block_size: int
) -> tuple[Int64[Tensor, "batch seq"], Int64[Tensor, "batch seq"]]:
    """Each number at its place."""
    width = max(len(ids) for ids, _ in examples) - 1
    if width > block_size:
        raise ValueError(f"an example of {width} inputs is too long for {block_size} positions")
    inputs = torch.empty(len(examples), width, dtype=torch.long).fill_(pad_id)
    targets = inputs.new_full(inputs.shape, fill_value=-100)
    for b, (ids, learned) in enumerate(examples):
        for t in range(len(ids) - 1):
            inputs[b, t] = ids[t]
            if learned[t + 1]:
                targets[b, t] = ids[t + 1]
    return inputs, targets


def exact_match__one_by_one(model: nn.Module, tokenizer: Any, tasks: Sequence[tuple[str, str]]) -> float:
    """Texts compared, up to the end, which `generate` knows."""
    end = tokenizer.encode("\n")[0]
    right = []
    for instruction, answer in tasks:
        prompt = torch.tensor([tokenizer.encode(instruction)], device=next(model.parameters()).device)
        room = len(tokenizer.encode(answer)) + 3
        written = generate(model, prompt, room, temperature=0, eos_id=end)[0, prompt.shape[1] :]
        text = tokenizer.decode(written.tolist())
        right.append("\n" in text and text.split("\n")[0] == answer)
    return sum(right) / len(right)


def exact_match__given_the_answer(
    model: nn.Module, tokenizer: Any, tasks: Sequence[tuple[str, str]]
) -> float:
    """One pass: greedy decoding stays on the answer as long as each token it chooses is the right one."""
    examples = [render(instruction, answer, tokenizer) for instruction, answer in tasks]
    inputs, targets = collate(examples, tokenizer.encode("\n")[0], model.config.block_size)
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            chosen = model(inputs.to(next(model.parameters()).device)).argmax(dim=-1).cpu()
    finally:
        for part, mode in modes:
            part.training = mode
    return ((chosen == targets) | (targets == -100)).all(dim=1).double().mean().item()


def exact_match__own_loop(model: nn.Module, tokenizer: Any, tasks: Sequence[tuple[str, str]]) -> float:
    """A loop that ends at the end, or when too much is written."""
    end, solved = tokenizer.encode("\n"), 0
    modes = {part: part.training for part in model.modules()}
    model.eval()
    with torch.inference_mode():
        for instruction, answer in tasks:
            text, wanted = tokenizer.encode(instruction), tokenizer.encode(answer)
            written = []
            while written[-1:] != end and len(written) <= len(wanted):
                window = torch.tensor([(text + written)[-model.config.block_size :]])
                written.append(int(model(window)[0, -1].argmax()))
            solved += written == wanted + end
    for part, mode in modes.items():
        part.train(mode) if not list(part.children()) else setattr(part, "training", mode)
    return solved / len(tasks)
