"""Ordered tests of kata 05: each adds one idea, and relies only on those above it."""

import copy
import math
import re
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from katas.k05_model.model import ModelConfig, TransformerLM, count_parameters

# All sizes differ; d_ff is not 4 · d_model.
SMALL = {"vocab_size": 11, "block_size": 7, "d_model": 12, "num_heads": 3, "num_layers": 2, "d_ff": 20}
GPT2 = {"vocab_size": 50257, "block_size": 1024, "d_model": 768, "num_heads": 12, "num_layers": 12}
TIED_OR_NOT = pytest.mark.parametrize("tie", [True, False], ids=["tied", "untied"])


def normal(*shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def random_ids(*shape, vocab_size=11, seed):
    return torch.randint(vocab_size, shape, generator=torch.Generator().manual_seed(seed))


@contextmanager
def seeded(seed):
    """Draws in here follow from the seed; PyTorch's generator is restored afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def shapes_of(config):
    """The names in the state dict of a model, with their shapes."""
    d_model, d_ff = config.d_model, config.d_ff
    norm = {"weight": (d_model,), "bias": (d_model,)}
    positions = {"weight": (config.block_size, d_model)}
    square = {"weight": (d_model, d_model), "bias": (d_model,)}
    block = {
        "attention_norm": norm,
        **{f"attention.{part}_proj": square for part in ("query", "key", "value", "out")},
        "feedforward_norm": norm,
        "feedforward.up_proj": {"weight": (d_ff, d_model), "bias": (d_ff,)},
        "feedforward.down_proj": {"weight": (d_model, d_ff), "bias": (d_model,)},
    }
    parts = {
        "token_embedding": {"weight": (config.vocab_size, d_model)},
        **({"position_embedding": positions} if config.positions == "learned" else {}),
        **{f"blocks.{i}.{part}": block[part] for i in range(config.num_layers) for part in block},
        "final_norm": norm,
        "lm_head": {"weight": (config.vocab_size, d_model)},
    }
    shapes = {f"{part}.{name}": shape for part, names in parts.items() for name, shape in names.items()}
    return {name: shape for name, shape in shapes.items() if config.bias or not name.endswith("bias")}


def random_parameters(config, *, seed):
    """Matrices that keep the scale of what they multiply, vectors around 1, and a head tied or not."""
    shapes = shapes_of(config).items()
    draws = {name: normal(*shape, seed=seed + number) for number, (name, shape) in enumerate(shapes)}
    parameters = {name: x / x.shape[1] ** 0.5 if x.dim() == 2 else 1 + x / 2 for name, x in draws.items()}
    if config.tie_weights:
        parameters["lm_head.weight"] = parameters["token_embedding.weight"]
    return parameters


def loaded(model, parameters):
    """The model with these parameters, in their dtype."""
    model = model.to(parameters["lm_head.weight"].dtype)
    model.load_state_dict(parameters)  # strict: these names and no others
    return model


def shapes_in(model):
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def some_of(names):
    """A few of the names, since it may be all of them."""
    return ", ".join(sorted(names)[:4]) + " …" * (len(names) > 4)


def assert_names(actual, expected):
    """The same names."""
    for what, names in [("lacks", expected.keys() - actual), ("also has", actual.keys() - expected)]:
        assert not names, f"the state dict {what} {some_of(names)}"


def with_silent_blocks(parameters):
    """The parameters, but no block adds anything to the stream."""
    silent = {name for name in parameters if "out_proj" in name or "down_proj" in name}
    return {name: torch.zeros_like(x) if name in silent else x for name, x in parameters.items()}


def final_logits(parameters, x):
    """What the final norm and the head make of the stream."""
    x = F.layer_norm(x, x.shape[-1:], parameters["final_norm.weight"], parameters.get("final_norm.bias"))
    return x @ parameters["lm_head.weight"].T


def pytorchs_logits(config, parameters, ids):
    """The logits of a model with these parameters that is made of PyTorch's own parts."""
    theirs = {
        "attention_norm": "norm1",
        "attention.out_proj": "self_attn.out_proj",
        "feedforward_norm": "norm2",
        "feedforward.up_proj": "linear1",
        "feedforward.down_proj": "linear2",
    }
    options = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "bias": config.bias}
    sizes = (config.d_model, config.num_heads, config.d_ff)
    layer = nn.TransformerEncoderLayer(*sizes, **options, norm_first=config.norm_first)
    seq = ids.shape[1]
    hidden = torch.ones(seq, seq, dtype=torch.bool).triu(1)
    x = F.embedding(ids, parameters["token_embedding.weight"])
    x = x + F.embedding(torch.arange(seq), parameters["position_embedding.weight"])
    for block in (f"blocks.{i}" for i in range(config.num_layers)):
        state = {}
        for kind in ("weight", "bias") if config.bias else ("weight",):
            projections = [f"{block}.attention.{part}_proj.{kind}" for part in ("query", "key", "value")]
            state[f"self_attn.in_proj_{kind}"] = torch.cat([parameters[name] for name in projections])
            state |= {f"{theirs[ours]}.{kind}": parameters[f"{block}.{ours}.{kind}"] for ours in theirs}
        x = functional_call(layer, state, (x, hidden))
    return final_logits(parameters, x)


