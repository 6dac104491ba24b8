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
    raise NotImplementedError


def perplexity(loss: float) -> float:
    """Return e to the power of `loss`, a mean cross-entropy in nats: infinity if that overflows.

    A model that spreads its belief evenly over n tokens has perplexity n.

    Source: Jelinek et al., Perplexity: a measure of the difficulty of speech recognition tasks
    (1977).
    """
    raise NotImplementedError


def bits_per_byte(total_nats: float, total_bytes: int) -> float:
    """Return how many bits the model needs for a byte of the text, on average.

    total_nats / (total_bytes · ln 2)

    `total_nats` is the sum, not the mean, of the losses of all tokens of a text, and `total_bytes`
    the length of that text in UTF-8. Unlike a loss per token, this does not depend on how the text
    is cut into tokens.

    Source: Gao et al., The Pile: An 800GB Dataset of Diverse Text for Language Modeling (2020),
    section 3.1.
    """
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError
