"""The tests of kata 00, easiest first: make one pass, then read the next."""

import math

import pytest
import torch
from torch.func import functional_call

from katas.k00_shapes.shapes import Linear, masked_mean, numerical_gradient, one_hot, pairwise_dot


@pytest.fixture
def generator():
    """Random numbers that are the same in every run, and draw nothing from the global stream."""
    return torch.Generator().manual_seed(0)


def test_pairwise_dot_pairs_every_row_with_every_row():
    """Entry (i, j) of the result is the dot product of row i of x with row j of y."""
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    y = torch.tensor([[5.0, 6.0], [7.0, 8.0]])
    expected = torch.tensor([[17.0, 23.0], [39.0, 53.0]])  # 17 = 1·5 + 2·6, 23 = 1·7 + 2·8, …
    # Whole numbers this small are exact in float32.
    torch.testing.assert_close(pairwise_dot(x, y), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("batch", "n", "m", "d"),
    [((), 5, 7, 3), ((2,), 5, 7, 3), ((2, 3), 7, 5, 11), ((3,), 3, 3, 3)],
)
def test_pairwise_dot_keeps_every_batch_axis(batch, n, m, d, generator):
    """With axes in front, each batch entry pairs its own rows, and x and y are left unchanged."""
    x = torch.randn(*batch, n, d, generator=generator)
    y = torch.randn(*batch, m, d, generator=generator)
    x_before, y_before = x.clone(), y.clone()
    expected = (x.double().unsqueeze(-2) * y.double().unsqueeze(-3)).sum(dim=-1)
    # Off from float64 by at most 2.4e-6 in float32, whichever way the 11 products are added; the nearest
    # wrong version, transposed, is off by 3.
    torch.testing.assert_close(pairwise_dot(x, y), expected.float(), rtol=1e-4, atol=1e-4)
    assert torch.equal(x, x_before), "x has changed"
    assert torch.equal(y, y_before), "y has changed"


def test_masked_mean_averages_the_rows_that_count():
    """The mean is over the vectors whose mask is True: their sum divided by their number."""
    x = torch.tensor([[1.0, 20.0], [3.0, 60.0], [500.0, 700.0]])
    mask = torch.tensor([True, True, False])
    # Halves of small whole numbers are exact; sum · (1 / count) is off by 1e-7 of them. The nearest wrong
    # version, divided by the length, is off by a third.
    torch.testing.assert_close(masked_mean(x, mask), torch.tensor([2.0, 40.0]), rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("batch", "seq", "d"), [((2,), 7, 3), ((2, 3), 5, 7), ((4,), 4, 4)])
def test_masked_mean_counts_every_sequence_for_itself(batch, seq, d, dtype, generator):
    """Each sequence of a batch is divided by its own count, on the device and in the dtype of x."""
    x = torch.randn(*batch, seq, d, generator=generator, dtype=dtype)
    mask = torch.rand(*batch, seq, generator=generator) < 0.5
    mask[..., 0], mask[..., 1] = True, False  # something counts, and something is hidden
    x_before, mask_before = x.clone(), mask.clone()
    each = zip(x.reshape(-1, seq, d), mask.reshape(-1, seq), strict=True)
    expected = torch.stack([rows.double()[keep].mean(dim=0) for rows, keep in each])
    # "meta" plays the second device: a tensor made without `device=` lands there, not beside x.
    with torch.device("meta"):
        actual = masked_mean(x, mask)
    # Right versions are off by 2e-7, in float64 too if they add 1e-8 to the count; the nearest wrong one,
    # divided by the length, by 0.3.
    torch.testing.assert_close(actual, expected.reshape(*batch, d).to(dtype), rtol=0, atol=1e-5)
    assert torch.equal(x, x_before), "x has changed"
    assert torch.equal(mask, mask_before), "mask has changed"


@pytest.mark.parametrize("hidden", [1e38, math.inf, -math.inf, math.nan])
def test_masked_mean_is_blind_to_what_the_mask_hides(hidden, generator):
    """A hidden value, even NaN, changes neither mean nor gradient; a NaN that counts does show."""
    clean = torch.randn(2, 5, 3, generator=generator)
    cotangent = torch.randn(2, 3, generator=generator)
    mask = torch.tensor([[True, False, True, True, False], [False, False, False, True, True]])
    x = clean.clone()
    x[~mask] = hidden
    x.requires_grad_()
    expected = torch.stack([clean[0, [0, 2, 3]].mean(dim=0), clean[1, [3, 4]].mean(dim=0)])
    expected_gradient = torch.zeros(2, 5, 3)
    expected_gradient[0, [0, 2, 3]] = cotangent[0] / 3
    expected_gradient[1, [3, 4]] = cotangent[1] / 2

    actual = masked_mean(x, mask)
    # Off from float64 by at most 2e-7: three terms and one division. The nearest wrong version, divided by
    # the length, is off by 0.6.
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
    actual.backward(cotangent)
    torch.testing.assert_close(x.grad, expected_gradient, rtol=0, atol=1e-5)

    clean[0, 2, 1] = math.nan
    # A NaN that counts stays visible, in its own feature.
    assert masked_mean(clean, mask).isnan().tolist() == [[False, True, False], [False] * 3]


