"""Ordered tests of kata 11: each adds one idea, and needs only what stands above it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from katas.k05_model.model import ModelConfig, TransformerLM, count_parameters
from katas.k11_accounting.accounting import (
    CHINCHILLA,
    CHINCHILLA_REFITTED,
    ScalingLaw,
    attainable_flops,
    compute_optimal,
    fit_power_law,
    forward_flops,
    matmul_intensity,
    model_flops_utilization,
    train_flops,
    training_bytes,
)
from katas.k11_accounting.meters import counted_flops, kept_bytes, plain_logits, plain_loss


def config_of(vocab=17, block=13, width=30, heads=5, layers=2, inner=None, **options):
    return ModelConfig(vocab, block, width, heads, layers, inner, **options)


def ids_of(config, batch, seq, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(config.vocab_size, (batch, seq), generator=generator)


@pytest.mark.parametrize(
    ("batch", "seq", "width", "vocab"), [(3, 7, 10, 19), (1, 1, 10, 19), (3, 13, 4, 2), (5, 5, 5, 5)]
)
def test_product_costs_two_flops_for_each_term(batch, seq, width, vocab):
    """An (m, k) matrix times a (k, n) matrix costs 2 · m · k · n FLOPs: look at the head of the model."""
    config = config_of(vocab, 13, width, heads=1)
    x, weight = torch.randn(batch * seq, width), torch.randn(vocab, width)
    expected = counted_flops(lambda: F.linear(x, weight))  # counted by PyTorch
    # Exact, here and in the tests below: FLOPs are whole numbers.
    torch.testing.assert_close(forward_flops(config, batch, seq)["head"], expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("sizes", "batch", "seq", "parts"),
    [
        # Every product is written as batch · seq · …, for one block, times the number of blocks.
        (
            (7, 11, 6, 3, 1, 10),
            1,
            5,
            {
                "projections": 4 * (2 * 5 * 6 * 6),
                "scores": 3 * (2 * 5 * 2 * 5),  # 3 heads, 2 wide
                "values": 3 * (2 * 5 * 5 * 2),
                "feedforward": (2 * 5 * 6 * 10) + (2 * 5 * 10 * 6),
                "head": 2 * 5 * 6 * 7,
            },
        ),
        (
            (7, 11, 6, 2, 3, 10),
            2,
            5,
            {
                "projections": 3 * 4 * (2 * 10 * 6 * 6),
                "scores": 3 * 2 * 2 * (2 * 5 * 3 * 5),  # 3 blocks, 2 sequences, 2 heads
                "values": 3 * 2 * 2 * (2 * 5 * 5 * 3),
                "feedforward": 3 * 2 * (2 * 10 * 6 * 10),
                "head": 2 * 10 * 6 * 7,
            },
        ),
    ],
    ids=["one block", "three blocks"],
)
def test_parts_of_a_tiny_model_are_those_worked_out_by_hand(sizes, batch, seq, parts):
    """Projections, scores, values, feed-forward networks and head each cost what their products cost."""
    actual = forward_flops(config_of(*sizes), batch, seq)
    torch.testing.assert_close(actual, parts, rtol=0, atol=0)
    assert list(actual) == list(parts), "the parts, in the order of the docstring"


@pytest.mark.parametrize(
    ("options", "batch", "seq"),
    [
        ({}, 1, 1),
        ({"layers": 3}, 2, 7),
        ({"heads": 3, "inner": 23}, 7, 11),
        ({"vocab": 101, "tie_weights": False, "bias": False}, 3, 13),
        ({"layers": 1, "norm_first": False, "positions": "none"}, 5, 5),
        ({"width": 12, "heads": 2, "positions": "sinusoidal"}, 2, 3),
    ],
)
def test_sum_is_what_pytorch_counts_while_the_model_runs(options, batch, seq):
    """All parts together are the FLOPs that PyTorch counts in a forward pass with your model's weights."""
    config = config_of(**options)
    model, ids = TransformerLM(config), ids_of(config, batch, seq)
    expected = counted_flops(lambda: plain_logits(model, ids))
    torch.testing.assert_close(sum(forward_flops(config, batch, seq).values()), expected, rtol=0, atol=0)


