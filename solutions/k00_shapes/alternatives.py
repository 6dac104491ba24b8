"""Other correct ways to write this kata; its tests must accept every one."""

import itertools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor, nn


def pairwise_dot__einsum(
    x: Float[Tensor, "*batch n d"], y: Float[Tensor, "*batch m d"]
) -> Float[Tensor, "*batch n m"]:
    """As a formula of indices: d is missing from the result, so it is summed over."""
    return torch.einsum("...nd,...md->...nm", x, y)


def pairwise_dot__broadcast(
    x: Float[Tensor, "*batch n d"], y: Float[Tensor, "*batch m d"]
) -> Float[Tensor, "*batch n m"]:
    """Every product written out, then summed: easy to check, but it needs d times the memory."""
    products = x.unsqueeze(-2) * y.unsqueeze(-3)  # (*batch, n, 1, d) * (*batch, 1, m, d)
    return products.sum(dim=-1)


def pairwise_dot__matrix_transpose(
    x: Float[Tensor, "*batch n d"], y: Float[Tensor, "*batch m d"]
) -> Float[Tensor, "*batch n m"]:
    """With `.mT`, which transposes the last two axes, where `.T` would reverse them all."""
    return torch.matmul(x, y.mT)


def pairwise_dot__column_by_column(
    x: Float[Tensor, "*batch n d"], y: Float[Tensor, "*batch m d"]
) -> Float[Tensor, "*batch n m"]:
    """One column of the result for each vector of y: a loop over the vectors, none over numbers."""
    columns = [(x * vector.unsqueeze(-2)).sum(dim=-1) for vector in y.unbind(dim=-2)]  # m of (*batch, n)
    return torch.stack(columns, dim=-1)


def masked_mean__guarded_count(
    x: Float[Tensor, "*batch seq d"], mask: Bool[Tensor, "*batch seq"]
) -> Float[Tensor, "*batch d"]:
    """A count that is a hundred-millionth too large, so that it is never zero."""
    kept = x.masked_fill(~mask[..., None], 0.0)
    return kept.sum(dim=-2) / (mask.sum(dim=-1, keepdim=True) + 1e-8)


def masked_mean__masked_fill(
    x: Float[Tensor, "*batch seq d"], mask: Bool[Tensor, "*batch seq"]
) -> Float[Tensor, "*batch d"]:
    """Overwrites the hidden vectors in a copy, and indexes with None to add the axis."""
    kept = x.masked_fill(~mask[..., None], 0.0)
    return kept.sum(dim=-2) / mask.sum(dim=-1)[..., None].clamp(min=1)


def masked_mean__boolean_assignment(
    x: Float[Tensor, "*batch seq d"], mask: Bool[Tensor, "*batch seq"]
) -> Float[Tensor, "*batch d"]:
    """Zeroes whole vectors through a boolean index, in a clone because x belongs to the caller."""
    kept = x.clone()
    kept[~mask] = 0.0
    return kept.sum(dim=-2) / mask.sum(dim=-1, keepdim=True).clamp(min=1)


def masked_mean__weighted_sum(
    x: Float[Tensor, "*batch seq d"], mask: Bool[Tensor, "*batch seq"]
) -> Float[Tensor, "*batch d"]:
    """The mean as a weighted sum, one weight a position: the shape that attention has later."""
    visible = mask.to(x.dtype)
    weights = visible / visible.sum(dim=-1, keepdim=True).clamp(min=1)  # (*batch, seq)
    # A weight of zero does not silence a NaN: the hidden vectors have to go all the same.
    kept = torch.where(mask.unsqueeze(-1), x, 0.0)
    return torch.einsum("...s,...sd->...d", weights, kept)


def masked_mean__empty_set_apart(
    x: Float[Tensor, "*batch seq d"], mask: Bool[Tensor, "*batch seq"]
) -> Float[Tensor, "*batch d"]:
    """Treats the empty mean as a case of its own, with a harmless divisor on the branch not taken."""
    count = mask.sum(dim=-1, keepdim=True)
    something = count > 0  # (*batch, 1)
    total = torch.where(mask.unsqueeze(-1), x, torch.zeros_like(x)).sum(dim=-2)
    mean = total / torch.where(something, count, 1)
    return torch.where(something, mean, 0.0)


def one_hot__functional(
    ids: Int[Tensor, "*batch"], num_classes: int
) -> Float[Tensor, "*batch {num_classes}"]:
    """PyTorch's own, which wants int64, returns int64, and does not raise IndexError."""
    if ((ids < 0) | (ids >= num_classes)).any():
        raise IndexError(f"some id is outside 0 … {num_classes - 1}")
    return F.one_hot(ids.long(), num_classes).to(torch.get_default_dtype())


def one_hot__rows_of_identity(
    ids: Int[Tensor, "*batch"], num_classes: int
) -> Float[Tensor, "*batch {num_classes}"]:
    """Row i of the identity matrix is the vector for id i; indexing itself refuses too large an id."""
    if (ids < 0).any():  # indexing would count from the end
        raise IndexError("an id is negative")
    return torch.eye(num_classes, device=ids.device)[ids.long()]


def one_hot__scatter(ids: Int[Tensor, "*batch"], num_classes: int) -> Float[Tensor, "*batch {num_classes}"]:
    """Starts from zeros and writes a one at the place that each id names."""
    if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < num_classes:
        raise IndexError(f"some id is outside 0 … {num_classes - 1}")
    zeros = torch.zeros(*ids.shape, num_classes, device=ids.device)
    return zeros.scatter_(-1, ids.long().unsqueeze(-1), 1.0)


