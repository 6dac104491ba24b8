"""Ordered tests of kata 16: each adds one idea, and needs only what stands above it."""

import json
import re
import shutil
import struct
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from katas.k05_model.model import ModelConfig, TransformerLM
from katas.k07_sampling.sampling import generate
from katas.k10_tokens.tokens import BPETokenizer
from katas.k16_gpt2.gpt2 import (
    GPT2LM,
    config_from_hf,
    load_gpt2,
    read_safetensors,
    weights_from_gpt2,
    write_safetensors,
)

TINY = Path(__file__).parent / "tiny_gpt2"  # random weights, by solutions/k16_gpt2/make_tiny_gpt2.py
EXACT = {"rtol": 0, "atol": 0}  # numbers are stored, not computed
# Outputs are around 1, in float64. Right versions are off by 1e-15, the nearest wrong ones by 1e-4.
CLOSE = {"rtol": 0, "atol": 1e-10}

# All sizes differ.
SMALL = {"vocab_size": 13, "block_size": 7, "d_model": 12, "num_heads": 3, "num_layers": 3, "d_ff": 20}


def normal(*shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def small_config(**changes):
    return ModelConfig(**{**SMALL, **changes})


def gpt2_state(config, seed=0, prefix=""):
    """Random weights under the names and in the shapes of GPT-2."""
    d, d_ff = config.d_model, config.d_ff
    shapes = {"wte.weight": (config.vocab_size, d), "wpe.weight": (config.block_size, d)}
    shapes |= {"ln_f.weight": (d,), "ln_f.bias": (d,)}
    for i in range(config.num_layers):
        shapes |= {f"h.{i}.{norm}.{kind}": (d,) for norm in ("ln_1", "ln_2") for kind in ("weight", "bias")}
        maps = {
            "attn.c_attn": (d, 3 * d),
            "attn.c_proj": (d, d),
            "mlp.c_fc": (d, d_ff),
            "mlp.c_proj": (d_ff, d),
        }
        for name, shape in maps.items():
            shapes |= {f"h.{i}.{name}.weight": shape, f"h.{i}.{name}.bias": shape[1:]}
    return {
        prefix + name: normal(*shape, seed=100 * seed + number) / (shape[0] ** 0.5 if len(shape) == 2 else 1)
        for number, (name, shape) in enumerate(shapes.items())
    }


def masks(config):
    """What old files have besides the weights."""
    shape = (1, 1, config.block_size, config.block_size)
    found = {f"h.{i}.attn.bias": torch.ones(shape).tril() for i in range(config.num_layers)}
    return found | {f"h.{i}.attn.masked_bias": torch.tensor(-1e4) for i in range(config.num_layers)}


def original_logits(state, config, ids, head=None):
    """The forward of GPT-2, as its authors wrote it, with weights in their layout."""
    seq, d_head = ids.shape[1], config.d_model // config.num_heads
    visible = torch.ones(seq, seq, dtype=torch.bool).tril()

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-5)

    def conv1d(x, name):
        return x @ state[f"{name}.weight"] + state[f"{name}.bias"]

    def heads(x):
        return x.unflatten(-1, (config.num_heads, d_head)).transpose(1, 2)

    x = state["wte.weight"][ids] + state["wpe.weight"][:seq]
    for block in (f"h.{i}" for i in range(config.num_layers)):
        query, key, value = map(
            heads, conv1d(norm(x, f"{block}.ln_1"), f"{block}.attn.c_attn").chunk(3, dim=-1)
        )
        scores = (query @ key.mT / d_head**0.5).masked_fill(~visible, -torch.inf)
        x = x + conv1d((scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2), f"{block}.attn.c_proj")
        hidden = F.gelu(conv1d(norm(x, f"{block}.ln_2"), f"{block}.mlp.c_fc"), approximate="tanh")
        x = x + conv1d(hidden, f"{block}.mlp.c_proj")
    return norm(x, "ln_f") @ (state["wte.weight"] if head is None else head).T


