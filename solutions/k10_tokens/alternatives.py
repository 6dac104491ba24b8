"""Other correct ways to write this kata; its tests must accept every one."""

import heapq
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path

from katas.k10_tokens.tokens import (
    GPT2_PATTERN,
    BPETokenizer,
    byte_characters,
    count_pairs,
    merge,
    pretokenize,
)


def pretokenize__finditer(text: str) -> list[str]:
    """The text between the ends of each match."""
    return [text[found.start() : found.end()] for found in GPT2_PATTERN.finditer(text)]


def pretokenize__match_after_match(text: str) -> list[str]:
    """Each match begins where the one before it ended."""
    pieces, place = [], 0
    while place < len(text):
        found = GPT2_PATTERN.match(text, place)
        pieces.append(found[0])
        place = found.end()
    return pieces


def merge__as_text(ids: Sequence[int], pair: tuple[int, int], new_id: int) -> list[int]:
    """The ids as characters: str.replace goes from the left and does not overlap either."""
    text = "".join(map(chr, ids)).replace(chr(pair[0]) + chr(pair[1]), chr(new_id))
    return [ord(char) for char in text]


def merge__looking_back(ids: Sequence[int], pair: tuple[int, int], new_id: int) -> list[int]:
    """Appended first, and joined with what stands before it, unless that is a result itself."""
    merged, fresh = [], False
    for id in ids:
        if merged and not fresh and merged[-1] == pair[0] and id == pair[1]:
            merged[-1], fresh = new_id, True
        else:
            merged.append(id)
            fresh = False
    return merged


def merge__copy_changed_in_place(ids: Sequence[int], pair: tuple[int, int], new_id: int) -> list[int]:
    """A copy, in which each occurrence is replaced where it stands."""
    merged, place = list(ids), 0
    while place + 1 < len(merged):
        if merged[place] == pair[0] and merged[place + 1] == pair[1]:
            merged[place : place + 2] = [new_id]
        place += 1
    return merged


def merge__iterator(ids: Sequence[int], pair: tuple[int, int], new_id: int) -> list[int]:
    """One iterator, from which a pair takes two."""
    merged, rest = [], iter([*ids, None])
    left = next(rest)
    while left is not None:
        right = next(rest)
        if (left, right) == pair:
            merged.append(new_id)
            right = next(rest)
        else:
            merged.append(left)
        left = right
    return merged


def count_pairs__shifted(words: Mapping[tuple[int, ...], int]) -> Counter[tuple[int, int]]:
    """Each word beside itself without its first id, by a plain dict."""
    counts: dict[tuple[int, int], int] = {}
    for word in words:
        for left, right in map(tuple, zip(word, islice(word, 1, None), strict=False)):
            counts[left, right] = counts.get((left, right), 0) + words[word]
    return Counter(counts)


def count_pairs__repeated(words: Mapping[tuple[int, ...], int]) -> Counter[tuple[int, int]]:
    """Counted word by word and multiplied."""
    total: Counter[tuple[int, int]] = Counter()
    for word, frequency in words.items():
        pairs = Counter((word[at], word[at + 1]) for at in range(len(word) - 1))
        total.update({pair: count * frequency for pair, count in pairs.items()})
    return total


class BPETokenizer__recounting(BPETokenizer):
    """Trained by counting all pairs again for each merge, with the functions above."""

    def __init__(
        self,
        merges: Iterable[tuple[bytes, bytes]],
        special_tokens: Sequence[str] = (),
        *,
        alphabet: bytes = bytes(range(256)),
    ):
        super().__init__(merges, special_tokens, alphabet=alphabet)

    @classmethod
    def train(cls, text: str, vocab_size: int, special_tokens: Sequence[str] = ()):
        """Slow on a large text, and right."""
        if vocab_size < 256 + len(special_tokens):
            raise ValueError(f"no room for 256 bytes and the special tokens in vocab_size={vocab_size}")
        longest_first = sorted(special_tokens, key=lambda token: -len(token))
        parts = re.split("|".join(map(re.escape, longest_first)), text) if special_tokens else [text]
        words = Counter(tuple(piece.encode()) for part in parts for piece in pretokenize(part))
        tokens = {byte: bytes([byte]) for byte in range(256)}
        merges = []
        while len(tokens) + len(special_tokens) < vocab_size:
            counts = count_pairs(words)
            if len(counts) == 0:
                break
            ranked = sorted(((n, tokens[a], tokens[b]), (a, b)) for (a, b), n in counts.items())
            (_, left, right), pair = ranked[-1]
            new_id = len(tokens)
            tokens[new_id] = left + right
            merges.append((left, right))
            words = {tuple(merge(word, pair, new_id)): n for word, n in words.items()}
        return cls(merges, special_tokens)