@pytest.mark.parametrize("vocab", [17, 211])
def test_tied_head_costs_as_much_as_one_of_its_own(vocab):
    """Sharing a table saves memory and no arithmetic; the look-up of an embedding costs no FLOPs."""
    tied, untied = (config_of(vocab, tie_weights=tie) for tie in (True, False))
    expected = 2 * (3 * 7) * 30 * vocab  # (batch · seq, d_model) times (d_model, vocab_size)
    torch.testing.assert_close(forward_flops(tied, 3, 7)["head"], expected, rtol=0, atol=0)
    torch.testing.assert_close(forward_flops(tied, 3, 7), forward_flops(untied, 3, 7), rtol=0, atol=0)


@pytest.mark.parametrize("times", [2, 3])
def test_only_scores_and_values_grow_with_the_square_of_the_length(times):
    """Windows twice as long cost four times as much for scores and values, and twice for all the rest."""
    config = config_of(block=50)
    growth = {
        "projections": times,
        "scores": times**2,
        "values": times**2,
        "feedforward": times,
        "head": times,
    }
    expected = {part: growth[part] * flops for part, flops in forward_flops(config, 3, 7).items()}
    torch.testing.assert_close(forward_flops(config, 3, 7 * times), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "batch", "seq"),
    [({}, 3, 7), ({"tie_weights": False}, 1, 13), ({"layers": 3, "inner": 23}, 5, 2)],
)
def test_training_costs_three_forward_passes(options, batch, seq):
    """The backward pass computes two products for each one of the forward pass, so training costs three."""
    config = config_of(**options)
    model, ids = TransformerLM(config), ids_of(config, batch, seq)
    expected = counted_flops(lambda: plain_loss(model, ids, ids).backward())
    torch.testing.assert_close(train_flops(config, batch * seq, seq), expected, rtol=0, atol=0)
    # A run whose FLOPs no float can count exactly, and a single token of a window.
    windows = 10**13 + 1
    run = windows * (expected // batch)
    torch.testing.assert_close(train_flops(config, windows * seq, seq), run, rtol=0, atol=0)
    torch.testing.assert_close(
        3 * train_flops(config, seq, seq), train_flops(config, 3 * seq, seq), rtol=0, atol=0
    )
    torch.testing.assert_close(train_flops(config, 1, seq) * seq, expected // batch, rtol=0, atol=0)


@pytest.mark.parametrize("bytes_per_number", [4, 8])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tie_weights": False},
        {"bias": False, "layers": 3, "inner": 23},
        {"positions": "sinusoidal", "tie_weights": False},
    ],
)
def test_weights_gradients_and_averages_take_four_numbers_a_parameter(options, bytes_per_number):
    """Each parameter is kept four times: weight, gradient and AdamW's two averages; a tied table is one."""
    config = config_of(**options)
    model = TransformerLM(config).to({4: torch.float32, 8: torch.float64}[bytes_per_number])
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()  # only now are the averages made
    averages = [state[name] for state in optimizer.state.values() for name in ("exp_avg", "exp_avg_sq")]
    weights = bytes_per_number * count_parameters(model)
    expected = {
        "weights": weights,
        "gradients": sum(parameter.grad.nbytes for parameter in model.parameters()),
        "optimizer": sum(average.nbytes for average in averages),
    }
    actual = training_bytes(config, 3, 7, bytes_per_number)
    # Exact, here and below: bytes are whole numbers.
    torch.testing.assert_close({part: actual[part] for part in expected}, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "batch", "seq"),
    [
        ({"width": 60, "block": 61, "layers": 3}, 7, 11),
        ({"width": 60, "block": 61, "layers": 3}, 7, 61),  # the attention weights begin to show
        ({"width": 20, "block": 97, "heads": 10, "layers": 1}, 2, 97),  # hardly anything else
        ({"vocab": 997, "width": 60, "inner": 31}, 5, 13),  # log-probabilities
        ({"width": 60, "inner": 409, "bias": False, "tie_weights": False}, 3, 13),
    ],
)
def test_activations_are_what_autograd_keeps_for_the_backward_pass(options, batch, seq):
    """The forward pass keeps the inputs of products, norms, GELUs and the softmax, and the softmax itself."""
    config = config_of(**options)
    model, ids = TransformerLM(config), ids_of(config, batch, seq)
    expected = kept_bytes(lambda: plain_loss(model, ids, ids), model)
    activations = training_bytes(config, batch, seq)["activations"]
    # The statistics of the norms, the mask and the ids, which do not count, are 0.4 to 1.5 % here.
    torch.testing.assert_close(activations, expected, rtol=0.03, atol=0)
    torch.testing.assert_close(
        training_bytes(config, batch, seq, 2)["activations"], activations // 2, rtol=0, atol=0
    )


