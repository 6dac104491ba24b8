"""Accounting: what a model costs, in arithmetic, memory and time, before it is built.

A transformer is almost nothing but matrix products, and how many numbers go into one is known from
the configuration alone. So a sheet of paper says how long a run takes, whether it fits into memory,
what share of the machine it uses, and which shape of model is best for a given time.

A FLOP is one floating-point operation, an addition or a multiplication. Rates are FLOPs or bytes per
second. House rules (README.md of kata 00): an error names the argument and the value.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64

from katas.k05_model.model import ModelConfig, TransformerLM, count_parameters


@dataclass(frozen=True)
class PowerLaw:  # given
    """A loss that falls with x towards a floor: law(x) = floor + scale · x^-exponent."""

    floor: float
    scale: float
    exponent: float

    def __call__(self, x: float) -> float:
        return self.floor + self.scale * x**-self.exponent


@dataclass(frozen=True)
class ScalingLaw:  # given
    """The loss of a model of N parameters after D tokens: E + A / N^alpha + B / D^beta.

    Source: Hoffmann et al., Training Compute-Optimal Large Language Models (2022), equation 2.
    """

    E: float  # the loss that no model and no amount of text gets below
    A: float
    alpha: float
    B: float
    beta: float

    def __call__(self, parameters: float, tokens: float) -> float:
        return self.E + self.A / parameters**self.alpha + self.B / tokens**self.beta


# Hoffmann et al. (2022), appendix D; and the same runs fitted again by Besiroglu et al., Chinchilla
# Scaling: A Replication Attempt (2024), who found the first fit to be off.
CHINCHILLA = ScalingLaw(E=1.69, A=406.4, alpha=0.34, B=410.7, beta=0.28)
CHINCHILLA_REFITTED = ScalingLaw(E=1.8172, A=482.01, alpha=0.3478, B=2085.43, beta=0.3658)


def forward_flops(config: ModelConfig, batch: int, seq: int) -> dict[str, int]:
    """Return the FLOPs of one forward pass of a TransformerLM on ids (batch, seq), part by part.

    The product of an (m, k) and a (k, n) matrix costs 2 · m · k · n: a multiplication and an addition
    for each of its terms. Only such products count; norms, GELU, softmax, biases, look-ups, the loss and
    everything else are left out. The keys are, in this order:

    - "projections": the query, key, value and output projections, in all blocks;
    - "scores": queries times keys, in all blocks and heads;
    - "values": attention weights times values, in all blocks and heads;
    - "feedforward": the two maps of the feed-forward networks, in all blocks;
    - "head": from the residual stream to a logit for each token of the vocabulary.

    All seq · seq scores of a head are computed, also those that the causal mask hides afterwards.

    Raises ValueError naming seq and block_size if seq is more than config.block_size.
    Source: Kaplan et al., Scaling Laws for Neural Language Models (2020), table 1 (there for one
    token).
    """
    if seq > config.block_size:
        raise ValueError(f"seq = {seq} is more than the block_size of {config.block_size}")
    positions = batch * seq
    square = 2 * positions * config.d_model**2  # every position through one d_model by d_model matrix
    # Each head multiplies (seq, d_head) by (d_head, seq), so all heads together make seq · d_model.
    read = 2 * positions * seq * config.d_model
    widened = 2 * positions * config.d_model * config.d_ff
    return {
        "projections": config.num_layers * 4 * square,
        "scores": config.num_layers * read,
        "values": config.num_layers * read,
        "feedforward": config.num_layers * 2 * widened,
        "head": 2 * positions * config.d_model * config.vocab_size,
    }


def train_flops(config: ModelConfig, tokens: int, seq: int) -> int:
    """Return the FLOPs of training on that many tokens, in windows of seq: forward and backward.

    A forward pass computes each product once. Its backward pass computes two of the same size, one for
    the gradient of either factor. So training costs three times the forward pass, as
    `forward_flops` counts it; the optimizer's work is left out.

    `tokens` need not be a multiple of seq: each token costs the seq-th part of its window. The count is
    exact however long the run is; a float is not beyond 2^53.

    Raises ValueError naming seq and block_size if seq is more than config.block_size.
    Source: Kaplan et al., Scaling Laws for Neural Language Models (2020), section 2.1.
    """
    window = sum(forward_flops(config, 1, seq).values())  # a multiple of seq, so // is exact
    return 3 * (window // seq) * tokens


def training_bytes(config: ModelConfig, batch: int, seq: int, bytes_per_number: int = 4) -> dict[str, int]:
    """Return the bytes of memory that a training step on ids (batch, seq) keeps, part by part.

    Every number takes bytes_per_number. The keys are, in this order:

    - "weights": one number for each parameter; a tied table counts once;
    - "gradients": one number for each parameter;
    - "optimizer": the two running averages of AdamW, so two numbers for each parameter;
    - "activations": what the forward pass has to keep for the backward pass, which is

        batch · seq · (num_layers · (8 · d_model + 2 · d_ff + num_heads · seq) + 2 · d_model + vocab_size)

    These are, for each block: the inputs of both norms; the input that the query, key and value
    projections share; queries, keys and values; the input of the output projection; the input of
    up_proj; what goes into the GELU and what comes out; the attention weights. At the end: the inputs of
    the final norm and of the head; and the log-probabilities, for the loss.

    So it counts what PyTorch's own functions keep (layer_norm, gelu, softmax, cross_entropy); a norm
    or a GELU written out in several steps keeps more. Left out are dropout, masks, ids, the
    statistics of the norms (two numbers a position), and whatever is gone before the backward pass.

    Raises ValueError naming seq and block_size if seq is more than config.block_size.
    Source: Rajbhandari et al., ZeRO (2020), section 3.1, for weights, gradients and averages;
    Korthikanti et al., Reducing Activation Recomputation in Large Transformer Models (2022),
    section 4.1, for activations.
    """
    if seq > config.block_size:
        raise ValueError(f"seq = {seq} is more than the block_size of {config.block_size}")
    with torch.device("meta"):  # a model with shapes, but without numbers: it takes no memory
        parameters = count_parameters(TransformerLM(config))
    block = 8 * config.d_model + 2 * config.d_ff + config.num_heads * seq
    kept = batch * seq * (config.num_layers * block + 2 * config.d_model + config.vocab_size)
    return {
        "weights": parameters * bytes_per_number,
        "gradients": parameters * bytes_per_number,
        "optimizer": 2 * parameters * bytes_per_number,
        "activations": kept * bytes_per_number,
    }


def attainable_flops(intensity: float, *, peak_flops: float, bytes_per_second: float) -> float:
    """Return the FLOPs per second that a computation can reach at most: its place under the roofline.

    min(peak_flops, intensity · bytes_per_second)

    `intensity` is how many FLOPs the computation takes for each byte that it moves between memory and
    processor. Below the knee, peak_flops / bytes_per_second, memory is the limit; above it, arithmetic.

    Source: Williams, Waterman and Patterson, Roofline: An Insightful Visual Performance Model for
    Multicore Architectures (2009).
    """
    return min(peak_flops, intensity * bytes_per_second)


def matmul_intensity(rows: int, inner: int, columns: int, bytes_per_number: int = 4) -> float:
    """Return the FLOPs per byte of the product of a (rows, inner) and an (inner, columns) matrix.

    2 · rows · inner · columns FLOPs, divided by the bytes of all three matrices: both factors are read
    once, and the product is written once.

    Source: Williams, Waterman and Patterson, Roofline (2009), on operational intensity.
    """
    numbers = rows * inner + inner * columns + rows * columns
    return 2 * rows * inner * columns / (numbers * bytes_per_number)


def model_flops_utilization(
    config: ModelConfig, tokens_per_second: float, seq: int, peak_flops: float
) -> float:
    """Return the share of the machine's peak that training at this speed puts into the model.

    FLOPs of training on one token, as `train_flops` counts them, · tokens_per_second / peak_flops

    Raises ValueError naming seq and block_size if seq is more than config.block_size.
    Source: Chowdhery et al., PaLM: Scaling Language Modeling with Pathways (2022), section 4.1 and
    appendix B.
    """
    return train_flops(config, 1, seq) * tokens_per_second / peak_flops


def fit_power_law(x: Float64[np.ndarray, "runs"], loss: Float64[np.ndarray, "runs"]) -> PowerLaw:
    """Return the power law, with a floor, that fits the losses of some runs best.

    loss ≈ floor + scale · x^-exponent

    x, all above zero, holds for each run what was varied: parameters, tokens, steps or FLOPs. The runs
    come in any order. "Best" means the smallest sum of squared differences, in the losses or in their
    logarithms. The exponent is looked for between 0.01 and 3. How to search is free; losses that follow
    a law exactly give back its three numbers, the floor to within 0.001 and the others within 1 %.

    Raises ValueError naming x if it holds fewer than three different values: a law with three unknown
    numbers passes exactly through two points, whatever they are.
    Source: Hestness et al., Deep Learning Scaling is Predictable, Empirically (2017), for
    the form; Golub and Pereyra, The Differentiation of Pseudo-Inverses and Nonlinear Least Squares
    Problems Whose Variables Separate (1973), for one way to search.
    """
    if len(np.unique(x)) < 3:
        raise ValueError(f"x = {x.tolist()} holds fewer than three different values")
    # With the exponent fixed, floor and scale are a straight line's: least squares gives them at once.
    # So one number is left to search for: on a grid, then on finer ones around the best of it.
    low, high = 0.01, 3.0
    while high - low > 1e-9:
        exponents = np.linspace(low, high, 31)
        best = int(np.argmin([_line(x, loss, exponent)[1] for exponent in exponents]))
        low, high = exponents[max(best - 1, 0)], exponents[min(best + 1, 30)]
    (floor, scale), _ = _line(x, loss, exponents[best])
    return PowerLaw(float(floor), float(scale), float(exponents[best]))


def _line(x: np.ndarray, loss: np.ndarray, exponent: float) -> tuple[np.ndarray, float]:
    """Floor and scale that fit best with this exponent, and the sum of the squared differences."""
    unit = x.min()  # x^-exponent would be 1e-40 for large x: counted in units of the least, it is 1
    columns = np.stack([np.ones_like(x), (x / unit) ** -exponent], axis=1)
    floor_and_scale = np.linalg.lstsq(columns, loss, rcond=None)[0]
    error = float(np.square(columns @ floor_and_scale - loss).sum())
    return floor_and_scale * [1, unit**exponent], error


def compute_optimal(law: ScalingLaw, flops: float) -> tuple[float, float]:
    """Return the parameters N and the tokens D with which a budget of FLOPs gives the lowest loss.

    The budget is spent in full: 6 · N · D = flops, at two FLOPs forward and four backward for each
    parameter and token. Both numbers are real, not rounded. Setting the derivative of law(N, D) to
    zero along that curve gives

    N = G · (flops / 6)^(beta / (alpha + beta)), where G = (alpha · A / (beta · B))^(1 / (alpha + beta))

    Raises ValueError naming flops if it is not above zero.
    Source: Hoffmann et al., Training Compute-Optimal Large Language Models (2022), equation 4.
    """
    if not flops > 0:
        raise ValueError(f"flops must be above zero, not {flops}")
    both = law.alpha + law.beta
    product = flops / 6  # N · D
    parameters = (law.alpha * law.A / (law.beta * law.B)) ** (1 / both) * product ** (law.beta / both)
    return parameters, product / parameters
