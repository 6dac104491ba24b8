"""Other correct ways to write this kata; its tests must accept every one."""

import math
from collections.abc import Iterable
from itertools import chain

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Int64, Integer
from torch import Tensor, nn

from katas.k00_shapes.shapes import one_hot
from katas.k06_training.training import clip_grad_norm_, cross_entropy


def cross_entropy__pytorchs(
    logits: Float[Tensor, "*batch vocab"], targets: Int[Tensor, "*batch"], ignore_index: int = -100
) -> Float[Tensor, ""]:
    """PyTorch's own sum, which is zero where its mean is NaN, divided by the count."""
    rows, ids = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1).long()
    total = F.cross_entropy(rows, ids, ignore_index=ignore_index, reduction="sum")
    return total / max(int((ids != ignore_index).sum()), 1)


def cross_entropy__log_sum_exp(
    logits: Float[Tensor, "*batch vocab"], targets: Int[Tensor, "*batch"], ignore_index: int = -100
) -> Float[Tensor, ""]:
    """The logarithm of the sum, minus the logit of the target, of the rows that count only."""
    counts = targets != ignore_index
    rows, ids = logits[counts], targets[counts].long()  # (counted, vocab), (counted)
    if ((ids < 0) | (ids >= rows.shape[-1])).any():
        raise IndexError("a target is no class")
    losses = rows.logsumexp(dim=-1) - rows[torch.arange(len(ids), device=ids.device), ids]
    return losses.sum() / max(len(ids), 1)


def cross_entropy__shifted_by_hand(
    logits: Float[Tensor, "*batch vocab"], targets: Int[Tensor, "*batch"], ignore_index: int = -100
) -> Float[Tensor, ""]:
    """Maximum, exponential, sum and logarithm, one after another."""
    flat, ids = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1).to(torch.int64)
    counts = ids != ignore_index
    chosen = torch.where(counts, ids, torch.zeros_like(ids))
    if chosen.numel() and (chosen.min() < 0 or chosen.max() >= flat.shape[1]):
        raise IndexError(f"targets between {chosen.min()} and {chosen.max()}, vocab {flat.shape[1]}")
    shifted = flat - flat.max(dim=1, keepdim=True).values
    log_total = shifted.exp().sum(dim=1).log()
    losses = log_total - torch.take_along_dim(shifted, chosen[:, None], dim=1)[:, 0]
    losses = torch.where(counts, losses, torch.zeros_like(losses))
    return losses.sum() / counts.sum().clamp(min=1).to(losses.dtype)


def cross_entropy__one_hot(
    logits: Float[Tensor, "*batch vocab"], targets: Int[Tensor, "*batch"], ignore_index: int = -100
) -> Float[Tensor, ""]:
    """The logarithms picked with one-hot rows; those that count first."""
    kept = targets != ignore_index
    if not kept.any():
        return (logits[kept] * 0).sum()
    hits = one_hot(targets[kept], logits.shape[-1]).bool()  # an IndexError for what is no class
    log_probabilities = F.log_softmax(logits[kept], dim=-1)
    return -log_probabilities.masked_fill(~hits, 0.0).sum(dim=-1).mean()


def perplexity__compared_first(loss: float) -> float:
    """Without an exception."""
    return math.exp(loss) if loss < 709 else math.inf


def perplexity__tensor(loss: float) -> float:
    """A tensor overflows to infinity of its own accord."""
    return torch.tensor(loss, dtype=torch.float64).exp().item()


def bits_per_byte__base_two(total_nats: float, total_bytes: int) -> float:
    """By way of the logarithm of e to base 2."""
    return total_nats / total_bytes * math.log2(math.e)


def bits_per_byte__bits_first(total_nats: float, total_bytes: int) -> float:
    """Bits of the whole text, divided by its bytes."""
    bits = total_nats / math.log(2)
    return bits / total_bytes


def get_batch__slices(
    tokens: Integer[np.ndarray, "tokens"], batch_size: int, block_size: int, generator: torch.Generator
) -> tuple[
    Int64[Tensor, "{batch_size} {block_size}"],
    Int64[Tensor, "{batch_size} {block_size}"],
]:
    """Slice by slice, stacked."""
    starts = torch.randint(0, len(tokens) - block_size, (batch_size,), generator=generator).tolist()
    inputs = [torch.from_numpy(tokens[s : s + block_size].astype(np.int64)) for s in starts]
    targets = [torch.from_numpy(tokens[s + 1 : s + 1 + block_size].astype(np.int64)) for s in starts]
    return torch.stack(inputs), torch.stack(targets)


