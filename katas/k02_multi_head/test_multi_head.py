"""Ordered tests of kata 02: each adds one idea, and needs only what stands above it."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from katas.k01_attention.attention import causal_mask, scaled_dot_product_attention
from katas.k02_multi_head.multi_head import MultiHeadAttention, merge_heads, split_heads


def normal(*shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def random_mask(*shape, seed):
    """A mask that shows every position the first one, hides the last one, and draws the others."""
    mask = normal(*shape, seed=seed) > 0
    mask[..., 0], mask[..., -1] = True, False
    return mask


def random_parameters(d_model, *, bias=True, seed):
    shapes = {"weight": (d_model, d_model), "bias": (d_model,)} if bias else {"weight": (d_model,) * 2}
    names = [f"{part}_proj.{name}" for part in ("query", "key", "value", "out") for name in shapes]
    scale = d_model**-0.5
    return {
        name: normal(*shapes[name.split(".")[1]], seed=seed + number) * scale
        for number, name in enumerate(names)
    }


def layer_with(parameters, num_heads, dropout=0.0):
    """A layer with these parameters, in their dtype."""
    weight, bias = parameters["out_proj.weight"], "out_proj.bias" in parameters
    layer = MultiHeadAttention(weight.shape[0], num_heads, bias=bias, dropout=dropout)
    layer = layer.to(weight.dtype)
    layer.load_state_dict(parameters)  # strict: these names and no others
    return layer


def pytorchs_attention(parameters, x, num_heads, mask=None):
    """The output and the weights of torch.nn.MultiheadAttention with these parameters."""
    batch, (seq, d_model), bias = x.shape[:-2], x.shape[-2:], "out_proj.bias" in parameters
    state = {name: value for name, value in parameters.items() if name.startswith("out_proj")}
    for name in ("weight", "bias") if bias else ("weight",):
        parts = [parameters[f"{part}_proj.{name}"] for part in ("query", "key", "value")]
        state[f"in_proj_{name}"] = torch.cat(parts)
    options = {"average_attn_weights": False}
    if mask is not None:  # there True means "hidden", and every head has a mask of its own
        hidden = ~mask.expand(*batch, seq, seq).reshape(-1, seq, seq)
        options["attn_mask"] = hidden.repeat_interleave(num_heads, dim=0)
    theirs = nn.MultiheadAttention(d_model, num_heads, bias=bias, batch_first=True)
    rows = x.reshape(-1, seq, d_model)
    output, weights = functional_call(theirs, state, (rows, rows, rows), options)
    return output.reshape(x.shape), weights.reshape(*batch, num_heads, seq, seq)


def test_split_heads_gives_each_head_a_slice_of_the_features():
    """The first head gets the first d_head features of every position, the next head the next."""
    x = torch.tensor([[11.0, 12, 13, 14, 15, 16], [21, 22, 23, 24, 25, 26]])
    expected = torch.tensor([[[11.0, 12], [21, 22]], [[13, 14], [23, 24]], [[15, 16], [25, 26]]])
    # Exact: numbers are moved, not computed.
    torch.testing.assert_close(split_heads(x, num_heads=3), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("batch", "seq", "num_heads", "d_head"),
    [((), 5, 3, 7), ((2,), 5, 3, 7), ((2, 3), 7, 5, 1), ((5,), 7, 1, 3), ((3,), 3, 3, 3)],
)
def test_split_heads_keeps_every_batch_axis(batch, seq, num_heads, d_head):
    """Each sequence of a batch is split on its own, whatever its layout in memory."""
    x = normal(*batch, num_heads * d_head, seq, seed=0).transpose(-2, -1)  # not contiguous
    before = x.clone()
    expected = torch.stack(x.chunk(num_heads, dim=-1), dim=-3)
    # Exact: numbers are moved, not computed.
    torch.testing.assert_close(split_heads(x, num_heads), expected, rtol=0, atol=0)
    assert torch.equal(x, before), "x has changed"


@pytest.mark.parametrize(
    ("batch", "seq", "num_heads", "d_head"),
    [((), 5, 3, 7), ((2,), 5, 3, 7), ((2, 3), 7, 5, 1), ((5,), 7, 1, 3), ((3,), 3, 3, 3)],
)
def test_merge_heads_undoes_split_heads(batch, seq, num_heads, d_head):
    """The features of all heads are side by side again: merging is the inverse of splitting."""
    heads = normal(*batch, seq, d_head, num_heads, seed=2).movedim(-1, -3)  # not contiguous
    before = heads.clone()
    expected = torch.cat(heads.unbind(dim=-3), dim=-1)
    # Exact: numbers are moved, not computed.
    torch.testing.assert_close(merge_heads(heads), expected, rtol=0, atol=0)
    torch.testing.assert_close(merge_heads(heads.contiguous()), expected, rtol=0, atol=0)
    torch.testing.assert_close(merge_heads(split_heads(expected, num_heads)), expected, rtol=0, atol=0)
    assert torch.equal(heads, before), "heads has changed"


@pytest.mark.parametrize("num_heads", [3, 1, 12])  # from one head to one for every feature
@pytest.mark.parametrize("bias", [True, False])
def test_parameters_are_those_of_four_projections(bias, num_heads):
    """The state dict holds the weights, and with bias=True the biases, of the four projections, no more."""
    layer = MultiHeadAttention(12, num_heads, bias=bias, dropout=0.0)
    parts = {"weight": (12, 12), "bias": (12,)} if bias else {"weight": (12, 12)}
    projections = ["query_proj", "key_proj", "value_proj", "out_proj"]
    expected = {f"{part}.{name}": parts[name] for part in projections for name in parts}
    assert {name: tuple(value.shape) for name, value in layer.state_dict().items()} == expected
    assert {name for name, value in layer.named_parameters() if value.requires_grad} == set(expected)


def test_each_head_attends_with_its_own_features():
    """Head h compares its own slice of the queries with its own slice of the keys, over √d_head."""
    shares = torch.tensor([[[1.0, 2, 5], [3, 1, 4], [4, 2, 2]], [[6, 1, 1], [1, 4, 3], [2, 5, 1]]])
    # Position i is the unit vector i. In head h it asks with 2 in feature i; divided by √4, that
    # picks feature i of each key: a logarithm, which the exponential undoes.
    query_weight, key_weight = torch.zeros(8, 8), torch.zeros(8, 8)
    query_weight[0:3, :3] = query_weight[4:7, :3] = 2 * torch.eye(3)
    key_weight[0:3, :3], key_weight[4:7, :3] = shares.log()
    parameters = random_parameters(8, bias=False, seed=3)
    parameters |= {"query_proj.weight": query_weight, "key_proj.weight": key_weight}
    layer = layer_with({name: value.float() for name, value in parameters.items()}, num_heads=2)
    # float32: right versions are off by 6e-8, the nearest wrong one (divided by √d_model) by 0.1.
    torch.testing.assert_close(layer.attention_weights(torch.eye(3, 8)), shares / 8, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("batch", "num_heads", "mask_shape"),
    [
        ((), 3, None),
        ((2,), 3, None),
        ((2, 4), 3, None),
        ((), 3, (5, 5)),
        ((), 5, (5, 5)),
        ((5,), 5, (5, 5)),
        ((2,), 3, (2, 5, 5)),
        ((3,), 3, (3, 5, 5)),
        ((2,), 3, (1, 5)),
        ((3,), 3, (3, 1, 5)),
        ((2, 3), 3, (3, 5, 5)),
        ((2, 3), 3, (2, 1, 1, 5)),
        ((3, 2), 2, (3, 2, 5, 5)),
    ],
)
def test_mask_holds_for_every_head_of_its_sequence(batch, num_heads, mask_shape):
    """A mask of each sequence, or of all, hides the same positions from all heads of a sequence."""
    parameters = random_parameters(7 * num_heads, seed=4)
    x = 3 * normal(*batch, 5, 7 * num_heads, seed=5)  # times 3, for weights that differ a lot
    mask = None if mask_shape is None else random_mask(*mask_shape, seed=6)
    x_before, mask_before = x.clone(), None if mask is None else mask.clone()
    actual = layer_with(parameters, num_heads).attention_weights(x, mask)
    assert torch.equal(x, x_before), "x has changed"
    assert mask is None or torch.equal(mask, mask_before), "mask has changed"
    _, expected = pytorchs_attention(parameters, x, num_heads, mask)
    # Right versions are off by 1e-7, if √d_head is in float32; the nearest wrong one by 0.08.
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
    assert actual[expected == 0].abs().sum() == 0  # what is hidden gets a weight of exactly zero


@pytest.mark.parametrize("batch", [(), (2,), (3,)])
def test_output_projection_mixes_what_the_heads_have_read(batch):
    """Each head averages its own slice of the values; side by side, they go through out_proj."""
    parameters = random_parameters(21, seed=7)
    x, layer = normal(*batch, 5, 21, seed=8), layer_with(parameters, num_heads=3)
    slices = [
        (x @ parameters[f"{part}_proj.weight"].T + parameters[f"{part}_proj.bias"]).split(7, dim=-1)
        for part in ("query", "key", "value")
    ]
    heads = [scaled_dot_product_attention(*head) for head in zip(*slices, strict=True)]
    joined = torch.cat(heads, dim=-1)
    expected = joined @ parameters["out_proj.weight"].T + parameters["out_proj.bias"]
    # Right versions are off by 1e-7, if √d_head is in float32; the nearest wrong one by 0.5.
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-5)


def test_causal_mask_keeps_the_future_out_of_every_output():
    """A changed position changes its own output and the later ones, and no other sequence."""
    layer = layer_with(random_parameters(12, seed=9), num_heads=2)
    x = normal(3, 7, 12, seed=10)
    changed = x.clone()
    changed[1, 4] = 1e6 * normal(12, seed=11)
    before, after = layer(x, causal_mask(7)), layer(changed, causal_mask(7))
    # What has not changed is computed again: off by 1e-15, or by 1e-7 if a step is in float32.
    differs = ((after - before).abs() > 1e-5).any(dim=-1)
    outputs = [tuple(each) for each in differs.nonzero().tolist()]
    assert outputs == [(1, 4), (1, 5), (1, 6)], "(sequence, position) of the outputs that change with (1, 4):"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("batch", "num_heads", "mask_shape"),
    [((2,), 3, None), ((), 5, (5, 5)), ((3,), 3, (3, 5, 5)), ((4, 2), 3, (2, 1, 5))],
)
def test_output_and_gradients_agree_with_pytorch(batch, num_heads, mask_shape, bias, dtype):
    """Output and the gradients of x and of every parameter are those of PyTorch's own layer."""
    parameters = random_parameters(7 * num_heads, bias=bias, seed=12)
    x, cotangent = normal(2, *batch, 5, 7 * num_heads, seed=13)
    mask = None if mask_shape is None else random_mask(*mask_shape, seed=14)
    wanted = {"x": x, **parameters}
    for value in wanted.values():
        value.requires_grad_()
    expected, _ = pytorchs_attention(parameters, x, num_heads, mask)
    expected_gradients = torch.autograd.grad(expected, wanted.values(), cotangent)
    expected_gradients = dict(zip(wanted, expected_gradients, strict=True))

    given = x.detach().to(dtype).requires_grad_()
    layer = layer_with({name: p.detach().to(dtype) for name, p in parameters.items()}, num_heads)
    actual = layer(given, mask)
    # Right versions are off by 1e-5 in float32 (a gradient of 40), and by 1e-6 in float64 if √d_head
    # is in float32; the nearest wrong one by 0.4.
    torch.testing.assert_close(actual, expected.to(dtype), rtol=0, atol=1e-4)
    inputs = {"x": given, **dict(layer.named_parameters())}
    gradients = torch.autograd.grad(actual, inputs.values(), cotangent.to(dtype), materialize_grads=True)
    for name, gradient in zip(inputs, gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradients[name].to(dtype), rtol=0, atol=1e-4)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("mask_shape", [(5, 1), (5, 5), (2, 5, 1)])
