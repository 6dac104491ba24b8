"""Other correct ways to write this kata; its tests must accept every one."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from katas.k13_optimizers.optimizers import orthogonalize


class AdamW__as_the_formula_stands(torch.optim.Optimizer):
    """Every line of the formula in new tensors, and one copy into the parameter at the end."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def step(self) -> None:
        with torch.no_grad():
            for group in self.param_groups:
                beta1, beta2 = group["betas"]
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    s = self.state[p]
                    t = s["step"] = s.get("step", 0) + 1
                    m = s["exp_avg"] = beta1 * s.get("exp_avg", 0) + (1 - beta1) * p.grad
                    v = s["exp_avg_sq"] = beta2 * s.get("exp_avg_sq", 0) + (1 - beta2) * p.grad**2
                    move = (m / (1 - beta1**t)) / ((v / (1 - beta2**t)) ** 0.5 + group["eps"])
                    p.copy_(p * (1 - group["lr"] * group["weight_decay"]) - group["lr"] * move)


class AdamW__one_factor(torch.optim.Optimizer):
    """Both corrections in one factor, eps scaled to fit; the data of the parameters; a tensor for t."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def step(self, closure=None):
        for group in self.param_groups:
            lr, (b1, b2), eps = group["lr"], group["betas"], group["eps"]
            for p in [p for p in group["params"] if p.grad is not None]:
                if p not in self.state:
                    self.state[p]["step"] = torch.tensor(0.0)
                    self.state[p]["moments"] = torch.zeros(2, *p.shape, dtype=p.dtype, device=p.device)
                s = self.state[p]
                s["step"] += 1
                t = s["step"].item()
                s["moments"][0].add_(p.grad - s["moments"][0], alpha=1 - b1)
                s["moments"][1].add_(p.grad * p.grad - s["moments"][1], alpha=1 - b2)
                root2 = math.sqrt(1 - b2**t)
                m, v = s["moments"]
                p.data -= lr * group["weight_decay"] * p.data
                p.data -= lr * root2 / (1 - b1**t) * m / (v.sqrt() + eps * root2)


class AdamW__pytorchs(torch.optim.AdamW):
    """PyTorch's."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, foreach=False)


def orthogonalize__from_the_right(
    matrix: Float[Tensor, "*batch rows columns"], steps: int = 5
) -> Float[Tensor, "*batch rows columns"]:
    """Tall matrices are not transposed but multiplied from the right, by their own Gram matrix."""
    a, b, c = (3.4445, -4.7750, 2.0315)
    x = matrix / (matrix.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        if x.shape[-2] > x.shape[-1]:
            gram = x.transpose(-2, -1) @ x
            x = a * x + x @ (b * gram + c * (gram @ gram))
        else:
            gram = x @ x.transpose(-2, -1)
            x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x


def orthogonalize__einsum(
    matrix: Float[Tensor, "*batch rows columns"], steps: int = 5
) -> Float[Tensor, "*batch rows columns"]:
    """Recursive for tall matrices; the products as einsum, the norm as the root of a sum."""
    if matrix.shape[-1] < matrix.shape[-2]:
        return orthogonalize(matrix.transpose(-1, -2), steps).transpose(-1, -2)
    norm = torch.sqrt(torch.sum(matrix * matrix, dim=(-1, -2), keepdim=True))
    x = matrix / torch.maximum(norm, torch.full_like(norm, 1e-7))
    for _ in range(steps):
        gram = torch.einsum("...ik,...jk->...ij", x, x)
        cubic = torch.einsum("...ij,...jk->...ik", gram, x)
        x = 3.4445 * x - 4.7750 * cubic + 2.0315 * torch.einsum("...ij,...jk->...ik", gram, cubic)
    return x


def orthogonalize__added_to_the_diagonal(
    matrix: Float[Tensor, "*batch rows columns"], steps: int = 5
) -> Float[Tensor, "*batch rows columns"]:
    """One product with aI + bG + cG², in flat batches by baddbmm."""
    shape = matrix.shape
    x = matrix.reshape(-1, *shape[-2:])
    transposed = shape[-2] > shape[-1]
    x = x.mT if transposed else x
    x = torch.nn.functional.normalize(x.flatten(1), dim=1, eps=1e-7).reshape(x.shape)
    one = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    for _ in range(steps):
        gram = torch.bmm(x, x.mT)
        x = torch.bmm(3.4445 * one + torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315), x)
    return (x.mT if transposed else x).reshape(shape)


def orthogonalize__gram_matrix_alone(
    matrix: Float[Tensor, "*batch rows columns"], steps: int = 5
) -> Float[Tensor, "*batch rows columns"]:
    """All steps on the Gram matrix, whose polynomials commute; the matrix is multiplied once, at the end."""
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.mT if tall else matrix
    x = x / x.square().sum((-2, -1), keepdim=True).sqrt().clamp_min(1e-12)
    gram = x @ x.mT
    one = torch.eye(gram.shape[-1], dtype=x.dtype, device=x.device)
    factor = one
    for _ in range(steps):
        polynomial = 3.4445 * one - 4.7750 * gram + 2.0315 * (gram @ gram)
        factor, gram = polynomial @ factor, polynomial @ gram @ polynomial
    x = factor @ x
    return x.mT if tall else x


