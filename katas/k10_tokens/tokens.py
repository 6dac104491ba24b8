"""Tokens: byte-pair encoding, which learns from a text what to cut it into.

A text is a row of bytes, and bytes need no vocabulary: there are 256, whatever the language. The
learner joins the pair of neighbours that occurs most often into a new token, and does so again and
again. Frequent words become one token, rare ones a few, and nothing is ever unknown.

House rules (README.md of kata 00): arguments are never modified.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path

import regex

# How GPT-2 cuts a text into pieces before any merge: an English contraction; letters, digits, or other
# symbols, each with the blank before them; blanks that no piece takes along. \p{L} is any letter of any
# alphabet and \p{N} any digit: the package `regex` knows them, Python's own `re` does not.
GPT2_PATTERN = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


def byte_characters() -> dict[int, str]:  # given
    """Return a printable character for each byte, in which GPT-2's files spell their tokens.

    Bytes that have a printable character in Latin-1 keep it; the others, in order, get the characters
    from 256 on: the blank is "Ġ", the line break "Ċ". The order of the keys is that of GPT-2's ids.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = sorted(set(range(256)) - set(printable))
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + place) for place, byte in enumerate(others)
    }


def pretokenize(text: str) -> list[str]:
    """Return the pieces into which GPT2_PATTERN cuts the text; joined, they are the text.

    The pattern matches at every position, so the pieces are its matches from left to right.

    Source: Radford et al., Language Models are Unsupervised Multitask Learners (2019), section 2.2.
    """
    raise NotImplementedError


def merge(ids: Sequence[int], pair: tuple[int, int], new_id: int) -> list[int]:
    """Return the ids with new_id in the place of each occurrence of the pair, taken from the left.

    Occurrences do not overlap: of three equal ids in a row, the first two are a pair, the third is
    left over. What a replacement makes is not part of another one.

    Source: Sennrich et al., Neural Machine Translation of Rare Words with Subword Units (2016),
    section 3.2.
    """
    raise NotImplementedError


def count_pairs(words: Mapping[tuple[int, ...], int]) -> Counter[tuple[int, int]]:
    """Return how often each pair of neighbouring ids occurs in a text, given its words.

    `words` maps each different word, as ids, to the number of times it occurs in the text. A pair
    counts at each of its places in a word, also where two places overlap, and no pair spans two words.

    Source: Sennrich et al., Neural Machine Translation of Rare Words with Subword Units (2016),
    algorithm 1.
    """
    raise NotImplementedError


class BPETokenizer:
    """A byte-level byte-pair encoding: tokens are bytes, joined by merges in the order of learning.

    Source: Radford et al., Language Models are Unsupervised Multitask Learners (2019), section 2.2.
    """

    def __init__(
        self,
        merges: Iterable[tuple[bytes, bytes]],
        special_tokens: Sequence[str] = (),
        *,
        alphabet: bytes = bytes(range(256)),
    ):
        """Number the tokens: first the bytes of `alphabet`, then one for each merge, then special ones.

        `alphabet` holds each of the 256 bytes once; by default a byte's id is the byte itself. A merge
        joins two tokens that have an id by then, bytes or results of earlier merges, into one that has
        none yet. `merges` may be any iterable, and can be read only once.
        """
        raise NotImplementedError

    @property
    def vocab_size(self) -> int:
        """The number of tokens, and so the number of ids."""
        raise NotImplementedError

    @property
    def merges(self) -> list[tuple[bytes, bytes]]:
        """The merges in the order in which they were learned, in a list of the caller's own."""
        raise NotImplementedError

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text with these ids: their bytes, joined and then read as UTF-8.

        A character may be spread over several tokens. Bytes that are not UTF-8 become U+FFFD, as
        bytes.decode with errors="replace" does it. `ids` may be any iterable, and can be read only once.

        Raises IndexError naming the first id that is outside 0 … vocab_size - 1; a negative id is
        outside.
        """
        raise NotImplementedError

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Return the ids of the text: each piece of `pretokenize` by itself, as bytes with merges applied.

        As long as a piece has a pair with a merge, the pair whose merge was learned first is joined.

        Special tokens are text like any other, unless `allow_special` is set: then each occurrence is
        one id, the longest where several begin, and the text between them is encoded as usual.

        A piece that was encoded before should not be worked out again: most words of a text are
        repeated.
        """
        raise NotImplementedError

    @classmethod
    def train(cls, text: str, vocab_size: int, special_tokens: Sequence[str] = ()) -> "BPETokenizer":
        """Return a tokenizer with vocab_size tokens, whose merges are learned from the text.

        The text is cut at the special tokens, which are not learned from, and then into pieces. Every
        piece is a word of bytes. Again and again the pair that occurs most often in all words is
        merged; of pairs that occur equally often, the one that is greatest as a pair of bytes objects:
        (b"b", b"a") before (b"ab", b"c") before (b"a", b"d"). A pair that occurs once is merged too. If
        no word has two tokens left, training ends early, with fewer than vocab_size tokens.

        Raises ValueError naming vocab_size if it is less than 256 plus the number of special
        tokens.
        Source: Sennrich et al., Neural Machine Translation of Rare Words with Subword Units (2016),
        algorithm 1.
        """
        raise NotImplementedError

    def encode_chunks(self, chunks: Iterable[str]) -> Iterator[int]:
        """Yield the ids of a text that comes in chunks: those of `encode` for the whole text.

        They do not depend on where the text is cut. A chunk is read only when it is needed, and of what
        was read no more than the last few pieces are held back, so a text may be longer than memory.
        """
        raise NotImplementedError

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the tokenizer into the folder, as the two files of GPT-2, in UTF-8.

        The folder is made if it does not exist, together with the folders above it.

        vocab.json is one object that maps each token to its id. Its bytes are spelled with the
        characters of `byte_characters`; a special token is spelled as it is. merges.txt has the line
        "#version: 0.2", and then a line for each merge, in the order of learning: its two tokens, so
        spelled, with a blank between them.
        """
        raise NotImplementedError

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "BPETokenizer":
        """Return the tokenizer whose two files are in the folder: saved by `save`, or GPT-2's own.

        Every token has the id that vocab.json gives it, wherever in the file its entry stands. The bytes
        have the ids 0 … 255 in any order, merges follow in the order of merges.txt, and any token after
        them is special. Each line of merges.txt but the first is a merge, also one that begins with "#".
        """
        raise NotImplementedError
