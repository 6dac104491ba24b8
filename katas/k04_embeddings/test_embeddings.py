"""Ordered tests of kata 04: each adds one idea, and relies only on those above it."""

import math
import re

import pytest
import torch

from katas.k00_shapes.shapes import one_hot
from katas.k04_embeddings.embeddings import (
    CharTokenizer,
    LearnedPositionalEmbedding,
    TokenEmbedding,
    sinusoidal_positions,
)


def normal(*shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def table_with(weight, embedding):
    """An embedding that holds this table, in its dtype and on its device."""
    with weight.device:
        layer = embedding(*weight.shape).to(weight.dtype)
    layer.load_state_dict({"weight": weight.detach()})  # strict: this name and no other
    return layer


def is_in_a_part(layer):
    return any("." in name for name in layer.state_dict())


def some_name(layer):
    return next(iter(layer.state_dict()))


def assert_holds_one_table(embedding, shape):
    """The state dict is one table, trained, and its entries are drawn from N(0, 1)."""
    layer = embedding(*shape)
    assert not is_in_a_part(layer), f"the table is in another module, and called {some_name(layer)}"
    state = {name: tuple(value.shape) for name, value in layer.state_dict().items()}
    assert state == {"weight": shape}
    assert [name for name, value in layer.named_parameters() if value.requires_grad] == ["weight"]
    # Drawn at random, no two rows are equal: a model could not tell their tokens apart.
    assert len(layer.weight.unique(dim=0)) == shape[0], "some rows of the table are equal"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # so no draw is ever unlucky
        drawn = embedding(64, 256).weight.detach().double().flatten().sort().values
    # Of n draws the mean strays by 1 / √n = 0.008, the standard deviation by less; here six times.
    # N(0, 0.02²) is off by 0.98.
    mean, deviation = drawn.mean().item(), drawn.std().item()
    assert mean == pytest.approx(0, abs=0.047), "the mean of the entries of the table"
    assert deviation == pytest.approx(1, abs=0.047), "the standard deviation of the entries of the table"
    # And normal: the share of draws below each is the probability of a draw below it. In one of a million
    # cases it strays by 0.021 (Kolmogorov-Smirnov); for uniform draws of the same spread by 0.06.
    below = torch.linspace(0, 1, len(drawn), dtype=torch.float64)
    off = (torch.special.ndtr(drawn) - below).abs().max().item()
    assert off <= 0.021, "the entries of the table have the spread of N(0, 1), but are not normal"


def named_in(message, numbers):
    """The numbers that occur in the message, not as parts of other numbers."""
    return [number for number in numbers if re.search(rf"(?<!\d){number}(?!\d)", message)]


def tokenizer_of_a_list_that_grows():
    chars = ["z", "a", "\n", "b"]
    tokenizer = CharTokenizer(chars)
    chars.append("c")
    return tokenizer


@pytest.mark.parametrize(
    ("make", "chars"),
    [
        (lambda: CharTokenizer("zaé b"), "zaé b"),
        (tokenizer_of_a_list_that_grows, "za\nb"),
        (lambda: CharTokenizer(char for char in "😀ba"), "😀ba"),
        (lambda: CharTokenizer.from_text("to be or not to be"), " benort"),
        (lambda: CharTokenizer.from_text("ZOë\nzoo\té\r"), "\t\n\rOZozéë"),
        (lambda: CharTokenizer.from_text(""), ""),
    ],
    ids=[
        "text",
        "list that grows later",
        "generator",
        "from_text",
        "from_text, by code point",
        "from_text, empty",
    ],
)
def test_ids_are_places_in_the_vocabulary(make, chars):
    """The first character has id 0, the next one 1, and so on; from_text sorts the characters."""
    tokenizer = make()
    assert tokenizer.vocab_size == len(chars)
    assert tokenizer.encode(chars) == list(range(len(chars)))
    # In any order, and repeated; an empty text has no ids.
    text = chars[::-1] + chars[1:3] * 2
    assert tokenizer.encode(text) == [chars.index(char) for char in text]
    assert tokenizer.encode("") == []


@pytest.mark.parametrize(
    "given",
    [list, tuple, iter, lambda ids: (id for id in ids), lambda ids: torch.tensor(ids).tolist()],
    ids=["list", "tuple", "iterator", "generator", "list of a tensor"],
)
def test_decode_undoes_encode(given):
    """The ids of a text, in a list or in any other iterable, give the text back."""
    tokenizer = CharTokenizer("zaé\n b😀\u0301")
    text = "za\n\nbaé 😀 a\u0301z"
    assert tokenizer.decode(given(tokenizer.encode(text))) == text
    assert tokenizer.decode(given([])) == ""


@pytest.mark.parametrize(
    ("shape", "ids_dtype", "dtype"),
    [
        ((11,), torch.int64, torch.float32),
        ((2, 11), torch.int64, torch.float32),
        ((2, 4, 7), torch.int64, torch.float64),
        ((), torch.int64, torch.float32),
        ((2, 0), torch.int64, torch.float32),
        ((2, 11), torch.int32, torch.float32),
        ((2, 11), torch.int16, torch.float32),
    ],
    ids=["row", "batch", "two axes, float64", "one id", "no ids", "int32", "int16"],
)
def test_token_embedding_gives_each_id_its_row_of_the_table(shape, ids_dtype, dtype):
    """Each id becomes its row of `weight`, a table that is drawn from N(0, 1)."""
    assert_holds_one_table(TokenEmbedding, (5, 3))
    weight = normal(5, 3, seed=0, dtype=dtype)
    ids = torch.randint(5, shape, generator=torch.Generator().manual_seed(1))  # some of them repeat
    given = ids.to(ids_dtype)
    before = given.clone()
    expected = torch.stack([weight[id] for id in ids.flatten().tolist()] or [weight[0]])[: ids.numel()]
    # Exact: rows are copied, not computed.
    actual = table_with(weight, TokenEmbedding)(given)
    torch.testing.assert_close(actual, expected.reshape(*shape, 3), rtol=0, atol=0)
    assert torch.equal(given, before), "the ids have changed"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("shape", "vocab_size", "d_model"), [((11,), 5, 3), ((2, 11), 5, 3), ((2, 4, 7), 6, 11), ((3, 3), 3, 3)]
)
def test_token_embedding_is_a_product_with_one_hot_vectors(shape, vocab_size, d_model, dtype):
    """Values and gradient are those of one_hot(ids) @ weight: a row's gradient adds up over its uses."""
    weight = normal(vocab_size, d_model, seed=2, dtype=dtype).requires_grad_()
    ids = torch.randint(vocab_size, shape, generator=torch.Generator().manual_seed(3))
    cotangent = normal(*shape, d_model, seed=4, dtype=dtype)
    layer = table_with(weight, TokenEmbedding)
    expected, actual = one_hot(ids, vocab_size).to(dtype) @ weight, layer(ids)
    # Exact: ones copy a row, and zeros add nothing to it.
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
    (expected_gradient,) = torch.autograd.grad(expected, weight, cotangent)
    (gradient,) = torch.autograd.grad(actual, layer.weight, cotangent)
    # A row adds up some ten numbers of size 1: off by 5e-7 in float32, whatever their order; the nearest
    # wrong version, without the gradient of row 0, by 0.4.
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("seq_len", "offset"),
    [(5, None), (7, None), (1, None), (3, 2), (1, 6), (5, 2), (7, 0), (3, 3)],
)
@pytest.mark.parametrize(("d_model", "dtype"), [(3, torch.float32), (7, torch.float64)])
def test_learned_positions_are_rows_from_the_offset_on(seq_len, offset, d_model, dtype):
    """Position p is row p of `weight`, counted from 0 or from the offset; so are its gradients."""
    assert_holds_one_table(LearnedPositionalEmbedding, (7, d_model))
    weight = normal(7, d_model, seed=5, dtype=dtype)
    layer = table_with(weight, LearnedPositionalEmbedding)
    actual = layer(seq_len) if offset is None else layer(seq_len, offset=offset)
    first = offset or 0
    expected = weight[[first + place for place in range(seq_len)]]
    # Exact: rows are copied, not computed.
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
    cotangent = normal(seq_len, d_model, seed=6, dtype=dtype)
    (gradient,) = torch.autograd.grad(actual, layer.weight, cotangent)
    expected_gradient = torch.zeros_like(weight)
    expected_gradient[first : first + seq_len] = cotangent
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((3, 2), [[0, 1], [0.841471, 0.540302], [0.909297, -0.416147]]),
        # Waves of 1 and of 100^(-2/4) = 0.1 radians per position.
        (
            (4, 4, 100),
            [
                [0, 1, 0, 1],
                [0.841471, 0.540302, 0.099833, 0.995004],
                [0.909297, -0.416147, 0.198669, 0.980067],
                [0.141120, -0.989992, 0.295520, 0.955336],
            ],
        ),
        # 1, 0.1, 0.01 and 0.001 radians: 10000^(-2/8) is a tenth.
        (
            (2, 8),
            [
                [0, 1, 0, 1, 0, 1, 0, 1],
                [0.841471, 0.540302, 0.099833, 0.995004, 0.01, 0.99995, 0.001, 1],
            ],
        ),
    ],
    ids=["one wave", "base 100", "base 10000"],
)
def test_sinusoids_pair_a_sine_with_a_cosine(arguments, expected):
    """Columns 2k and 2k + 1 are the sine and the cosine of one angle."""
    # The digits above are rounded to 5e-7, float32 adds 6e-8; the nearest wrong version is off by 0.05.
    actual = sinusoidal_positions(*arguments)
    torch.testing.assert_close(actual, torch.tensor(expected), rtol=0, atol=1e-5)
    assert not actual.requires_grad, "the table requires gradients, but it is not learned"


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-8), (torch.float32, 1e-6)])
@pytest.mark.parametrize(("d_model", "base"), [(6, 10000.0), (10, 7.5), (2, 7)])
def test_sinusoids_stay_precise_far_out(d_model, base, dtype, atol):
    """Row 100,000 is as precise as row 1: products of rows depend only on their distance even there."""
    table = sinusoidal_positions(100_003, d_model, base, dtype=dtype)
    rows = [0, 1, 5, 64, 4_097, 99_999, 100_002]
    waves = [base ** (-2 * k / d_model) for k in range(d_model // 2)]
    expected = [[wave(p * w) for w in waves for wave in (math.sin, math.cos)] for p in rows]
    # Right versions are off by 1e-10 in float64, as the docstring promises, and by 6e-8 if that is
    # rounded to float32. The nearest wrong version, with the angles in float32, is off by 4e-3.
    torch.testing.assert_close(table[rows], torch.tensor(expected, dtype=dtype), rtol=0, atol=atol)
    # sin a · sin b + cos a · cos b = cos(a - b): the same for all rows that are this far apart.
    products = (table[:-9] * table[9:]).sum(dim=-1)
    expected = torch.full_like(products, math.fsum(math.cos(9 * wave) for wave in waves))
    torch.testing.assert_close(products, expected, rtol=0, atol=2 * atol)


CPU_TABLE = normal(5, 4, seed=7, dtype=torch.float32)
CPU_IDS = torch.tensor([[4, 0], [1, 1]])
META = {"device": "meta", "dtype": torch.float64}


@pytest.mark.parametrize(
    ("default", "make", "expected"),
    [
        ("meta", lambda: table_with(CPU_TABLE, TokenEmbedding)(CPU_IDS), CPU_TABLE[CPU_IDS]),
        ("meta", lambda: table_with(CPU_TABLE, LearnedPositionalEmbedding)(3, 2), CPU_TABLE[2:5]),
        ("meta", lambda: LearnedPositionalEmbedding(5, 4)(3, 2), torch.empty(3, 4, **META)),
        ("meta", lambda: sinusoidal_positions(1, 4), torch.empty(1, 4, **META)),
        ("meta", lambda: sinusoidal_positions(1, 4, dtype=torch.float32), torch.empty(1, 4, **META).float()),
        ("cpu", lambda: sinusoidal_positions(1, 4, device="meta"), torch.empty(1, 4, **META)),
        ("cpu", lambda: sinusoidal_positions(1, 4, device=torch.device("meta")), torch.empty(1, 4, **META)),
    ],
    ids=[
        "tokens, another device being the default",
        "positions, another device being the default",
        "positions, on the default device",
        "sinusoids, with the defaults",
        "sinusoids, with a dtype",
        "sinusoids, with a device",
        "sinusoids, with a torch.device",
    ],
)
def test_device_and_dtype_are_those_of_the_table_or_those_asked_for(default, make, expected):
    """Embeddings are where their table is; sinusoids have the device and dtype asked for, or the default."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        # "meta" plays the second device. It holds no values, so nothing can be moved from it: where it is
        # the default, whatever a correct version makes by default stays there.
        with torch.device(default):
            actual = make()
    finally:
        torch.set_default_dtype(before)
    # Rows are copied. On "meta" there are no values.
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("text", "named", "position"),
    [
        ("abbaéabéa", "é", "4"),
        ("Xab", "X", "0"),
        ("a😀ca😀😀", "😀", "1"),
        ("b" * 12 + "\u0301", "\u0301", "12"),
    ],
    ids=["a letter twice", "upper case", "emoji", "accent of its own"],
)
def test_unknown_character_is_refused(text, named, position):
    """ValueError names the first character that is not in the vocabulary, and its position."""
    with pytest.raises(ValueError) as refusal:
        CharTokenizer("abc").encode(text)
    assert named in str(refusal.value)
    assert named_in(str(refusal.value), [position]) == [position]


@pytest.mark.parametrize(
    ("read", "named"),
    [
        (lambda: CharTokenizer("mlkjihgfedcba").decode([0, 13]), ["13"]),
        (lambda: CharTokenizer("mlkjihgfedcba").decode([12, 1000]), ["1000"]),
        (lambda: CharTokenizer("mlkjihgfedcba").decode([2, -1]), ["-1"]),
        (lambda: CharTokenizer("mlkjihgfedcba").decode(iter([-14, 0])), ["-14"]),
        (lambda: TokenEmbedding(vocab_size=5, d_model=3)(torch.tensor([5])), []),
        (lambda: TokenEmbedding(vocab_size=5, d_model=3)(torch.tensor([[0, 4], [7, 1]])), []),
        (lambda: TokenEmbedding(vocab_size=5, d_model=3)(torch.tensor(-1)), []),
        (lambda: TokenEmbedding(vocab_size=5, d_model=3)(torch.tensor([[0, 1], [2, -5]])), []),
    ],
    ids=[
        "decode, 13 characters, ids 0 13",
        "decode, 13 characters, ids 12 1000",
        "decode, 13 characters, ids 2 -1",
        "decode, 13 characters, ids -14 0",
        "TokenEmbedding(5, 3), ids 5",
        "TokenEmbedding(5, 3), ids 0 4 7 1",
        "TokenEmbedding(5, 3), ids -1",
        "TokenEmbedding(5, 3), ids 0 1 2 -5",
    ],
)
def test_id_out_of_range_is_refused(read, named):
    """An id that is negative, or vocab_size or more, raises IndexError, and decode names it."""
    with pytest.raises(IndexError) as refusal:
        read()
    assert named_in(str(refusal.value), named) == named


@pytest.mark.parametrize(
    ("seq_len", "offset", "named"),
    [
        (8, 0, ["8", "0", "7"]),
        (5, 3, ["5", "3", "7"]),
        (1, 7, ["1", "7"]),
        (2, 900, ["2", "900", "7"]),
    ],
    ids=[
        "seq_len=8, offset=0, max_len=7",
        "seq_len=5, offset=3, max_len=7",
        "seq_len=1, offset=7, max_len=7",
        "seq_len=2, offset=900, max_len=7",
    ],
)
def test_position_beyond_the_table_is_refused(seq_len, offset, named):
    """ValueError names seq_len, offset and max_len if a position has no row in the table."""
    with pytest.raises(ValueError) as refusal:
        LearnedPositionalEmbedding(max_len=7, d_model=3)(seq_len, offset)
    assert named_in(str(refusal.value), named) == named


def test_odd_d_model_is_refused():
    """Sinusoids come in pairs: ValueError names a d_model that is odd."""
    with pytest.raises(ValueError) as refusal:
        sinusoidal_positions(4, 7)
    assert named_in(str(refusal.value), ["7"]) == ["7"]
