"""Ordered tests of kata 03: each adds one idea, and needs only what stands above it."""

from statistics import NormalDist

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from katas.k03_transformer_blocks.transformer_blocks import FeedForward, LayerNorm, TransformerBlock, gelu


def normal(*shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def random_mask(*shape, seed):
    """A mask that shows every position the first one, hides the last one, and draws the others."""
    mask = normal(*shape, seed=seed) > 0
    mask[..., 0], mask[..., -1] = True, False
    return mask


def norm_shapes(d_model, bias):
    return {"weight": (d_model,), "bias": (d_model,)} if bias else {"weight": (d_model,)}


def feedforward_shapes(d_model, d_ff, bias):
    shapes = {"up_proj.weight": (d_ff, d_model), "down_proj.weight": (d_model, d_ff)}
    return shapes | ({"up_proj.bias": (d_ff,), "down_proj.bias": (d_model,)} if bias else {})


def block_shapes(d_model, d_ff, bias):
    attention = {f"{part}_proj.weight": (d_model, d_model) for part in ("query", "key", "value", "out")}
    if bias:
        attention |= {name.replace("weight", "bias"): (d_model,) for name in attention}
    parts = {
        "attention_norm": norm_shapes(d_model, bias),
        "attention": attention,
        "feedforward_norm": norm_shapes(d_model, bias),
        "feedforward": feedforward_shapes(d_model, d_ff, bias),
    }
    return {f"{part}.{name}": shape for part, names in parts.items() for name, shape in names.items()}


def parameter_shapes(module):
    """The shape of everything in the state dict of a module, or what is wrong with it."""
    trained = {name: value for name, value in module.named_parameters() if value.requires_grad}
    stored = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    return {name: stored[name] if name in trained else "shared, or not trained" for name in stored}


def random_parameters(shapes, *, seed):
    """Matrices that keep the scale of what they multiply, and vectors around 1."""
    draws = {name: normal(*shape, seed=seed + i) for i, (name, shape) in enumerate(shapes.items())}
    return {name: x / x.shape[1] ** 0.5 if x.dim() == 2 else 1 + x / 2 for name, x in draws.items()}


def loaded(module, parameters):
    """The module with these parameters, in their dtype."""
    module = module.to(next(iter(parameters.values())).dtype)
    module.load_state_dict(parameters)  # strict: these names and no others
    return module


def pytorchs_block(parameters, x, num_heads, norm_first, mask=None):
    """What torch.nn.TransformerEncoderLayer makes of x with these parameters."""
    batch, (seq, d_model), bias = x.shape[:-2], x.shape[-2:], "feedforward.up_proj.bias" in parameters
    theirs = {
        "attention_norm": "norm1",
        "attention.out_proj": "self_attn.out_proj",
        "feedforward_norm": "norm2",
        "feedforward.up_proj": "linear1",
        "feedforward.down_proj": "linear2",
    }
    state = {}
    for kind in ("weight", "bias") if bias else ("weight",):
        parts = [parameters[f"attention.{part}_proj.{kind}"] for part in ("query", "key", "value")]
        state[f"self_attn.in_proj_{kind}"] = torch.cat(parts)
        state |= {f"{name}.{kind}": parameters[f"{ours}.{kind}"] for ours, name in theirs.items()}
    layer = nn.TransformerEncoderLayer(
        d_model,
        num_heads,
        dim_feedforward=parameters["feedforward.up_proj.weight"].shape[0],
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=norm_first,
        bias=bias,
    )
    if mask is not None:  # there True means "hidden", and every head has a mask of its own
        mask = ~mask.expand(*batch, seq, seq).reshape(-1, seq, seq).repeat_interleave(num_heads, dim=0)
    return functional_call(layer, state, (x.reshape(-1, seq, d_model), mask)).reshape(x.shape)


def gradients(output, inputs, cotangent):
    """The gradient of each of the named inputs, zeros where the output does not depend on it."""
    found = torch.autograd.grad(output, inputs.values(), cotangent.to(output.dtype), materialize_grads=True)
    return dict(zip(inputs, found, strict=True))


def test_gelu_is_each_number_times_the_share_of_normal_draws_below_it():
    """A number is multiplied by the probability that a standard normal draw lies below it."""
    numbers = [-3.0, -2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0, 3.0]
    expected = torch.tensor([x * NormalDist().cdf(x) for x in numbers], dtype=torch.float64)
    actual = gelu(torch.tensor(numbers, dtype=torch.float64))
    # Right versions are off by 1e-8, if a constant is in float32; the nearest wrong one, the
    # approximation by tanh, by 4e-4.
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("shape", "scale"), [((), 2), ((0,), 2), ((7,), 2), ((2, 3, 5), 2), ((2, 50), 1e4)])
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_and_its_slope_agree_with_pytorch_in_both_forms(approximate, shape, scale, dtype):
    """The form with tanh and the exact one are PyTorch's, and so are their slopes."""
    x = (scale * normal(*shape, seed=0)).requires_grad_()
    expected, cotangent = F.gelu(x, approximate=approximate), normal(*shape, seed=1)
    given = x.detach().to(dtype).requires_grad_()
    before = given.detach().clone()
    actual = gelu(given, approximate)
    # Right versions are off by 5e-7, in float64 by 1e-8 if √(2/π) is in float32; the nearest wrong one,
    # the other form, by 4e-4. Relative as well, for the numbers of ten thousand.
    tolerances = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(actual, expected.to(dtype), **tolerances)
    (slope,) = torch.autograd.grad(actual, given, cotangent.to(dtype))
    (expected_slope,) = torch.autograd.grad(expected, x, cotangent)
    torch.testing.assert_close(slope, expected_slope.to(dtype), **tolerances)
    assert torch.equal(given, before), "x has changed"


