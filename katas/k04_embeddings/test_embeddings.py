"""Ordered tests of kata 04: each adds one idea, and needs only what stands above it."""

import builtins
import io
import json
import math
import re

import pytest
import torch
import torch.nn.functional as F

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


def assert_holds_one_table(embedding, shape):
    """The state dict is one table, trained, and its entries are drawn from N(0, 1)."""
    layer = embedding(*shape)
    state = {name: tuple(value.shape) for name, value in layer.state_dict().items()}
    assert state == {"weight": shape}
    assert [name for name, value in layer.named_parameters() if value.requires_grad] == ["weight"]
    # Drawn at random, no two rows are alike: otherwise what stands for them would be, too.
    assert len(layer.weight.unique(dim=0)) == shape[0], "some rows of the table are equal"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # so no draw is ever unlucky
        drawn = embedding(64, 256).weight.detach().double().flatten().sort().values
    # Of n draws the mean strays by 1 / √n = 0.008, the standard deviation by less; here six times.
    # N(0, 0.02²) is off by 0.98.
    mean, deviation = drawn.mean().item(), drawn.std().item()
    assert mean == pytest.approx(0, abs=0.047), "the mean of the entries of the table"
    assert deviation == pytest.approx(1, abs=0.047), "the standard deviation of the entries of the table"
    # And normal: the share of draws below each is the probability to be below it. In one of a million
    # draws it strays by 0.021 (Kolmogorov-Smirnov); for even draws of the same spread it is off by 0.06.
    below = torch.linspace(0, 1, len(drawn), dtype=torch.float64)
    off = (torch.special.ndtr(drawn) - below).abs().max().item()
    assert off <= 0.021, "the entries of the table have the spread of N(0, 1), but are not normal"


def named_in(message, numbers):
    """Those of the numbers that the message shows, as numbers of their own."""
    return [number for number in numbers if re.search(rf"(?<!\d){number}(?!\d)", message)]


def tokenizer_of_a_list_that_grows():
    chars = ["z", "a", "\n", "b"]
    tokenizer = CharTokenizer(chars)
    chars.append("c")
    return tokenizer


@pytest.mark.parametrize(
    ("make", "expected"),
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
def test_ids_are_places_in_the_vocabulary(make, expected):
    """The first character has id 0, the next one 1, and so on; from_text sorts the characters."""
    tokenizer = make()
    assert tokenizer.vocab_size == len(expected)
    assert tokenizer.encode(expected) == list(range(len(expected)))
    # As often as they come, in any order; and nothing at all has no ids.
    text = expected[::-1] + expected[1:3] * 2
    assert tokenizer.encode(text) == [expected.index(char) for char in text]
    assert tokenizer.encode("") == []


@pytest.mark.parametrize(
    ("chars", "named"),
    [
        ("aébxé", "é"),
        (iter("a7b7"), "7"),
        (["a", "\n", "b", "\n"], r"\n"),
        (["a", "xyz", "b"], "xyz"),
        (["a", "b", "e\u0301"], "e\u0301"),
        (["a", "", "b"], "''"),
    ],
    ids=["twice", "twice in an iterator", "newline twice", "three", "letter and accent", "none"],
)
def test_constructor_refuses_what_is_not_one_new_character(chars, named):
    """ValueError names an entry that comes twice, or that is not exactly one character."""
    with pytest.raises(ValueError) as refusal:
        CharTokenizer(chars)
    assert named in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "named", "position"),
    [
        ("abbaéabéa", "é", "4"),
        ("Xab", "X", "0"),
        ("ab" * 50 + "\n", r"\n", "100"),
        ("a😀ca😀😀", "😀", "1"),
        ("b" * 12 + "\u0301", "\u0301", "12"),
    ],
    ids=["a letter twice", "upper case", "line break", "emoji", "accent of its own"],
)
def test_encode_names_an_unknown_character_and_its_position(text, named, position):
    """ValueError shows the first character that is not in the vocabulary, and where it stands."""
    with pytest.raises(ValueError) as refusal:
        CharTokenizer("abc").encode(text)
    assert named in str(refusal.value)
    assert named_in(str(refusal.value), [position]) == [position]


@pytest.mark.parametrize(
    "given",
    [list, tuple, iter, lambda ids: (id for id in ids), lambda ids: torch.tensor(ids).tolist()],
    ids=["list", "tuple", "iterator", "generator", "list of a tensor"],
)
def test_decode_undoes_encode(given):
    """The ids of a text, as a list or as anything else one can iterate over, give the text back."""
    tokenizer = CharTokenizer("zaé\n b😀\u0301")
    text = "za\n\nbaé 😀 a\u0301z"
    assert tokenizer.decode(given(tokenizer.encode(text))) == text
    assert tokenizer.decode(given([])) == ""


