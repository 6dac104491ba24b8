"""Embeddings: from text to numbers, and from numbers to vectors that know what and where they are.

A tokenizer gives every character a number, its id, and turns ids back into text. An embedding is a
table with one vector for each id. Attention does not see the order of its inputs, so a second table
has one vector for each position; its rows are learned, or made of sines and cosines.

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class CharTokenizer:
    """A vocabulary of single characters: the id of a character is its place in the vocabulary.

    A character is what Python counts as one: a code point. An accent may be a character of its own.
    """

    def __init__(self, chars: Iterable[str]):
        """Number the characters 0, 1, 2, … in the order given.

        `chars` holds each character once. It may be a text, a list or any other iterable, and is
        read once: if the caller changes a list later, the tokenizer stays as it is.
        """
        self._chars = list(chars)  # place i holds the character of id i
        self._ids = {char: id for id, char in enumerate(self._chars)}

    @classmethod
    def from_text(cls, text: str) -> "CharTokenizer":
        """Return the tokenizer of the characters in `text`, each taken once, in sorted order."""
        # The order of a set changes from one run of Python to the next; a sorted one never does.
        return cls(sorted(set(text)))

    @property
    def vocab_size(self) -> int:
        """The number of characters, and so the number of ids."""
        return len(self._chars)

    def encode(self, text: str) -> list[int]:
        """Return the ids of the characters of `text`.

        Raises ValueError naming the first unknown character, and its position in `text`, counted
        from 0.
        """
        # One look into a dict for each character: the time is proportional to the length.
        try:
            return [self._ids[char] for char in text]
        except KeyError as unknown:
            char = unknown.args[0]
        # Searched only now: counting along would slow down every text that has no such character.
        raise ValueError(f"unknown character {char!r} at position {text.index(char)}")

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text with these ids, which undoes `encode`.

        `ids` may be a list, a generator or any other iterable, read once.

        Raises IndexError naming the first id that is outside 0 … vocab_size - 1; a negative id is
        outside.
        """
        chars, size = [], self.vocab_size
        for id in ids:
            if not 0 <= id < size:  # a list would take -1 for its last entry
                raise IndexError(f"id {id} is outside 0 … {size - 1}")
            chars.append(self._chars[id])
        return "".join(chars)  # adding them up one by one would copy the text again and again

    def save(self, path: str | os.PathLike[str]) -> None:  # given
        """Write the vocabulary to the file `path`, as JSON in UTF-8."""
        # A list, since JSON would join the two halves of a surrogate pair in one string. The
        # encoding is named because the default depends on the machine.
        chars = list(self.decode(range(self.vocab_size)))
        Path(path).write_text(json.dumps({"chars": chars}), encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "CharTokenizer":  # given
        """Return the tokenizer that was saved to the file `path`: every character has its old id.

        Raises ValueError naming the file if it is not a saved tokenizer.
        """
        try:
            chars = json.loads(Path(path).read_text(encoding="utf-8"))["chars"]
            if not all(len(char) == 1 for char in chars) or len(set(chars)) < len(chars):
                raise ValueError("its entries are not single characters, each of them once")
        # Not UTF-8, not JSON, JSON nested deeper than Python reads it, or something else in it.
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"{path} is not a saved tokenizer: {error!r}") from error
        return cls(chars)


class TokenEmbedding(nn.Module):
    """A learned vector for each id: a table called `weight`, of shape (vocab_size, d_model).

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.4; but, as in GPT-2, nothing
    is multiplied by √d_model here.
    """

    def __init__(self, vocab_size: int, d_model: int):
        """Create the parameter `weight`; nothing else is part of the state dict.

        Its entries are drawn from N(0, 1), as in torch.nn.Embedding. A model may draw them again on
        a scale of its own: kata 05 does.
        """
        super().__init__()
        self.weight = nn.Parameter(torch.randn(vocab_size, d_model))

    def forward(self, ids: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d_model"]:
        """Return for each id its row of the table.

        out[…, i] = weight[ids[…], i] = Σ_t one_hot(ids)[…, t] · weight[t, i]

        The ids may have any signed integer type and any shape, including that of a single number or
        of an empty batch. A row's gradient is the sum over all places that hold its id.

        Raises IndexError if an id is outside 0 … vocab_size - 1; a negative id is outside.
        """
        # weight[ids] would read -1 as "the last row". This refuses it while it copies the rows, so
        # the check takes no pass of its own, and on a GPU nothing waits for its result. long() does
        # nothing to ids that are int64 already.
        return nn.functional.embedding(ids.long(), self.weight)


class LearnedPositionalEmbedding(nn.Module):
    """A learned vector for each position: a table called `weight`, of shape (max_len, d_model).

    Source: Gehring et al., Convolutional Sequence to Sequence Learning (2017), section 3.1; Radford
    et al., Improving Language Understanding by Generative Pre-Training (2018), section 4.1.
    """

    def __init__(self, max_len: int, d_model: int):
        """Create the parameter `weight`; nothing else is part of the state dict.

        Its entries are drawn from N(0, 1), as in torch.nn.Embedding. A model may draw them again on
        a scale of its own: kata 05 does.
        """
        super().__init__()
        self.weight = nn.Parameter(torch.randn(max_len, d_model))

    def forward(self, seq_len: int, offset: int = 0) -> Float[Tensor, "{seq_len} d_model"]:
        """Return the vectors of the positions offset … offset + seq_len - 1.

        out[s, i] = weight[offset + s, i]

        Positions count from 0. With `offset`, a sequence continues where an earlier part of it ended.
        There is no batch axis: the positions are the same for every sequence.

        Raises ValueError naming seq_len, offset and max_len if a position would be max_len or more.
        """
        max_len = len(self.weight)
        if offset + seq_len > max_len:  # a slice would just be shorter
            raise ValueError(f"seq_len = {seq_len} from offset = {offset} exceeds max_len = {max_len}")
        return self.weight[offset : offset + seq_len]  # a view: nothing is copied


def sinusoidal_positions(
    max_len: int,
    d_model: int,
    base: float = 10000.0,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Float[Tensor, "{max_len} {d_model}"]:
    """Return a fixed table of positions, made of sines and cosines of ever longer waves.

    out[p, 2k] = sin(p · base^(-2k / d_model))
    out[p, 2k + 1] = cos(p · base^(-2k / d_model))

    for positions p = 0 … max_len - 1. The angles are computed in float64, so that the table stays
    precise for large p; rounding to `dtype` comes last. None means torch's default dtype and
    torch's default device, as in torch.zeros.

    Raises ValueError naming d_model if that is odd.
    Source: Vaswani et al., Attention Is All You Need (2017), section 3.5.
    """
    if d_model % 2:
        raise ValueError(f"d_model must be even, a sine and a cosine for each wave, not {d_model}")
    # A float32 has 7 digits: at position 100,000 two are left after the point. Computed on the CPU,
    # because not every device has float64.
    exact = {"dtype": torch.float64, "device": "cpu"}
    position = torch.arange(max_len, **exact).unsqueeze(-1)  # (max_len, 1)
    frequency = base ** (-torch.arange(0, d_model, 2, **exact) / d_model)  # (d_model / 2)
    angle = position * frequency  # (max_len, d_model / 2)
    table = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)  # (max_len, d_model)
    return table.to(device or torch.get_default_device(), dtype or torch.get_default_dtype())
