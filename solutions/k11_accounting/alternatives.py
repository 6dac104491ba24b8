"""Other correct ways to write this kata; its tests must accept every one."""

import math

import numpy as np
import torch
from jaxtyping import Float64

from katas.k05_model.model import ModelConfig, TransformerLM, count_parameters
from katas.k11_accounting.accounting import PowerLaw, ScalingLaw, forward_flops, train_flops


def forward_flops__product_by_product(config: ModelConfig, batch: int, seq: int) -> dict[str, int]:
    """Every product of the model in a list, with its shapes, block by block and head by head."""
    if seq > config.block_size:
        raise ValueError(f"{seq=} > {config.block_size=}")

    def product(m: int, k: int, n: int) -> int:
        return 2 * m * k * n

    rows, width, head = batch * seq, config.d_model, config.d_model // config.num_heads
    parts = dict.fromkeys(["projections", "scores", "values", "feedforward", "head"], 0)
    for _ in range(config.num_layers):
        for _ in ("query", "key", "value", "out"):
            parts["projections"] += product(rows, width, width)
        for _ in range(batch * config.num_heads):
            parts["scores"] += product(seq, head, seq)
            parts["values"] += product(seq, seq, head)
        parts["feedforward"] += product(rows, width, config.d_ff) + product(rows, config.d_ff, width)
    parts["head"] = product(rows, width, config.vocab_size)
    return parts


def forward_flops__from_the_weights(config: ModelConfig, batch: int, seq: int) -> dict[str, int]:
    """Two FLOPs for each weight and position, with the weights of a model on the meta device."""
    if not seq <= config.block_size:
        raise ValueError(f"a window of {seq} tokens, where the block_size is {config.block_size}")
    with torch.device("meta"):
        shapes = {name: p.shape for name, p in TransformerLM(config).state_dict().items() if p.dim() == 2}
    parts = {"projections": 0, "scores": 0, "values": 0, "feedforward": 0, "head": 0}
    for name, shape in shapes.items():
        for part, word in (
            ("projections", ".attention."),
            ("feedforward", ".feedforward."),
            ("head", "lm_head"),
        ):
            if word in name:
                parts[part] += 2 * math.prod(shape) * batch * seq
    parts["scores"] = parts["values"] = batch * config.num_layers * 2 * config.d_model * seq**2
    return parts


def forward_flops__for_one_token(config: ModelConfig, batch: int, seq: int) -> dict[str, int]:
    """For one token first, then times their number."""
    if seq > config.block_size:
        raise ValueError(f"seq {seq}, block_size {config.block_size}")
    layers, width = config.num_layers, config.d_model
    token = {
        "projections": 8 * layers * width * width,
        "scores": 2 * layers * seq * width,
        "values": 2 * layers * seq * width,
        "feedforward": 4 * layers * width * config.d_ff,
        "head": 2 * width * config.vocab_size,
    }
    return {part: flops * batch * seq for part, flops in token.items()}


def train_flops__multiplied_first(config: ModelConfig, tokens: int, seq: int) -> int:
    """Multiplied by the tokens first, divided by the length last."""
    return 3 * tokens * sum(forward_flops(config, 1, seq).values()) // seq


def train_flops__forward_and_backward(config: ModelConfig, tokens: int, seq: int) -> int:
    """Forward and backward added up, part by part."""
    total = 0
    for flops in forward_flops(config, 1, seq).values():
        forward = flops * tokens // seq
        total += forward + 2 * forward
    return total


def train_flops__from_the_widths(config: ModelConfig, tokens: int, seq: int) -> int:
    """Worked out from the configuration, without forward_flops."""
    if seq > config.block_size:
        raise ValueError(f"seq is {seq}, but block_size is {config.block_size}")
    width = config.d_model
    multiplied = config.num_layers * (4 * width**2 + 2 * width * config.d_ff) + width * config.vocab_size
    return tokens * (6 * multiplied + 12 * config.num_layers * seq * width)


