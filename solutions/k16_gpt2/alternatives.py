"""Other correct ways to write this kata; its tests must accept every one."""

import io
import itertools
import json
import math
import mmap
import os
import re
import struct
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from katas.k03_transformer_blocks.transformer_blocks import gelu
from katas.k05_model.model import ModelConfig, TransformerLM
from katas.k10_tokens.tokens import BPETokenizer
from katas.k16_gpt2.files import LONGEST_HEADER, check_folder, parse_header
from katas.k16_gpt2.gpt2 import (
    DTYPES,
    GPT2LM,
    config_from_hf,
    read_safetensors,
    weights_from_gpt2,
)


def read_safetensors__whole_file(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The file in one piece of memory that can be written to, in which all tensors are views."""
    raw = bytearray(Path(path).read_bytes())
    if len(raw) < 8:
        raise ValueError(f"{path} has {len(raw)} bytes, which is not even a length")
    (length,) = struct.unpack_from("<Q", raw)
    if length > min(LONGEST_HEADER, len(raw) - 8):
        raise ValueError(f"the header would have {length} bytes")
    data = memoryview(raw)[8 + length :]
    tensors = {}
    covered = 0
    for entry in sorted(parse_header(bytes(raw[8 : 8 + length])), key=lambda entry: entry[3:]):
        dtype = DTYPES.get(entry.dtype)
        if dtype is None:
            raise ValueError(f"{entry.name}: no such dtype: {entry.dtype}")
        size = entry.end - entry.begin
        if size != dtype.itemsize * math.prod(entry.shape):
            raise ValueError(f"{entry.name}: {entry.begin} to {entry.end} does not fit {entry.shape}")
        if entry.begin != covered or entry.end > len(data):
            raise ValueError(f"{entry.name}: bytes {entry.begin} to {entry.end} after {covered}")
        covered = entry.end
        piece = data[entry.begin : entry.end]
        flat = (
            torch.frombuffer(piece, dtype=torch.uint8).clone() if size else torch.empty(0, dtype=torch.uint8)
        )
        tensors[entry.name] = flat.view(dtype).reshape(entry.shape)
    if covered < len(data):
        raise ValueError(f"{len(data) - covered} bytes after the last tensor's end at {covered}")
    return tensors


def read_safetensors__mapped(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """A map of the file, from which each tensor is copied."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        begin = file.read(8)
        length = sum(byte << 8 * place for place, byte in enumerate(begin))
        if len(begin) < 8 or length > LONGEST_HEADER or length > size - 8:
            raise ValueError(f"{length} bytes of header in {size} bytes")
        entries, start = parse_header(file.read(length)), 8 + length
        order = sorted(entries, key=lambda entry: (entry.begin, entry.end))
        ends = [0, *(entry.end for entry in order)]
        for entry, end_of_last in zip(order, ends, strict=False):
            numbers = 1
            for axis in entry.shape:
                numbers *= axis
            if entry.dtype not in DTYPES:
                raise ValueError(f"dtype {entry.dtype} of {entry.name}")
            if entry.begin + numbers * DTYPES[entry.dtype].itemsize != entry.end:
                raise ValueError(f"{entry.name} should not end at {entry.end} if it begins at {entry.begin}")
            if entry.begin != end_of_last:
                raise ValueError(f"{entry.name} begins at {entry.begin}, the last one ended at {end_of_last}")
        if ends[-1] != size - start:
            raise ValueError(f"the end of all is {ends[-1]}, and not {size - start}")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
            raw = {e.name: memory[start + e.begin : start + e.end] for e in entries}
    return {
        e.name: torch.tensor(list(raw[e.name]), dtype=torch.uint8).view(DTYPES[e.dtype]).reshape(e.shape)
        for e in entries
    }


def read_safetensors__by_numpy(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """NumPy reads the numbers, those of bfloat16 as int16; a stream takes the data in their order."""
    with open(path, "rb") as file:
        whole = file.seek(0, io.SEEK_END)
        file.seek(0)
        length = int.from_bytes(file.read(8), "little") if whole >= 8 else whole
        if 8 + length > whole or length > LONGEST_HEADER:
            raise ValueError(f"{whole} bytes cannot have a header of {length}")
        entries = parse_header(file.read(length))
        at = file.tell()
        for entry in sorted(entries, key=lambda each: each.begin + each.end):
            kind = DTYPES.get(entry.dtype, None)
            if kind is None:
                raise ValueError(f"{entry.name!r} is of {entry.dtype!r}")
            count = int(np.prod(entry.shape, dtype=object)) * torch.empty(0, dtype=kind).element_size()
            if entry.end != entry.begin + count:
                raise ValueError(f"{entry.name!r} takes {count} bytes, not from {entry.begin} to {entry.end}")
            if at != 8 + length + entry.begin:
                raise ValueError(f"{entry.name!r} is at {entry.begin}, not at {at - 8 - length}")
            at += count
        if at != whole:
            raise ValueError(f"the data end at {at - 8 - length}, the file at {whole - 8 - length}")
        found = {}
        for entry in entries:
            file.seek(8 + length + entry.begin)
            raw = file.read(entry.end - entry.begin)
            if entry.dtype == "BF16":
                found[entry.name] = torch.tensor(np.frombuffer(raw, "<i2")).view(torch.bfloat16)
            else:
                like = torch.empty(0, dtype=DTYPES[entry.dtype]).numpy().dtype.newbyteorder("<")
                found[entry.name] = torch.tensor(np.frombuffer(raw, like))
            found[entry.name] = found[entry.name].reshape(entry.shape)
    return found


def write_safetensors__in_memory(path: str | os.PathLike[str], tensors: Mapping[str, Tensor]) -> None:
    """All bytes first, sorted by name; the header is padded before it is encoded."""
    raw = {}
    for name in sorted(tensors):
        flat = tensors[name].detach().flatten().clone().cpu()
        raw[name] = flat.view(torch.uint8).numpy().tobytes()
    ends = list(itertools.accumulate(map(len, raw.values()), initial=0))
    dtypes = dict(zip(DTYPES.values(), DTYPES, strict=True))
    header = {
        name: {
            "dtype": dtypes[tensors[name].dtype],
            "shape": [*tensors[name].shape],
            "data_offsets": offsets,
        }
        for name, offsets in zip(raw, itertools.pairwise(ends), strict=True)
    }
    text = json.dumps(header, separators=(",", ":"))  # in ASCII: as many bytes as characters
    text = text.ljust(-(-len(text) // 8) * 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text.encode("ascii") + b"".join(raw.values()))


def write_safetensors__large_numbers_first(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor]
) -> None:
    """Sorted by the size of a number, so that all are aligned; header in UTF-8; numbers by NumPy."""
    order = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    header, pieces, at = {}, [], 0
    for name, tensor in order:
        tensor = tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        if tensor.dtype == torch.bfloat16:
            piece = tensor.view(torch.int16).numpy().tobytes()
        else:
            piece = tensor.numpy().tobytes(order="C")
        (short,) = [key for key, dtype in DTYPES.items() if dtype is tensor.dtype]
        header[name] = {"dtype": short, "shape": tuple(tensor.shape), "data_offsets": (at, at + len(piece))}
        pieces.append(piece)
        at += len(piece)
    text = json.dumps(header, ensure_ascii=False).encode()
    while len(text) % 8:
        text += b" "
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, byteorder="little"))
        file.write(text)
        file.writelines(pieces)


def config_from_hf__by_table(values: Mapping[str, Any]) -> ModelConfig:
    """A table of keys; what is missing or None is left to the defaults of ModelConfig."""
    for key, ours in (
        ("activation_function", "gelu_new"),
        ("layer_norm_epsilon", 1e-5),
        ("scale_attn_weights", True),
        ("scale_attn_by_inverse_layer_idx", False),
        ("model_type", "gpt2"),
    ):
        if key in values and values[key] != ours:
            raise ValueError(f"not a GPT-2: {key} = {values[key]}")
    table = {"n_positions": "block_size", "n_embd": "d_model", "n_head": "num_heads", "n_layer": "num_layers"}
    table |= {"n_inner": "d_ff", "tie_word_embeddings": "tie_weights", "vocab_size": "vocab_size"}
    chosen = {ours: values[key] for key, ours in table.items() if values.get(key) is not None}
    return ModelConfig(**chosen)


def config_from_hf__field_by_field(values: Mapping[str, Any]) -> ModelConfig:
    """Each check on its own, and d_ff worked out."""
    if values.get("model_type", "gpt2") != "gpt2":
        raise ValueError(f"model_type {values['model_type']}")
    if values.get("activation_function", "gelu_new") != "gelu_new":
        raise ValueError(f"activation_function is {values['activation_function']}")
    if abs(values.get("layer_norm_epsilon", 1e-5) - 1e-5) > 1e-9:
        raise ValueError(f"layer_norm_epsilon is {values['layer_norm_epsilon']}")
    if not values.get("scale_attn_weights", True):
        raise ValueError("scale_attn_weights is False")
    if values.get("scale_attn_by_inverse_layer_idx"):
        raise ValueError("scale_attn_by_inverse_layer_idx is True")
    width = values["n_embd"]
    inner = values.get("n_inner") or width * 4
    sizes = (values["vocab_size"], values["n_positions"], width, values["n_head"], values["n_layer"], inner)
    names = [field.name for field in fields(ModelConfig)][: len(sizes)]
    tied = values.get("tie_word_embeddings")
    return ModelConfig(**dict(zip(names, sizes, strict=True)), tie_weights=tied is None or tied)


def weights_from_gpt2__name_by_name(state: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """From each name of the file to ours, by a pattern; what is missing shows afterwards."""
    parts = {"ln_1": "attention_norm", "ln_2": "feedforward_norm", "attn.c_proj": "attention.out_proj"}
    parts |= {"mlp.c_fc": "feedforward.up_proj", "mlp.c_proj": "feedforward.down_proj"}
    outside = {"wte.weight": "token_embedding.weight", "wpe.weight": "position_embedding.weight"}
    outside |= {f"ln_f.{kind}": f"final_norm.{kind}" for kind in ("weight", "bias")}
    pattern = re.compile(
        r"h\.(\d+)\.(ln_1|ln_2|attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj)\.(weight|bias)"
    )
    weights: dict[str, Tensor] = {}
    for full_name, tensor in state.items():
        name = full_name[12:] if full_name.startswith("transformer.") else full_name
        if re.fullmatch(r"h\.\d+\.attn\.(masked_)?bias", name):
            continue
        if name == "lm_head.weight":
            if not config.tie_weights:
                weights[name] = tensor
            continue
        if name in outside:
            weights[outside[name]] = tensor
            continue
        found = pattern.fullmatch(name)
        if not found or int(found[1]) >= config.num_layers:
            raise ValueError(f"{full_name} is not in a model with {config.num_layers} blocks")
        layer, kind = found[2], found[3]
        if kind == "weight" and layer[-4:] in ("attn", "proj", "c_fc"):
            tensor = tensor.transpose(0, 1)
        block = f"blocks.{found[1]}"
        if layer == "attn.c_attn":
            d = config.d_model
            for place, part in enumerate(("query", "key", "value")):
                weights[f"{block}.attention.{part}_proj.{kind}"] = tensor[place * d : (place + 1) * d]
        else:
            weights[f"{block}.{parts[layer]}.{kind}"] = tensor
    if config.tie_weights and "token_embedding.weight" in weights:
        weights["lm_head.weight"] = weights["token_embedding.weight"]
    theirs = {ours: name for name, ours in outside.items()} | {"lm_head.weight": "lm_head.weight"}
    for i in range(config.num_layers):
        for kind in ("weight", "bias"):
            theirs |= {f"blocks.{i}.{ours}.{kind}": f"h.{i}.{name}.{kind}" for name, ours in parts.items()}
            for part in ("query", "key", "value"):
                theirs[f"blocks.{i}.attention.{part}_proj.{kind}"] = f"h.{i}.attn.c_attn.{kind}"
    for ours, name in theirs.items():
        if ours not in weights:
            raise ValueError(f"{name} is missing, and so is {ours}")
    return weights


def weights_from_gpt2__by_our_names(state: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """The state dict of a model without memory says what is wanted; copies, one for each name."""
    with torch.device("meta"):
        wanted = list(TransformerLM(config).state_dict())
    used = set()

    def take(name):
        for prefix in ("", "transformer."):
            if prefix + name in state:
                used.add(prefix + name)
                return state[prefix + name].clone()
        raise ValueError(f"no {name} among {len(state)} weights")

    weights = {}
    for ours in wanted:
        *path, kind = ours.split(".")
        match path:
            case ["token_embedding"]:
                weights[ours] = take("wte.weight")
            case ["position_embedding"]:
                weights[ours] = take("wpe.weight")
            case ["final_norm"]:
                weights[ours] = take(f"ln_f.{kind}")
            case ["lm_head"]:
                tied = config.tie_weights
                weights[ours] = weights["token_embedding.weight"] if tied else take("lm_head.weight")
            case ["blocks", i, "attention", "out_proj"]:
                weights[ours] = take(f"h.{i}.attn.c_proj.{kind}").t().contiguous()
            case ["blocks", i, "attention", part]:
                third = ["query_proj", "key_proj", "value_proj"].index(part)
                whole = take(f"h.{i}.attn.c_attn.{kind}")
                weights[ours] = whole.unflatten(-1, (3, -1))[..., third, :].t()
            case ["blocks", i, "feedforward", part]:
                theirs = {"up_proj": "c_fc", "down_proj": "c_proj"}[part]
                weights[ours] = (
                    torch.einsum("...io->...oi", x)
                    if (x := take(f"h.{i}.mlp.{theirs}.{kind}")).dim() == 2
                    else x
                )
            case ["blocks", i, norm]:
                weights[ours] = take(f"h.{i}.{'ln_1' if norm == 'attention_norm' else 'ln_2'}.{kind}")
    for name in state:
        bare = name.removeprefix("transformer.")
        if name in used or (bare == "lm_head.weight" and config.tie_weights):
            continue
        if not (bare.startswith("h.") and bare.split(".", 2)[2] in ("attn.bias", "attn.masked_bias")):
            raise ValueError(f"what is {name}?")
    return weights


class GPT2LM__method_replaced(GPT2LM):  # a subclass, because the annotations mean the original
    """The networks of kata 03, with another class that has another forward."""

    def __init__(self, config: ModelConfig):
        TransformerLM.__init__(self, config)
        for block in self.blocks:
            network = block.feedforward
            kind = type(network)

            class Tanh(kind):
                rate = config.dropout

                def forward(self, x):
                    up, down = self.up_proj, self.down_proj
                    made = F.linear(F.gelu(up(x), approximate="tanh"), down.weight, down.bias)
                    return F.dropout(made, self.rate, self.training)

            network.__class__ = Tanh


class GPT2LM__formula(GPT2LM):
    """Modules of PyTorch around the two maps, and the formula written out."""

    def __init__(self, config: ModelConfig):
        TransformerLM.__init__(self, config)

        class Gelu(nn.Module):
            def forward(self, x):
                return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x.pow(3))))

        class Network(nn.Sequential):
            def __init__(self, up, down, rate):
                super().__init__()
                self.add_module("up_proj", up)
                self.add_module("gelu", Gelu())
                self.add_module("down_proj", down)
                self.add_module("dropout", nn.Dropout(rate))

        for number in range(len(self.blocks)):
            old = self.blocks[number].feedforward
            self.blocks[number].feedforward = Network(old.up_proj, old.down_proj, config.dropout)