def test_position_that_may_attend_to_nothing_gets_the_bias(mask_shape, bias):
    """A position from which the mask hides everything reads zeros, and gets just the bias of out_proj."""
    parameters = random_parameters(12, bias=bias, seed=15)
    layer, x = layer_with(parameters, num_heads=3), normal(2, 5, 12, seed=16).requires_grad_()
    mask = torch.ones(mask_shape, dtype=torch.bool)
    mask[..., [1, 4], :] = False
    assert layer.attention_weights(x, mask)[..., [1, 4], :].abs().sum() == 0
    actual, expected = layer(x, mask), layer(x).detach()
    expected[:, [1, 4]] = parameters["out_proj.bias"] if bias else 0.0
    # Both come from the same layer. A position that reads all others alike is off by 0.5.
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
    gradients = torch.autograd.grad(actual, [x, *layer.parameters()], normal(2, 5, 12, seed=17))
    assert all(gradient.isfinite().all() for gradient in gradients), "a gradient is NaN or infinite"


def test_dropout_drops_attention_weights_in_training_only():
    """In training each weight is dropped with probability p or divided by 1 - p; in evaluation it stays."""
    p, seq, num_heads, d_model = 0.7, 5, 3, 30
    # The value of position s is 1 in features s and s + 5 of each head, and 0 elsewhere. So the
    # output shows all weights, and shows them twice: a weight that is dropped is gone from both.
    parameters = random_parameters(d_model, bias=False, seed=18)
    parameters["value_proj.weight"] = torch.eye(seq, dtype=torch.float64).repeat(6, 6)
    parameters["out_proj.weight"] = torch.eye(d_model, dtype=torch.float64)
    layer = layer_with(parameters, num_heads, dropout=p)
    x = torch.eye(seq, d_model).double().expand(80, -1, -1)
    weights = layer.eval().attention_weights(x)  # (80, heads, seq, seq)

    def by_heads(output):
        return output.unflatten(-1, (num_heads, -1)).transpose(-3, -2)

    # Both come from the same layer; the nearest wrong version is off by 0.5.
    actual, expected = by_heads(layer(x)), torch.cat([weights] * 2, dim=-1)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        # The weights that are there to be looked at are whole, in training too.
        torch.testing.assert_close(layer.train().attention_weights(x), weights, rtol=0, atol=1e-5)
        first, second = layer(x), layer(x)
    actual = by_heads(first)
    kept = actual[..., :seq] != 0
    expected = torch.where(kept, weights / (1 - p), 0.0)
    torch.testing.assert_close(actual, torch.cat([expected] * 2, dim=-1), rtol=0, atol=1e-5)
    # Of 6000 weights each is kept with probability 0.3: the share strays by 0.006, here six times.
    torch.testing.assert_close(kept.double().mean().item(), 1 - p, rtol=0, atol=0.036)
    # Drawn one by one, neighbours along any axis fare alike with probability 0.7² + 0.3² = 0.58.
    alike = torch.stack([(kept == kept.roll(1, axis)).double().mean() for axis in range(4)])
    torch.testing.assert_close(alike, torch.full_like(alike, 0.58), rtol=0, atol=0.045)
    assert not torch.equal(first, second), "two calls in training drop the same entries"