def rounded_std(std):
    """The nearest of 0.02, 0.0168, 0.0141, 0.0119, 0.01 …: four steps make a factor of 2."""
    return float(f"{0.02 * 2 ** (round(4 * math.log2(std / 0.02)) / 4):.3g}") if std > 0 else 0.0


def rounded_draws(config, kind):
    """Mean and standard deviation, rounded, of each parameter of this kind, and whether it is flat.

    The n = 5184 draws of the smallest matrix let its standard deviation stray by 1 / √(2n) = 1 %, and half a
    step is 9 %; the mean strays by 0.0003. Of normal draws 68 % are within one standard deviation, and of
    uniform, flat ones 58 %; here that strays by 0.7 %. So all this is the same in whatever order one draws.
    """
    with seeded(0):
        state = TransformerLM(config).state_dict()
    draws = {name: value.double() for name, value in state.items() if name.endswith(kind)}
    found = {}
    for name, x in draws.items():
        mean, std = x.mean().item(), x.std().item()
        share = ((x - mean).abs() <= std).double().mean().item()
        is_flat = x.dim() == 2 and share < 0.63  # a vector is too short to tell
        found[name] = (round(mean, 2) + 0.0, rounded_std(std), is_flat)  # + 0.0: no -0.0
    return found


def named_in(message, numbers):
    """The numbers that occur in the message, not as parts of other numbers."""
    return [number for number in numbers if re.search(rf"(?<![\d-]){number}(?!\d)", message)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [SMALL, SMALL | {"num_layers": 3, "d_ff": None}], ids=["two", "three"])
def test_parameters_are_those_of_tables_blocks_norm_and_head(sizes, bias):
    """Two tables, num_layers blocks, a norm and a head without bias; the model keeps its config."""
    config = ModelConfig(**sizes, bias=bias, tie_weights=False)
    model, expected = TransformerLM(config), shapes_of(config)
    shapes = shapes_in(model)
    assert_names(shapes, expected)
    for name in expected:
        assert (name, shapes[name]) == (name, expected[name])
    # Each of these is a parameter, and no two of them are the same one.
    own = {name for name, value in model.named_parameters() if value.requires_grad}
    assert sorted(expected.keys() - own) == [], "these are not parameters of their own"
    assert model.config == config


@TIED_OR_NOT
def test_tied_head_is_the_token_embedding(tie):
    """A tied head holds the very Parameter of the token table, and keeps it; an untied one its own."""
    config = ModelConfig(**SMALL, tie_weights=tie)
    with seeded(0):
        first, second = TransformerLM(config), TransformerLM(config)
    assert_names(shapes_in(first), shapes_of(config))
    second.load_state_dict(first.state_dict())
    for model in (first, second, copy.deepcopy(first), second.double()):
        is_tied = model.lm_head.weight is model.token_embedding.weight
        assert is_tied == tie, f"lm_head.weight is token_embedding.weight: {is_tied}"
    same_values = torch.equal(first.lm_head.weight, first.token_embedding.weight)
    assert same_values == tie
    # Exact: numbers are copied, not computed.
    torch.testing.assert_close(second.lm_head.weight, first.lm_head.weight.double(), rtol=0, atol=0)