def training_bytes__counted_by_formula(
    config: ModelConfig, batch: int, seq: int, bytes_per_number: int = 4
) -> dict[str, int]:
    """The parameters worked out from the configuration, without a model."""
    if seq > config.block_size:
        raise ValueError(f"seq = {seq}, block_size = {config.block_size}")
    width, inner = config.d_model, config.d_ff
    parameters = config.vocab_size * width * (1 if config.tie_weights else 2)
    if config.positions == "learned":
        parameters += config.block_size * width
    parameters += config.num_layers * (4 * width**2 + 2 * width * inner + 2 * width) + width
    if config.bias:
        parameters += config.num_layers * (4 * width + inner + width + 2 * width) + width
    block = 8 * width + 2 * inner + config.num_heads * seq
    kept = batch * seq * (config.num_layers * block + 2 * width + config.vocab_size)
    numbers = {
        "weights": parameters,
        "gradients": parameters,
        "optimizer": 2 * parameters,
        "activations": kept,
    }
    return {part: bytes_per_number * count for part, count in numbers.items()}


def training_bytes__tensor_by_tensor(
    config: ModelConfig, batch: int, seq: int, bytes_per_number: int = 4
) -> dict[str, int]:
    """A list of what is kept, each with its shape, and the parameters of a model that is really made."""
    if seq > config.block_size:
        raise ValueError(f"no window may have {seq} tokens: block_size is {config.block_size}")
    weights = bytes_per_number * count_parameters(TransformerLM(config))
    stream, inner = (batch, seq, config.d_model), (batch, seq, config.d_ff)
    square = (batch, config.num_heads, seq, seq)
    attention = [stream, stream, stream, stream, stream, square, stream]
    feedforward = [stream, stream, inner, inner]
    tensors = (attention + feedforward) * config.num_layers + [
        stream,
        stream,
        (batch, seq, config.vocab_size),
    ]
    return {
        "weights": weights,
        "gradients": weights,
        "optimizer": weights + weights,
        "activations": bytes_per_number * sum(math.prod(shape) for shape in tensors),
    }


def attainable_flops__in_seconds(intensity: float, *, peak_flops: float, bytes_per_second: float) -> float:
    """By the time that a byte's work takes: as long as the slower of the two."""
    return intensity / max(1 / bytes_per_second, intensity / peak_flops)


def attainable_flops__knee(intensity: float, *, peak_flops: float, bytes_per_second: float) -> float:
    """By the side of the knee on which the intensity lies."""
    if intensity < peak_flops / bytes_per_second:
        return bytes_per_second * intensity
    return peak_flops


def matmul_intensity__by_reciprocals(rows: int, inner: int, columns: int, bytes_per_number: int = 4) -> float:
    """Divided through by the product of all three sizes."""
    return 2 / bytes_per_number / (1 / rows + 1 / inner + 1 / columns)


def matmul_intensity__bytes_added_up(rows: int, inner: int, columns: int, bytes_per_number: int = 4) -> float:
    """FLOPs and bytes in two sums."""
    moved = sum(bytes_per_number * m * n for m, n in ((rows, inner), (inner, columns), (rows, columns)))
    return 2 * rows * inner * columns / moved


def model_flops_utilization__by_the_best_speed(
    config: ModelConfig, tokens_per_second: float, seq: int, peak_flops: float
) -> float:
    """The speed, compared with the one that the peak would allow."""
    best = peak_flops * seq / train_flops(config, seq, seq)
    return tokens_per_second / best


def model_flops_utilization__three_forward_passes(
    config: ModelConfig, tokens_per_second: float, seq: int, peak_flops: float
) -> float:
    """By forward_flops, of a window for each second and its tokens."""
    windows = tokens_per_second / seq
    return windows * 3 * sum(forward_flops(config, 1, seq).values()) / peak_flops


def fit_power_law__line_in_logarithms(
    x: Float64[np.ndarray, "runs"], loss: Float64[np.ndarray, "runs"]
) -> PowerLaw:
    """A straight line in logarithms for each floor of a grid; the best one by the error in the losses."""
    if len(set(x.tolist())) < 3:
        raise ValueError(f"x = {list(map(float, x))}: too few")
    logs, lowest = np.log(x), loss.min()
    # The floor is searched for by its distance from the lowest loss, in steps of equal ratio.
    low, high = 1e-6 * np.ptp(loss), 1e3 * np.ptp(loss)
    while high > low * (1 + 1e-9):
        distances = np.geomspace(low, high, 41)
        heights = [np.log(loss - lowest + distance) for distance in distances]
        lines = [np.polyfit(logs, height, 1) for height in heights]
        errors = [
            np.square(np.exp(np.polyval(line, logs)) - np.exp(height)).sum()
            for line, height in zip(lines, heights, strict=True)
        ]
        best = int(np.argmin(errors))
        low, high = distances[max(best - 1, 0)], distances[min(best + 1, 40)]
    slope, start = lines[best]
    return PowerLaw(floor=float(lowest - distances[best]), scale=math.exp(start), exponent=-float(slope))