def get_batch__views_of_one_window(
    tokens: Integer[np.ndarray, "tokens"], batch_size: int, block_size: int, generator: torch.Generator
) -> tuple[
    Int64[Tensor, "{batch_size} {block_size}"],
    Int64[Tensor, "{batch_size} {block_size}"],
]:
    """Windows one token longer, of which inputs and targets are two views."""
    every = np.lib.stride_tricks.sliding_window_view(tokens, block_size + 1)  # a view, too
    starts = torch.randint(len(every), (batch_size,), generator=generator).numpy()
    windows = torch.as_tensor(every[starts].astype(np.int64))
    return windows[:, :-1], windows[:, 1:]


def get_batch__uniform(
    tokens: Integer[np.ndarray, "tokens"], batch_size: int, block_size: int, generator: torch.Generator
) -> tuple[
    Int64[Tensor, "{batch_size} {block_size}"],
    Int64[Tensor, "{batch_size} {block_size}"],
]:
    """Starts from uniform numbers in [0, 1), rounded down; ids by way of Python's integers."""
    count = tokens.shape[0] - block_size
    draws = torch.rand(batch_size, generator=generator, dtype=torch.float64)
    starts = (draws * count).long().tolist()
    rows = torch.tensor([tokens[s : s + block_size + 1].tolist() for s in starts])
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def cosine_learning_rate__one_formula(
    step: int, *, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int
) -> float:
    """The progress clamped to 1, so that one formula serves for the cosine and for what follows."""
    if step < warmup_steps:
        return step / warmup_steps * max_lr
    progress = min(1.0, (step - warmup_steps) / max(total_steps - warmup_steps, 1))
    return min_lr + 0.5 * (max_lr - min_lr) * (1.0 + math.cos(progress * math.pi))


def cosine_learning_rate__squared_cosine(
    step: int, *, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int
) -> float:
    """(1 + cos 2a) / 2 = cos² a; the end of the warm-up counts to the warm-up."""
    if step > total_steps:
        return min_lr
    if warmup_steps > 0 and step <= warmup_steps:
        return max_lr * (step / warmup_steps)
    if total_steps == 0:
        return min_lr
    share = math.cos(math.pi / 2 * (step - warmup_steps) / (total_steps - warmup_steps)) ** 2
    return share * max_lr + (1 - share) * min_lr


def cosine_learning_rate__tensor(
    step: int, *, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int
) -> float:
    """The cosine of a tensor, which is in float32."""
    if step < warmup_steps:
        return step * max_lr / warmup_steps
    if step >= total_steps:
        return min_lr
    progress = torch.tensor((step - warmup_steps) / (total_steps - warmup_steps), dtype=torch.float32)
    return (min_lr + 0.5 * (max_lr - min_lr) * (1 + torch.cos(torch.pi * progress))).item()


def clip_grad_norm___pytorchs(parameters: Iterable[Tensor], max_norm: float) -> Float[Tensor, ""]:
    """PyTorch's own, which divides by the norm + 1e-6."""
    return nn.utils.clip_grad_norm_(parameters, max_norm)


def clip_grad_norm___squares(parameters: Iterable[Tensor], max_norm: float) -> Float[Tensor, ""]:
    """The root of the sum of the sums of squares; nothing is touched unless it has to be."""
    held = [parameter for parameter in parameters if parameter.grad is not None]
    norm = torch.zeros((), dtype=held[0].dtype if held else None)
    for parameter in held:
        norm = norm + parameter.grad.detach().square().sum()
    norm = norm.sqrt()
    if norm > max_norm:
        for parameter in held:
            parameter.grad *= max_norm / norm
    return norm


def clip_grad_norm___concatenated(parameters: Iterable[Tensor], max_norm: float) -> Float[Tensor, ""]:
    """All entries in one long vector."""
    gradients = [p.grad for p in tuple(parameters) if p.grad is not None]
    everything = torch.cat([g.flatten() for g in gradients]) if gradients else torch.zeros(0)
    norm = everything.norm()
    factor = torch.where(norm > max_norm, max_norm / (norm + 1e-6), torch.ones_like(norm))
    with torch.no_grad():
        for gradient in gradients:
            gradient.copy_(gradient * factor)
    return norm


