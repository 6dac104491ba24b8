"""GPT-2: the weights of a trained model, read from its files and fitted into the model that you built.

The file of weights is a header that says where each tensor is, and then their bytes. The model in it is
that of kata 05 as other people wrote it: with other names, with matrices the other way round, and with
queries, keys and values in one piece.

House rules (README.md of kata 00): arguments are never modified.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from jaxtyping import Float
from torch import Tensor, nn

from katas.k03_transformer_blocks.transformer_blocks import FeedForward, gelu
from katas.k05_model.model import ModelConfig, TransformerLM
from katas.k10_tokens.tokens import BPETokenizer
from katas.k16_gpt2.files import LONGEST_HEADER, Entry, check_folder, parse_header

# The names of dtypes in a safetensors file.
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by name, each with the dtype and shape that the file says.

    The first 8 bytes are the length of the header, an unsigned little-endian integer. The header follows,
    which `parse_header` of files.py reads. All bytes behind it are the data. The numbers of a tensor are the
    bytes begin … end - 1 of the data, row by row, each little-endian like those of this machine.

    The tensors are on the CPU, can be written to, and do not need the file any more. Reading should not take
    more memory than they do and a single copy of the file.

    Raises ValueError, before any tensor is made, naming the value that is wrong, and the tensor's name if
    there is one:

    - the length of the header, if the file ends before the header does, or it is above LONGEST_HEADER;
    - a dtype that is not in DTYPES;
    - offsets, if end - begin is not the number of bytes that shape and dtype need;
    - begin, if it is not where the tensor before ends: from the first byte to the last, each byte of the
      data belongs to one tensor; also if the last tensor ends before the data does, or behind.

    Source: the documentation of safetensors, section "Format".
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        data = 8 + length  # where the data begin
        if data > size or length > LONGEST_HEADER:  # before anything of that length is read
            raise ValueError(f"a header of {length} bytes does not fit into a file of {size} bytes")
        entries = parse_header(file.read(length))
        _check_lengths(entries, size - data)
        return {entry.name: _read_tensor(file, data, entry) for entry in entries}


def _check_lengths(entries: list[Entry], data_bytes: int) -> None:
    place = 0
    for name, dtype, shape, begin, end in sorted(entries, key=lambda entry: (entry.begin, entry.end)):
        if dtype not in DTYPES:
            raise ValueError(f"{name!r} has the unknown dtype {dtype!r}")
        needed = math.prod(shape) * DTYPES[dtype].itemsize
        if end - begin != needed:
            raise ValueError(f"{name!r}: {dtype} of shape {shape} takes {needed} bytes, not {begin} … {end}")
        if begin != place:
            raise ValueError(
                f"{name!r} begins at byte {begin} of the data, not at {place}, the end of the last"
            )
        place = end
    if place != data_bytes:
        raise ValueError(f"the last tensor ends at byte {place} of the data, of which there are {data_bytes}")


def _read_tensor(file: BinaryIO, data: int, entry: Entry) -> Tensor:
    tensor = torch.empty(entry.shape, dtype=DTYPES[entry.dtype], device="cpu")
    file.seek(data + entry.begin)
    file.readinto(_bytes_of(tensor))  # straight into the tensor's memory
    return tensor


def _bytes_of(tensor: Tensor) -> memoryview:
    """The memory of a contiguous tensor. NumPy has no bfloat16, but any number is some bytes."""
    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy())


def write_safetensors(path: str | os.PathLike[str], tensors: Mapping[str, Tensor]) -> None:
    """Write the tensors to a file, from which `read_safetensors` reads equal ones under the same names.

    The file is as described there, with the tensors in any order and without "__metadata__". Blanks at the
    end of the header make its length a multiple of 8, so that the data begin at a multiple of 8.

    A tensor may be a view, a Parameter or on any device: its numbers are written row by row, whatever
    their order in memory. Every dtype is one of DTYPES.
    """
    names = {dtype: name for name, dtype in DTYPES.items()}
    entries: dict[str, dict[str, Any]] = {}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.numel() * tensor.element_size()
        shape = list(tensor.shape)
        entries[name] = {"dtype": names[tensor.dtype], "shape": shape, "data_offsets": [begin, end]}
    header = json.dumps(entries).encode("utf-8")
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for tensor in tensors.values():
            file.write(_bytes_of(tensor.detach().cpu().contiguous()))


def config_from_hf(values: Mapping[str, Any]) -> ModelConfig:
    """Return the configuration of kata 05 for the values of a GPT-2's config.json.

    | config.json | ModelConfig |
    |---|---|
    | vocab_size, n_positions, n_embd | vocab_size, block_size, d_model |
    | n_head, n_layer | num_heads, num_layers |
    | n_inner, which may be missing or None: 4 · n_embd | d_ff |
    | tie_word_embeddings, which may be missing: True | tie_weights |

    All else keeps its default, also the dropout: its rates in the file were those of the training. Other keys
    are ignored.

    Raises ValueError naming key and value if one of these keys is there with another value than GPT-2's,
    as the weights would then belong to another model: model_type "gpt2", activation_function "gelu_new"
    (the tanh form), layer_norm_epsilon 1e-5, scale_attn_weights True, scale_attn_by_inverse_layer_idx False.
    """
    ours = {
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
    }
    for key, value in ours.items():
        if values.get(key, value) != value:
            raise ValueError(f"{key} is {values[key]!r}, but GPT2LM computes with {value!r}")
    return ModelConfig(
        vocab_size=values["vocab_size"],
        block_size=values["n_positions"],
        d_model=values["n_embd"],
        num_heads=values["n_head"],
        num_layers=values["n_layer"],
        d_ff=values.get("n_inner"),
        tie_weights=values.get("tie_word_embeddings", True),
    )


def weights_from_gpt2(state: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Return GPT-2's weights under the names, and in the shapes, of the state dict of TransformerLM(config).

    | GPT-2, with i = 0 … num_layers - 1 | TransformerLM |
    |---|---|
    | wte.weight, wpe.weight | token_embedding.weight, position_embedding.weight |
    | h.i.ln_1, h.i.ln_2 | blocks.i.attention_norm, blocks.i.feedforward_norm |
    | h.i.attn.c_attn | blocks.i.attention: query_proj, key_proj, value_proj |
    | h.i.attn.c_proj | blocks.i.attention.out_proj |
    | h.i.mlp.c_fc, h.i.mlp.c_proj | blocks.i.feedforward: up_proj, down_proj |
    | ln_f | final_norm |
    | lm_head.weight | lm_head.weight |

    All but the tables and the head are two tensors, weight and bias. The four c_… are layers of a class
    Conv1D, which computes x @ weight + bias, with a weight of shape (in, out). c_attn makes queries, keys
    and values at once: the first third of its outputs are the queries, then come the keys, then the values.

    With config.tie_weights lm_head.weight is the same tensor as token_embedding.weight, and one in `state`
    is ignored. Otherwise it is that of `state`, which has the shape (vocab, d_model) already.

    All names may begin with "transformer."; lm_head.weight never does. h.i.attn.bias and h.i.attn.masked_bias
    are masks and not weights: they are left out. Dtypes stay as they are.

    Raises ValueError naming a weight that `state` lacks, or one that is in none of the rows above, such as
    one of a block that config does not have.
    Source: Radford et al., Language Models are Unsupervised Multitask Learners (2019), for the model; their
    code, model.py, for names and shapes.
    """
    left = {name.removeprefix("transformer."): tensor for name, tensor in state.items()}
    left = {name: tensor for name, tensor in left.items() if not name.endswith(_masks())}
    weights: dict[str, Tensor] = {}
    for theirs, ours in _names(config):
        if theirs not in left:
            raise ValueError(f"the weights of GPT-2 lack {theirs!r}")
        tensor = left.pop(theirs)
        if ".c_" in theirs:
            tensor = tensor.t()  # (in, out) -> (out, in); a bias stays as it is
        # c_attn has three names here, and they share its outputs; all others have one.
        weights |= zip(ours, tensor.chunk(len(ours)), strict=True)
    if config.tie_weights:
        weights["lm_head.weight"] = weights["token_embedding.weight"]
        left.pop("lm_head.weight", None)
    if left:
        raise ValueError(f"a GPT-2 of {config.num_layers} blocks has no {min(left)!r}")
    return weights