class BPETokenizer__heap(BPETokenizer):
    """Trained with a heap, whose entries are skipped if they are out of date."""

    def __init__(
        self,
        merges: Iterable[tuple[bytes, bytes]],
        special_tokens: Sequence[str] = (),
        *,
        alphabet: bytes = bytes(range(256)),
    ):
        super().__init__(merges, special_tokens, alphabet=alphabet)

    @classmethod
    def train(cls, text: str, vocab_size: int, special_tokens: Sequence[str] = ()):
        """The counts change by the neighbours of each place."""
        if (number := vocab_size - 256 - len(special_tokens)) < 0:
            raise ValueError(f"vocab_size {vocab_size}")
        for special in sorted(special_tokens, key=len, reverse=True):
            text = text.replace(special, "\0\ud800\0")  # a lone surrogate: a mark that is in no UTF-8
        pieces = Counter(piece for part in text.split("\0\ud800\0") for piece in pretokenize(part))
        words = [[bytes([byte]) for byte in piece.encode()] for piece in pieces]
        counts, holders = Counter(), defaultdict(set)
        for place, frequency in enumerate(pieces.values()):
            for pair in zip(words[place], words[place][1:], strict=False):
                counts[pair] += frequency
                holders[pair].add(place)
        frequencies, merges = list(pieces.values()), []
        heap = [cls._entry(pair, count) for pair, count in counts.items()]
        heapq.heapify(heap)
        while heap and len(merges) < number:
            entry = heapq.heappop(heap)
            pair = entry[3]
            if counts[pair] != -entry[0] or counts[pair] <= 0:
                continue  # out of date
            merges.append(pair)
            changed = set()
            for place in holders.pop(pair):
                before = words[place]
                after = cls._joined(before, pair)
                for old in pairwise(before):
                    counts[old] -= frequencies[place]
                    changed.add(old)
                for new in pairwise(after):
                    counts[new] += frequencies[place]
                    holders[new].add(place)
                    changed.add(new)
                words[place] = after
            for each in changed:
                if counts[each] > 0:
                    heapq.heappush(heap, cls._entry(each, counts[each]))
        return cls(merges, special_tokens)

    @staticmethod
    def _entry(pair, count):
        # Least first: bytes are turned round, and a longer one comes before its own beginning.
        left, right = ((*(255 - byte for byte in half), 256) for half in pair)
        return -count, left, right, pair

    @staticmethod
    def _joined(word, pair):
        tokens, place = [], 0
        while place < len(word):
            if tuple(word[place : place + 2]) == pair:
                tokens.append(pair[0] + pair[1])
                place += 2
            else:
                tokens.append(word[place])
                place += 1
        return tokens


