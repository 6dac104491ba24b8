"""Training: how wrong a model is, what it is shown, and how it is changed to be less wrong.

From `cross_entropy` to `evaluate`, this is all that stands between a model and a trained model. A
model here is any module that maps ids (batch, seq) to logits (batch, seq, vocab).

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float, Int, Int64, Integer
from torch import Tensor, nn

from katas.k00_shapes.shapes import masked_mean


def cross_entropy(
    logits: Float[Tensor, "*batch vocab"], targets: Int[Tensor, "*batch"], ignore_index: int = -100
) -> Float[Tensor, ""]:
    """Return the mean, over the targets that count, of -log of the probability given to the target.

    mean of -log softmax(z)[y] over all pairs of a row z of logits and its target y

    The logarithm is the natural one, so the result is in nats. Targets may be of any signed integer
    type. A target that equals ignore_index does not count: neither the result nor the gradients of
    the other rows depend on its logits, even if these are NaN. ignore_index may also be a valid
    class. If no target counts the result is zero, and so are its gradients. Logits around ±10,000
    are no trouble: nothing overflows, and nothing is log(0).

    Raises IndexError if a target that counts is outside 0 … vocab - 1; a negative one is outside.
    Source: Bengio et al., A Neural Probabilistic Language Model (2003), section 2, where its
    negative is maximised; Goodfellow et al., Deep Learning (2016), section 6.2.2.3.
    """
    targets = targets.long()  # the type that gather asks for
    ignored = targets == ignore_index  # (*batch)
    # An ignored target may be no class at all. Any class can stand in: its loss is left out below.
    targets = targets.masked_fill(ignored, 0)
    outside = (targets < 0) | (targets >= logits.shape[-1])
    if outside.any():
        raise IndexError(f"target {targets[outside][0]} is outside 0 … {logits.shape[-1] - 1}")
    # The logarithm of a softmax, but never by way of the softmax: a probability that vanishes would
    # have the logarithm -inf. x - max(x) - log(sum(exp(x - max(x)))) is finite for all finite x.
    log_probabilities = logits.log_softmax(dim=-1)  # (*batch, vocab)
    losses = -log_probabilities.gather(-1, targets.unsqueeze(-1)).squeeze(-1)  # (*batch)
    # Kata 00's mean is blind to what is ignored, even if it is NaN, and the mean of nothing is zero.
    return masked_mean(losses.reshape(-1, 1), ~ignored.reshape(-1)).squeeze()


def perplexity(loss: float) -> float:
    """Return e to the power of `loss`, a mean cross-entropy in nats: infinity if that overflows.

    A model that spreads its belief evenly over n tokens has perplexity n.

    Source: Jelinek et al., Perplexity: a measure of the difficulty of speech recognition tasks
    (1977).
    """
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


def bits_per_byte(total_nats: float, total_bytes: int) -> float:
    """Return how many bits the model needs for a byte of the text, on average.

    total_nats / (total_bytes · ln 2)

    `total_nats` is the sum, not the mean, of the losses of all tokens of a text, and `total_bytes`
    the length of that text in UTF-8. Unlike a loss per token, this does not depend on how the text
    is cut into tokens.

    Source: Gao et al., The Pile: An 800GB Dataset of Diverse Text for Language Modeling (2020),
    section 3.1.
    """
    return total_nats / (total_bytes * math.log(2))


def get_batch(
    tokens: Integer[np.ndarray, "tokens"], batch_size: int, block_size: int, generator: torch.Generator
) -> tuple[
    Int64[Tensor, "{batch_size} {block_size}"],
    Int64[Tensor, "{batch_size} {block_size}"],
]:
    """Return inputs, windows of the text drawn at random, and targets, the token after each input.

    inputs[b, t] = tokens[s_b + t] and targets[b, t] = tokens[s_b + t + 1]

    where each start s_b is drawn independently, and every start is equally likely whose window and
    last target lie within the text. Both have block_size columns, so a window takes up
    block_size + 1 tokens. All randomness comes from `generator`, a torch.Generator on the CPU.

    `tokens` may be of any integer type, read-only, or a np.memmap far larger than memory: only the
    tokens that are returned are read.

    Source: Radford et al., Improving Language Understanding by Generative Pre-Training (2018),
    section 4.1, for training on random runs of neighbouring tokens.
    """
    windows = len(tokens) - block_size  # the last one starts at len(tokens) - block_size - 1
    starts = torch.randint(windows, (batch_size, 1), generator=generator)
    places = (starts + torch.arange(block_size)).numpy()  # (batch_size, block_size)
    # Indexing copies just these tokens. PyTorch takes int64 ids; uint16 would be no index to it.
    inputs, targets = (torch.from_numpy(tokens[at].astype(np.int64)) for at in (places, places + 1))
    return inputs, targets


def cosine_learning_rate(
    step: int, *, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int
) -> float:
    """Return the learning rate of a step: up in a straight line, down along half a cosine, then flat.

    max_lr · step / warmup_steps                        before warmup_steps
    min_lr + (max_lr - min_lr) · (1 + cos(π · u)) / 2   from there to total_steps
    min_lr                                              afterwards

    where u = (step - warmup_steps) / (total_steps - warmup_steps) runs from 0 to 1. With
    warmup_steps = 0 the rate starts at max_lr; with warmup_steps = total_steps there is no cosine.

    Source: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017),
    equation 5; Goyal et al., Accurate, Large Minibatch SGD (2017), section 2.2, for the warm-up.
    """
    if step < warmup_steps:
        return max_lr * step / warmup_steps
    # Before the division, which would be by zero for warmup_steps = total_steps.
    if step >= total_steps:
        return min_lr
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * progress)) / 2


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> Float[Tensor, ""]:
    """Scale all gradients, in place, to a norm of at most max_norm; return the norm before.

    norm = √(sum of the squares of all entries of all gradients)
    every gradient · min(1, max_norm / norm)

    One norm and one factor for all, so the direction of the step stays; if the norm is small enough,
    no gradient changes at all. A parameter whose gradient is None takes no part, and without any
    gradient the norm is zero. `parameters` may be an iterator that can be used only once, such as
    model.parameters().

    Source: Pascanu et al., On the difficulty of training recurrent neural networks (2013),
    section 3.2, algorithm 1.
    """
    # A list, as there are two rounds to make: a generator would be used up after the first.
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return torch.zeros(())
    norms = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients])
    norm = torch.linalg.vector_norm(norms)  # the norm of all entries is the norm of these norms
    # Compared on the device: an `if` would have to wait for the number. max_norm / 0 is infinite, so 1.
    factor = (max_norm / norm).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor)
    return norm


def configure_optimizer(
    model: nn.Module, *, learning_rate: float, weight_decay: float, betas: tuple[float, float] = (0.9, 0.95)
) -> torch.optim.AdamW:
    """Return an AdamW for the parameters that require gradients, with decay on matrices only.

    Parameters with two axes or more, so matrices and embeddings, get weight_decay; the others, so
    biases and the weights of norms, get 0. Each parameter is in exactly one group, once, also when
    it is shared between modules. Everything else but learning_rate and betas is AdamW's default.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019), algorithm 2; Brown
    et al., Language Models are Few-Shot Learners (2020), appendix B, for β₂ = 0.95.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    # fused: one pass over memory for each parameter, where the plain loop makes about ten. On a CPU
    # that is several times as fast.
    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, fused=True)


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    micro_batches: Iterable[tuple[Tensor, Tensor]],
    max_norm: float = 1.0,
) -> float:
    """Change the model by one step of the optimizer; return the mean loss from before that step.

    `micro_batches` are pairs (inputs, targets) of ids (batch, seq), on the device of the model,
    whose sizes may differ; it may be an iterator that can be used only once. Together they are one
    batch, seen in parts that fit into memory: the loss is the mean over all targets of all of them,
    where those equal to -100 do not count.

    Forget old gradients; add up those of the micro-batches, so that the sum is the gradient of that
    loss; clip it to max_norm, over all parameters of the model; step. Whether the model is in train
    or eval mode is left to the caller.

    Raises ValueError, before anything has changed, if no target counts.
    Source: Goodfellow et al., Deep Learning (2016), section 8.1.3, for steps on part of the data.
    """
    micro_batches = list(micro_batches)  # gone through twice: to count, then to learn
    counts = [int((targets != -100).sum()) for _, targets in micro_batches]
    total = sum(counts)
    if total == 0:
        raise ValueError(f"there is no target to learn from in {len(micro_batches)} micro-batches")
    optimizer.zero_grad()
    mean_loss = 0.0
    for (inputs, targets), count in zip(micro_batches, counts, strict=True):
        # The mean over a micro-batch counts for as much of the mean over all as it has targets.
        loss = cross_entropy(model(inputs), targets) * (count / total)
        loss.backward()  # adds to the gradients; and the graph, with all its memory, goes
        mean_loss += loss.item()
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return mean_loss


