"""Given: what the small files say, read with suspicion, because anybody may have written them.

Everything here returns values that were checked, or raises ValueError in words. Nothing is read before
its size is known, and no memory is reserved because a file asks for it.
"""

import json
import math
import os
import reprlib
from pathlib import Path
from typing import Any, NamedTuple

from katas.k10_tokens.tokens import byte_characters

LONGEST_HEADER = 100_000_000  # bytes; the limit of the format's own reader
_MOST = {"config.json": 1_000_000, "vocab.json": 50_000_000, "merges.txt": 50_000_000}  # bytes of each file
_MOST_AXES, _MOST_NUMBERS = 64, 2**62  # of a tensor in PyTorch
_LONGEST_NAME = 1000  # characters


class Entry(NamedTuple):
    """What the header of a safetensors file says about one tensor. Nothing is known yet about its truth."""

    name: str
    dtype: str  # such as "F32"
    shape: tuple[int, ...]
    begin: int  # its first byte, counted from the end of the header
    end: int  # the byte after its last one


def parse_header(header: bytes) -> list[Entry]:
    """Return the tensors that the header of a safetensors file lists, in its order.

    `header` is JSON: an object that maps each name to {"dtype": "F32", "shape": [2, 3], "data_offsets":
    [0, 24]}. Its key "__metadata__" may hold remarks, and is left out. All sizes and offsets in the result
    are integers of at least 0. They are not compared with each other, nor with the file.

    Raises ValueError naming the tensor and what is wrong, if that is not the form of the header.
    """
    values = parse_json(header, "the header")
    if not isinstance(values, dict):
        raise ValueError(f"the header must be an object of names, not {_shown(values)}")
    return [_entry(name, value) for name, value in values.items() if name != "__metadata__"]


def parse_json(raw: bytes, source: str) -> Any:
    """Return the value that JSON in UTF-8 stands for.

    Raises ValueError naming the source if it is something else, is nested too deeply to be read, or has
    a key twice in one object, so that readers could disagree about it.
    """
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError(f"{source} is nested too deeply") from None
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors, too
        raise ValueError(f"{source} is not JSON in UTF-8, or not unambiguous: {str(error)[:200]}") from None