@pytest.mark.parametrize(
    ("ids", "named"),
    [([0, 13], "13"), ([12, 1000], "1000"), ([2, -1], "-1"), (iter([-14, 0]), "-14"), (range(50), "13")],
    ids=["the next one", "a large one", "-1", "iterator", "range"],
)
def test_decode_refuses_an_id_out_of_range(ids, named):
    """IndexError names an id that is negative or not below vocab_size, and the range of ids."""
    with pytest.raises(IndexError) as refusal:
        CharTokenizer("mlkjihgfedcba").decode(ids)
    assert named_in(str(refusal.value), [named]) == [named]
    assert named_in(str(refusal.value), ["12", "13"])  # 0 … 12, or below 13


@pytest.fixture
def opens_like_windows(monkeypatch):
    """Text files that are opened without an encoding get cp1252, as on Windows, on any system."""
    really_open = io.open

    def opened(file, mode="r", buffering=-1, encoding=None, *rest, **options):
        if "b" not in mode and encoding in (None, "locale"):
            encoding = "cp1252"
        return really_open(file, mode, buffering, encoding, *rest, **options)

    monkeypatch.setattr(io, "open", opened)
    monkeypatch.setattr(builtins, "open", opened)
    monkeypatch.setattr(io, "text_encoding", lambda encoding, stacklevel=2: encoding or "cp1252")


@pytest.mark.parametrize("as_path", [str, lambda path: path], ids=["str", "Path"])
@pytest.mark.parametrize(
    "chars",
    ["zab", " \t\n\r\v\"'\\/{}[],:", "zaéàß語я\u2028", "😀e\u0301é\ufeff\x00\x7f", ""],
    ids=["letters", "what JSON escapes", "not ASCII", "beyond", "empty"],
)
def test_loaded_tokenizer_is_the_saved_one(chars, as_path, tmp_path, opens_like_windows):
    """What is saved, as JSON in UTF-8 even on Windows, is loaded with every character at its old id."""
    path = tmp_path / "tokenizer.json"
    path.write_bytes(b"an old file, longer than the new one" * 50)
    CharTokenizer(chars).save(as_path(path))
    loaded = CharTokenizer.load(as_path(path))
    assert loaded.decode(range(loaded.vocab_size)) == chars
    assert loaded.encode(chars) == list(range(len(chars)))
    # The same JSON with no character escaped that need not be, as another program would write it.
    content = json.loads(path.read_bytes().decode("utf-8"))
    path.write_bytes(json.dumps(content, ensure_ascii=False).encode("utf-8"))
    again = CharTokenizer.load(as_path(path))
    assert again.decode(range(again.vocab_size)) == chars


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"to be or not to be",
        b'["a", "b"',
        b"null",
        b"7",
        b"[1, 2, 3]",
        b'["to", "be"]',
        b'{"max_steps": 2000, "learning_rate": 3e-4}',
        b'{"chars": null}',
        b'["\xff\xfe"]',
    ],
    ids=[
        "nothing",
        "a text",
        "broken JSON",
        "null",
        "a number",
        "numbers",
        "words",
        "a configuration",
        "no vocabulary",
        "no UTF-8",
    ],
)
def test_load_refuses_a_file_that_is_no_tokenizer(content, tmp_path):
    """ValueError names a file that holds no JSON, or JSON that is no saved tokenizer."""
    path = tmp_path / "something_else.json"
    path.write_bytes(content)
    with pytest.raises(ValueError) as refusal:
        CharTokenizer.load(path)
    assert "something_else.json" in str(refusal.value)


@pytest.mark.parametrize(
    ("shape", "vocab_size", "d_model", "ids_dtype", "dtype"),
    [
        ((11,), 5, 3, torch.int64, torch.float32),
        ((2, 11), 5, 3, torch.int64, torch.float32),
        ((2, 3, 7), 5, 11, torch.int64, torch.float64),
        ((3, 3), 3, 3, torch.int64, torch.float32),
        ((), 5, 3, torch.int64, torch.float32),
        ((2, 0), 5, 3, torch.int64, torch.float32),
        ((2, 11), 5, 3, torch.int32, torch.float32),
        ((2, 11), 5, 3, torch.int16, torch.float32),
    ],
    ids=["row", "batch", "two axes, float64", "equal sizes", "one id", "no ids", "int32", "int16"],
)
def test_token_embedding_gives_each_id_its_row_of_the_table(shape, vocab_size, d_model, ids_dtype, dtype):
    """Each id becomes its row of `weight`, and a row's gradient adds up over all uses of the row."""
    assert_holds_one_table(TokenEmbedding, (vocab_size, d_model))
    weight = normal(vocab_size, d_model, seed=0, dtype=dtype).requires_grad_()
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(vocab_size, shape, generator=generator)  # some of them repeat
    given, cotangent = ids.to(ids_dtype), normal(*shape, d_model, seed=2, dtype=dtype)
    before, layer = given.clone(), table_with(weight, TokenEmbedding)
    actual = layer(given)
    # An id as a vector, one at its place and zero elsewhere, picks its row of a matrix.
    expected = F.one_hot(ids, vocab_size).to(dtype) @ weight
    # Exact: rows are copied, and ones and zeros add nothing to them.
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
    (expected_gradient,) = torch.autograd.grad(expected, weight, cotangent)
    (gradient,) = torch.autograd.grad(actual, layer.weight, cotangent)
    # A row adds up some ten numbers of size 1: off by 5e-7 in float32, whatever their order; the nearest
    # wrong version, without the gradient of row 0, by 0.4.
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=1e-5)
    assert torch.equal(given, before), "the ids have changed"