def _masks() -> tuple[str, ...]:
    return ".attn.bias", ".attn.masked_bias"  # not .attn.c_attn.bias, which is a bias


def _names(config: ModelConfig) -> Iterator[tuple[str, list[str]]]:
    """Yield each name of GPT-2, with the names of what becomes of it."""
    for theirs, ours in _layers(config):
        for kind in ("weight",) if theirs in ("wte", "wpe", "lm_head") else ("weight", "bias"):
            yield f"{theirs}.{kind}", [f"{name}.{kind}" for name in ours]


def _layers(config: ModelConfig) -> Iterator[tuple[str, list[str]]]:
    yield "wte", ["token_embedding"]
    yield "wpe", ["position_embedding"]
    for i in range(config.num_layers):
        theirs, ours = f"h.{i}", f"blocks.{i}"
        yield f"{theirs}.ln_1", [f"{ours}.attention_norm"]
        yield f"{theirs}.attn.c_attn", [f"{ours}.attention.{part}_proj" for part in ("query", "key", "value")]
        yield f"{theirs}.attn.c_proj", [f"{ours}.attention.out_proj"]
        yield f"{theirs}.ln_2", [f"{ours}.feedforward_norm"]
        yield f"{theirs}.mlp.c_fc", [f"{ours}.feedforward.up_proj"]
        yield f"{theirs}.mlp.c_proj", [f"{ours}.feedforward.down_proj"]
    yield "ln_f", ["final_norm"]
    if not config.tie_weights:
        yield "lm_head", ["lm_head"]