@TIED_OR_NOT
@pytest.mark.parametrize(
    ("kind", "mean", "std", "num_layers"),
    [
        ("token_embedding.weight", 0, 0.02, 4),
        ("position_embedding.weight", 0, 0.02, 4),
        ("lm_head.weight", 0, 0.02, 4),
        ("query_proj.weight", 0, 0.02, 4),
        ("key_proj.weight", 0, 0.02, 4),
        ("value_proj.weight", 0, 0.02, 4),
        ("up_proj.weight", 0, 0.02, 4),
        ("out_proj.weight", 0, "smaller", 1),
        ("out_proj.weight", 0, "smaller", 4),
        ("down_proj.weight", 0, "smaller", 1),
        ("down_proj.weight", 0, "smaller", 4),
        ("norm.weight", 1, 0, 4),
        ("bias", 0, 0, 4),
    ],
)
def test_parameters_start_small_and_smaller_where_they_write_to_the_stream(kind, mean, std, num_layers, tie):
    """Every weight starts with its mean and its standard deviation, and every bias at zero."""
    std = 0.02 / math.sqrt(2 * num_layers) if isinstance(std, str) else std
    config = ModelConfig(120, 110, d_model=72, num_layers=num_layers, d_ff=140, tie_weights=tie)
    actual, expected, flat = {}, {}, []
    for name, (found_mean, found_std, is_flat) in rounded_draws(config, kind).items():
        labels = f"mean of {name}, rounded to 0.01", f"standard deviation of {name}, rounded to about 20 %"
        actual |= dict(zip(labels, (found_mean, found_std), strict=True))
        expected |= dict(zip(labels, (float(mean), rounded_std(std)), strict=True))
        flat += [name] * is_flat
    # The nearest wrong version, √num_layers instead of √(2 · num_layers), is two steps of a standard
    # deviation away. Nearly exact: both have been rounded.
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-9)
    assert not flat, f"drawn from a uniform distribution, not from a normal one: {some_of(flat)}"


def assert_the_seed_decides(config):
    with seeded(0):
        first = TransformerLM(config).state_dict()
    with seeded(0):
        again = TransformerLM(config).state_dict()
    torch.testing.assert_close(again, first, rtol=0, atol=0)  # exact: the same draws


def matrices_and_draws(config):
    """The names of a model's matrices, those that the next model draws anew, and how many are drawn alike."""
    with seeded(0):
        first, second = TransformerLM(config).state_dict(), TransformerLM(config).state_dict()
    matrices = {name for name in first if first[name].dim() == 2}
    changed = {name for name in first if not torch.equal(first[name], second[name])}
    drawn = [first[name].flatten()[:5] for name in matrices - {"lm_head.weight"}]
    return matrices, changed, len(drawn) - len(torch.stack(drawn).unique(dim=0))


@TIED_OR_NOT
def test_seed_decides_which_weights_are_drawn(tie):
    """The same torch.manual_seed gives the same model, and the next model is a different one."""
    config = ModelConfig(**SMALL, tie_weights=tie)
    assert_the_seed_decides(config)
    matrices, changed, alike = matrices_and_draws(config)
    assert changed == matrices, "what differs between two models that are made one after the other:"
    assert alike == 0, "two matrices of one model are equal"