@pytest.mark.parametrize("bias", [True, False])
def test_norm_starts_with_a_weight_of_ones_and_a_bias_of_zeros(bias):
    """Weight and bias have one entry per feature and change nothing at first; no bias means None."""
    norm = LayerNorm(5, bias=bias)
    expected = {"weight": torch.ones(5), "bias": torch.zeros(5)} if bias else {"weight": torch.ones(5)}
    actual = {name: value.detach() for name, value in norm.named_parameters() if value.requires_grad}
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)  # exact: nothing is computed
    assert norm.state_dict().keys() == expected.keys()
    assert bias or norm.bias is None, "with bias=False, norm.bias is not None"


def test_norm_centres_each_row_and_divides_by_the_root_of_variance_plus_eps():
    """Each row minus its mean is divided by √(variance + eps); the variance divides by n, not n - 1."""
    x = torch.tensor([[5.0, 1, 1, 1], [6, -2, 2, 2], [10, -2, -2, 2], [7, 7, 7, 7], [2, 2, 3.5, 3.5]])
    # The means are 2, 2, 2, 7 and 2.75, the variances 3, 8, 24, 0 and, below eps, 9/16.
    expected = torch.tensor(
        [[3.0, -1, -1, -1], [4, -4, 0, 0], [8, -4, -4, 0], [0] * 4, [-0.75, -0.75, 0.75, 0.75]]
    )
    expected = expected / torch.tensor([[2.0], [3], [5], [1], [1.25]])
    # float32: right versions are off by 1e-7, the nearest wrong one (divided by n - 1) by 0.2.
    torch.testing.assert_close(LayerNorm(4, eps=1.0)(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "atol", "bias"), [(torch.float32, 1e-5, True), (torch.float64, 1e-7, False)]
)
@pytest.mark.parametrize(
    ("batch", "d_model", "options", "scale"),
    [
        ((), 7, {}, 1.0),
        ((2,), 7, {"eps": 0.1}, 1e-3),
        ((2, 5), 7, {"eps": 0.5}, 1.0),
        ((5, 2, 3), 7, {"eps": 0.2}, 1.0),
        ((3, 3), 3, {"eps": 0.1}, 1.0),
        ((4,), 1, {"eps": 0.1}, 1.0),
        ((), 2, {"eps": 0.0}, 1.0),
    ],
)
def test_norm_and_its_gradients_agree_with_pytorch(batch, d_model, options, scale, bias, dtype, atol):
    """The norm and its gradients are PyTorch's: any batch axes, and rows that hardly vary or not at all."""
    x = scale * normal(d_model, *batch, seed=2).movedim(0, -1)  # not contiguous
    if batch:
        x[0] = x[0, ..., :1]  # here all features of a position are equal
    cotangent = normal(*batch, d_model, seed=3)
    parameters = random_parameters(norm_shapes(d_model, bias), seed=4)
    inputs = {name: value.requires_grad_() for name, value in {"x": x, **parameters}.items()}
    weight, eps = parameters["weight"], options.get("eps", 1e-5)
    expected = F.layer_norm(x, (d_model,), weight, parameters.get("bias"), eps)
    expected_gradients = gradients(expected, inputs, cotangent)

    parameters = {name: value.detach().to(dtype) for name, value in parameters.items()}
    norm = loaded(LayerNorm(d_model, bias=bias, **options), parameters)
    given = x.detach().to(dtype).requires_grad_()
    before = given.detach().clone()
    actual = norm(given)
    # Right versions are off by 2e-6 in float32 (a gradient of 10), and by 1e-8 in float64 if eps is in
    # float32. Another eps than the default, say 1e-6, is off by 1e-5, a detached variance by 3e-6.
    torch.testing.assert_close(actual, expected.to(dtype), rtol=0, atol=atol)
    assert torch.equal(given, before), "x has changed"
    inputs = {"x": given, **dict(norm.named_parameters())}
    for name, gradient in gradients(actual, inputs, cotangent).items():
        torch.testing.assert_close(gradient, expected_gradients[name].to(dtype), rtol=0, atol=atol)


