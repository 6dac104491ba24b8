"""Ordered tests of kata 13: each adds one idea, and needs only what stands above it."""

import io
import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from katas.k05_model.model import ModelConfig
from katas.k06_training.training import train_step
from katas.k08_engineering.config import RunConfig, TrainingConfig
from katas.k08_engineering.engineering import load_checkpoint, save_checkpoint
from katas.k13_optimizers.optimizers import (
    AdamW,
    Muon,
    Together,
    configure_muon,
    orthogonalize,
    split_parameters,
)

SIZES = [(3, 5), (5, 3), (7,), (2, 3, 4), (5, 3), ()]  # of parameters; two are alike


def normal(*shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def parameters_of(*sizes, seed=1, dtype=torch.float64):
    return [nn.Parameter(normal(*size, seed=seed + at, dtype=dtype)) for at, size in enumerate(sizes)]


def numbers(parameters):
    """The values of parameters, by number and shape."""
    return {f"{at}: {tuple(p.shape)}": p.detach().clone() for at, p in enumerate(parameters)}


def give_gradients(parameters, seed, scale=1.0):
    """The same random gradients for parameters of the same shapes; older ones are written over."""
    for at, parameter in enumerate(parameters):
        if parameter.grad is None:
            parameter.grad = torch.empty_like(parameter)
        parameter.grad.copy_(scale * normal(*parameter.shape, seed=100 * seed + at))


def step_without_touching_gradients(optimizer, parameters):
    """One step, after which the gradients are what they were."""
    before = [None if parameter.grad is None else parameter.grad.clone() for parameter in parameters]
    optimizer.step()
    for parameter, gradient in zip(parameters, before, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=0, msg="a gradient was modified")


def assert_same(actual, expected, **tolerance):
    for name, value in expected.items():
        torch.testing.assert_close(
            actual[name], value, msg=lambda text, n=name: f"parameter {n}: {text}", **tolerance
        )


def by_svd(matrix, steps=5):
    """What orthogonalize has to give, from the singular values themselves."""
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    values = values / values.square().sum(dim=-1, keepdim=True).sqrt()
    for _ in range(steps):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return left @ torch.diag_embed(values) @ right


@pytest.mark.parametrize("lr", [0.5, 0.01])
@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_first_step_of_adamw_is_lr_against_the_sign(scale, lr):
    """The first step moves every number by lr against its gradient, however large the gradient is."""
    parameters = parameters_of(*SIZES)
    before = numbers(parameters)
    give_gradients(parameters, seed=1, scale=scale)
    optimizer = AdamW(parameters, lr=lr, weight_decay=0.0)
    expected = {
        n: value - lr * p.grad.sign() for (n, value), p in zip(before.items(), parameters, strict=True)
    }
    step_without_touching_gradients(optimizer, parameters)
    # eps = 1e-8 beside a gradient of 0.001 or more shortens a step by 1e-5 of itself.
    assert_same(numbers(parameters), expected, rtol=0, atol=2e-5 * lr)


@pytest.mark.parametrize(("lr", "decay"), [(0.1, 0.3), (0.02, 0.0), (0.5, 0.01)])
def test_weight_without_gradient_shrinks_by_lr_times_decay(lr, decay):
    """With a gradient of zero each step leaves 1 - lr · weight_decay of a weight, and nothing else."""
    parameters = parameters_of(*SIZES)
    expected = {name: value * (1 - lr * decay) ** 3 for name, value in numbers(parameters).items()}
    give_gradients(parameters, seed=2, scale=0.0)
    optimizer = AdamW(iter(parameters), lr=lr, weight_decay=decay)
    for _ in range(3):
        optimizer.step()
    # float64: three steps round to 1e-15.
    assert_same(numbers(parameters), expected, rtol=1e-13, atol=0)


def two_groups(parameters):
    return [
        {"params": parameters[:3], "lr": 0.03, "betas": (0.8, 0.99), "eps": 0.1, "weight_decay": 0.3},
        {"params": parameters[3:]},
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_thirty_steps_of_adamw_agree_with_pytorch(dtype):
    """Thirty steps of two groups give PyTorch's weights; parameters stay the same objects."""
    ours, theirs = parameters_of(*SIZES, dtype=dtype), parameters_of(*SIZES, dtype=dtype)
    optimizers = [AdamW(two_groups(ours), lr=0.002), torch.optim.AdamW(two_groups(theirs), lr=0.002)]
    for step in range(1, 31):
        for parameters, optimizer in zip((ours, theirs), optimizers, strict=True):
            give_gradients(parameters, seed=step, scale=1 / step)
            step_without_touching_gradients(optimizer, parameters)
        # Rounding: 1e-15 and 1e-7 a step. Decay after the move instead of before it shows at 1e-4.
        atol = 1e-12 if dtype == torch.float64 else 1e-5
        assert_same(numbers(ours), numbers(theirs), rtol=0, atol=atol)
    held = [parameter for group in optimizers[0].param_groups for parameter in group["params"]]
    assert all(own is parameter for own, parameter in zip(ours, held, strict=True))


@pytest.mark.parametrize(("steps", "eps"), [(1, 1e-8), (1, 1e-6), (20, 1e-6), (1500, 1e-8)])
def test_every_step_of_a_constant_gradient_is_equally_long(steps, eps):
    """A constant gradient g moves by lr · g / (|g| + eps) in each step, the first like the 1,500th."""
    parameter = nn.Parameter(torch.zeros(5, dtype=torch.float64))
    gradient = torch.tensor([1e-6, -1e-8, 2.0, -1e-3, 1e-7], dtype=torch.float64)
    optimizer = AdamW([parameter], lr=0.01, eps=eps, weight_decay=0.0)
    parameter.grad = gradient.clone()
    for _ in range(steps):
        optimizer.step()
    # With constant gradients the corrected averages are g and g² at any time. 1,500 sums round to 1e-13.
    expected = -0.01 * steps * gradient / (gradient.abs() + eps)
    torch.testing.assert_close(parameter.detach(), expected, rtol=1e-9, atol=0)


def test_each_step_reads_the_group_and_skips_missing_gradients():
    """What a schedule writes into a group counts at once; without a gradient there is no step, no state."""
    ours, theirs = parameters_of(*SIZES), parameters_of(*SIZES)
    optimizers = [AdamW(two_groups(ours)), torch.optim.AdamW(two_groups(theirs), lr=1e-3)]
    for step in range(1, 8):
        for parameters, optimizer in zip((ours, theirs), optimizers, strict=True):
            give_gradients(parameters, seed=step)
            parameters[0].grad = None  # in every step
            if step in (2, 3):
                parameters[4].grad = None  # its own t stands still meanwhile
            for group in optimizer.param_groups:
                group.update(
                    lr=0.01 * step, weight_decay=0.1 * step, eps=10.0**-step, betas=(0.8, 0.9 + step / 100)
                )
            optimizer.step()
        # float64: rounding is 1e-15.
        assert_same(numbers(ours), numbers(theirs), rtol=0, atol=1e-12)
    assert ours[0] not in optimizers[0].state, "a parameter that never had a gradient has state"


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (1, 7), (2, 3, 5, 4), (3, 2, 7)])
def test_orthogonalize_keeps_vectors_and_evens_out_values(shape, steps):
    """Singular vectors stay; singular values follow the polynomial, each matrix of a batch for itself."""
    # Frobenius norms of 1e9 and more: the 1e-7 that may be added to them is less than they are rounded by.
    matrix = 1e9 * normal(*shape, seed=3)
    matrix *= (1 + torch.arange(math.prod(shape[:-2]))).reshape(*shape[:-2], 1, 1)
    if len(shape) > 2:
        matrix[0] = 0.0  # zeros give zeros, and do not change the others
    before = matrix.clone()
    actual = orthogonalize(matrix, steps)
    expected = by_svd(torch.where(matrix == 0, 1.0, matrix), steps) * (matrix != 0)
    # float64: rounding is 1e-15, and up to 500 times that for the smallest singular values.
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-7)
    assert torch.equal(matrix, before), "the matrix was modified"
    if steps == 5:
        values = torch.linspace(0.01, 1, 31, dtype=torch.float64)  # in shares of the Frobenius norm
        rest = (1 - values.square()).clamp(min=0).sqrt()
        pairs = torch.diag_embed(torch.stack([values, rest], dim=-1)) * 1e9
        first = orthogonalize(pairs)[:, 0, 0]
        assert ((first > 0.65) & (first < 1.15)).all(), f"singular values outside [0.65, 1.15]: {first}"