class GPT2LM__hooks(GPT2LM):
    """A hook that replaces what the second map is given."""

    def __init__(self, config: ModelConfig):
        TransformerLM.__init__(self, config)
        for block in self.blocks:
            block.feedforward.register_forward_hook(self._again(config.dropout))

    @staticmethod
    def _again(rate):
        def hook(network, inputs, output):
            hidden = gelu(network.up_proj(inputs[0]), "tanh")
            return F.dropout(network.down_proj(hidden), rate, network.training)

        return hook


def load_gpt2__without_memory_twice(folder: str | os.PathLike[str]) -> tuple[GPT2LM, BPETokenizer]:
    """A model that is made without memory and takes the file's tensors, tied again afterwards."""
    config = config_from_hf(check_folder(folder))
    state = read_safetensors(os.path.join(folder, "model.safetensors"))
    weights = {name: tensor.float() for name, tensor in weights_from_gpt2(state, config).items()}
    with torch.device("meta"):
        model = GPT2LM(config)
    model.load_state_dict(weights, assign=True)
    if config.tie_weights:
        model.lm_head.weight = model.token_embedding.weight
    return model.train(False), BPETokenizer.load(folder)


def load_gpt2__parameter_by_parameter(folder: str | os.PathLike[str]) -> tuple[GPT2LM, BPETokenizer]:
    """The tokenizer first, and each parameter copied by hand."""
    values = check_folder(folder)
    tokenizer = BPETokenizer.load(folder)
    model = GPT2LM(config_from_hf(values))
    weights = weights_from_gpt2(read_safetensors(Path(folder) / "model.safetensors"), model.config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.shape != weights[name].shape:
                raise ValueError(f"{name} has the shape {tuple(weights[name].shape)}")
            parameter.copy_(weights[name])
    model.eval()
    return model, tokenizer
