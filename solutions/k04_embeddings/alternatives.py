"""Other correct ways to write this kata; its tests must accept every one.

Where a tokenizer is returned no type is given: an alternative is tried in the solution's module,
behind the class of the same name, and the checker would expect that one.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from katas.k00_shapes.shapes import one_hot


class CharTokenizer__text_and_dict:
    """The vocabulary as one text, and a loop that counts positions."""

    def __init__(self, chars: Iterable[str]):
        self.chars = "".join(chars)
        self.id_of = {char: self.chars.index(char) for char in self.chars}

    @classmethod
    def from_text(cls, text: str):
        return cls("".join(sorted(dict.fromkeys(text))))

    @property
    def vocab_size(self) -> int:
        return len(self.id_of)

    def encode(self, text: str) -> list[int]:
        ids = []
        for position, char in enumerate(text):
            if char not in self.id_of:
                raise ValueError(f"at {position}: {char} is not in the vocabulary")
            ids.append(self.id_of[char])
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        ids = list(ids)
        for number in ids:
            if number < 0 or number >= len(self.chars):
                raise IndexError(f"{number} is not in range({len(self.chars)})")
        return "".join(map(self.chars.__getitem__, ids))


class CharTokenizer__two_dicts:
    """A dict for each direction."""

    def __init__(self, chars: Iterable[str]):
        self.ids, self.chars = {}, {}
        for place, char in enumerate(chars):
            self.ids[char], self.chars[place] = place, char
        self.vocab_size = len(self.ids)

    @staticmethod
    def from_text(text: str):
        return CharTokenizer(sorted(set(text)))

    def encode(self, text: str) -> list[int]:
        unknown = set(text) - self.ids.keys()
        if unknown:
            first = min(map(text.index, unknown))
            raise ValueError(f"position {first} holds {text[first]!r}, which is unknown")
        return list(map(self.ids.__getitem__, text))

    def decode(self, ids: Iterable[int]) -> str:
        try:
            return "".join([self.chars[number] for number in ids])
        except KeyError as error:
            raise IndexError(f"{error.args[0]} is not an id") from None


class CharTokenizer__counted(Sequence):
    """The vocabulary as a tuple, a sequence of characters itself; the ids looked up for each text."""

    def __init__(self, chars: Iterable[str]):
        self.chars = tuple(chars)

    def __len__(self) -> int:
        return len(self.chars)

    def __getitem__(self, id):
        if id not in range(len(self)):
            raise IndexError(f"got id {id}, but vocab_size is {len(self)}")
        return self.chars[id]

    @classmethod
    def from_text(cls, text: str):
        return cls(sorted(Counter(text)))

    @property
    def vocab_size(self) -> int:
        return len(self)

    def encode(self, text: str) -> list[int]:
        ids = {char: place for place, char in enumerate(self.chars)}
        found = [ids.get(char, -1) for char in text]
        if -1 in found:
            place = found.index(-1)
            raise ValueError(f"cannot encode text[{place}] = {text[place]!r}")
        return found

    def decode(self, ids: Iterable[int]) -> str:
        text = ""
        for number in ids:
            text += self[number]
        return text


class TokenEmbedding__inherited(nn.Embedding):
    """torch.nn.Embedding itself, which has the same parameter."""

    def __init__(self, vocab_size: int, d_model: int):
        super().__init__(vocab_size, d_model)

    def forward(self, ids: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d_model"]:
        return super().forward(ids.to(torch.int64))


class TokenEmbedding__indexed(nn.Module):
    """Plain indexing, after a look at the smallest and the largest id."""

    def __init__(self, vocab_size: int, d_model: int):
        super().__init__()
        self.vocab_size = vocab_size
        self.weight = nn.Parameter(torch.empty(vocab_size, d_model))
        nn.init.normal_(self.weight)

    def forward(self, ids: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d_model"]:
        if ids.numel() > 0 and (ids.min() < 0 or ids.max() >= self.vocab_size):
            raise IndexError(f"ids must be in 0 … {self.vocab_size - 1}")
        return self.weight[ids.long()]


class TokenEmbedding__one_hot_product(nn.Module):
    """Each id as a vector, and a matrix product: what a lookup is in principle."""

    def __init__(self, vocab_size: int, d_model: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(vocab_size, d_model))

    def forward(self, ids: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d_model"]:
        return one_hot(ids, self.weight.shape[0]).to(self.weight.dtype) @ self.weight


class TokenEmbedding__index_select(nn.Module):
    """All ids in one row, and the batch axes put back afterwards."""

    def __init__(self, vocab_size: int, d_model: int):
        super().__init__()
        self.weight = nn.Parameter(torch.normal(0.0, 1.0, (vocab_size, d_model)))

    def forward(self, ids: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d_model"]:
        rows = self.weight.index_select(0, ids.reshape(-1).long())
        return rows.reshape(*ids.shape, self.weight.shape[1])


class TokenEmbedding__gathered(nn.Module):
    """Every feature of every row gathered on its own."""

    def __init__(self, vocab_size: int, d_model: int):
        super().__init__()
        self.register_parameter("weight", nn.Parameter(torch.randn(vocab_size, d_model)))

    def forward(self, ids: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d_model"]:
        rows, width = self.weight.shape
        wrong = ids[(ids < 0) | (ids.long() >= rows)]
        if len(wrong):
            raise IndexError(f"id {wrong[0].item()} is not below {rows}")
        places = ids.reshape(-1, 1).long().expand(-1, width)
        return self.weight.gather(0, places).reshape(*ids.shape, width)


class LearnedPositionalEmbedding__inherited(nn.Embedding):
    """torch.nn.Embedding with the positions for ids."""

    def __init__(self, max_len: int, d_model: int):
        super().__init__(max_len, d_model)

    def forward(self, seq_len: int, offset: int = 0) -> Float[Tensor, "{seq_len} d_model"]:
        if seq_len + offset > self.num_embeddings:
            raise ValueError(f"{seq_len} positions from {offset} are not within {self.num_embeddings}")
        positions = torch.arange(offset, offset + seq_len, device=self.weight.device)
        return super().forward(positions)


class LearnedPositionalEmbedding__buffer_of_positions(nn.Module):
    """The positions counted once, in a buffer that is not saved."""

    def __init__(self, max_len: int, d_model: int):
        super().__init__()
        self.max_len = max_len
        self.weight = nn.Parameter(torch.empty(max_len, d_model).normal_())
        self.register_buffer("positions", torch.arange(max_len), persistent=False)

    def forward(self, seq_len: int, offset: int = 0) -> Float[Tensor, "{seq_len} d_model"]:
        if offset + seq_len > self.max_len:
            raise ValueError(f"offset {offset} + seq_len {seq_len} > max_len {self.max_len}")
        return F.embedding(self.positions[offset : offset + seq_len], self.weight)


class LearnedPositionalEmbedding__narrowed(nn.Module):
    """A narrower view of the table."""

    def __init__(self, max_len: int, d_model: int):
        super().__init__()
        self.weight = nn.Parameter(torch.normal(torch.zeros(max_len, d_model), 1.0))

    def forward(self, seq_len: int, offset: int = 0) -> Float[Tensor, "{seq_len} d_model"]:
        fits = 0 <= offset <= offset + seq_len <= self.weight.shape[0]
        if not fits:
            raise ValueError(f"{offset=} {seq_len=} max_len={self.weight.shape[0]}")
        return self.weight.narrow(0, offset, seq_len)


class LearnedPositionalEmbedding__row_by_row(nn.Module):
    """The rows one by one, and stacked."""

    def __init__(self, max_len: int, d_model: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(max_len, d_model))

    def forward(self, seq_len: int, offset: int = 0) -> Float[Tensor, "{seq_len} d_model"]:
        max_len, d_model = self.weight.shape
        if offset + seq_len > max_len:
            raise ValueError(f"no {seq_len} rows from row {offset} in a table of {max_len}")
        rows = self.weight.unbind()[offset:][:seq_len]
        return torch.stack(rows) if rows else self.weight.new_empty(0, d_model)


def sinusoidal_positions__exponential(
    max_len: int,
    d_model: int,
    base: float = 10000.0,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Float[Tensor, "{max_len} {d_model}"]:
    """The powers as exponentials of logarithms, and a table filled in two steps, on its device."""
    if d_model % 2 == 1:
        raise ValueError(f"d_model is odd: {d_model}")
    positions = torch.arange(max_len, dtype=torch.float64, device=device)[:, None]
    steps = torch.arange(0, d_model, 2, dtype=torch.float64, device=device)
    angles = positions * torch.exp(steps * (-math.log(base) / d_model))
    table = torch.zeros(max_len, d_model, dtype=dtype, device=device)
    table[:, 0::2] = torch.sin(angles)
    table[:, 1::2] = torch.cos(angles)
    return table


def sinusoidal_positions__divided(
    max_len: int,
    d_model: int,
    base: float = 10000.0,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Float[Tensor, "{max_len} {d_model}"]:
    """Divided by the powers, with a cosine as a sine that is a quarter of a wave ahead."""
    if d_model % 2 != 0:
        raise ValueError(f"{d_model=} is not even")
    column = torch.arange(d_model, dtype=torch.float64, device=device)
    angle = torch.outer(
        torch.arange(max_len, dtype=torch.float64, device=device),
        1 / torch.pow(base, (column - column % 2) / d_model),
    )
    table = torch.sin(angle + column % 2 * (math.pi / 2))
    return table.to(torch.get_default_dtype() if dtype is None else dtype)


def sinusoidal_positions__complex(
    max_len: int,
    d_model: int,
    base: float = 10000.0,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Float[Tensor, "{max_len} {d_model}"]:
    """Points on a circle as complex numbers: the cosine is the real part, the sine the other."""
    if d_model & 1:
        raise ValueError(f"got an odd d_model, {d_model}")
    powers = torch.arange(d_model // 2, dtype=torch.float64, device=device) * (-2 / d_model)
    angles = torch.arange(max_len, dtype=torch.float64, device=device).outer(base**powers)
    points = torch.view_as_real(torch.polar(torch.ones_like(angles), angles)).flip(-1)
    return points.reshape(max_len, d_model).to(dtype or torch.get_default_dtype())


def sinusoidal_positions__plain_python(
    max_len: int,
    d_model: int,
    base: float = 10000.0,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Float[Tensor, "{max_len} {d_model}"]:
    """Number by number, by the formula; the tensor comes last."""
    if d_model % 2:
        raise ValueError(f"cannot pair up {d_model} columns")
    waves = [base ** (-2 * k / d_model) for k in range(d_model // 2)]
    rows = [[f(p * wave) for wave in waves for f in (math.sin, math.cos)] for p in range(max_len)]
    return torch.tensor(rows, dtype=dtype, device=device)


def sinusoidal_positions__moved_at_the_end(
    max_len: int,
    d_model: int,
    base: float = 10000.0,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Float[Tensor, "{max_len} {d_model}"]:
    """Made on the default device, and moved to the one that is asked for."""
    if d_model % 2:
        raise ValueError(f"d_model is odd: {d_model}")
    positions = torch.arange(max_len, dtype=torch.float64)
    angles = positions[:, None] * base ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    table = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
    return table.to(device=device, dtype=dtype or torch.get_default_dtype())