def flops(matrix):
    with FlopCounterMode(display=False) as counter:
        orthogonalize(matrix, steps=1)
    return counter.get_total_flops()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scale_does_not_matter_and_transposing_commutes(dtype):
    """A million times the matrix gives the same; the transpose gives the transpose, for no more work."""
    matrix = 100 * normal(2, 5, 31, seed=4, dtype=dtype)
    # One step, two matrices; one and a half products of 5 × 31 and 31 × 5 more than are needed.
    limit = 2 * 4 * (2 * 5 * 31 * 5)
    taken = {"wide": flops(matrix), "tall": flops(matrix.mT)}
    assert max(taken.values()) <= limit, f"operations allowed: {limit:,}; taken, by shape: {taken}"
    expected = orthogonalize(matrix)
    # float32 rounds to 1e-7; the iteration makes at most 500 times that of it.
    atol = 1e-7 if dtype == torch.float64 else 1e-4
    torch.testing.assert_close(orthogonalize(1e6 * matrix), expected, rtol=0, atol=atol)
    torch.testing.assert_close(orthogonalize(matrix.mT), expected.mT, rtol=0, atol=atol)
    # Norms of 0.1, as gradients have: 1e-7 more changes the result by 1.4e-6, 1e-5 more by 1.4e-4.
    small = 0.1 * matrix / torch.linalg.matrix_norm(matrix, keepdim=True)
    torch.testing.assert_close(orthogonalize(small), expected, rtol=0, atol=1e-5)
    assert orthogonalize(torch.zeros(3, 4, dtype=dtype)).eq(0).all(), "zeros do not give zeros"