@TIED_OR_NOT
@pytest.mark.parametrize(
    ("batch", "seq", "dtype"),
    [(2, 5, torch.int64), (5, 5, torch.int64), (3, 7, torch.int32), (1, 1, torch.int64)],
)
def test_without_its_blocks_a_model_scores_tokens_and_positions(batch, seq, dtype, tie):
    """When no block adds anything, the head reads token plus position through the final norm."""
    config = ModelConfig(**SMALL, tie_weights=tie)
    parameters = with_silent_blocks(random_parameters(config, seed=0))
    ids = random_ids(batch, seq, seed=1).to(dtype)
    before = ids.clone()
    x = parameters["token_embedding.weight"][ids] + parameters["position_embedding.weight"][:seq]
    expected = final_logits(parameters, x)
    # Right versions are off by 1e-8, if eps is in float32; the nearest wrong one, whose stream is added
    # twice, so that eps counts for less, by 1e-4.
    actual = loaded(TransformerLM(config), parameters)(ids)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)
    assert torch.equal(ids, before), "the ids have changed"


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("position", [3, 0, 6])
def test_no_position_reads_its_future(position, training):
    """A changed token changes the logits from its position on, in its own sequence and nowhere else."""
    config = ModelConfig(**SMALL)
    model, ids = loaded(TransformerLM(config), random_parameters(config, seed=2)), random_ids(3, 7, seed=3)
    changed, start = ids.clone(), model.train(training)(ids[:, : position + 1])
    changed[1, position] = (ids[1, position] + 4) % 11
    before, after = model(ids), model(changed)
    # What has not changed is computed again: off by 1e-15, or by 1e-7 if a step is in float32.
    differs = ((after - before).abs() > 1e-5).any(dim=-1)
    expected = torch.zeros(3, 7, dtype=torch.bool)
    expected[1, position:] = True
    torch.testing.assert_close(differs.int(), expected.int(), rtol=0, atol=0)
    # And without what comes after, the logits are the same; the nearest wrong version is off by 0.05.
    torch.testing.assert_close(start, before[:, : position + 1], rtol=0, atol=1e-5)


@TIED_OR_NOT
@pytest.mark.parametrize(
    ("batch", "seq", "options", "dtype"),
    [
        (2, 5, {}, torch.float32),
        (3, 7, {"bias": False}, torch.float64),
        (1, 1, {}, torch.float64),
        (3, 3, {"num_layers": 3, "d_ff": None}, torch.float32),
        (2, 4, {"num_heads": 6, "bias": False}, torch.float32),
        (2, 5, {"norm_first": False}, torch.float64),
        (3, 4, {"norm_first": False, "bias": False, "num_layers": 3}, torch.float32),
        (3, 7, {"vocab_size": 7, "block_size": 64, "num_heads": 1, "num_layers": 1}, torch.float32),
    ],
    ids=[
        "short",
        "no bias",
        "one token",
        "three blocks",
        "six heads",
        "post-norm",
        "post-norm, three blocks",
        "one head, one block",
    ],
)
def test_logits_and_gradients_agree_with_pytorchs_own_layers(batch, seq, options, dtype, tie):
    """Logits and gradients are those of PyTorch's own layers, at any length up to block_size."""
    config = ModelConfig(**SMALL | options, tie_weights=tie)
    parameters = random_parameters(config, seed=4)
    ids = random_ids(batch, seq, vocab_size=config.vocab_size, seed=5)
    cotangent = normal(batch, seq, config.vocab_size, seed=6)
    model = loaded(TransformerLM(config), {name: value.to(dtype) for name, value in parameters.items()})

    wanted = {name: parameters[name].requires_grad_() for name, _ in model.named_parameters()}
    expected = pytorchs_logits(config, parameters, ids)
    expected_gradients = torch.autograd.grad(expected, wanted.values(), cotangent)
    actual, given = model(ids), list(model.parameters())
    # Right versions are off by 2e-5 in float32 (a gradient of 46), and by 1e-6 in float64 if the √d_head
    # of kata 01 is in float32; the nearest wrong one, with another number of heads, by 0.1.
    torch.testing.assert_close(actual, expected.to(dtype), rtol=0, atol=1e-4)
    gradients = torch.autograd.grad(actual, given, cotangent.to(dtype), materialize_grads=True)
    for name, gradient, expected_gradient in zip(wanted, gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient.to(dtype), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "source", ["embeddings", "blocks.0.attention.out_proj.bias", "blocks.0.feedforward.down_proj.bias"]
)
def test_dropout_drops_summed_embeddings_and_what_blocks_add_in_training_only(source):
    """In training each feature of the embeddings' sum, and of what a block adds, is dropped or kept."""
    p, keep, size, d_model = 0.7, 0.3, 2e-3, 30
    config = ModelConfig(d_model, 5, d_model, num_heads=3, num_layers=1, dropout=p, tie_weights=False)
    parameters = {name: torch.zeros(shape).double() for name, shape in shapes_of(config).items()}
    # Every feature of every position gets `size` from one source and nothing from elsewhere; the head
    # shows the features as the final norm leaves them, and its eps is large enough to tell their scale.
    if source == "embeddings":
        parameters["token_embedding.weight"] += size / 4
        parameters["position_embedding.weight"] += size * 3 / 4
    else:
        parameters[source] += size
    parameters["final_norm.weight"] += 1
    parameters["lm_head.weight"] = torch.eye(d_model).double()
    model, ids = loaded(TransformerLM(config), parameters), random_ids(80, 5, vocab_size=d_model, seed=7)

    # Equal features are all at their mean: zero. The nearest wrong version, without the norm, gives 0.002.
    in_evaluation = model.eval()(ids)
    torch.testing.assert_close(in_evaluation, torch.zeros(80, 5, d_model).double(), rtol=0, atol=1e-5)
    with seeded(0):
        first, second = model.train()(ids), model(ids)
    kept = first > -1e-6  # what is dropped lies below the mean
    # Right versions are off by 1e-8, if a constant is in float32; the nearest wrong one by 0.7.
    expected = F.layer_norm(kept.double() * size / keep, [d_model])
    torch.testing.assert_close(first, expected, rtol=0, atol=1e-5)
    # Of 12,000 features each is kept with probability 0.3: the share strays by 0.0042, here six times.
    share_kept = kept.double().mean().item()
    torch.testing.assert_close(share_kept, keep, rtol=0, atol=0.025)
    # Drawn one by one, neighbours along any axis fare alike with probability 0.7² + 0.3² = 0.58.
    alike = torch.stack([(kept == kept.roll(1, axis)).double().mean() for axis in range(3)])
    torch.testing.assert_close(alike, torch.full_like(alike, 0.58), rtol=0, atol=0.035)
    assert not torch.equal(first, second), "two calls in training drop the same features"