@pytest.mark.parametrize(
    ("intensity", "peak", "bandwidth", "expected"),
    [
        (0.25, 100.0, 20.0, 5.0),  # on the slope
        (2.0, 100.0, 20.0, 40.0),
        (5.0, 100.0, 20.0, 100.0),  # the knee
        (40.0, 100.0, 20.0, 100.0),  # under the flat roof
        (3.0, 7.0, 2.0, 6.0),
        (4.0, 7.0, 2.0, 7.0),
    ],
)
def test_roofline_has_its_knee_at_peak_over_bandwidth(intensity, peak, bandwidth, expected):
    """Little work for each byte, and memory is the limit; much, and it is the processor's peak."""
    attainable = float(attainable_flops(intensity, peak_flops=peak, bytes_per_second=bandwidth))
    # One product of two floats: off by one rounding, 1e-16, at most.
    torch.testing.assert_close(attainable, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("rows", "inner", "columns", "bytes_per_number", "expected"),
    [
        (1, 512, 2048, 4, 0.4988),  # one token: each weight is read for two FLOPs
        (512, 512, 2048, 4, 113.8),  # 512 tokens share the reading
        (512, 512, 2048, 2, 227.6),  # half the bytes
        (3, 5, 7, 4, 210 / (4 * (15 + 35 + 21))),
        (7, 3, 5, 1, 210 / (21 + 15 + 35)),
        (6, 6, 6, 8, 0.5),
    ],
)
def test_one_row_reads_every_weight_for_two_flops(rows, inner, columns, bytes_per_number, expected):
    """A product with one row is all memory, with 512 rows all arithmetic: so writing text is slow."""
    intensity = float(matmul_intensity(rows, inner, columns, bytes_per_number))
    # The first three are rounded to four digits.
    torch.testing.assert_close(intensity, expected, rtol=5e-4, atol=0)