class GPT2LM(TransformerLM):
    """A TransformerLM whose feed-forward networks have GELU in the form of GPT-2, the tanh form.

    out = down_proj(gelu(up_proj(x), approximate="tanh")) in every block, with dropout as in kata 03

    Nothing else differs: the parameters are drawn in the same way, and have the same names in the state
    dict. Other models keep the exact form.

    Source: Radford et al., Language Models are Unsupervised Multitask Learners (2019); their code,
    model.py, for the form of GELU.
    """

    def __init__(self, config: ModelConfig):
        """Create the model that `config` describes."""
        super().__init__(config)
        for block in self.blocks:
            block.feedforward = _TanhFeedForward(block.feedforward, config.dropout)


class _TanhFeedForward(nn.Module):
    """The two maps of a FeedForward, weights and all, with another function between them."""

    def __init__(self, feedforward: FeedForward, dropout: float):
        super().__init__()
        self.up_proj = feedforward.up_proj
        self.down_proj = feedforward.down_proj
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        hidden = gelu(self.up_proj(x), approximate="tanh")  # (*batch, d_ff)
        return self.dropout(self.down_proj(hidden))  # (*batch, d_model)


def load_gpt2(folder: str | os.PathLike[str]) -> tuple[GPT2LM, BPETokenizer]:
    """Return the model and the tokenizer whose files are in the folder, under the names of Hugging Face.

    config.json has the sizes, model.safetensors the weights, vocab.json and merges.txt the vocabulary. First
    of all `check_folder` of files.py looks at them, and returns the values of config.json.

    The model's parameters are float32, whatever the file has, and the head is tied as in TransformerLM, if it
    is tied. The model is in evaluation mode.

    Raises FileNotFoundError if a file is missing, and ValueError as the functions above and check_folder do.
    Shapes that do not fit config.json are left to load_state_dict, whose RuntimeError names them.
    """
    folder = Path(folder)
    config = config_from_hf(check_folder(folder))
    weights = weights_from_gpt2(read_safetensors(folder / "model.safetensors"), config)
    model = GPT2LM(config)
    # Copied into the parameters: tied ones stay tied, and float32 stays float32.
    model.load_state_dict(weights)
    return model.eval(), BPETokenizer.load(folder)