@TIED_OR_NOT
@pytest.mark.parametrize("vocab_size", [65, 1000])
def test_first_loss_is_that_of_a_uniform_guess(vocab_size, tie):
    """Before any training every token is about equally likely: the loss is close to ln(vocab_size)."""
    with seeded(0):
        model = TransformerLM(ModelConfig(vocab_size, 16, d_model=64, num_layers=3, tie_weights=tie))
    ids, targets = random_ids(2, 20, 16, vocab_size=vocab_size, seed=8)
    loss = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten()).item()
    # Of 320 draws; right versions are off by up to 0.045, whatever the seed. A tied head
    # with embeddings from N(0, 1) is off by 1 and more.
    torch.testing.assert_close(loss, math.log(vocab_size), rtol=0, atol=0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("batch", "seq"), [(2, 5), (3, 7), (1, 1)])
@pytest.mark.parametrize("positions", ["sinusoidal", "none"])
def test_positions_can_be_sinusoids_or_left_out(positions, batch, seq, dtype):
    """Instead of a table's rows, sinusoids can be added to the tokens, unscaled, or nothing at all."""
    config = ModelConfig(**SMALL, positions=positions, tie_weights=False)
    parameters = with_silent_blocks(random_parameters(config, seed=10))
    model, ids = TransformerLM(config), random_ids(batch, seq, seed=11)
    assert_names(shapes_in(model), shapes_of(config))
    assert model.position_embedding is None, "position_embedding is not None"
    angles = [[place * 10_000 ** (-2 * k / 12) for k in range(6)] for place in range(seq)]
    rows = [[wave(angle) for angle in row for wave in (math.sin, math.cos)] for row in angles]
    x = parameters["token_embedding.weight"][ids]
    if positions == "sinusoidal":
        x = x + torch.tensor(rows, dtype=torch.float64)
    expected = final_logits(parameters, x).to(dtype)
    model = loaded(model, {name: value.to(dtype) for name, value in parameters.items()})
    # Right versions are off by 8e-7 in float32, and by 8e-8 in float64 if the sinusoids are made in float32;
    # the nearest wrong one, whose positions count from 1, by 0.8.
    torch.testing.assert_close(model(ids), expected, rtol=0, atol=1e-5)