def test_norm_keeps_its_precision_far_from_zero():
    """Rows around 10,000 and around -10,000, side by side, are normalised as precisely as others."""
    x = (10 * normal(3, 64, seed=5) + torch.tensor([[1e4], [-1e4], [0.0]])).float()
    expected = F.layer_norm(x.double(), (64,)).float()
    # The mean itself is rounded, to 1e-3: right versions are off by 1e-4, PyTorch's too. The nearest
    # wrong one here, the mean of the squares less the square of the mean, is off by 0.3.
    torch.testing.assert_close(LayerNorm(64)(x), expected, rtol=0, atol=5e-4)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("batch", "d_model", "d_ff"), [((), 3, 10), ((2,), 7, 5), ((2, 5), 3, 7), ((4, 4), 4, 4), ((3,), 1, 1)]
)
def test_feedforward_widens_bends_and_narrows_each_position(batch, d_model, d_ff, bias):
    """The features go through up_proj to d_ff features, through the exact GELU, and through down_proj."""
    shapes = feedforward_shapes(d_model, d_ff, bias)
    layer = FeedForward(d_model, d_ff, bias=bias)
    assert parameter_shapes(layer) == shapes
    parameters = random_parameters(shapes, seed=6)
    layer = loaded(layer, parameters)
    x, cotangent = normal(2, *batch, d_model, seed=7)
    inputs = {name: value.requires_grad_() for name, value in {"x": x, **parameters}.items()}
    hidden = F.gelu(F.linear(x, parameters["up_proj.weight"], parameters.get("up_proj.bias")))
    expected = F.linear(hidden, parameters["down_proj.weight"], parameters.get("down_proj.bias"))
    actual = layer(x)
    # Right versions are off by 1e-8, if a constant of the GELU is in float32; the nearest wrong one, the
    # other form of the GELU, by 1e-4.
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)
    expected_gradients = gradients(expected, inputs, cotangent)
    inputs = {"x": x, **dict(layer.named_parameters())}
    for name, gradient in gradients(actual, inputs, cotangent).items():
        torch.testing.assert_close(gradient, expected_gradients[name], rtol=0, atol=1e-6)