def fit_power_law__golden_section(
    x: Float64[np.ndarray, "runs"], loss: Float64[np.ndarray, "runs"]
) -> PowerLaw:
    """The exponent by golden sections; floor and scale by the formula of a regression line."""
    if np.unique(x).size < 3:
        raise ValueError(f"three different values are needed, x is {x}")

    def line(exponent: float) -> tuple[float, float, float]:
        powers = np.exp(-exponent * np.log(x / x.max()))
        slope = np.cov(powers, loss, bias=True)[0, 1] / powers.var()
        floor = loss.mean() - slope * powers.mean()
        error = ((floor + slope * powers - loss) ** 2).sum()
        return float(floor), float(slope * x.max() ** exponent), float(error)

    ratio = (math.sqrt(5) - 1) / 2
    low, high = 0.01, 3.0
    for _ in range(60):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if line(left)[2] < line(right)[2]:
            high = right
        else:
            low = left
    exponent = (low + high) / 2
    floor, scale, _ = line(exponent)
    return PowerLaw(floor, scale, exponent)


def fit_power_law__gauss_newton(
    x: Float64[np.ndarray, "runs"], loss: Float64[np.ndarray, "runs"]
) -> PowerLaw:
    """From a coarse grid, then all three numbers at once by damped Gauss-Newton steps."""
    if len(np.unique(x)) < 3:
        raise ValueError(f"x = {x}")
    unit = float(np.exp(np.log(x).mean()))
    u = np.log(x / unit)

    def squares(guess: np.ndarray) -> float:
        return float(np.square(guess[0] + guess[1] * np.exp(-guess[2] * u) - loss).sum())

    starts = []
    for exponent in np.geomspace(0.01, 3, 40):
        columns = np.stack([np.ones_like(u), np.exp(-exponent * u)], 1)
        starts.append(np.array([*np.linalg.lstsq(columns, loss, rcond=None)[0], exponent]))
    guess = min(starts, key=squares)
    damping = 1e-3
    for _ in range(300):
        powers = np.exp(-guess[2] * u)
        error = guess[0] + guess[1] * powers - loss
        slopes = np.stack([np.ones_like(u), powers, -guess[1] * powers * u], 1)
        normal = slopes.T @ slopes
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-15), slopes.T @ error)
        if squares(guess - step) < squares(guess):
            guess, damping = guess - step, damping / 5
        else:
            damping = min(damping * 5, 1e6)
    return PowerLaw(float(guess[0]), float(guess[1] * unit ** guess[2]), float(guess[2]))


def compute_optimal__bisection(law: ScalingLaw, flops: float) -> tuple[float, float]:
    """By bisection on the derivative, in logarithms, instead of the closed form."""
    if flops <= 0:
        raise ValueError(f"{flops} FLOPs are no budget")
    low, high = -50.0, 150.0
    for _ in range(200):
        middle = (low + high) / 2
        parameters = math.exp(middle)
        tokens = flops / 6 / parameters
        gained = law.alpha * law.A * parameters**-law.alpha  # by more parameters
        if gained > law.beta * law.B * tokens**-law.beta:
            low = middle
        else:
            high = middle
    return parameters, tokens


def compute_optimal__tokens_first(law: ScalingLaw, flops: float) -> tuple[float, float]:
    """The tokens by their own closed form, then the parameters from the budget."""
    if not flops > 0:
        raise ValueError(f"flops={flops}")
    a, b = law.beta / (law.alpha + law.beta), law.alpha / (law.alpha + law.beta)
    g = (law.alpha * law.A / law.beta / law.B) ** (1 / (law.alpha + law.beta))
    tokens = (flops / 6) ** b / g
    assert math.isclose(a + b, 1)
    return flops / (6 * tokens), tokens


def compute_optimal__logarithms(law: ScalingLaw, flops: float) -> tuple[float, float]:
    """In logarithms, where powers are products."""
    if flops <= 0:
        raise ValueError(f"the budget is {flops}")
    g = math.log(law.alpha * law.A) - math.log(law.beta * law.B)
    parameters = math.exp((g + law.beta * math.log(flops / 6)) / (law.alpha + law.beta))
    return parameters, flops / 6 / parameters