class Muon__one_by_one(torch.optim.Optimizer):
    """Matrix by matrix; both averages by lerp, which only changes the scale; refused when added."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        steps: int = 5,
    ):
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "steps": steps}
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            if p.ndim != 2:
                raise ValueError(f"{p.shape} is not the shape of a matrix")

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            lr, beta = group["lr"], group["momentum"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(p.grad)
                buffer = state["momentum_buffer"].lerp_(p.grad, 1 - beta)
                update = orthogonalize(p.grad.lerp(buffer, beta), group["steps"])
                p.mul_(1 - lr * group["weight_decay"])
                p.add_(update, alpha=-lr * max(1, p.size(0) / p.size(1)) ** 0.5)


class Muon__new_tensors(torch.optim.Optimizer):
    """Nothing in place but the parameter; the momentum of the first step is the gradient."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        steps: int = 5,
    ):
        params = list(params)
        for p in params:
            for each in p["params"] if isinstance(p, dict) else [p]:
                if len(each.shape) != 2:
                    raise ValueError(f"shape {list(each.shape)}")
        super().__init__(
            params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "steps": steps}
        )

    def step(self) -> None:
        for group in self.param_groups:
            for p in filter(lambda p: p.grad is not None, group["params"]):
                m = p.grad.clone()
                if "m" in self.state[p]:
                    m = group["momentum"] * self.state[p]["m"] + p.grad
                self.state[p]["m"] = m
                direction = orthogonalize(p.grad + group["momentum"] * m, steps=group["steps"])
                scale = (max(p.shape[0], p.shape[1]) / p.shape[1]) ** 0.5
                p.data = p.data - group["lr"] * (group["weight_decay"] * p.data + scale * direction)


def split_parameters__by_name(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """By the names that begin with "blocks."."""
    hidden, rest = [], []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        is_hidden = name.startswith("blocks.") and parameter.ndim == 2
        (hidden if is_hidden else rest).append(parameter)
    return hidden, rest


def split_parameters__by_sets(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """A set of the matrices in the blocks, in which parameters are found by identity."""
    matrices = {p for block in model.blocks for p in block.parameters() if len(p.shape) == 2}
    trained = [p for p in model.parameters() if p.requires_grad]
    return [p for p in trained if p in matrices], [p for p in trained if p not in matrices]


class Together__delegating(torch.optim.Optimizer):
    """The optimizers keep groups and state; the rates are multiplied for the step and put back."""

    def __init__(self, *optimizers: torch.optim.Optimizer):
        self.optimizers = list(optimizers)
        self.rates = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
        super().__init__([group for optimizer in optimizers for group in optimizer.param_groups], {})
        for group in self.param_groups:
            group["lr"] = self.rates[0]

    def step(self) -> None:
        shown = [group["lr"] for group in self.param_groups]
        for group, rate in zip(self.param_groups, self.rates, strict=True):
            group["lr"] = rate if group["lr"] == self.rates[0] else group["lr"] * rate / self.rates[0]
        for optimizer in self.optimizers:
            optimizer.step()
        for group, lr in zip(self.param_groups, shown, strict=True):
            group["lr"] = lr

    def state_dict(self):
        return {"parts": [optimizer.state_dict() for optimizer in self.optimizers], "rates": self.rates}

    def load_state_dict(self, state_dict):
        for optimizer, part in zip(self.optimizers, state_dict["parts"], strict=True):
            optimizer.load_state_dict(part)
        self.rates = list(state_dict["rates"])
        self.param_groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]


class Together__one_state(torch.optim.Optimizer):
    """One state for all, linked again after loading; copies of the groups are handed over once."""

    def __init__(self, *optimizers: torch.optim.Optimizer):
        self.parts = [(optimizer, len(optimizer.param_groups)) for optimizer in optimizers]
        groups = []
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                groups.append({**group, "made_with": (group["lr"], optimizers[0].param_groups[0]["lr"])})
        for group in groups:
            group["lr"] = group["made_with"][1]
        super().__init__(groups, {})
        self._link()

    def _link(self):
        for optimizer, _ in self.parts:
            for parameter, state in optimizer.state.items():
                self.state.setdefault(parameter, state)
            optimizer.state = self.state

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for optimizer, _ in self.parts:
            optimizer.state = self.state

    def step(self) -> None:
        at = 0
        for optimizer, count in self.parts:
            mine = self.param_groups[at : at + count]
            for theirs, group in zip(optimizer.param_groups, mine, strict=True):
                own, first = group["made_with"]
                theirs.update({k: v for k, v in group.items() if k != "params"})
                theirs["lr"] = own * group["lr"] / first if group["lr"] != first else own
            optimizer.step()
            at += count
