"""Ordered tests of kata 12: each adds one idea, and needs only what stands above it."""

import math
import re
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F

from katas.k12_modern.modern import (
    GatedFeedForward,
    ModernAttention,
    ModernBlock,
    ModernConfig,
    ModernLM,
    RMSNorm,
    SquaredReLUFeedForward,
    rotary_table,
    rotate,
)

# All sizes differ; d_ff is neither 4 nor 8/3 times d_model.
SMALL = {"vocab_size": 13, "block_size": 7, "d_model": 24, "num_heads": 6, "num_layers": 3}
SMALL |= {"num_kv_heads": 2, "d_ff": 20}
GATED = {"feedforward": "gated", "num_kv_heads": 3, "num_layers": 2}


def normal(*shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def random_ids(*shape, vocab_size=13, seed):
    return torch.randint(vocab_size, shape, generator=torch.Generator().manual_seed(seed))


@contextmanager
def seeded(seed):
    """Draws in here follow from the seed; PyTorch's generator is restored afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def angles(positions, d_head, base=10_000.0):
    """p · base^(-2i / d_head) for each position p and each pair i, without tensors."""
    rows = [[p * base ** (-2 * i / d_head) for i in range(d_head // 2)] for p in positions]
    return torch.tensor(rows, dtype=torch.float64)


def turned(x, angle):
    """x with its pairs (i, i + half) turned: a pair is a complex number, and turning it a product."""
    first, second = x.chunk(2, dim=-1)
    product = torch.complex(first, second) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([product.real, product.imag], dim=-1)


def in_heads(x, num_heads):
    """(…, seq, features) as (…, heads, seq, d_head)."""
    return x.unflatten(-1, (num_heads, -1)).transpose(-3, -2)


def random_parameters(shapes, *, seed):
    """Matrices that keep the scale of what they multiply, and vectors around 1."""
    draws = {name: normal(*shape, seed=seed + i) for i, (name, shape) in enumerate(shapes.items())}
    return {name: x / x.shape[1] ** 0.5 if x.dim() == 2 else 1 + x / 2 for name, x in draws.items()}


def parameter_shapes(module):
    """The shape of everything in the state dict of a module, or what is wrong with it."""
    trained = {name: value for name, value in module.named_parameters() if value.requires_grad}
    stored = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    return {name: stored[name] if name in trained else "shared, or not trained" for name in stored}


def loaded(module, parameters):
    """The module with these parameters, in their dtype."""
    module = module.to(next(iter(parameters.values())).dtype)
    module.load_state_dict(parameters)  # strict: these names and no others
    return module


def gradients(output, inputs, cotangent):
    """The gradient of each of the named inputs, zeros where the output does not depend on it."""
    found = torch.autograd.grad(output, inputs.values(), cotangent.to(output.dtype), materialize_grads=True)
    return dict(zip(inputs, found, strict=True))


def attention_shapes(d_model, num_heads, num_kv_heads, qk_norm):
    d_head = d_model // num_heads
    shared = (num_kv_heads * d_head, d_model)
    shapes = {"query_proj": (d_model, d_model), "key_proj": shared, "value_proj": shared}
    shapes |= {"out_proj": (d_model, d_model)}
    shapes |= {"query_norm": (d_head,), "key_norm": (d_head,)} if qk_norm else {}
    return {f"{name}.weight": shape for name, shape in shapes.items()}


def shapes_of(config):
    """The names in the state dict of a model, with their shapes."""
    d_model, d_ff = config.d_model, config.d_ff
    up = ("gate_proj", "up_proj") if config.feedforward == "gated" else ("up_proj",)
    attention = attention_shapes(d_model, config.num_heads, config.num_kv_heads, config.qk_norm)
    block = {
        "attention_norm.weight": (d_model,),
        **{f"attention.{name}": shape for name, shape in attention.items()},
        "feedforward_norm.weight": (d_model,),
        **{f"feedforward.{name}.weight": (d_ff, d_model) for name in up},
        "feedforward.down_proj.weight": (d_model, d_ff),
    }
    return {
        "token_embedding.weight": (config.vocab_size, d_model),
        **{f"blocks.{i}.{name}": block[name] for i in range(config.num_layers) for name in block},
        "final_norm.weight": (d_model,),
        "lm_head.weight": (config.vocab_size, d_model),
    }


def reference_logits(config, parameters, ids):
    """The logits of the model with these parameters, by PyTorch's functions and complex numbers."""

    def norm(x, name):
        return F.rms_norm(x, x.shape[-1:], parameters[f"{name}.weight"], 1e-5)

    def project(x, name, num_heads=None):
        out = x @ parameters[f"{name}.weight"].T
        return out if num_heads is None else in_heads(out, num_heads)

    angle = angles(range(ids.shape[1]), config.d_model // config.num_heads, config.base)
    x = parameters["token_embedding.weight"][ids]
    for block in (f"blocks.{i}" for i in range(config.num_layers)):
        y, attention = norm(x, f"{block}.attention_norm"), f"{block}.attention"
        query = project(y, f"{attention}.query_proj", config.num_heads)
        key = project(y, f"{attention}.key_proj", config.num_kv_heads)
        value = project(y, f"{attention}.value_proj", config.num_kv_heads)
        if config.qk_norm:
            query, key = norm(query, f"{attention}.query_norm"), norm(key, f"{attention}.key_norm")
        readers = [h * config.num_kv_heads // config.num_heads for h in range(config.num_heads)]
        query, key, value = turned(query, angle), turned(key, angle)[:, readers], value[:, readers]
        heads = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + project(heads.transpose(1, 2).flatten(2), f"{attention}.out_proj")
        y, network = norm(x, f"{block}.feedforward_norm"), f"{block}.feedforward"
        hidden = project(y, f"{network}.up_proj")
        if config.feedforward == "gated":
            hidden = F.silu(project(y, f"{network}.gate_proj")) * hidden
        else:
            hidden = hidden.clamp(min=0) ** 2
        x = x + project(hidden, f"{network}.down_proj")
    return project(norm(x, "final_norm"), "lm_head")


def drawn_from(value):
    """Zeros, ones, or the distribution that the entries seem to be drawn from.

    Of normal draws 68 % are within one standard deviation, and of uniform ones 58 %: with the 2592 entries
    of the smallest matrix that strays by 1 %. The standard deviation, which strays by 1.4 %, is rounded to a
    power of √2.
    """
    if not value.any() or (value == 1).all():
        return "ones" if value.any() else "zeros"
    std = value.std().item()
    kind = "normal" if ((value - value.mean()).abs() <= std).double().mean() > 0.63 else "uniform"
    return f"{kind}, standard deviation about {2 ** (round(2 * math.log2(std)) / 2):.1g}"


def first_values(config):
    """What `drawn_from` finds in a fresh model whose d_model is 72."""
    kinds = {"out_proj": "zeros", "down_proj": "zeros", "lm_head": "zeros"}
    kinds["token_embedding"] = "normal, standard deviation about 1"
    if config.tie_weights:
        kinds |= dict.fromkeys(("lm_head", "token_embedding"), "normal, standard deviation about 0.02")
    kinds |= {name: "ones" for name in shapes_of(config) if name.endswith("norm.weight")}
    uniform = "uniform, standard deviation about 0.06"  # 1/√72 over √3
    return {name: kinds.get(name, kinds.get(name.split(".")[-2], uniform)) for name in shapes_of(config)}


def named_in(message, numbers):
    """The numbers that occur in the message, not as parts of other numbers."""
    return [number for number in numbers if re.search(rf"(?<![\d-]){number}(?!\d)", message)]


def test_rms_norm_divides_each_row_by_the_root_of_its_mean_square_plus_eps():
    """Each row is divided by √(mean of the squares + eps) and is not centred; weights start at 1."""
    assert parameter_shapes(RMSNorm(4)) == {"weight": (4,)}
    x = torch.tensor([[1.0, 1, 1, 1], [-2, 0, 2, 2], [1, 5, -5, 3], [0, 0, 0, 0], [1.5, -1.5, 0, 0]])
    # The mean squares are 1, 3, 15, 0 and 1.125; with eps = 1 the roots are √2, 2, 4, 1 and √2.125.
    expected = x / torch.tensor([[2**0.5], [2], [4], [1], [2.125**0.5]])
    norm = RMSNorm(4, eps=1.0)
    # float32: right versions are off by 1e-7, the nearest wrong one, a mean of absolute values, by 0.17.
    torch.testing.assert_close(norm(x), expected, rtol=0, atol=1e-5)
    weight = torch.tensor([2.0, -1, 0.5, 3])
    torch.testing.assert_close(loaded(norm, {"weight": weight})(x), expected * weight, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "atol", "rtol"),
    [(torch.float32, 1e-5, 1e-5), (torch.float64, 1e-7, 1e-7), (torch.float16, 4e-3, 4e-3)],
    ids=["float32", "float64", "float16"],
)
@pytest.mark.parametrize(
    ("batch", "d_model", "options", "scale"),
    [
        ((), 7, {}, 1.0),
        ((2,), 7, {}, 0.1),
        ((5, 2, 3), 7, {"eps": 0.2}, 1.0),
        ((3, 3), 3, {}, 300.0),
        ((4,), 1, {"eps": 0.1}, 1.0),
    ],
    ids=["one row", "small rows", "many axes", "rows of 300", "one feature"],
)
def test_rms_norm_and_its_gradients_agree_with_pytorch(batch, d_model, options, scale, dtype, atol, rtol):
    """Values and gradients are those of F.rms_norm, for small rows, rows of zeros, and 300 in float16."""
    x = (scale * normal(d_model, *batch, seed=1)).to(dtype).double().movedim(0, -1)  # not contiguous
    if batch:
        x[0] = 0
    cotangent = normal(*batch, d_model, seed=2).to(dtype).double()
    weight = (1 + normal(d_model, seed=3) / 2).to(dtype).double()
    inputs = {"x": x.requires_grad_(), "weight": weight.requires_grad_()}
    expected = F.rms_norm(x, (d_model,), weight, options.get("eps", 1e-5))
    expected_gradients = gradients(expected, inputs, cotangent)

    norm = loaded(RMSNorm(d_model, **options), {"weight": weight.detach().to(dtype)})
    given = x.detach().to(dtype).requires_grad_()
    before = given.detach().clone()
    actual = norm(given)
    # Right versions are off by 1e-6 in float32, by 1e-8 in float64 if eps is in float32, and by 2e-3 in
    # float16, whose numbers have 3 digits. Relative as well: where a row is zero, gradients are around 300.
    # Another eps than the default, say 1e-6, is off by 4e-4 in the small rows; a float32 on the way, by 8e-5
    # in the gradients of the zeros.
    torch.testing.assert_close(actual, expected.to(dtype), rtol=rtol, atol=atol)
    assert torch.equal(given, before), "x has changed"
    inputs = {"x": given, **dict(norm.named_parameters())}
    for name, gradient in gradients(actual, inputs, cotangent).items():
        torch.testing.assert_close(gradient, expected_gradients[name].to(dtype), rtol=rtol, atol=atol)


@pytest.mark.parametrize("dtype", [None, torch.float64])
@pytest.mark.parametrize(
    ("max_len", "d_head", "options"),
    [(7, 10, {}), (5, 2, {}), (11, 6, {"base": 100.0}), (5, 10, {"base": 500_000.0}), (100_003, 6, {})],
)
def test_rotary_table_holds_cosine_and_sine_of_every_angle(max_len, d_head, options, dtype):
    """Pair i turns by p · base^(-2i / d_head) at position p; precise for late positions as well."""
    positions = sorted({*range(min(max_len, 11)), *range(max_len - 5, max_len)})
    angle = angles(positions, d_head, **options)
    cos, sin = rotary_table(max_len, d_head, **options, dtype=dtype)
    assert cos.shape == sin.shape == (max_len, d_head // 2)
    expected = {"cos": angle.cos(), "sin": angle.sin()}
    expected = {name: value.to(dtype or torch.get_default_dtype()) for name, value in expected.items()}
    # Right versions are off by 1e-7 in float32, and by 1e-10 in float64; angles computed in float32 by
    # 5e-4 at position 100,000, and positions that count from 1 by 1.
    tolerance = 1e-6 if dtype is None else 1e-9
    actual = {"cos": cos[positions], "sin": sin[positions]}
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance)


def test_rotate_turns_feature_i_together_with_feature_i_plus_half():
    """Each pair (i, i + half) turns by the angle of its row, counter-clockwise; lengths stay."""
    # Two pairs: (1, 0) and (0, 1) at features (0, 2) and (1, 3). Row 1 turns them by 90° and by 180°.
    x = torch.tensor([[1.0, 0, 0, 1], [1, 0, 0, 1], [3, 2, 4, 5]])
    cos, sin = torch.tensor([[1.0, 1], [0, -1], [0.6, 0]]), torch.tensor([[0.0, 0], [1, 0], [0.8, 1]])
    by_hand = torch.tensor([[1.0, 0, 0, 1], [0, 0, 1, -1], [-1.4, -5, 4.8, 2]])
    # float32, few digits: right versions are off by 1e-6, the nearest wrong one by 2.
    torch.testing.assert_close(rotate(x, cos, sin), by_hand, rtol=0, atol=1e-5)
    for batch, seq, d_head in [((), 5, 2), ((3,), 7, 10), ((2, 3), 5, 6), ((5, 5), 5, 10)]:
        x, angle = normal(*batch, seq, d_head, seed=4), normal(seq, d_head // 2, seed=5)
        cos, sin = angle.cos(), angle.sin()
        originals = [tensor.clone() for tensor in (x, cos, sin)]
        # The product of complex numbers is the same four products: right versions are off by 1e-15.
        torch.testing.assert_close(rotate(x, cos, sin), turned(x, angle), rtol=0, atol=1e-12)
        for tensor, before in zip((x, cos, sin), originals, strict=True):
            assert torch.equal(tensor, before), "an argument has changed"
    # A table may be more precise than what it turns; the result has the dtype of x.
    assert rotate(x.bfloat16(), cos.float(), sin.float()).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("batch", "d_model", "d_ff"), [((), 3, 10), ((2,), 7, 5), ((2, 5), 3, 7), ((4, 4), 4, 4)]
)
def test_squared_relu_network_squares_what_is_above_zero(batch, d_model, d_ff):
    """The features go through up_proj, what is negative becomes 0, the rest is squared, then down_proj."""
    shapes = {"up_proj.weight": (d_ff, d_model), "down_proj.weight": (d_model, d_ff)}
    layer = SquaredReLUFeedForward(d_model, d_ff)
    assert parameter_shapes(layer) == shapes
    parameters = random_parameters(shapes, seed=6)
    x, cotangent = normal(2, *batch, d_model, seed=7)

    def formula(x, parameters):
        hidden = x @ parameters["up_proj.weight"].T
        return torch.where(hidden > 0, hidden * hidden, 0.0) @ parameters["down_proj.weight"].T

    assert_layer_is(loaded(layer, parameters), formula, x, parameters, cotangent)


@pytest.mark.parametrize(
    ("batch", "d_model", "d_ff"), [((), 3, 10), ((2,), 7, 5), ((2, 5), 3, 7), ((4, 4), 4, 4)]
)
def test_gated_network_multiplies_two_projections_of_which_one_is_the_gate(batch, d_model, d_ff):
    """gate_proj goes through silu, up_proj does not, and their product goes through down_proj."""
    shapes = {"gate_proj.weight": (d_ff, d_model), "up_proj.weight": (d_ff, d_model)}
    shapes |= {"down_proj.weight": (d_model, d_ff)}
    layer = GatedFeedForward(d_model, d_ff)
    assert parameter_shapes(layer) == shapes
    parameters = random_parameters(shapes, seed=8)
    x, cotangent = normal(2, *batch, d_model, seed=9)

    def formula(x, parameters):
        gate, up = x @ parameters["gate_proj.weight"].T, x @ parameters["up_proj.weight"].T
        return (gate / (1 + torch.exp(-gate)) * up) @ parameters["down_proj.weight"].T

    assert_layer_is(loaded(layer, parameters), formula, x, parameters, cotangent)


def assert_layer_is(layer, formula, x, parameters, cotangent):
    """The layer and its gradients are those of the formula."""
    inputs = {name: value.requires_grad_() for name, value in {"x": x, **parameters}.items()}
    expected, before = formula(x, parameters), x.detach().clone()
    expected_gradients = gradients(expected, inputs, cotangent)
    actual = layer(x)
    # Right versions are off by 1e-14; the nearest wrong one, a GELU in the place of the silu, by 0.3.
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-9)
    assert torch.equal(x, before), "x has changed"
    inputs = {"x": x, **dict(layer.named_parameters())}
    for name, gradient in gradients(actual, inputs, cotangent).items():
        torch.testing.assert_close(gradient, expected_gradients[name], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("batch", "num_heads", "num_kv_heads"), [((3,), 6, 2), ((), 5, None), ((2, 3), 6, 1), ((11,), 3, 3)]
)
def test_queries_and_keys_turn_by_their_positions_and_values_do_not(batch, num_heads, num_kv_heads):
    """`project` splits into heads, then turns queries and keys by the given rows; values stay."""
    d_model = 10 * num_heads
    kv_heads = num_heads if num_kv_heads is None else num_kv_heads
    attention = ModernAttention(d_model, num_heads, num_kv_heads, qk_norm=False)
    shapes = attention_shapes(d_model, num_heads, kv_heads, qk_norm=False)
    assert parameter_shapes(attention) == shapes
    parameters = random_parameters(shapes, seed=10)
    attention, x = loaded(attention, parameters), normal(*batch, 11, d_model, seed=11)
    before, angle = x.clone(), angles(range(11), 10, base=50.0)
    query, key, value = (
        in_heads(x @ parameters[f"{name}_proj.weight"].T, heads)
        for name, heads in [("query", num_heads), ("key", kv_heads), ("value", kv_heads)]
    )
    expected = {"query": turned(query, angle), "key": turned(key, angle), "value": value}
    actual = attention.project(x, (angle.cos(), angle.sin()))
    # Right versions are off by 1e-14; the nearest wrong one, which turns before it splits into heads, by 4.
    for (name, tensor), found in zip(expected.items(), actual, strict=True):
        torch.testing.assert_close(
            found, tensor, rtol=0, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}"
        )
    # Three positions alone turn by the rows that come with them, whether these are 5 to 7 or 0 to 2.
    for rows in (slice(5, 8), slice(0, 3)):
        found = attention.project(x[..., 5:8, :], (angle[rows].cos(), angle[rows].sin()))
        again = turned(query[..., 5:8, :], angle[rows]), turned(key[..., 5:8, :], angle[rows])
        torch.testing.assert_close(found[:2], again, rtol=0, atol=1e-9)
        # The products are the same for both, as they depend on the distance alone.
        if kv_heads == num_heads:
            products = found[0] @ found[1].transpose(-2, -1)
            whole = expected["query"] @ expected["key"].transpose(-2, -1)
            torch.testing.assert_close(products, whole[..., 5:8, 5:8], rtol=0, atol=1e-9)
    assert torch.equal(x, before), "x has changed"