def one_hot__id_by_id(ids: Int[Tensor, "*batch"], num_classes: int) -> Float[Tensor, "*batch {num_classes}"]:
    """In plain Python, one id after the other: slow, and hard to get wrong."""
    rows = torch.zeros(ids.numel(), num_classes, device=ids.device)
    for row, id in zip(rows, ids.flatten().tolist(), strict=True):
        if not 0 <= id < num_classes:
            raise IndexError(f"id {id} is outside 0 … {num_classes - 1}")
        row[id] = 1.0
    return rows.reshape(*ids.shape, num_classes)


class Linear__functional(nn.Module):
    """With F.linear, which takes a missing bias, and nn.init, which fills tensors in place."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        """Make the parameters first, then fill all of them alike."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features)) if bias else None
        bound = in_features**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """Return what F.linear makes of both parameters."""
        return F.linear(x, self.weight, self.bias)


class Linear__einsum(nn.Module):
    """With einsum, which needs no transpose, and numbers from [0, 1) that are stretched and moved."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        """Draw from U(0, 1), and bring that to U(-bound, bound)."""
        super().__init__()
        bound = 1 / math.sqrt(in_features)
        self.weight = nn.Parameter((2 * torch.rand(out_features, in_features) - 1) * bound)
        self.register_parameter("bias", None)
        if bias:
            self.bias = nn.Parameter((2 * torch.rand(out_features) - 1) * bound)

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """Return the sum over the inputs i for every output o."""
        y = torch.einsum("...i,oi->...o", x, self.weight)
        if self.bias is not None:
            y = y + self.bias
        return y


class Linear__row_by_row(nn.Module):
    """Every output as the dot product of the input with a row of the weight, by broadcasting."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        """Draw with Kaiming's rule, whose a = √5 amounts to the bound 1/√in_features."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        bound = 1 / math.sqrt(in_features)
        self.bias = nn.Parameter(torch.empty(out_features).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """Return the sums over the last axis of (*batch, 1, in) * (out, in)."""
        y = (x.unsqueeze(-2) * self.weight).sum(dim=-1)
        return y if self.bias is None else y + self.bias


class Linear__torch(nn.Linear):
    """PyTorch's own layer, which keeps the same contract: what you wrote is what everybody uses."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        """Hand everything on."""
        super().__init__(in_features, out_features, bias=bias)

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """Return what torch.nn.Linear returns."""
        return super().forward(x)


def numerical_gradient__index_tuples(
    f: Callable[[Tensor], Tensor | float], x: Float64[Tensor, "*shape"], eps: float = 1e-6
) -> Float64[Tensor, "*shape"]:
    """Walks over index tuples such as (2, 0, 1) instead of flattening anything."""
    gradient = torch.zeros(x.shape, dtype=x.dtype, device=x.device)
    for index in itertools.product(*map(range, x.shape)):
        step = torch.zeros_like(gradient)
        step[index] = eps
        gradient[index] = (float(f(x.detach() + step)) - float(f(x.detach() - step))) / (2 * eps)
    return gradient


def numerical_gradient__nudged_copy(
    f: Callable[[Tensor], Tensor | float], x: Float64[Tensor, "*shape"], eps: float = 1e-6
) -> Float64[Tensor, "*shape"]:
    """Moves one copy of x to and fro, which saves a tensor for each step but has to be put back."""
    point = x.detach().clone(memory_format=torch.contiguous_format)  # contiguous, so it has a flat view
    entries, gradient = point.view(-1), torch.zeros_like(point)
    for i, entry in enumerate(entries.tolist()):
        entries[i] = entry + eps
        above = float(f(point))  # as a number, for f may return a view of `point`
        entries[i] = entry - eps
        below = float(f(point))
        entries[i] = entry
        gradient.view(-1)[i] = (above - below) / (2 * eps)
    return gradient


def numerical_gradient__rows_of_identity(
    f: Callable[[Tensor], Tensor | float], x: Float64[Tensor, "*shape"], eps: float = 1e-6
) -> Float64[Tensor, "*shape"]:
    """Takes all steps from a scaled identity matrix, and the slopes from a list."""
    x = x.detach()
    steps = eps * torch.eye(x.numel(), dtype=x.dtype, device=x.device)
    pairs = [(x + step.view(x.shape), x - step.view(x.shape)) for step in steps]
    slopes = [(float(f(above)) - float(f(below))) / (2 * eps) for above, below in pairs]
    return torch.tensor(slopes, dtype=x.dtype, device=x.device).view(x.shape)


def numerical_gradient__flat_function(
    f: Callable[[Tensor], Tensor | float], x: Float64[Tensor, "*shape"], eps: float = 1e-6
) -> Float64[Tensor, "*shape"]:
    """Turns f into a function of a flat vector first, so that the loop knows of no shapes."""
    flat = x.detach().reshape(-1)

    def value_with_entry_moved(i: int, by: float) -> float:
        moved = flat.clone()
        moved[i] += by
        return float(f(moved.reshape(x.shape)))

    gradient = torch.zeros_like(flat)
    for i in range(len(flat)):
        gradient[i] = (value_with_entry_moved(i, eps) - value_with_entry_moved(i, -eps)) / (2 * eps)
    return gradient.reshape(x.shape)