def test_masked_mean_of_nothing_is_zero(generator):
    """A sequence in which nothing counts, or of length zero, gives zeros and zero gradients."""
    x = torch.randn(2, 4, 3, generator=generator)
    x[0, 1] = math.nan
    x.requires_grad_()
    mask = torch.tensor([[False, False, False, False], [False, False, True, False]])
    cotangent = torch.randn(2, 3, generator=generator)
    expected = torch.stack([torch.zeros(3), x.detach()[1, 2]])
    expected_gradient = torch.zeros(2, 4, 3)
    expected_gradient[1, 2] = cotangent[1]

    actual = masked_mean(x, mask)
    # Sums of one term and zeros: sum · (1 / count) is off by 1e-7. Wrong versions give NaN, or 1 and more.
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=0)
    actual.backward(cotangent)
    torch.testing.assert_close(x.grad, expected_gradient, rtol=1e-5, atol=0)
    empty = masked_mean(torch.zeros(2, 0, 3), torch.zeros(2, 0, dtype=torch.bool))
    torch.testing.assert_close(empty, torch.zeros(2, 3), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([2, 0, 2], [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0]]),
        ([[3], [1]], [[[0, 0, 0, 1]], [[0, 1, 0, 0]]]),
        (1, [0, 1, 0, 0]),
        ([], []),
    ],
)
def test_one_hot_has_its_one_at_the_id(ids, expected):
    """Every id, in a batch of any shape, becomes a row of zeros with a one at the id's position."""
    ids = torch.tensor(ids, dtype=torch.int64)
    expected = torch.tensor(expected, dtype=torch.float32).reshape(*ids.shape, 4)
    # Zeros and ones are exact.
    torch.testing.assert_close(one_hot(ids, num_classes=4), expected, rtol=0, atol=0)


def test_one_hot_takes_the_default_dtype_and_the_device_of_the_ids():
    """The result has torch's default dtype and the device of the ids, which may be any integers."""
    ids = torch.tensor([[2], [0]], dtype=torch.int32)
    expected = torch.tensor([[[0, 0, 1]], [[1, 0, 0]]], dtype=torch.float64)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        # "meta" plays the second device: a tensor made without `device=` lands there.
        with torch.device("meta"):
            actual = one_hot(ids, num_classes=3)
    finally:
        torch.set_default_dtype(before)
    # Zeros and ones are exact.
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