@pytest.mark.parametrize("mask_shape", [None, (5, 11), (3, 1, 11), (3, 5, 11), (1, 5, 11)])
@pytest.mark.parametrize(("num_heads", "num_kv_heads"), [(6, 2), (6, 1), (4, 4), (6, 3)])
def test_neighbouring_query_heads_share_a_head_of_keys_and_values(num_heads, num_kv_heads, mask_shape):
    """Of 6 query heads and 2 key heads, query heads 0, 1, 2 read key head 0, and 3, 4, 5 read head 1."""
    d_model, group = 10 * num_heads, num_heads // num_kv_heads
    attention = ModernAttention(d_model, num_heads, num_kv_heads)
    parameters = random_parameters(attention_shapes(d_model, num_heads, num_kv_heads, True), seed=12)
    attention = loaded(attention, parameters)
    inputs = {"query": normal(3, num_heads, 5, 10, seed=13), "key": normal(3, num_kv_heads, 11, 10, seed=14)}
    inputs |= {"value": normal(3, num_kv_heads, 11, 10, seed=15)}
    mask = None
    if mask_shape is not None:
        mask = normal(*mask_shape, seed=16) > 0
        mask[..., 0], mask[..., -1] = True, False  # every query sees something, and not all
    originals = {name: value.clone() for name, value in inputs.items()}
    query, key, value = (tensor.requires_grad_() for tensor in inputs.values())
    heads = [
        F.scaled_dot_product_attention(query[:, h], key[:, h // group], value[:, h // group], mask)
        for h in range(num_heads)
    ]
    expected = torch.cat(heads, dim=-1) @ parameters["out_proj.weight"].T
    actual = attention.attend(query, key, value, mask)
    # Right versions are off by 1e-7 if √d_head is in float32; the nearest wrong one, where neighbours read
    # the values of different heads, by 2.
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
    # The first of the three sequences alone, without an axis for the batch.
    own_mask = mask if mask is None or mask.dim() == 2 else mask[0]
    alone = attention.attend(query[0], key[0], value[0], own_mask)
    torch.testing.assert_close(alone, expected[0], rtol=0, atol=1e-5)
    cotangent = normal(3, 5, d_model, seed=17)
    expected_gradients = gradients(expected, inputs, cotangent)
    for name, gradient in gradients(actual, inputs, cotangent).items():
        torch.testing.assert_close(gradient, expected_gradients[name], rtol=0, atol=1e-5)
        assert torch.equal(inputs[name], originals[name]), f"{name} has changed"


@pytest.mark.parametrize(("num_heads", "num_kv_heads"), [(6, 2), (3, 3)])
def test_qk_norm_leaves_only_the_directions_of_queries_and_keys(num_heads, num_kv_heads):
    """Queries and keys are normalised within their heads before they turn, so their size does not count."""
    d_model, kv_heads, sizes = 10 * num_heads, num_kv_heads, (10 * num_heads, num_heads, num_kv_heads)
    shapes = attention_shapes(*sizes, qk_norm=True)
    assert parameter_shapes(ModernAttention(*sizes)) == shapes
    without = ModernAttention(*sizes, qk_norm=False)
    assert (without.query_norm, without.key_norm) == (None, None)
    parameters = random_parameters(shapes, seed=18)
    attention, x = loaded(ModernAttention(*sizes), parameters), normal(3, 7, d_model, seed=19)
    angle = angles(range(7), 10, base=50.0)
    rotary, mask = (angle.cos(), angle.sin()), normal(3, 7, 7, seed=20) > -1
    query, key = (
        F.rms_norm(
            in_heads(x @ parameters[f"{name}_proj.weight"].T, heads),
            (10,),
            parameters[f"{name}_norm.weight"],
            1e-5,
        )
        for name, heads in [("query", num_heads), ("key", kv_heads)]
    )
    # Right versions are off by 1e-8, if eps is in float32; the nearest wrong one, which turns first, by 2.
    actual = attention.project(x, rotary)[:2]
    torch.testing.assert_close(actual, (turned(query, angle), turned(key, angle)), rtol=0, atol=1e-6)
    expected = attention(x, rotary, mask)
    for name, rows in [("query_proj.weight", slice(10, 20)), ("key_proj.weight", slice(0, 10))]:
        scaled = {**parameters, name: parameters[name].clone()}
        scaled[name][rows] *= 1000  # all of one head, and of no other one
        # eps = 1e-5 counts for less in a longer query: right versions change by 1e-5, and the nearest wrong
        # one, which normalises over all heads at once, by 1.
        actual = loaded(ModernAttention(*sizes), scaled)(x, rotary, mask)
        torch.testing.assert_close(actual, expected, rtol=0, atol=3e-4)
    # The size of the values does count.
    tripled = {**parameters, "value_proj.weight": 3 * parameters["value_proj.weight"]}
    actual = loaded(ModernAttention(*sizes), tripled)(x, rotary, mask)
    torch.testing.assert_close(actual, 3 * expected, rtol=0, atol=1e-9)  # by rounding alone: 1e-15


@pytest.mark.parametrize(
    "options",
    [{}, GATED, {"qk_norm": False, "base": 100.0}, {"tie_weights": True, "num_kv_heads": None}],
    ids=["squared ReLU", "gated", "no QK-norm", "tied"],
)
def test_parameters_are_those_of_table_blocks_norm_and_head(options):
    """A table, num_layers blocks, a norm and a head, no biases; rotary tables are not in the state dict."""
    config = ModernConfig(**SMALL | options)
    shapes = shapes_of(config)
    of_a_block = {name: shape for name, shape in shapes.items() if name.startswith("blocks.0.")}
    block = ModernBlock(config).state_dict()
    assert {f"blocks.0.{name}": tuple(value.shape) for name, value in block.items()} == of_a_block
    model = ModernLM(config)
    found = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert found == shapes
    own = {name for name, value in model.named_parameters() if value.requires_grad}
    tied_names = {"token_embedding.weight", "lm_head.weight"} if config.tie_weights else set()
    missing = sorted(shapes.keys() - own - tied_names)
    assert missing == [], f"these are not parameters of their own: {missing}"
    tied = model.lm_head.weight is model.token_embedding.weight
    assert tied == config.tie_weights, f"lm_head.weight is token_embedding.weight: {tied}"
    assert model.config == config
    angle = angles(range(config.block_size), 4, config.base)
    buffers = {name: value for name, value in model.named_buffers() if name in ("cos", "sin")}
    # float32: right versions are off by 1e-7, the nearest wrong one, of another base, by 0.17.
    expected = {"cos": angle.cos().float(), "sin": angle.sin().float()}
    torch.testing.assert_close(buffers, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [{}, {"feedforward": "gated", "num_kv_heads": 3}, {"tie_weights": True}],
    ids=["squared ReLU", "gated", "tied"],
)
def test_model_starts_with_silent_writers_and_learns_with_every_parameter(options):
    """Writers and head start at zero, so the first loss is ln(vocab_size); after 3 steps all has moved."""
    config = ModernConfig(67, 16, d_model=72, num_heads=6, num_layers=2, **options)
    with seeded(0):
        model, other = ModernLM(config), ModernLM(config)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    expected = first_values(config)
    assert {name: drawn_from(value) for name, value in start.items()} == expected
    again = {name for name, value in other.state_dict().items() if torch.equal(value, start[name])}
    assert again == {name for name, kind in expected.items() if kind in ("zeros", "ones")}
    ids, targets = random_ids(2, 5, 16, vocab_size=67, seed=21)
    losses = []
    for _ in range(3):
        loss = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
        losses.append(loss.item())
        found = gradients(loss, dict(model.named_parameters()), torch.tensor(1.0))
        with torch.no_grad():  # a step of fixed size against each gradient's sign, as Adam's first one
            for name, parameter in model.named_parameters():
                parameter -= 0.003 * found[name].sign()
    # Exact but for rounding where all logits are zero; a tied head is drawn from N(0, 0.02).
    tolerance = 0.1 if config.tie_weights else 1e-5
    torch.testing.assert_close(losses[0], math.log(67), rtol=0, atol=tolerance)
    # The head moves first, then the writers and the table, then what these need: a step for each.
    still = [name for name, value in model.state_dict().items() if torch.equal(value, start[name])]
    assert not still, f"these have not moved in three steps: {still}"


@pytest.mark.parametrize(
    ("batch", "seq", "options", "dtype"),
    [
        (2, 5, {}, torch.float32),
        (3, 7, GATED, torch.float64),
        (1, 1, {"qk_norm": False}, torch.float32),
        (5, 5, {"tie_weights": True, "num_kv_heads": None, "base": 50.0}, torch.float32),
        (
            *(3, 7, {"num_heads": 4, "num_kv_heads": 1, "d_ff": None, "num_layers": 1, "block_size": 64}),
            torch.float64,
        ),
    ],
    ids=["short", "gated", "one token", "tied", "one key head"],
)
def test_logits_and_gradients_agree_with_pytorchs_functions(batch, seq, options, dtype):
    """Logits and gradients are those of a causal model built from PyTorch's functions, at any length."""
    config = ModernConfig(**SMALL | options)
    parameters = random_parameters(shapes_of(config), seed=23)
    parameters["token_embedding.weight"] *= config.d_model**0.5  # as the model draws it, from N(0, 1)
    if config.tie_weights:
        parameters["lm_head.weight"] = parameters["token_embedding.weight"]
    ids, cotangent = random_ids(batch, seq, seed=24), normal(batch, seq, 13, seed=25)
    before = ids.clone()
    model = loaded(ModernLM(config), {name: value.to(dtype) for name, value in parameters.items()})
    wanted = {name: parameters[name].requires_grad_() for name, _ in model.named_parameters()}
    expected = reference_logits(config, parameters, ids)
    expected_gradients = gradients(expected, wanted, cotangent)
    actual = model(ids)
    # Off by a share of the largest number there is: right versions by 5e-6 in float32, and by 1e-7 in
    # float64, as the rotary tables were made in float32; the nearest wrong one by half of it.
    share = 3e-5 if dtype == torch.float32 else 1e-6
    largest = max(x.abs().max().item() for x in (expected, *expected_gradients.values()))
    atol = share * max(1.0, largest)
    torch.testing.assert_close(actual, expected.to(dtype), rtol=0, atol=atol)
    assert torch.equal(ids, before), "the ids have changed"
    for name, gradient in gradients(actual, dict(model.named_parameters()), cotangent).items():
        torch.testing.assert_close(gradient, expected_gradients[name].to(dtype), rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("options", "dtype"), [({}, torch.float32), (GATED, torch.bfloat16)], ids=["squared ReLU", "gated"]
)
def test_works_on_the_device_of_its_inputs(options, dtype):
    """What is made has the inputs' device and dtype, and tables those asked for; no value is looked at."""
    ids = torch.empty(2, 5, dtype=torch.int64, device="meta")  # shapes and dtypes, but no numbers
    model = ModernLM(ModernConfig(**SMALL | options)).to("meta", dtype)
    table = model.token_embedding
    # The look-up of kata 04 may look at the ids, to refuse some; this one does not.
    table.forward = lambda ids: F.embedding(ids, table.weight)
    logits = model(ids)
    assert (logits.device.type, logits.dtype) == ("meta", dtype)
    for tensor in rotary_table(7, 4, dtype=dtype, device="meta"):
        assert (tensor.device.type, tensor.dtype) == ("meta", dtype)
    with torch.device("meta"):
        model = ModernLM(ModernConfig(**SMALL | options))
        tables = rotary_table(7, 4)
    tensors = [*model.parameters(), *model.buffers(), *tables]
    assert {tensor.device.type for tensor in tensors} == {"meta"}


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: rotary_table(5, 7), ["7"]),
        (lambda: ModernAttention(30, 4), ["30", "4"]),
        (lambda: ModernAttention(60, 6, 4), ["6", "4"]),
        (lambda: ModernLM(ModernConfig(**SMALL))(torch.zeros(2, 8, dtype=torch.int64)), ["8", "7"]),
    ],
    ids=["odd d_head", "heads of unequal width", "key heads shared unevenly", "one token too many"],
)
def test_odd_width_uneven_heads_and_long_sequence_are_refused(call, named):
    """ValueError names an odd d_head, heads that do not divide, and seq and block_size if seq is longer."""
    with pytest.raises(ValueError) as refusal:
        call()
    assert named_in(str(refusal.value), named) == named