def write_by_hand(path, header, data, length=None):
    """A safetensors file, byte by byte; `header` is a dict or text, `length` what the first 8 bytes say."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def named_in(message, words):
    """The words that occur in the message, numbers not as parts of other numbers."""
    return [
        word for word in words if re.search(rf"(?<![\w-]){re.escape(word)}(?!\w)", message.replace(",", ""))
    ]


@pytest.mark.parametrize("blanks", [0, 3, 600])
def test_file_written_by_hand_gives_its_numbers(blanks, tmp_path):
    """The first 8 bytes are the length of the header; offsets count from the header's end."""
    header = {
        "__metadata__": {"format": "pt"},
        "late": entry("F32", [2], 24, 32),  # the header's order is not that of the data
        "weight é": entry("F32", [2, 3], 0, 24),
        "last": entry("F32", [1, 1], 32, 36),
    }
    text = json.dumps(header, ensure_ascii=False).encode() + b" " * blanks
    path = write_by_hand(tmp_path / "a file", text, struct.pack("<9f", 1, -2, 0.5, 4, 1e30, 6, 7.25, -8, 9))
    for given in (path, str(path)):
        tensors = read_safetensors(given)
        assert sorted(tensors) == ["last", "late", "weight é"]
        torch.testing.assert_close(tensors["weight é"], torch.tensor([[1, -2, 0.5], [4, 1e30, 6]]), **EXACT)
        torch.testing.assert_close(tensors["late"], torch.tensor([7.25, -8]), **EXACT)
        torch.testing.assert_close(tensors["last"], torch.tensor([[9.0]]), **EXACT)
    path.write_bytes(b"another file now")
    tensors["late"] += 1  # the tensor's own memory
    torch.testing.assert_close(tensors["late"], torch.tensor([8.25, -7]), **EXACT)
    torch.testing.assert_close(tensors["weight é"][1, 2], torch.tensor(6.0), **EXACT)