def clip_grad_norm___python_number(parameters: Iterable[Tensor], max_norm: float) -> Float[Tensor, ""]:
    """The squares added up as a Python number, and a norm in torch's default dtype."""
    kept = [parameter for parameter in parameters if parameter.grad is not None]
    total = sum(parameter.grad.norm().item() ** 2 for parameter in kept) ** 0.5
    if total > max_norm:
        for parameter in kept:
            parameter.grad.mul_(max_norm / (total + 1e-6))
    return torch.tensor(total)


def clip_grad_norm___foreach(parameters: Iterable[Tensor], max_norm: float) -> Float[Tensor, ""]:
    """PyTorch's functions for lists of tensors, and its two halves of clipping."""
    kept = [p for p in parameters if p.grad is not None]
    norm = nn.utils.get_total_norm([p.grad for p in kept])
    if kept:
        torch._foreach_mul_([p.grad for p in kept], torch.clamp(max_norm / norm, max=1.0).item())
    return norm


def configure_optimizer__by_name(
    model: nn.Module, *, learning_rate: float, weight_decay: float, betas: tuple[float, float] = (0.9, 0.95)
) -> torch.optim.AdamW:
    """Two dictionaries by name; the plain loop."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    matrices = [p for p in trained.values() if p.ndim > 1]
    vectors = [p for p in trained.values() if p.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": vectors, "weight_decay": 0}, {"params": matrices}],
        lr=learning_rate,
        weight_decay=weight_decay,
        betas=betas,
    )


def configure_optimizer__group_each(
    model: nn.Module, *, learning_rate: float, weight_decay: float, betas: tuple[float, float] = (0.9, 0.95)
) -> torch.optim.AdamW:
    """A group for each parameter."""
    groups = [
        {"params": [p], "weight_decay": weight_decay * (p.dim() >= 2)}
        for p in dict.fromkeys(model.parameters())
        if p.requires_grad
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, foreach=True)


def configure_optimizer__groups_added(
    model: nn.Module, *, learning_rate: float, weight_decay: float, betas: tuple[float, float] = (0.9, 0.95)
) -> torch.optim.AdamW:
    """Without decay to begin with; a second group added afterwards."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [p for p in trained if len(p.shape) < 2], lr=learning_rate, betas=betas, weight_decay=0.0
    )
    matrices = {"params": [p for p in trained if len(p.shape) >= 2], "weight_decay": weight_decay}
    optimizer.add_param_group(matrices)
    return optimizer


def train_step__sums(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    micro_batches: Iterable[tuple[Tensor, Tensor]],
    max_norm: float = 1.0,
) -> float:
    """The summed losses, each divided by the number of all targets, at once."""
    pairs = list(micro_batches)
    total = sum((targets != -100).sum().item() for _, targets in pairs)
    if not total:
        raise ValueError("no targets")
    for parameter in model.parameters():
        parameter.grad = None
    losses = []
    for inputs, targets in pairs:
        logits = model(inputs)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum") / total
        loss.backward()
        losses.append(loss.detach())
    nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return torch.stack(losses).sum().item()


def train_step__gradients_divided(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    micro_batches: Iterable[tuple[Tensor, Tensor]],
    max_norm: float = 1.0,
) -> float:
    """Counted on the way, and the gradients divided by the count at the end."""
    total, summed = 0, 0.0
    for inputs, targets in micro_batches:
        count = int((targets != -100).sum())
        if count == 0:
            continue
        if total == 0:
            optimizer.zero_grad(set_to_none=False)
        loss = cross_entropy(model(inputs), targets) * count
        loss.backward()
        total, summed = total + count, summed + float(loss)
    if total == 0:
        raise ValueError("nothing to learn from")
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad /= total
    clip_grad_norm_(list(model.parameters()), max_norm)
    optimizer.step()
    return summed / total