def check_folder(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the values in config.json, after a look at all four files of a GPT-2.

    config.json must hold sizes that are positive integers, and describe a model whose numbers can be in
    model.safetensors, to judge by the size of that file; vocab.json and merges.txt must fit each other, and
    the vocabulary must have vocab_size tokens. `BPETokenizer.load` of kata 10 checks nothing of this.

    Raises FileNotFoundError if one of the files is missing, and ValueError naming the file and what is wrong.
    """
    folder = Path(folder)
    weights = folder / "model.safetensors"
    values = _sizes_checked(parse_json(_read(folder / "config.json"), "config.json"))
    numbers, size = _count_numbers(values), _size(weights)
    if 2 * numbers > size:  # two bytes a number, or more
        raise ValueError(f"config.json describes {numbers:,} weights; {weights.name} has {size:,} bytes")
    tokens = _count_tokens(folder)
    if tokens != values["vocab_size"]:
        raise ValueError(
            f"vocab.json has {tokens} tokens, vocab_size in config.json is {values['vocab_size']}"
        )
    return values


def _entry(name: str, value: Any) -> Entry:
    shown = _shown(name)
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"the name {shown} has {len(name):,} characters; {_LONGEST_NAME:,} are enough")
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{shown} must have dtype, shape and data_offsets, not {_shown(value)}")
    if not isinstance(value["dtype"], str):
        raise ValueError(f"dtype of {shown} must be a text, not {_shown(value['dtype'])}")
    shape, offsets = (_integers(name, key, value[key]) for key in ("shape", "data_offsets"))
    if len(offsets) != 2:
        raise ValueError(f"data_offsets of {shown} must be two numbers, not {_shown(list(offsets))}")
    if len(shape) > _MOST_AXES or math.prod(max(1, size) for size in shape) > _MOST_NUMBERS:
        raise ValueError(f"shape of {shown} is larger than any tensor: {_shown(list(shape))}")
    return Entry(name, value["dtype"], shape, *offsets)


def _integers(name: str, key: str, values: Any) -> tuple[int, ...]:
    if not isinstance(values, list) or not all(_is_size(value, 0) for value in values):
        raise ValueError(f"{key} of {_shown(name)} must be integers of at least 0, not {_shown(values)}")
    return tuple(values)


def _is_size(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"it has {_shown(twice)} twice")
    return values


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number in JSON")


def _sizes_checked(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ValueError(f"config.json must be an object of values, not {_shown(values)}")
    for key in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head"):
        if key not in values:
            raise ValueError(f"config.json has no {key}: it is not the configuration of a GPT-2")
    for key in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner"):
        if not _is_size(values.get(key), 1) and not (key == "n_inner" and values.get(key) is None):
            raise ValueError(f"{key} in config.json must be a positive integer, not {_shown(values[key])}")
    return values


def _count_numbers(values: dict[str, Any]) -> int:
    """How many weights a GPT-2 of these sizes has, the tied head counted once."""
    width = values["n_embd"]
    inner = values.get("n_inner") or 4 * width
    block = 4 * width * width + 2 * width * inner + 9 * width + inner
    return (values["vocab_size"] + values["n_positions"] + 2) * width + values["n_layer"] * block


def _size(path: Path) -> int:
    size = path.stat().st_size
    if not path.is_file():
        raise ValueError(f"{path.name} is not a file")
    return size


def _read(path: Path) -> bytes:
    """The whole of a small file."""
    size, most = _size(path), _MOST[path.name]
    if size <= most:
        with path.open("rb") as file:
            content = file.read(most + 1)  # it may be longer than it was, or than it says
        size = len(content)
    if size > most:
        raise ValueError(f"{path.name} has {size:,} bytes or more; at most {most:,} are plausible")
    return content


def _count_tokens(folder: Path) -> int:
    """The size of the vocabulary, after a check that the two files fit each other."""
    ids = parse_json(_read(folder / "vocab.json"), "vocab.json")
    if not isinstance(ids, dict) or not all(_is_size(id, 0) for id in ids.values()):
        raise ValueError("vocab.json must map tokens to ids, which are integers of at least 0")
    for place, id in enumerate(sorted(ids.values())):
        if place != id:
            raise ValueError(
                f"the ids in vocab.json must be 0 … {len(ids) - 1}, each once; {place} is missing"
            )
    in_order = sorted(ids, key=ids.__getitem__)
    if sorted(in_order[:256]) != sorted(byte_characters().values()):
        raise ValueError("the ids 0 … 255 in vocab.json must be those of the 256 bytes")
    merges = _count_merges(_read(folder / "merges.txt"), ids)
    if "" in in_order[256 + merges :]:
        raise ValueError('vocab.json has the special token "", which would be found everywhere')
    return len(ids)


def _count_merges(raw: bytes, ids: dict[str, int]) -> int:
    try:
        lines = raw.decode("utf-8").splitlines()[1:]
    except UnicodeDecodeError as error:
        raise ValueError(f"merges.txt is not a text in UTF-8: {error}") from None
    for new_id, line in enumerate(lines, start=256):
        halves = line.split(" ")
        known = len(halves) == 2 and all(ids.get(half, new_id) < new_id for half in halves)
        if not known or ids.get("".join(halves)) != new_id:
            found = f"line {new_id - 254} of merges.txt, {_shown(line)}"
            raise ValueError(f"{found}, must be two tokens that make the one with id {new_id} in vocab.json")
    return len(lines)


def _shown(value: Any) -> str:
    """A value as Python writes it, shortened: it may be a megabyte long."""
    return reprlib.repr(value)