def test_feedforward_drops_entries_of_its_output_in_training_only():
    """In training each entry of the output is dropped with probability p or divided by 1 - p."""
    p, x = 0.7, normal(40, 5, 30, seed=8)
    parameters = random_parameters(feedforward_shapes(30, 10, True), seed=9)
    complete = loaded(FeedForward(30, 10), parameters)(x)
    layer = loaded(FeedForward(30, 10, dropout=p), parameters)
    # Both come from the same layer; the nearest wrong version is off by 10.
    torch.testing.assert_close(layer.eval()(x), complete, rtol=0, atol=1e-5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first, second = layer.train()(x), layer(x)
    kept = first != 0
    torch.testing.assert_close(first, torch.where(kept, complete / (1 - p), 0.0), rtol=0, atol=1e-5)
    # Of 6000 entries each is kept with probability 0.3: the share strays by 0.006, here six times.
    torch.testing.assert_close(kept.double().mean().item(), 1 - p, rtol=0, atol=0.036)
    # Drawn one by one, neighbours along any axis fare alike with probability 0.7² + 0.3² = 0.58.
    alike = torch.stack([(kept == kept.roll(1, axis)).double().mean() for axis in range(3)])
    torch.testing.assert_close(alike, torch.full_like(alike, 0.58), rtol=0, atol=0.045)
    assert not torch.equal(first, second), "two calls in training drop the same entries"


@pytest.mark.parametrize("num_heads", [3, 1, 12])  # from one head to one for every feature
@pytest.mark.parametrize("bias", [True, False])
def test_block_is_made_of_two_norms_and_two_sub_layers(bias, num_heads):
    """The block has two norms, attention and a feed-forward network, each with its own parameters."""
    block = TransformerBlock(12, num_heads, 20, dropout=0.0, bias=bias)
    assert parameter_shapes(block) == block_shapes(12, 20, bias)


@pytest.mark.parametrize("options", [{}, {"norm_first": True}, {"norm_first": False}])
def test_block_whose_sub_layers_give_zeros_passes_its_input_on(options):
    """If the sub-layers add nothing, x itself comes out; with norm_first=False, x normalised twice."""
    parameters = random_parameters(block_shapes(12, 20, True), seed=10)
    for name in parameters:
        if "out_proj" in name or "down_proj" in name:
            parameters[name].zero_()
    x = 5 + 3 * normal(2, 7, 12, seed=11)
    expected = x
    if not options.get("norm_first", True):
        for name in ("attention_norm", "feedforward_norm"):
            weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
            expected = F.layer_norm(expected, (12,), weight, bias)
    block = loaded(TransformerBlock(12, 3, 20, **options), parameters)
    # Right versions are off by 1e-8, if eps is in float32; the nearest wrong one, with eps added to the
    # root, by 1e-5.
    torch.testing.assert_close(block(x), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("batch", "num_heads", "mask_shape", "bias", "dtype"),
    [
        ((2,), 3, None, True, torch.float32),
        ((), 5, (5, 5), False, torch.float64),
        ((3,), 3, (3, 5, 5), True, torch.float64),
        ((5,), 5, (5, 1, 5), False, torch.float32),
        ((4, 2), 3, (2, 1, 5), True, torch.float32),
    ],
)
@pytest.mark.parametrize("norm_first", [True, False])
def test_block_and_its_gradients_agree_with_pytorch(norm_first, batch, num_heads, mask_shape, bias, dtype):
    """With norms first and with norms last, and under any mask, the block computes what PyTorch's does."""
    d_model, d_ff = 4 * num_heads, 10
    parameters = random_parameters(block_shapes(d_model, d_ff, bias), seed=12)
    x, cotangent = normal(2, *batch, 5, d_model, seed=13)
    mask = None if mask_shape is None else random_mask(*mask_shape, seed=14)
    inputs = {name: value.requires_grad_() for name, value in {"x": x, **parameters}.items()}
    expected = pytorchs_block(parameters, x, num_heads, norm_first, mask)
    expected_gradients = gradients(expected, inputs, cotangent)

    parameters = {name: value.detach().to(dtype) for name, value in parameters.items()}
    block = TransformerBlock(d_model, num_heads, d_ff, norm_first=norm_first, bias=bias)
    block = loaded(block, parameters)
    given = x.detach().to(dtype)
    x_before, mask_before = given.clone(), None if mask is None else mask.clone()
    block(given)  # what a block has seen before leaves no trace in it
    # Right versions are off by 3e-5 in float32 (a gradient of 90), and by 1e-6 in float64 if the √d_head
    # of kata 01 is in float32; the nearest wrong block by 0.1.
    torch.testing.assert_close(block(given, mask), expected.to(dtype), rtol=0, atol=1e-4)
    torch.testing.assert_close(given, x_before, rtol=0, atol=0)  # x is left as it was, to the bit
    assert mask is None or torch.equal(mask, mask_before), "mask has changed"
    inputs = {"x": given.requires_grad_(), **dict(block.named_parameters())}
    for name, gradient in gradients(block(given, mask), inputs, cotangent).items():
        torch.testing.assert_close(gradient, expected_gradients[name].to(dtype), rtol=0, atol=1e-4)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("sub_layer", ["attention", "feedforward"])
def test_block_drops_what_a_sub_layer_adds_in_training_only(sub_layer, norm_first):
    """What a sub-layer adds is dropped once, entry by entry; attention drops its weights as well."""
    p, d_model, num_heads = 0.5, 30, 3
    parameters = random_parameters(block_shapes(d_model, 20, False), seed=15)
    parameters |= {
        f"{part}_norm.weight": torch.ones(d_model).double() for part in ("attention", "feedforward")
    }
    # Heads stay apart, and each position sees itself alone: a weight that is dropped silences a
    # head there, in all its features.
    parameters["attention.out_proj.weight"] = torch.eye(d_model).double()
    mask = torch.eye(5, dtype=torch.bool)
    # One of the sub-layers adds nothing, and the other nothing to the first two features.
    other = "feedforward.down_proj" if sub_layer == "attention" else "attention.out_proj"
    parameters[f"{other}.weight"].zero_()
    for projection in ("attention.out_proj", "feedforward.down_proj"):
        parameters[f"{projection}.weight"][:2] = 0
    x = normal(40, 5, d_model, seed=16)
    x[..., 0], x[..., 1] = 0, 1

    def added(block):
        # A norm shifts and stretches a row. What it has made of the 0 and the 1 in front tells by
        # how much, and so undoes it.
        y = block(x, mask)
        zero, one = y[..., :1], y[..., 1:2]
        return (y - zero) / (one - zero) - x

    options = {"norm_first": norm_first, "bias": False}
    complete = added(loaded(TransformerBlock(d_model, num_heads, 20, **options), parameters))
    block = loaded(TransformerBlock(d_model, num_heads, 20, dropout=p, **options), parameters)
    # Both are the same block; the nearest wrong version is off by 3.
    torch.testing.assert_close(added(block.eval()), complete, rtol=0, atol=1e-5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        actual = added(block.train())
    kept = actual.abs() > 1e-6
    times = 2 if sub_layer == "attention" else 1
    expected = torch.where(kept, complete / (1 - p) ** times, 0.0)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
    # Of 5600 entries each is kept with probability 0.5. Those of attention are kept with 0.25, and
    # those of a head share the fate of its weight: then the share strays by 0.011, here six times.
    share = kept[..., 2:].double().mean().item()
    torch.testing.assert_close(share, (1 - p) ** times, rtol=0, atol=0.07)
    # Of 600 heads half have their weight dropped: that share strays by 0.02, here six times.
    silent = (~kept.unflatten(-1, (num_heads, -1)).any(dim=-1)).double().mean().item()
    torch.testing.assert_close(silent, p if sub_layer == "attention" else 0.0, rtol=0, atol=0.12)


def test_works_on_the_device_of_its_inputs():
    """Tensors are made on the device of the input, and nothing looks at the values in a tensor."""
    x = torch.empty(2, 5, 12, device="meta")  # shapes and dtypes, but no numbers
    mask = torch.empty(2, 1, 5, dtype=torch.bool, device="meta")
    assert gelu(x).device.type == gelu(x, "tanh").device.type == "meta"
    assert LayerNorm(12).to("meta")(x).device.type == "meta"
    assert FeedForward(12, 20, dropout=0.5).to("meta")(x).device.type == "meta"
    assert TransformerBlock(12, 3, 20, dropout=0.5).to("meta")(x, mask).device.type == "meta"
    assert TransformerBlock(12, 3, 20, norm_first=False).to("meta")(x).device.type == "meta"