@pytest.mark.parametrize(
    "ids",
    [[5], [[0, 4], [7, 1]], -1, [[0, 1], [2, -5]], [-6]],
    ids=[
        "TokenEmbedding(5, 3), ids 5",
        "TokenEmbedding(5, 3), ids 0 4 7 1",
        "TokenEmbedding(5, 3), ids -1",
        "TokenEmbedding(5, 3), ids 0 1 2 -5",
        "TokenEmbedding(5, 3), ids -6",
    ],
)
def test_token_embedding_refuses_an_id_out_of_range(ids):
    """An id that is negative, or not below vocab_size, raises IndexError."""
    with pytest.raises(IndexError):
        TokenEmbedding(vocab_size=5, d_model=3)(torch.tensor(ids))


@pytest.mark.parametrize(
    ("seq_len", "offset"),
    [(5, None), (7, None), (1, None), (3, 2), (1, 6), (5, 2), (7, 0), (3, 3), (0, None), (0, 7)],
)
@pytest.mark.parametrize(("d_model", "dtype"), [(3, torch.float32), (7, torch.float64)])
def test_learned_positions_are_rows_from_the_offset_on(seq_len, offset, d_model, dtype):
    """Position p is row p of `weight`, counted from 0 or from the offset; so are its gradients."""
    assert_holds_one_table(LearnedPositionalEmbedding, (7, d_model))
    weight = normal(7, d_model, seed=3, dtype=dtype)
    layer = table_with(weight, LearnedPositionalEmbedding)
    actual = layer(seq_len) if offset is None else layer(seq_len, offset=offset)
    first = offset or 0
    expected = weight[[first + place for place in range(seq_len)]]
    # Exact: rows are copied, not computed.
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
    if seq_len == 0:
        return  # of no rows, nothing need lead back to the table
    cotangent = normal(seq_len, d_model, seed=4, dtype=dtype)
    (gradient,) = torch.autograd.grad(actual, layer.weight, cotangent)
    expected_gradient = torch.zeros_like(weight)
    expected_gradient[first : first + seq_len] = cotangent
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("seq_len", "offset", "named"),
    [
        (8, 0, ["8", "0", "7"]),
        (5, 3, ["5", "3", "7"]),
        (1, 7, ["1", "7"]),
        (2, 900, ["2", "900", "7"]),
        (3, -1, ["-1"]),
        (3, -3, ["-3"]),
        (2, -5, ["-5"]),
        (-2, 4, ["-2"]),
    ],
    ids=[
        "seq_len=8, offset=0, max_len=7",
        "seq_len=5, offset=3, max_len=7",
        "seq_len=1, offset=7, max_len=7",
        "seq_len=2, offset=900, max_len=7",
        "seq_len=3, offset=-1, max_len=7",
        "seq_len=3, offset=-3, max_len=7",
        "seq_len=2, offset=-5, max_len=7",
        "seq_len=-2, offset=4, max_len=7",
    ],
)
def test_learned_positions_refuse_what_is_not_in_the_table(seq_len, offset, named):
    """ValueError names a negative seq_len or offset, and both with max_len if they lead beyond it."""
    with pytest.raises(ValueError) as refusal:
        LearnedPositionalEmbedding(max_len=7, d_model=3)(seq_len, offset)
    assert named_in(str(refusal.value), named) == named


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
    """Columns 2k and 2k + 1 are sin and cos of one angle; an odd d_model raises ValueError."""
    # The digits above are rounded to 5e-7, float32 adds 6e-8; the nearest wrong version is off by 0.05.
    actual = sinusoidal_positions(*arguments)
    torch.testing.assert_close(actual, torch.tensor(expected), rtol=0, atol=1e-5)
    assert not actual.requires_grad, "the table takes part in autograd; nobody learns it"
    with pytest.raises(ValueError, match="7"):
        sinusoidal_positions(4, 7)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-8), (torch.float32, 1e-6)])
@pytest.mark.parametrize(("d_model", "base"), [(6, 10000.0), (10, 7.5), (2, 7)])
def test_sinusoids_stay_precise_far_out(d_model, base, dtype, atol):
    """Row 100,000 is as right as row 1, and products of rows still tell their distance."""
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


CPU_TABLE = normal(5, 4, seed=5, dtype=torch.float32)
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
def test_results_are_where_and_what_they_should_be(default, make, expected):
    """A result has device and dtype of its table; sinusoids those asked for, or torch's defaults."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        # "meta" plays the second device. It holds no values, so nothing can be moved from it: where it is
        # the default, all that a right version makes stays there.
        with torch.device(default):
            actual = make()
    finally:
        torch.set_default_dtype(before)
    # Rows are copied. On "meta" there are no values.
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