@pytest.mark.parametrize("bias", [[10.0, 20.0], None])
@pytest.mark.parametrize(
    ("x", "x_times_weight"),
    [
        ([[1, 0], [2, 1]], [[1, 3], [4, 10]]),
        ([0, 1], [2, 4]),
        ([[[1, 1]], [[0, -1]], [[3, 0]]], [[[3, 7]], [[-2, -4]], [[3, 9]]]),
    ],
)
def test_linear_multiplies_by_the_weight_and_adds_the_bias(x, x_times_weight, bias):
    """Output o is row o of the weight times the input, plus entry o of the bias if there is one."""
    layer = Linear(2, 2, bias=bias is not None)
    state = {"weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]])}
    if bias is not None:
        state["bias"] = torch.tensor(bias)
    layer.load_state_dict(state)  # strict: these names and no others
    expected = torch.tensor(x_times_weight).float() + torch.tensor(bias or [0.0, 0.0])
    # "meta" plays the second device: a tensor made without `device=` lands there.
    with torch.device("meta"):
        actual = layer(torch.tensor(x, dtype=torch.float32, device="cpu"))
    # Whole numbers this small are exact in float32.
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
    assert (layer.bias is None) == (bias is None)


def test_linear_starts_uniform_within_one_over_root_in_features():
    """Weight and bias are parameters drawn evenly from -1/√in_features to 1/√in_features."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer, another = Linear(16, 4096), Linear(16, 4096)
    shapes = {name: tuple(p.shape) for name, p in layer.named_parameters() if p.requires_grad}
    assert shapes == {"weight": (4096, 16), "bias": (4096,)}
    # Put in order, evenly spread numbers lie on a straight line. In one of a million draws they
    # stray from it by 0.005 (65536 numbers) or 0.021 (4096): Kolmogorov-Smirnov, times 2 · bound.
    for name, parameter, atol in [("weight", layer.weight, 0.006), ("bias", layer.bias, 0.025)]:
        in_order = parameter.detach().flatten().sort().values
        line = torch.linspace(-0.25, 0.25, len(in_order))
        label = f"the {name}, sorted"  # shown in the message
        torch.testing.assert_close({label: in_order}, {label: line}, rtol=0, atol=atol)
    assert not torch.equal(layer.weight, another.weight), "two layers start with the same weight"


@pytest.mark.parametrize(
    ("f", "eps", "expected"),
    [
        (lambda v: (v**3).sum(), 0.5, [12.25, 3.25]),  # 12.25 = (2.5³ - 1.5³) / (2 · 0.5)
        (lambda v: float(v.numpy()[0] * v.numpy()[1]), 0.5, [-1.0, 2.0]),  # no autograd in here
        (lambda v: v[1], 0.5, [0.0, 1.0]),  # a view: it changes if its argument does
        (lambda v: (v**3).sum(), 1e-6, [12.0, 3.0]),
    ],
    ids=["cubes, eps = 0.5", "product, as a Python float", "view of its argument", "cubes, eps = 1e-6"],
)
def test_numerical_gradient_looks_an_eps_to_either_side(f, eps, expected):
    """Entry i is the rise of f from eps before x[i] to eps after it, divided by 2·eps."""
    x = torch.tensor([2.0, -1.0], dtype=torch.float64)
    # Exact for eps = 0.5; 1e-6 leaves rounding of about 1e-15 / 1e-6. The nearest wrong version, a one-sided
    # difference, is off by 6e-6.
    expected = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(numerical_gradient(f, x, eps), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "layout",
    [
        lambda base: base,
        lambda base: base.T,
        lambda base: base[:, ::2],
        lambda base: base[0].expand(3, 4),
        lambda base: base[1, 2],
    ],
    ids=["plain", "transposed", "strided", "expanded", "single number"],
)
def test_numerical_gradient_never_writes_to_x(layout, generator):
    """x may have any memory layout and may require gradients; it is only read."""
    base = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    x = layout(base)
    weights = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    before, version = base.clone(), base._version
    # "meta" plays the second device: a tensor made without `device=` lands there.
    with torch.device("meta"):
        actual = numerical_gradient(lambda v: (weights * v**2).sum(), x)
    # Rounding of about 1e-15 / eps, measured 2.1e-9; a one-sided difference is off by 1e-6.
    torch.testing.assert_close(actual, 2 * weights * x, rtol=0, atol=1e-7)
    assert torch.equal(base, before), "x has changed"
    assert base._version == version, "x was written to, though it holds its old values again"
    x.requires_grad_()
    again = numerical_gradient(lambda v: (weights * v**2).sum(), x)
    assert torch.equal(again, actual), "an x that requires gradients gets another result"
    assert not again.requires_grad, "the result takes part in autograd"


@pytest.mark.parametrize(
    "case",
    ["pairwise_dot, x", "pairwise_dot, y", "masked_mean, x", "Linear, x", "Linear, parameters"],
)
def test_autograd_agrees_with_the_numerical_gradient(case, generator):
    """Backward through each of your functions gives what the numerical gradient measures."""
    x = torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    other = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    mask = torch.tensor([True, False, True, True, False])
    layer = Linear(3, 5)
    weights = {"weight": other[:5], "bias": other[:5, 0]}
    run = {
        "pairwise_dot, x": lambda v: pairwise_dot(v, other),
        "pairwise_dot, y": lambda v: pairwise_dot(other, v),
        "masked_mean, x": lambda v: masked_mean(v, mask),
        "Linear, x": lambda v: functional_call(layer, weights, v),
        "Linear, parameters": lambda v: functional_call(layer, {"weight": v, "bias": v[:, 0]}, other),
    }[case]
    cotangent = torch.randn(run(x).shape, generator=generator, dtype=torch.float64)
    expected = numerical_gradient(lambda v: (run(v) * cotangent).sum(), x.detach())
    (actual,) = torch.autograd.grad((run(x) * cotangent).sum(), x)
    # Straight lines, so only rounding is left: 1e-15 / eps, measured 4.6e-9, and 1e-8 if that is added to
    # the count. The nearest wrong version is off by 0.6, and with a step in float32 it is 0.1.
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "ids",
    [[4], [0, 7, 1], [-1], [[3], [-5]], -4],
    ids=[
        "ids 4, num_classes=4",
        "ids 0 7 1, num_classes=4",
        "ids -1, num_classes=4",
        "ids 3 -5, num_classes=4",
        "ids -4, num_classes=4",
    ],
)
def test_id_out_of_range_is_refused(ids):
    """An id that is negative, or not below num_classes, raises IndexError."""
    with pytest.raises(IndexError):
        one_hot(torch.tensor(ids), num_classes=4)