def used_twice(layer):
    return nn.Sequential(layer, nn.Sequential(nn.ReLU(), layer))


def with_one_weight(first, second):
    second.weight = first.weight
    return nn.ModuleList([first, second])


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: nn.Linear(3, 5), 20),
        (lambda: nn.Linear(3, 5).requires_grad_(False), 20),
        (lambda: nn.BatchNorm1d(3), 6),
        (nn.ReLU, 0),
        (lambda: used_twice(nn.Linear(3, 3)), 12),
        (lambda: with_one_weight(nn.Embedding(11, 3), nn.Linear(3, 11)), 44),
        (lambda: TransformerLM(ModelConfig(**SMALL)), 2_608),
        (lambda: TransformerLM(ModelConfig(**GPT2)), 124_439_808),
    ],
    ids=["layer", "frozen", "with buffers", "empty", "used twice", "one weight", "small", "GPT-2"],
)
def test_every_parameter_counts_once(make, expected):
    """All numbers in parameters count, trained or not, and a shared parameter counts once."""
    with torch.device("meta"):  # shapes, but no numbers
        assert count_parameters(make()) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (SMALL, 2_392),
        (SMALL | {"tie_weights": False}, 2_524),
        (SMALL | {"positions": "none"}, 2_392),
        (SMALL | {"positions": "sinusoidal", "tie_weights": False}, 2_524),
        (SMALL | {"bias": False, "num_layers": 5}, 5_412),
        (SMALL | {"bias": False, "num_layers": 5, "tie_weights": False}, 5_544),
        (GPT2, 85_056_000),
        (GPT2 | {"tie_weights": False}, 123_653_376),
    ],
    ids=[
        "small",
        "small, untied",
        "no positions",
        "sinusoidal, untied",
        "without bias",
        "without bias, untied",
        "GPT-2",
        "GPT-2, untied",
    ],
)
def test_embeddings_can_be_left_out_of_the_count(options, expected):
    """The two tables can be left out, and a tied head is one of them; an untied head always counts."""
    with torch.device("meta"):  # shapes, but no numbers
        model = TransformerLM(ModelConfig(**options))
    assert count_parameters(model, include_embeddings=False) == expected


@pytest.mark.parametrize(
    ("positions", "dtype"),
    [("learned", torch.float32), ("sinusoidal", torch.bfloat16), ("none", torch.bfloat16)],
)
def test_works_on_the_device_of_its_inputs(positions, dtype):
    """What forward makes has the ids' device and the parameters' dtype; it looks at no values."""
    ids = torch.empty(2, 5, dtype=torch.int64, device="meta")  # shapes and dtypes, but no numbers
    model = TransformerLM(ModelConfig(**SMALL, dropout=0.5, positions=positions)).to("meta", dtype)
    table = model.token_embedding
    # The look-up of kata 04 may look at the ids, to refuse some; this one does not.
    table.forward = lambda ids: nn.functional.embedding(ids, table.weight)
    for logits in (model(ids), model.eval()(ids)):
        assert (logits.device.type, logits.dtype) == ("meta", dtype)


@pytest.mark.parametrize(
    ("options", "ids", "error", "named"),
    [
        ({}, [[0] * 8], ValueError, ["8", "7"]),
        ({"block_size": 64}, [[0] * 100] * 2, ValueError, ["100", "64"]),
        ({"positions": "sinusoidal"}, [[0] * 8], ValueError, ["8", "7"]),
        ({"positions": "none"}, [[0] * 8], ValueError, ["8", "7"]),
        ({}, [[0, 11, 1]], IndexError, []),
        ({}, [[0, 1], [2, -1]], IndexError, []),
    ],
    ids=["one token too many", "many too many", "sinusoidal", "no positions", "id too large", "negative id"],
)
def test_long_sequence_and_unknown_id_are_refused(options, ids, error, named):
    """ValueError names the length of a sequence and block_size; an unknown id is an IndexError."""
    with pytest.raises(error) as refusal:
        TransformerLM(ModelConfig(**SMALL | options))(torch.tensor(ids))
    assert named_in(str(refusal.value), named) == named