@pytest.mark.parametrize(
    ("dtype", "data", "expected"),
    [
        ("F32", "0000c03f 000020c0", torch.tensor([1.5, -2.5])),
        ("F64", "000000000000f83f 00000000000004c0", torch.tensor([1.5, -2.5], dtype=torch.float64)),
        ("F16", "003e 00c1", torch.tensor([1.5, -2.5], dtype=torch.float16)),
        ("BF16", "c03f 20c0", torch.tensor([1.5, -2.5], dtype=torch.bfloat16)),
        ("I64", "0201000000000000 ffffffffffffffff", torch.tensor([258, -1])),
        ("I32", "02010000 ffffffff", torch.tensor([258, -1], dtype=torch.int32)),
        ("I16", "0201 ffff", torch.tensor([258, -1], dtype=torch.int16)),
        ("I8", "02 ff", torch.tensor([2, -1], dtype=torch.int8)),
        ("U8", "02 ff", torch.tensor([2, 255], dtype=torch.uint8)),
        ("BOOL", "01 00", torch.tensor([True, False])),
        ("F16", "003e", torch.tensor(1.5, dtype=torch.float16)),
        ("F32", "", torch.zeros(3, 0, 2)),
    ],
    ids=["F32", "F64", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL", "a single number", "none"],
)
def test_numbers_of_every_dtype_and_shape_are_read(dtype, data, expected, tmp_path):
    """Every dtype of DTYPES is read, little-endian; a shape may be [] or have a size of 0."""
    raw = bytes.fromhex(data)
    header = {"first": entry("U8", [8], 0, 8), "x": entry(dtype, list(expected.shape), 8, 8 + len(raw))}
    path = write_by_hand(tmp_path / "x.safetensors", header, b"\x07" * 8 + raw)
    torch.testing.assert_close(read_safetensors(path)["x"], expected, **EXACT)


def parsed(path):
    """The header of a file and its data, cut by the offsets, with the rest of the file."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header, data = json.loads(raw[8 : 8 + length]), raw[8 + length :]
    pieces = {name: data[slice(*values["data_offsets"])].hex() for name, values in header.items()}
    return length, header, pieces, len(data)


def test_written_file_is_laid_out_as_the_format_says(tmp_path):
    """A header of a length that 8 divides says where each tensor is; the bytes follow without gaps."""
    tensors = {
        "a": torch.tensor([[1.5, -2.5, 0.0]]),
        "é": torch.tensor(258, dtype=torch.int16),
        "none": torch.zeros(2, 0, dtype=torch.int64),
        "half": torch.tensor([1.5, -2.5], dtype=torch.bfloat16),
        "flags": torch.tensor([True, False, True]),
    }
    for names in (["a"], ["é", "a"], list(tensors)):
        write_safetensors(tmp_path / "x", {name: tensors[name] for name in names})
        length, header, pieces, data_bytes = parsed(tmp_path / "x")
        assert length % 8 == 0, "the length of the header"
        expected = {
            "a": "0000c03f000020c000000000",
            "é": "0201",
            "none": "",
            "half": "c03f20c0",
            "flags": "010001",
        }
        assert pieces == {name: expected[name] for name in names}
        dtypes = {"a": "F32", "é": "I16", "none": "I64", "half": "BF16", "flags": "BOOL"}
        assert {name: (values["dtype"], values["shape"]) for name, values in header.items()} == {
            name: (dtypes[name], list(tensors[name].shape)) for name in names
        }
        assert data_bytes == sum(len(piece) // 2 for piece in pieces.values()), "bytes behind the header"
    write_safetensors(str(tmp_path / "x"), {})
    assert parsed(tmp_path / "x")[1:] == ({}, {}, 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.int32])
def test_tensor_is_written_as_it_looks_not_as_it_lies_in_memory(dtype, tmp_path):
    """Transposed, sliced or expanded, a tensor is read back with the same numbers in the same places."""
    table = (10 * normal(5, 6, seed=1)).to(dtype)
    tensors = {
        "transposed": table.T,
        "columns": table[:, 1:4],
        "every second row": table[1::2],
        "one number": table[2, 3],
        "expanded": table[0].expand(3, 6),
        "three axes": table.reshape(5, 2, 3).permute(2, 0, 1),
        "shared": table,
    }
    if dtype.is_floating_point:
        tensors["parameter"] = torch.nn.Parameter(table[:2])
        tensors["special"] = torch.tensor([float("nan"), float("-inf"), -0.0]).to(dtype)
    before = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    write_safetensors(tmp_path / "x", tensors)
    read = read_safetensors(tmp_path / "x")
    torch.testing.assert_close(
        dict(sorted(read.items())), dict(sorted(before.items())), equal_nan=True, **EXACT
    )
    for name, tensor in tensors.items():
        torch.testing.assert_close(tensor.detach(), before[name], equal_nan=True, **EXACT)


# What config.json of openai-community/gpt2 says about the model, and some of what else it says.
GPT2 = {"activation_function": "gelu_new", "attn_pdrop": 0.1, "bos_token_id": 50256, "embd_pdrop": 0.1}
GPT2 |= {"layer_norm_epsilon": 1e-5, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12}
GPT2 |= {
    "n_layer": 12,
    "n_positions": 1024,
    "resid_pdrop": 0.1,
    "summary_type": "cls_index",
    "vocab_size": 50257,
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"n_layer": 48, "n_embd": 1600, "n_head": 25}, {"num_layers": 48, "d_model": 1600, "num_heads": 25}),
        ({"n_inner": 640, "n_positions": 512}, {"d_ff": 640, "block_size": 512}),
        ({"n_inner": None, "scale_attn_weights": True}, {}),
        ({"tie_word_embeddings": False, "scale_attn_by_inverse_layer_idx": False}, {"tie_weights": False}),
        ({"tie_word_embeddings": True}, {}),
    ],
    ids=["GPT-2", "GPT-2 XL", "n_inner", "n_inner None", "untied", "tied"],
)
def test_config_has_the_sizes_of_gpt2_under_our_names(changes, expected):
    """Sizes get the names of ModelConfig; n_inner and tie_word_embeddings may be missing."""
    sizes = {"vocab_size": 50257, "block_size": 1024, "d_model": 768, "num_heads": 12, "num_layers": 12}
    values = {**GPT2, **changes}
    before = dict(values)
    assert config_from_hf(values) == ModelConfig(**{**sizes, **expected})
    minimal = {
        name: value for name, value in values.items() if not name.startswith(("act", "layer", "model"))
    }
    assert config_from_hf(minimal) == ModelConfig(**{**sizes, **expected}), "keys that may be missing"
    assert values == before, "the values were modified"


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_names_are_those_of_our_state_dict_and_masks_are_dropped(prefix):
    """Tables and norms arrive under our names; nothing is left over, and attn.bias is a mask."""
    config = small_config()
    state = gpt2_state(config, prefix=prefix) | {prefix + name: mask for name, mask in masks(config).items()}
    before = dict(state)
    weights = weights_from_gpt2(state, config)
    model = TransformerLM(config).state_dict()
    assert sorted(weights) == sorted(model)
    same = {"wte": "token_embedding", "wpe": "position_embedding", "ln_f": "final_norm"}
    for i in range(3):
        same |= {f"h.{i}.ln_1": f"blocks.{i}.attention_norm", f"h.{i}.ln_2": f"blocks.{i}.feedforward_norm"}
    for theirs, ours in same.items():
        for kind in ("weight", "bias"):
            if f"{ours}.{kind}" in model:
                actual, expected = weights[f"{ours}.{kind}"], state[f"{prefix}{theirs}.{kind}"]
                torch.testing.assert_close(actual, expected, **EXACT)
    assert list(state) == list(before) and all(state[name] is before[name] for name in state), (
        "state was changed"
    )


@pytest.mark.parametrize("d_ff", [20, 12], ids=["d_ff 20", "d_ff = d_model"])
def test_conv1d_weights_are_transposed_the_square_ones_too(d_ff):
    """Our linear maps hold (out, in), GPT-2's (in, out), also where these are equal and no shape tells."""
    config = small_config(d_ff=d_ff)
    state = gpt2_state(config, seed=1)
    weights = weights_from_gpt2(state, config)
    names = {"mlp.c_fc": "feedforward.up_proj", "mlp.c_proj": "feedforward.down_proj"}
    names |= {"attn.c_proj": "attention.out_proj"}
    for i in range(3):
        for theirs, ours in names.items():
            actual = weights[f"blocks.{i}.{ours}.weight"]
            # Row o, column i of ours is what input i contributes to output o.
            torch.testing.assert_close(actual, state[f"h.{i}.{theirs}.weight"].T, **EXACT)
            torch.testing.assert_close(
                weights[f"blocks.{i}.{ours}.bias"], state[f"h.{i}.{theirs}.bias"], **EXACT
            )


def test_c_attn_is_cut_into_query_key_and_value():
    """The first third of the outputs of c_attn are the queries, then come keys, then values."""
    config = small_config()
    state = gpt2_state(config, seed=2)
    weights = weights_from_gpt2(state, config)
    x = normal(4, 12, seed=3)
    for i in range(3):
        ours = f"blocks.{i}.attention"
        made = x @ state[f"h.{i}.attn.c_attn.weight"] + state[f"h.{i}.attn.c_attn.bias"]
        for part, expected in zip(("query", "key", "value"), made.split(12, dim=-1), strict=True):
            weight, bias = weights[f"{ours}.{part}_proj.weight"], weights[f"{ours}.{part}_proj.bias"]
            assert weight.shape == (12, 12) and bias.shape == (12,)
            torch.testing.assert_close(F.linear(x, weight, bias), expected, **CLOSE)


@pytest.mark.parametrize("tied", [True, False])
def test_head_is_the_token_table_if_tied_else_its_own(tied):
    """A tied head is the very tensor of the table; one of its own is not transposed, as it is no Conv1D."""
    config = small_config(tie_weights=tied, vocab_size=12)  # square: no shape tells
    state = gpt2_state(config, seed=4)
    head = normal(12, 12, seed=5)
    weights = weights_from_gpt2({**state, "lm_head.weight": head}, config)
    expected = state["wte.weight"] if tied else head
    torch.testing.assert_close(weights["lm_head.weight"], expected, **EXACT)
    torch.testing.assert_close(weights["token_embedding.weight"], state["wte.weight"], **EXACT)
    if tied:
        alone = weights_from_gpt2(state, config)
        torch.testing.assert_close(alone["lm_head.weight"], expected, **EXACT)
        for each in (weights, alone):
            assert each["lm_head.weight"] is each["token_embedding.weight"], "the head is a tensor of its own"


@pytest.mark.parametrize("bias", [True, False])
def test_gelu_is_the_tanh_form_in_every_block_of_this_model_only(bias):
    """Each feed-forward network of a GPT2LM has the tanh form; those of a TransformerLM stay exact."""
    config, x = small_config(bias=bias), normal(2, 5, 12, seed=6)
    models = []
    for kind in (TransformerLM, GPT2LM, TransformerLM):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            models.append(kind(config))
    core, model, later = models
    torch.testing.assert_close(
        model.state_dict(), core.state_dict(), **EXACT
    )  # the same draws, the same names
    for each, form in ((model, "tanh"), (core, "none"), (later, "none")):
        expected = []
        for block in each.double().blocks:
            for parameter in block.parameters():
                parameter.data *= 20  # so that the two forms differ
            up, down = block.feedforward.up_proj, block.feedforward.down_proj
            hidden = F.gelu(F.linear(x, up.weight, up.bias), approximate=form)
            expected.append(F.linear(hidden, down.weight, down.bias))
        by_block = torch.stack([block.feedforward(x) for block in each.blocks])
        torch.testing.assert_close(by_block, torch.stack(expected), **CLOSE)
    dropping = GPT2LM(small_config(dropout=0.5)).double().blocks[2].feedforward
    assert (dropping.train()(x) == 0).any(), "nothing is dropped in training"
    assert not (dropping.eval()(x) == 0).any(), "something is dropped in evaluation"


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("seed", [8, 9])
def test_logits_are_those_of_the_original(seed, tied):
    """With these weights GPT2LM gives the logits of GPT-2, computed from its files in its own layout."""
    config = small_config(tie_weights=tied)
    state = gpt2_state(config, seed=seed)
    head = None if tied else normal(13, 12, seed=10)
    weights = weights_from_gpt2({**state, **({} if tied else {"lm_head.weight": head})}, config)
    model = GPT2LM(config).double().eval()
    model.load_state_dict(weights, strict=True)
    ids = torch.randint(13, (3, 7), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        actual = model(ids)
    torch.testing.assert_close(actual, original_logits(state, config, ids, head), **CLOSE)


TEXT = "Once upon a time"
TEXT_IDS = [46, 77, 66, 68, 220, 84, 79, 270, 256, 258, 72, 76, 68]
GREEDY_IDS = [36, 132, 200, 21, 125, 138, 81, 125]


def tiny_folder(tmp_path, form):
    """The committed folder, or the same model as other programs save it."""
    if form == "as committed":
        return TINY
    shutil.copytree(TINY, tmp_path / "copy")
    state = read_safetensors(TINY / "model.safetensors")
    kept = {f"transformer.{name}": x for name, x in state.items() if not name.endswith(".attn.bias")}
    write_safetensors(tmp_path / "copy" / "model.safetensors", {name: x.double() for name, x in kept.items()})
    return str(tmp_path / "copy")


@pytest.mark.parametrize("form", ["as committed", "in float64, with a prefix"])
def test_loaded_model_writes_the_committed_text(form, tmp_path):
    """load_gpt2 gives a model in float32 that writes what it should, and the tokenizer of its text."""
    model, tokenizer = load_gpt2(tiny_folder(tmp_path, form))
    assert isinstance(model, GPT2LM) and isinstance(tokenizer, BPETokenizer)
    assert tokenizer.encode(TEXT) == TEXT_IDS
    assert tokenizer.encode("<|endoftext|>", allow_special=True) == [316], "the last id is special"
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.lm_head.weight is model.token_embedding.weight, "the head is not tied"
    assert not model.training, "the model is in training mode"
    written = generate(model, torch.tensor([TEXT_IDS]), len(GREEDY_IDS), temperature=0)[0]
    # Exact: the likeliest token is ahead by 0.029 or more, and float32 is off by 1e-6.
    assert written[len(TEXT_IDS) :].tolist() == GREEDY_IDS


def read_a_file(header, data, length=None):
    def read(folder):
        read_safetensors(write_by_hand(folder / "x.safetensors", header, data, length))

    return read


def read_raw(raw):
    def read(folder):
        (folder / "x.safetensors").write_bytes(raw)
        read_safetensors(folder / "x.safetensors")

    return read


GOOD = {"a": entry("F32", [2], 0, 8), "b": entry("F32", [1], 8, 12)}


@pytest.mark.parametrize(
    ("named", "call"),
    [
        ([], read_raw(b"")),
        ([], read_raw(b"\x02\0\0\0")),
        (["9000"], read_a_file(GOOD, bytes(12), length=9000)),
        ([str(2**63)], read_a_file(GOOD, bytes(12), length=2**63)),
        ([], read_raw(struct.pack("<Q", 200) + b'{"a": {"dtype": "F32", ')),
        (["b", "F12"], read_a_file({**GOOD, "b": entry("F12", [1], 8, 12)}, bytes(12))),
        (["a", "8"], read_a_file({**GOOD, "a": entry("F32", [100], 0, 8)}, bytes(12))),
        (["a", "8"], read_a_file({**GOOD, "a": entry("F64", [2], 0, 8)}, bytes(12))),
        (["a", "8"], read_a_file({"a": entry("F32", [1], 0, 8)}, bytes(8))),
        (["a"], read_a_file({"a": entry("F32", [1], 8, 4)}, bytes(8))),
        (["b", "4"], read_a_file({**GOOD, "b": entry("F32", [1], 4, 8)}, bytes(8))),
        (["b", "9"], read_a_file({**GOOD, "b": entry("F32", [1], 9, 13)}, bytes(13))),
        (["b", "4"], read_a_file({"b": entry("F32", [1], 4, 8)}, bytes(8))),
        (["12"], read_a_file(GOOD, bytes(11))),
        (["12"], read_a_file(GOOD, bytes(13))),
        ([str(2**40)], read_a_file({"a": entry("U8", [2**40], 0, 2**40)}, bytes(8))),
    ],
    ids=[
        "no bytes",
        "4 bytes",
        "a header longer than the file",
        "a header of 2 ** 63 bytes",
        "cut off in the header",
        "an unknown dtype",
        "fewer bytes than the shape needs",
        "fewer bytes than the dtype needs",
        "more bytes than the shape needs",
        "an end before its beginning",
        "tensors that overlap",
        "a byte of no tensor between two",
        "bytes of no tensor at the start",
        "cut off in the data",
        "a byte of no tensor at the end",
        "a terabyte in a file of 8 bytes",
    ],
)
def test_file_that_lies_about_lengths_is_refused(named, call, tmp_path):
    """ValueError names what does not fit: nothing is believed that can be checked, and no memory is taken."""
    with pytest.raises(ValueError) as refusal:
        call(tmp_path)
    message = str(refusal.value)
    assert named_in(message, named) == named, f"the message does not name {' and '.join(named)}: {message}"


def take_config(**changes):
    return lambda: config_from_hf({**GPT2, **changes})


def take_weights(without=(), more=(), **changes):
    def take():
        config = small_config(**changes)
        state = gpt2_state(small_config(), seed=11) | {name: torch.ones(12) for name in more}
        weights_from_gpt2({name: x for name, x in state.items() if name not in without}, config)

    return take


@pytest.mark.parametrize(
    ("named", "call"),
    [
        (["activation_function", "gelu"], take_config(activation_function="gelu")),
        (["activation_function", "relu"], take_config(activation_function="relu")),
        (["layer_norm_epsilon", "1e-06"], take_config(layer_norm_epsilon=1e-6)),
        (["model_type", "openai-gpt"], take_config(model_type="openai-gpt")),
        (["scale_attn_weights", "False"], take_config(scale_attn_weights=False)),
        (["scale_attn_by_inverse_layer_idx", "True"], take_config(scale_attn_by_inverse_layer_idx=True)),
        (["wpe.weight"], take_weights(without=["wpe.weight"])),
        (["h.2.attn.c_attn.bias"], take_weights(without=["h.2.attn.c_attn.bias"])),
        (["ln_f.bias"], take_weights(without=["ln_f.bias"])),
        (["lm_head.weight"], take_weights(tie_weights=False)),
        (["h.1.ln_3.weight"], take_weights(more=["h.1.ln_3.weight"])),
        (["h.0.attn.rotary.bias"], take_weights(more=["h.0.attn.rotary.bias"])),
        (["h.3.ln_1.weight"], take_weights(more=["h.3.ln_1.weight"])),
    ],
    ids=[
        "the exact GELU",
        "ReLU",
        "eps 1e-6",
        "GPT-1",
        "unscaled scores",
        "scores scaled by the block",
        "no position table",
        "no bias of c_attn",
        "no bias of ln_f",
        "no head",
        "a third norm",
        "a bias of attn.rotary",
        "a fourth block in a model of three",
    ],
)
def test_other_models_and_names_are_refused(named, call):
    """ValueError names key and value, or the weight that is missing or left over: nothing is ignored."""
    with pytest.raises(ValueError) as refusal:
        call()
    message = str(refusal.value)
    assert named_in(message, named) == named, f"the message does not name {' and '.join(named)}: {message}"