def train_step__one_graph(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    micro_batches: Iterable[tuple[Tensor, Tensor]],
    max_norm: float = 1.0,
) -> float:
    """All logits first: right, though it takes the memory of the whole batch."""
    pairs = [*micro_batches]
    if not any((targets != -100).any() for _, targets in pairs):
        raise ValueError(f"{len(pairs)} micro-batches without a target")
    model.zero_grad()
    rows = torch.cat([model(inputs).flatten(end_dim=1) for inputs, _ in pairs])
    loss = cross_entropy(rows, torch.cat([targets.flatten() for _, targets in pairs]))
    loss.backward()
    clip_grad_norm_(iter(list(model.parameters())), max_norm=max_norm)
    optimizer.step()
    return loss.item()


def evaluate__float32_sum(
    model: nn.Module, tokens: Integer[np.ndarray, "tokens"], *, block_size: int, batch_size: int
) -> float:
    """The losses added up in a float32 tensor, and the targets counted on the way."""
    modes = [(module, module.training) for module in model.modules()]
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    total, count = torch.zeros((), dtype=torch.float32), 0
    model.eval()
    try:
        for start in range(0, len(tokens) - 1, block_size):
            window = np.asarray(tokens[start : start + block_size + 1]).astype(np.int64)
            ids = torch.from_numpy(window).to(device)
            with torch.no_grad():
                loss = cross_entropy(model(ids[None, :-1]), ids[None, 1:])
            total += loss.cpu().float() * (len(ids) - 1)
            count += len(ids) - 1
    finally:
        for module, training in modes:
            module.training = training
    return (total / count).item()


def evaluate__window_by_window(
    model: nn.Module, tokens: Integer[np.ndarray, "tokens"], *, block_size: int, batch_size: int
) -> float:
    """One window at a time: right, though slow."""
    modes = {name: module.training for name, module in model.named_modules()}
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    losses = []
    try:
        model.eval()
        with torch.inference_mode():
            for start in range(0, len(tokens) - 1, block_size):
                ids = torch.tensor(tokens[start : start + block_size + 1].tolist(), device=device)
                logits = model(ids[:-1].unsqueeze(0)).squeeze(0)
                losses.append(F.cross_entropy(logits, ids[1:], reduction="sum").item())
    finally:
        for name, module in model.named_modules():
            module.training = modes[name]
    return math.fsum(losses) / (len(tokens) - 1)


def evaluate__padded(
    model: nn.Module, tokens: Integer[np.ndarray, "tokens"], *, block_size: int, batch_size: int
) -> float:
    """The last window filled up, with targets that are ignored; a causal model does not notice."""
    count = len(tokens) - 1
    device = next(chain(model.parameters(), [torch.zeros(())])).device
    ids = torch.from_numpy(np.array(tokens, dtype=np.int64)).to(device)
    gap = -count % block_size
    inputs = F.pad(ids[:-1], (0, gap)).view(-1, block_size)
    targets = F.pad(ids[1:], (0, gap), value=-100).view(-1, block_size)
    was = [(module, module.training) for module in model.modules()]
    model.train(False)
    total = torch.zeros((), dtype=torch.float64, device=device)
    try:
        for x, y in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            with torch.no_grad():
                total += cross_entropy(model(x), y).double() * (y != -100).sum()
    finally:
        for module, training in was:
            module.train(training) if not list(module.children()) else None
            module.training = training
    return float(total) / count


def evaluate__whole_and_rest(
    model: nn.Module, tokens: Integer[np.ndarray, "tokens"], *, block_size: int, batch_size: int
) -> float:
    """All whole windows as one table of rows, then the rest; random numbers put back in any case."""
    device = next((p.device for p in model.parameters()), "cpu")
    ids = torch.as_tensor(np.asarray(tokens, dtype=np.int64))
    rows = (len(ids) - 1) // block_size
    cut = rows * block_size
    parts = []
    if rows:
        inputs, targets = ids[:cut].unflatten(0, (rows, -1)), ids[1 : cut + 1].unflatten(0, (rows, -1))
        parts += zip(inputs.split(batch_size), targets.split(batch_size), strict=True)
    if cut < len(ids) - 1:
        parts.append((ids[None, cut:-1], ids[None, cut + 1 :]))
    before = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            total = sum(
                F.cross_entropy(model(x.to(device)).mT, y.to(device), reduction="sum").item()
                for x, y in parts
            )
    finally:
        for module in before:
            module.training = True
    return total / (len(ids) - 1)
