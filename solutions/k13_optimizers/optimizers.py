"""Optimizers: AdamW and Muon by hand, and both at once.

A gradient says which way the loss falls; an optimizer decides how far each weight goes. AdamW divides
by the size that the gradients of a weight usually have, one weight at a time. Muon looks at a matrix as
a whole, and makes all its singular values about equal. Muon moves the hidden matrices of a model, AdamW
everything else; `Together` makes one optimizer of the two.

House rules (README.md of kata 00): arguments are never modified, here the gradients; results have the
inputs' dtype and device. A parameter is changed in place: it has to be the same object afterwards.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


class AdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay.

    For a parameter p with gradient g, at its t-th step, t = 1, 2, …:

    p ← p · (1 - lr · weight_decay)
    m ← β₁ · m + (1 - β₁) · g,   v ← β₂ · v + (1 - β₂) · g²          both are zero before the first step
    p ← p - lr · (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + eps)

    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization (2015), algorithm 1; Loshchilov and
    Hutter, Decoupled Weight Decay Regularization (2019), algorithm 2.
    """

    def __init__(  # given
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        """Take parameters, or dicts {"params": …, …} whose other entries replace the options for these."""
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        """Change each parameter that has a gradient, in place, by the formulas of the class.

        The options are those that its group in `param_groups` has now. m, v and t are in
        `state[parameter]`, each parameter's own, as tensors of its dtype and device, and numbers; so
        `state_dict` saves them. A parameter whose gradient is None is skipped, and gets no state.
        """
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)

    def _move(self, parameter: Tensor, group: dict[str, Any]) -> None:
        gradient, state, (beta1, beta2) = parameter.grad, self.state[parameter], group["betas"]
        if not state:
            state.update(t=0, m=torch.zeros_like(parameter), v=torch.zeros_like(parameter))
        state["t"] += 1
        state["m"].lerp_(gradient, 1 - beta1)
        state["v"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        # The corrections are numbers: applied to the root and to lr, they cost no tensor of their own.
        root = state["v"].sqrt().div_(math.sqrt(1 - beta2 ** state["t"])).add_(group["eps"])
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.addcdiv_(state["m"], root, value=-group["lr"] / (1 - beta1 ** state["t"]))


def orthogonalize(
    matrix: Float[Tensor, "*batch rows columns"], steps: int = 5
) -> Float[Tensor, "*batch rows columns"]:
    """Return each matrix with its singular vectors unchanged, and its singular values brought near 1.

    X ← matrix / ‖matrix‖_F, then `steps` times X ← a · X + b · (X Xᵀ) X + c · (X Xᵀ)² X

    with a = 3.4445, b = -4.7750, c = 2.0315: a singular value s becomes a · s + b · s³ + c · s⁵. Five
    steps bring every singular value that is at least 1 % of the Frobenius norm into [0.65, 1.15].

    ‖matrix‖_F is the root of the sum of all squares of a matrix; something up to 1e-7 may be added to
    it, so that zeros give zeros. A matrix with more rows than columns takes no more arithmetic than its
    transpose does: the products X Xᵀ are as small as the shorter side allows. Everything is computed in
    the dtype of the matrix.

    Source: Jordan et al., Muon: An optimizer for hidden layers in neural networks (2024), for the
    coefficients; Higham, Functions of Matrices (2008), chapter 8, for Newton-Schulz iterations.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.mT if tall else matrix
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    for _ in range(steps):
        square = x @ x.mT  # (*batch, shorter, shorter)
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalized: all directions that a matrix can move in are moved in equally.

    For a parameter p of shape (rows, columns) with gradient g:

    p ← p · (1 - lr · weight_decay)
    m ← momentum · m + g                                             zero before the first step
    p ← p - lr · √max(1, rows / columns) · orthogonalize(g + momentum · m, steps)

    where the m in the last line is the new one: Nesterov's momentum.

    Source: Jordan et al., Muon: An optimizer for hidden layers in neural networks (2024); Loshchilov and
    Hutter, Decoupled Weight Decay Regularization (2019), for the decay.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        steps: int = 5,
    ):
        """Take parameters, or dicts as AdamW does.

        Raises ValueError naming the shape of a parameter that does not have exactly two axes.
        """
        super().__init__(
            params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "steps": steps}
        )
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.dim() != 2:
                    raise ValueError(
                        f"Muon moves matrices, not a parameter of shape {tuple(parameter.shape)}"
                    )

    @torch.no_grad()
    def step(self) -> None:
        """Change each parameter that has a gradient, in place, by the formulas of the class.

        Options, state and parameters without a gradient are as in AdamW. Matrices of one shape can be
        stacked and orthogonalized together: a few large products take less time than many small ones.
        """
        for group in self.param_groups:
            for (rows, columns, *_), matrices in _by_kind(group["params"]).items():
                momenta = torch.stack([self._momentum(matrix, group["momentum"]) for matrix in matrices])
                distance = group["lr"] * math.sqrt(max(1, rows / columns))
                for matrix, update in zip(matrices, orthogonalize(momenta, group["steps"]), strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.sub_(update, alpha=distance)

    def _momentum(self, matrix: Tensor, momentum: float) -> Tensor:
        """Nesterov's: where the momentum will have taken the gradients a step later."""
        state = self.state[matrix]
        if not state:
            state["m"] = torch.zeros_like(matrix)
        state["m"].mul_(momentum).add_(matrix.grad)
        return matrix.grad.add(state["m"], alpha=momentum)


def _by_kind(parameters: Iterable[Tensor]) -> dict[tuple[Any, ...], list[Tensor]]:
    """Parameters that have a gradient, in lists of those that can be stacked."""
    kinds = defaultdict(list)
    for parameter in parameters:
        if parameter.grad is not None:
            kinds[(*parameter.shape, parameter.dtype, parameter.device)].append(parameter)
    return kinds


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the hidden matrices of a model, which are for Muon, and all its other parameters.

    A hidden matrix is a parameter with exactly two axes inside `model.blocks`. The rest are embeddings,
    positions, the head and anything else outside the blocks, and the norms and biases inside them. Each
    parameter that requires a gradient is in one of the lists, once, also when it is shared between
    modules; a frozen one is in neither. Both lists are in the order of `model.parameters()`, as a
    checkpoint knows a parameter only by its place.

    Source: Jordan et al., Muon: An optimizer for hidden layers in neural networks (2024), for what is
    left to AdamW.
    """
    hidden = [p for p in model.blocks.parameters() if p.requires_grad and p.dim() == 2]
    taken = {id(p) for p in hidden}  # by identity: == would compare the numbers
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
    return hidden, rest


class Together(torch.optim.Optimizer):
    """Several optimizers as one, for all that takes an optimizer: train_step, checkpoints, schedules.

    `param_groups` has the groups of all of them, in order, but each group's "lr" is the one of the first
    group. So a schedule that sets one learning rate in all groups means that of the first group; the
    other groups keep the ratio to it that they had when Together was made:

    learning rate of a group in a step = its own, when made · (its "lr" now / the first group's, when made)

    As long as no "lr" is changed, that is exactly its own. The state dict holds the state and the groups
    of all optimizers, their ratios included.
    """

    def __init__(self, *optimizers: torch.optim.Optimizer):
        """Take one or more optimizers, none of which share a parameter; they are stepped from here only."""
        first = optimizers[0].param_groups[0]["lr"]
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        super().__init__([{**group, "lr": first, "own_lr": group["lr"]} for group in groups], {})
        self.optimizers = optimizers
        for optimizer in optimizers:
            self.state.update(optimizer.state)  # by parameter, so each finds its own among all

    @torch.no_grad()
    def step(self) -> None:
        """Step each optimizer on its own groups, with the learning rates of the formula."""
        first, groups = self.param_groups[0]["own_lr"], iter(self.param_groups)
        for optimizer in self.optimizers:
            # Lent for this step. state_dict and load_state_dict, which are inherited, see only Together's.
            optimizer.state = self.state
            optimizer.param_groups = [
                {**group, "lr": group["own_lr"] * (group["lr"] / first)}
                for group in islice(groups, len(optimizer.param_groups))
            ]
            optimizer.step()


def configure_muon(  # given
    model: nn.Module,
    *,
    learning_rate: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.95),
    muon_learning_rate: float = 0.02,
) -> torch.optim.Optimizer:
    """Return Muon for the hidden matrices of a model and AdamW for the rest, as one optimizer.

    AdamW comes first, so a schedule sets its learning rate. As in kata 06, only matrices and tables decay.
    """
    hidden, rest = split_parameters(model)
    groups = [
        {"params": [p for p in rest if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in rest if p.dim() < 2], "weight_decay": 0.0},
    ]
    return Together(
        AdamW(groups, lr=learning_rate, betas=betas),
        Muon(hidden, lr=muon_learning_rate, weight_decay=weight_decay),
    )