def test_works_on_the_device_of_its_inputs():
    """Tensors are made on the device of the input, and nothing looks at the values in a tensor."""
    x = torch.empty(2, 5, 12, device="meta")  # shapes and dtypes, but no numbers
    mask = torch.empty(2, 1, 5, dtype=torch.bool, device="meta")
    layer = MultiHeadAttention(12, 3, dropout=0.5).to("meta")
    assert merge_heads(split_heads(x, 3)).device.type == "meta"
    assert layer.attention_weights(x, mask).device.type == "meta"
    assert layer(x, mask).device.type == "meta"
    assert layer.eval()(x).device.type == "meta"


@pytest.mark.parametrize(("d_model", "num_heads"), [(50, 7), (12, 24)])
@pytest.mark.parametrize("use", ["split_heads", "MultiHeadAttention"])
def test_heads_that_do_not_divide_d_model_are_refused(use, d_model, num_heads):
    """If the features cannot be dealt out evenly, ValueError names d_model and num_heads."""
    with pytest.raises(ValueError) as refusal:
        if use == "split_heads":
            split_heads(normal(2, 5, d_model, seed=1), num_heads)
        else:
            MultiHeadAttention(d_model, num_heads)
    named = [str(d_model), str(num_heads)]
    assert [number for number in named if number in str(refusal.value)] == named