@pytest.mark.parametrize(("options", "seq"), [({}, 7), ({"layers": 5, "block": 97}, 97), ({"vocab": 997}, 2)])
def test_utilization_is_the_share_of_the_peak_that_trains_the_model(options, seq):
    """A machine that computes nothing but the model's products, at its peak, has a utilization of 1."""
    config = config_of(**options)
    peak = 3e9
    seconds = 3 * sum(forward_flops(config, 5, seq).values()) / peak  # of a step on 5 windows
    # Floats: a handful of roundings of 1e-16.
    utilization = float(model_flops_utilization(config, 5 * seq / seconds, seq, peak))
    torch.testing.assert_close(utilization, 1.0, rtol=1e-12, atol=0)
    utilization = float(model_flops_utilization(config, 0.35 * 5 * seq / seconds, seq, peak))
    torch.testing.assert_close(utilization, 0.35, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("floor", "scale", "exponent", "smallest", "largest"),
    [
        (1.69, 410.7, 0.28, 1e8, 1e12),  # tokens
        (1.2, 30.0, 0.5, 50, 5000),  # steps
        (0.0, 12.0, 0.076, 1e5, 1e9),  # no floor
        (2.5, 3.0, 1.3, 1, 40),
        (0.7, 8e3, 0.34, 1e12, 1e17),  # FLOPs
    ],
)
def test_power_law_is_found_again_from_its_runs(floor, scale, exponent, smallest, largest):
    """A law's own points give back its three numbers; runs that are a little off give a law near to it."""
    order = np.random.default_rng(3).permutation(23)  # in whatever order they ran
    x = np.geomspace(smallest, largest, 23)[order]
    loss = floor + scale * x**-exponent
    before = x.copy(), loss.copy()
    law = fit_power_law(x, loss)
    found = torch.tensor([law.floor, law.scale, law.exponent], dtype=torch.float64)
    expected = torch.tensor([floor, scale, exponent], dtype=torch.float64)
    # What the docstring allows for a search that stops early.
    torch.testing.assert_close(found, expected, rtol=0.01, atol=1e-3)
    assert np.array_equal(x, before[0]) and np.array_equal(loss, before[1]), "x or loss has changed"

    law = fit_power_law(x, loss * (1 + 0.002 * (-1.0) ** order))  # one too high, the next too low
    inner = x.argsort()[4:-4]  # towards its ends a law depends on fewer runs
    found = torch.tensor([law(value) for value in x[inner].tolist()], dtype=torch.float64)
    # Every run is off by 0.2 %; laws fitted to all of them, in several ways, by 0.02 to 0.05 %.
    torch.testing.assert_close(found, torch.from_numpy(loss[inner]), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    "law",
    [CHINCHILLA, CHINCHILLA_REFITTED, ScalingLaw(0.4, 9.0, 0.7, 50.0, 0.2)],
    ids=["CHINCHILLA", "CHINCHILLA_REFITTED", "alpha of 0.7, beta of 0.2"],
)
@pytest.mark.parametrize("flops", [1e15, 5.76e23, 6e3])  # the last so low that rounding would show
def test_optimum_spends_the_budget_and_no_neighbour_is_better(law, flops):
    """6 · N · D is the budget, and neither a larger model on less text nor the opposite has a lower loss."""
    parameters, tokens = compute_optimal(law, flops)
    # A few powers: off by roundings of 1e-16, times logarithms of up to 50.
    torch.testing.assert_close(6 * parameters * tokens, flops, rtol=1e-12, atol=0)
    # The parameters that make the sum least, among 4,001 on a grid with steps of 0.1 %.
    tried = [parameters * 1.001**step for step in range(-2000, 2001)]
    best = min(tried, key=lambda number: law(number, flops / 6 / number))
    parameters = float(parameters)
    torch.testing.assert_close(parameters, best, rtol=2e-3, atol=0)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: forward_flops(config_of(), 3, 14), "14"),
        (lambda: train_flops(config_of(), 100, 14), "14"),
        (lambda: training_bytes(config_of(), 3, 14), "14"),
        (lambda: model_flops_utilization(config_of(), 1e4, 14, 1e9), "14"),
        (lambda: fit_power_law(np.array([3.0, 5.0]), np.array([4.0, 2.5])), "x"),
        (lambda: fit_power_law(np.array([3.0, 5.0, 3.0]), np.array([4.0, 2.5, 4.5])), "x"),
        (lambda: compute_optimal(CHINCHILLA, 0.0), "0"),
        (lambda: compute_optimal(CHINCHILLA, -7e15), "-7"),
    ],
    ids=[
        "forward_flops(seq=14)",
        "train_flops(seq=14)",
        "training_bytes(seq=14)",
        "model_flops_utilization(seq=14)",
        "fit_power_law(x=[3, 5])",
        "fit_power_law(x=[3, 5, 3])",
        "compute_optimal(flops=0)",
        "compute_optimal(flops=-7e15)",
    ],
)
def test_long_windows_few_runs_and_empty_budgets_are_refused(call, named):
    """ValueError names a seq beyond block_size, an x of fewer than three values, flops not above zero."""
    with pytest.raises(ValueError) as refusal:
        call()
    assert named in str(refusal.value), f"the message does not name {named}: {refusal.value}"