def evaluate(
    model: nn.Module, tokens: Integer[np.ndarray, "tokens"], *, block_size: int, batch_size: int
) -> float:
    """Return the mean loss of the model over a whole text, every token but the first a target once.

    The text is cut into consecutive windows of block_size inputs; the last one takes what is left,
    and may be shorter. The inputs of window i begin at tokens[i · block_size]; its targets are the
    token after each of them. At most batch_size windows go through the model at a time, on the
    device of its parameters (the CPU, if it has none). The mean is over all targets, whatever
    batch_size is.

    The model computes in eval mode and without gradients. Afterwards, also after an error, each of
    its modules is back in its own mode. Nothing is drawn at random.

    Source: Press et al., Shortformer: Better Language Modeling using Shorter Inputs (2021), section
    2, there "nonoverlapping" windows.
    """
    parameter = next(model.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    total = 0.0  # a Python float has the precision for a long sum, which float32 has not
    # no_grad rather than inference_mode: what a model may keep from here can be used in training.
    with _in_eval_mode(model), torch.no_grad():
        for window in _consecutive_windows(tokens, block_size, batch_size):
            inputs, targets = (torch.from_numpy(ids.astype(np.int64)).to(device) for ids in window)
            total += cross_entropy(model(inputs), targets).item() * targets.numel()
    return total / (len(tokens) - 1)


@contextmanager
def _in_eval_mode(model: nn.Module) -> Iterator[None]:
    # Each module has a mode of its own: part of a model may be frozen, in eval mode throughout.
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _consecutive_windows(
    tokens: np.ndarray, block_size: int, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Inputs and targets of up to batch_size whole windows at a time, then of the short one."""
    targets = len(tokens) - 1
    whole = targets - targets % block_size  # so many of them are in whole windows
    for start in range(0, whole, batch_size * block_size):
        stop = min(start + batch_size * block_size, whole)
        inputs, shifted = tokens[start:stop], tokens[start + 1 : stop + 1]
        yield inputs.reshape(-1, block_size), shifted.reshape(-1, block_size)
    if whole < targets:
        yield tokens[None, whole:-1], tokens[None, whole + 1 :]