MATRICES = [(3, 5), (5, 3), (7, 2), (4, 4), (5, 3)]
MUON_DEFAULTS = {"lr": 0.02, "momentum": 0.95, "weight_decay": 0.0, "steps": 5}


@pytest.mark.parametrize("options", [{}, {"lr": 0.3, "momentum": 0.8, "weight_decay": 0.4, "steps": 2}])
def test_muon_moves_along_the_orthogonalized_nesterov_momentum(options):
    """Three steps: decay, add to the momentum, look ahead, orthogonalize, scale by rows and columns."""
    parameters = parameters_of(*MATRICES)
    optimizer = Muon(iter(parameters), **options)
    expected, momenta = numbers(parameters), dict.fromkeys(numbers(parameters), 0.0)
    for step in range(1, 4):
        o = {**MUON_DEFAULTS, **options, "lr": 0.1 * step}
        optimizer.param_groups[0]["lr"] = 0.1 * step  # counts at once
        give_gradients(parameters, seed=step, scale=1e9)
        parameters[3].grad = None
        for name, parameter in zip(expected, parameters, strict=True):
            if parameter.grad is not None:
                rows, columns = parameter.shape
                momenta[name] = o["momentum"] * momenta[name] + parameter.grad
                update = by_svd(parameter.grad + o["momentum"] * momenta[name], o["steps"])
                expected[name] *= 1 - o["lr"] * o["weight_decay"]
                expected[name] -= o["lr"] * max(1, rows / columns) ** 0.5 * update
        step_without_touching_gradients(optimizer, parameters)
        # As for orthogonalize, whose result is multiplied by less than one.
        assert_same(numbers(parameters), expected, rtol=0, atol=1e-7)
    assert parameters[3] not in optimizer.state, "a parameter that never had a gradient has state"


@pytest.mark.parametrize("make", [AdamW, Muon], ids=["AdamW", "Muon"])
def test_optimizer_that_was_saved_and_loaded_goes_on_bit_for_bit(make):
    """A state dict, written to a file after 7 steps and loaded, goes on as if nothing had happened."""
    ours = parameters_of(*MATRICES)
    optimizer = make([{"params": ours[:2], "lr": 0.05}, {"params": ours[2:]}], lr=0.1, weight_decay=0.2)
    file, copies = io.BytesIO(), None
    for step in range(1, 13):
        if step == 8:
            torch.save(optimizer.state_dict(), file)
            file.seek(0)
            copies = [nn.Parameter(parameter.detach().clone()) for parameter in ours]
            resumed = make([{"params": copies[:2]}, {"params": copies[2:]}])  # its options are in the file
            resumed.load_state_dict(torch.load(file, weights_only=True))
        give_gradients(ours, seed=step)
        optimizer.step()
        if copies:
            give_gradients(copies, seed=step)
            resumed.step()
            # Exact: the very same operations on the very same numbers.
            assert_same(numbers(copies), numbers(ours), rtol=0, atol=0)


