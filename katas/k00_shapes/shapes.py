"""The small tools that every later kata leans on.

Five exercises in thinking by shape: every pair of two lists of vectors, a mean that knows what to
leave out, ids turned into vectors, the layer of which a transformer mostly consists, and a way to
check any gradient by hand.

House rules (README.md): arguments are never modified; results have the inputs' dtype and device.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor, nn


def pairwise_dot(
    x: Float[Tensor, "*batch n d"], y: Float[Tensor, "*batch m d"]
) -> Float[Tensor, "*batch n m"]:
    """Return the dot product of every vector in x with every vector in y.

    out[…, i, j] = Σ_k x[…, i, k] · y[…, j, k]

    Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.2.1: the q kᵀ inside
    attention is this function.
    """
    raise NotImplementedError


def masked_mean(
    x: Float[Tensor, "*batch seq d"], mask: Bool[Tensor, "*batch seq"]
) -> Float[Tensor, "*batch d"]:
    """Return the mean over the sequence of those vectors whose mask is True.

    out[…, k] = Σ_s mask[…, s] · x[…, s, k] / Σ_s mask[…, s]

    What the mask hides has no influence on the result or on any gradient, even if it is NaN or
    infinite. A NaN that counts is not covered up: the mean is NaN in that feature. Where nothing
    counts the mean is zero, and the gradients are zero too. The result is on the device of x.
    """
    raise NotImplementedError


def one_hot(ids: Int[Tensor, "*batch"], num_classes: int) -> Float[Tensor, "*batch {num_classes}"]:
    """Return for every id a vector that is one at the position of the id and zero elsewhere.

    out[…, c] = 1 if ids[…] = c, else 0

    The ids may have any integer type and any shape, also that of a single number or of an empty
    batch. The result has the default floating-point type (`torch.get_default_dtype()`) and is on
    the device of the ids.

    Raises IndexError if an id is outside 0 … num_classes - 1; a negative id is outside.
    """
    raise NotImplementedError


class Linear(nn.Module):
    """An affine map of the last axis, y = x Wᵀ + b, with a learned W and b.

    The parameters are called `weight`, of shape (out_features, in_features), and `bias`, of shape
    (out_features), as in `torch.nn.Linear`, so that the two can load each other's state dict, in
    which parameters are stored by name.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        """Create the parameters, every entry drawn from U(-1/√in_features, 1/√in_features).

        U is the uniform distribution: all numbers between the bounds are equally likely.

        With bias=False the attribute `bias` is None and the state dict holds `weight` only.
        Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward
        neural networks" (2010), equation 1, for the weight.
        """
        raise NotImplementedError

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """Return x Wᵀ + b, or x Wᵀ if there is no bias."""
        raise NotImplementedError


def numerical_gradient(
    f: Callable[[Tensor], Tensor | float], x: Float64[Tensor, "*shape"], eps: float = 1e-6
) -> Float64[Tensor, "*shape"]:
    """Return the gradient of the scalar function f at x, estimated by central differences.

    out[i] = (f(x + eps · e_i) - f(x - eps · e_i)) / (2 · eps)

    where e_i is one at entry i and zero elsewhere. f returns a Python float or a tensor without
    axes, which may even be a view of its argument. x keeps its values and is never written to,
    whatever its memory layout; the result does not take part in autograd.

    Source: Baydin et al., "Automatic Differentiation in Machine Learning: a Survey" (2018),
    section 2.1, on numerical differentiation and its two kinds of error.
    """
    raise NotImplementedError