class BPETokenizer__bytes_throughout:
    """Tokens are bytes until the end, where each is looked up; all merges are tried in their order."""

    def __init__(
        self,
        merges: Iterable[tuple[bytes, bytes]],
        special_tokens: Sequence[str] = (),
        *,
        alphabet: bytes = bytes(range(256)),
    ):
        self.merges = tuple(merges)
        self.merges = list(self.merges)
        self.special_tokens = tuple(special_tokens)
        self.vocabulary = {}
        for byte in alphabet:
            self.vocabulary[len(self.vocabulary)] = bytes((byte,))
        for left, right in self.merges:
            self.vocabulary[len(self.vocabulary)] = left + right
        self.ids = {token: id for id, token in self.vocabulary.items()}
        for special in special_tokens:
            self.vocabulary[len(self.vocabulary)] = special.encode("utf-8")

    def __getattribute__(self, name):
        value = object.__getattribute__(self, name)
        return list(value) if name == "merges" else value

    @property
    def vocab_size(self) -> int:
        return max(self.vocabulary) + 1

    def decode(self, ids: Iterable[int]) -> str:
        data = bytearray()
        for id in ids:
            if id not in self.vocabulary:
                raise IndexError(f"there is no token {id}")
            data += self.vocabulary[id]
        return str(data, encoding="utf-8", errors="replace")

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        if not allow_special or not self.special_tokens:
            return [self.ids[token] for piece in pretokenize(text) for token in self._tokens(piece)]
        for place in range(len(text)):
            here = [special for special in self.special_tokens if text.startswith(special, place)]
            if here:
                special = max(here, key=len)
                id = len(self.vocabulary) - len(self.special_tokens) + self.special_tokens.index(special)
                rest = text[place + len(special) :]
                return [*self.encode(text[:place]), id, *self.encode(rest, allow_special=True)]
        return self.encode(text)

    def _tokens(self, piece):
        tokens = [bytes([byte]) for byte in piece.encode("utf-8")]
        for left, right in self.merges:
            place = 0
            while place < len(tokens) - 1:
                if tokens[place] == left and tokens[place + 1] == right:
                    tokens[place] = left + right
                    del tokens[place + 1]
                place += 1
        return tokens

    @classmethod
    def train(cls, text: str, vocab_size: int, special_tokens: Sequence[str] = ()):
        least = 256 + len(special_tokens)
        if vocab_size < least:
            raise ValueError(f"vocab_size={vocab_size}")
        texts = [text]
        for special in sorted(special_tokens, key=len, reverse=True):
            texts = [part for each in texts for part in each.split(special)]
        words = [[bytes([b]) for b in piece.encode()] for each in texts for piece in pretokenize(each)]
        merges: list[tuple[bytes, bytes]] = []
        while len(merges) < vocab_size - least:
            counts = Counter(pair for word in words for pair in pairwise(word))
            if not counts:
                return cls(merges, special_tokens)
            most = max(counts.values())
            best = max(pair for pair in counts if counts[pair] == most)
            for word in words:
                place = 0
                while place + 1 < len(word):
                    if (word[place], word[place + 1]) == best:
                        word[place : place + 2] = [best[0] + best[1]]
                    place += 1
            merges.append(best)
        return cls(merges, special_tokens)

    def encode_chunks(self, chunks: Iterable[str]) -> Iterator[int]:
        held = ""
        for chunk in chunks:
            held += chunk
            # What follows a blank begins a piece, if something else than a blank stands before that.
            cuts = [at for at in range(1, len(held)) if held[at].isspace() and not held[at - 1].isspace()]
            if cuts:
                yield from self.encode(held[: cuts[-1]])
                held = held[cuts[-1] :]
        yield from self.encode(held)

    def save(self, folder: str | os.PathLike[str]) -> None:
        os.makedirs(folder, exist_ok=True)
        table = byte_characters()
        first_special = len(self.vocabulary) - len(self.special_tokens)
        tokens = {}
        for id, token in self.vocabulary.items():
            tokens[token.decode() if id >= first_special else token.decode("latin-1").translate(table)] = id
        with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as file:
            json.dump(tokens, file, ensure_ascii=False, indent=1)
        with open(os.path.join(folder, "merges.txt"), "wb") as file:
            file.write(b"#version: 0.2")
            for pair in self.merges:
                line = " ".join(half.decode("latin-1").translate(table) for half in pair)
                file.write(f"\r\n{line}".encode())

    @classmethod
    def load(cls, folder: str | os.PathLike[str]):
        with open(Path(folder, "vocab.json"), encoding="utf-8") as file:
            tokens = {id: token for token, id in json.load(file).items()}
        with open(Path(folder, "merges.txt"), encoding="utf-8") as file:
            _, *lines = file.read().strip("\n").split("\n")
        back = {ord(char): byte for byte, char in byte_characters().items()}
        pairs = [line.translate(back | {32: 256}).split("\u0100") for line in lines]
        merges = [(left.encode("latin-1"), right.encode("latin-1")) for left, right in pairs]
        alphabet = bytes(back[ord(tokens[id])] for id in range(256))
        specials = [tokens[id] for id in range(256 + len(merges), len(tokens))]
        return cls(merges, specials, alphabet=alphabet)


class BPETokenizer__patterns(BPETokenizer):
    """Special tokens found one by one; pieces kept by lru_cache; merges joined one place at a time."""

    def __init__(
        self,
        merges: Iterable[tuple[bytes, bytes]],
        special_tokens: Sequence[str] = (),
        *,
        alphabet: bytes = bytes(range(256)),
    ):
        merges = list(merges)
        super().__init__(merges, special_tokens, alphabet=alphabet)
        self.rank_of = {pair: rank for rank, pair in enumerate(merges)}
        self.id_of = {bytes([byte]): id for id, byte in enumerate(alphabet)}
        self.id_of |= {left + right: id for id, (left, right) in enumerate(merges, start=256)}
        self.special_id = {token: 256 + len(merges) + at for at, token in enumerate(special_tokens)}
        self.piece = lru_cache(maxsize=2**12)(self.uncached_piece)

    def uncached_piece(self, piece):
        tokens = [bytes([byte]) for byte in piece.encode()]
        while True:
            ranks = [
                (self.rank_of[pair], place)
                for place, pair in enumerate(pairwise(tokens))
                if pair in self.rank_of
            ]
            if not ranks:
                return tuple(self.id_of[token] for token in tokens)
            place = min(ranks)[1]
            tokens[place : place + 2] = [tokens[place] + tokens[place + 1]]

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        if allow_special and self.special_id:
            options = "|".join(re.escape(token) for token in sorted(self.special_id, key=len)[::-1])
            ids, end = [], 0
            for found in re.finditer(options, text):
                ids += [*self.encode(text[end : found.start()]), self.special_id[found[0]]]
                end = found.end()
            return ids + self.encode(text[end:])
        return [id for piece in pretokenize(text) for id in self.piece(piece)]

    def encode_chunks(self, chunks: Iterable[str]) -> Iterator[int]:
        """The last four pieces are held back, which is more than need be."""
        pieces = []
        for chunk in chunks:
            pieces[-4:] = pretokenize("".join(pieces[-4:]) + chunk)
            while len(pieces) > 4:
                yield from self.piece(pieces.pop(0))
        for piece in pieces:
            yield from self.piece(piece)