class Block(nn.Module):
    """Stands in for a block: a matrix, a bias, a norm, and something with three axes."""

    def __init__(self, width):
        super().__init__()
        self.projection = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.kernel = nn.Parameter(0.1 * torch.randn(width, 2, 3))

    def forward(self, x):
        return x + self.projection(self.norm(x)) + self.kernel.sum(dim=(1, 2))


class SmallModel(nn.Module):
    """Embeddings, two blocks, a head; ids (batch, seq) to logits (batch, seq, vocab)."""

    def __init__(self, vocab=7, width=5, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.token_embedding = nn.Embedding(vocab, width)
        self.position_embedding = nn.Embedding(11, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(2))
        self.final_norm = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocab, bias=False)

    def forward(self, ids):
        x = self.token_embedding(ids) + self.position_embedding.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.lm_head(self.final_norm(x))


def test_hidden_matrices_go_to_muon_and_the_rest_to_adamw():
    """Matrices in the blocks are hidden, all else is not; each is listed once, a frozen one never."""
    model = SmallModel()
    model.lm_head.weight = model.token_embedding.weight  # tied: one parameter with two names
    model.adapter = nn.Linear(5, 3)  # a matrix outside the blocks
    model.blocks[0].shared = nn.Linear(5, 5)
    model.blocks[1].shared = model.blocks[0].shared
    model.blocks[1].projection.weight.requires_grad_(False)
    model.final_norm.bias.requires_grad_(False)
    hidden, rest = split_parameters(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    hidden, rest = ([names[id(parameter)] for parameter in part] for part in (hidden, rest))
    assert hidden == ["blocks.0.projection.weight", "blocks.0.shared.weight"]
    others = {*hidden, "blocks.1.projection.weight", "final_norm.bias"}  # the last two are frozen
    assert rest == [name for name in names.values() if name not in others]


def together(parameters, rates=(0.01, 0.3, 0.07)):
    """Three optimizers of one matrix or more each, the first of two groups."""
    first, second, third = rates
    groups = [{"params": parameters[:1], "lr": first}, {"params": parameters[1:2], "lr": 3 * first}]
    return [
        AdamW(groups, weight_decay=0.3),
        Muon(parameters[2:4], lr=second, weight_decay=0.2),
        torch.optim.SGD(parameters[4:], lr=third, momentum=0.9),
    ]


SCHEDULES = {
    "no schedule": lambda step, lr: lr,
    "one rate for all": lambda step, lr: 0.01 * step / 3,
    "each rate halved": lambda step, lr: lr / 2,
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_together_steps_each_optimizer_at_its_own_rate(schedule):
    """Without a schedule each steps as it would alone; one rate for all keeps their ratios."""
    ours, theirs = parameters_of(*MATRICES), parameters_of(*MATRICES)
    optimizer, alone = Together(*together(ours)), together(theirs)
    assert isinstance(optimizer, torch.optim.Optimizer)
    own = [group["lr"] for each in alone for group in each.param_groups]
    shown = [0.01] * 4
    assert [group["lr"] for group in optimizer.param_groups] == shown, "the lr of the groups at the start"
    for step in range(1, 6):
        for group in optimizer.param_groups:
            group["lr"] = SCHEDULES[schedule](step, group["lr"])
        shown = [SCHEDULES[schedule](step, lr) for lr in shown]
        groups = [group for each in alone for group in each.param_groups]
        for group, lr, now in zip(groups, own, shown, strict=True):
            group["lr"] = lr if now == 0.01 else lr * now / 0.01
        give_gradients(ours, seed=step)
        give_gradients(theirs, seed=step)
        for each in (optimizer, *alone):
            each.step()
    # Exact where no rate was changed; elsewhere a product of three numbers rounds to 1e-16 of a step.
    assert_same(numbers(ours), numbers(theirs), rtol=0, atol=0 if schedule == "no schedule" else 1e-12)
    assert [group["lr"] for group in optimizer.param_groups] == shown, "the lr of the groups at the end"
    optimizer.zero_grad()
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in ours)


def run_config():
    model, training = ModelConfig(vocab_size=7, block_size=11), TrainingConfig(max_steps=12, batch_size=4)
    return RunConfig(name="muon", model=model, training=training)


class Run:
    """A small model in training by kata 06's train_step, with a schedule for all groups."""

    def __init__(self, seed, learning_rate):
        self.model = SmallModel(seed=seed)
        self.optimizer = configure_muon(self.model, learning_rate=learning_rate, weight_decay=0.1)

    def train(self, steps):
        losses = []
        for step in steps:
            for group in self.optimizer.param_groups:
                group["lr"] = 0.03 * (1 - step / 20)
            ids = torch.randint(7, (4, 1), generator=torch.Generator().manual_seed(step)) + torch.arange(9)
            losses.append(train_step(self.model, self.optimizer, [(ids[:, :-1] % 7, ids[:, 1:] % 7)]))
        return losses


def test_together_serves_train_step_and_checkpoints(tmp_path):
    """Seven steps, a checkpoint of kata 08 and five more give what twelve give, bit for bit."""
    run, resumed = Run(seed=5, learning_rate=0.03), Run(seed=6, learning_rate=0.05)  # the file has 0.03
    losses = run.train(range(7))
    options = {"step": 7, "config": run_config(), "generator": None}
    save_checkpoint(tmp_path / "last.pt", model=run.model, optimizer=run.optimizer, **options)
    losses += run.train(range(7, 12))
    assert losses[-1] < 0.75 * losses[0], f"the loss does not fall: {losses}"

    resumed.train(range(3))
    assert load_checkpoint(tmp_path / "last.pt", model=resumed.model, optimizer=resumed.optimizer) == 7
    # Exact: the very same operations on the very same numbers.
    assert resumed.train(range(7, 12)) == losses[7:]
    assert_same(resumed.model.state_dict(), run.model.state_dict(), rtol=0, atol=0)


def loss_after(steps, make):
    """½ ‖A (W - T)‖², where A has singular values from 0.01 to 1, after steps of falling rates."""
    basis, _ = torch.linalg.qr(normal(11, 11, seed=7))
    a = basis * torch.logspace(0, -2, 11, dtype=torch.float64) @ basis.mT
    target, weight = normal(11, 7, seed=8), nn.Parameter(torch.zeros(11, 7, dtype=torch.float64))
    optimizer = make([weight])
    rate = optimizer.param_groups[0]["lr"]
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        optimizer.zero_grad()
        (a @ (weight - target)).square().sum().div(2).backward()
        optimizer.step()
    return (a @ (weight.detach() - target)).square().sum().item() / 2


def test_muon_needs_fewer_steps_where_directions_differ_in_steepness():
    """On a quadratic of condition 10,000, 70 steps of Muon do more than 100 of SGD with momentum."""
    rates = (2.0, 3.0, 3.5)  # lower ones are slower, and from 3.8 on it would diverge
    sgd = min(loss_after(100, lambda w, lr=lr: torch.optim.SGD(w, lr=lr, momentum=0.9)) for lr in rates)
    muon = loss_after(70, lambda w: Muon(w, lr=0.5, momentum=0.9))
    # 1.6e-3 with SGD, 1e-4 to 6e-4 with Muon: near the end each rounding decides which way it jumps.
    assert muon < sgd, f"the loss is {muon:.1e} with Muon, {sgd:.1e} with SGD"


@pytest.mark.parametrize("group", [0, 1])
@pytest.mark.parametrize(
    ("shape", "named"), [((7,), "7"), ((2, 3, 5), "2, 3, 5")], ids=["one axis", "three axes"]
)
def test_parameter_without_two_axes_is_refused(shape, named, group):
    """ValueError names the shape of a parameter that Muon cannot orthogonalize, in whichever group it is."""
    groups = [{"params": parameters_of((4, 4))}, {"params": parameters_of((6, 9))}]
    groups[group]["params"] += parameters_of(shape)
    with pytest.raises(ValueError) as refusal:
        Muon(groups)
    assert named in str(refusal.value), f"the message does not name the shape {shape}: {refusal.value}"
