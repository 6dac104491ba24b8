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
    return GPT2_PATTERN.findall(text)


def merge(ids: Sequence[int], pair: tuple[int, int], new_id: int) -> list[int]:
    """Return the ids with new_id in the place of each occurrence of the pair, taken from the left.

    Occurrences do not overlap: of three equal ids in a row, the first two are a pair, the third is
    left over. What a replacement makes is not part of another one.

    Source: Sennrich et al., Neural Machine Translation of Rare Words with Subword Units (2016),
    section 3.2.
    """
    merged: list[int] = []
    place = 0
    while place < len(ids):
        found = place + 1 < len(ids) and (ids[place], ids[place + 1]) == pair
        merged.append(new_id if found else ids[place])
        place += 2 if found else 1  # both halves of a pair are used up
    return merged


def count_pairs(words: Mapping[tuple[int, ...], int]) -> Counter[tuple[int, int]]:
    """Return how often each pair of neighbouring ids occurs in a text, given its words.

    `words` maps each different word, as ids, to the number of times it occurs in the text. A pair
    counts at each of its places in a word, also where two places overlap, and no pair spans two words.

    Source: Sennrich et al., Neural Machine Translation of Rare Words with Subword Units (2016),
    algorithm 1.
    """
    counts: Counter[tuple[int, int]] = Counter()
    for word, frequency in words.items():
        for pair in pairwise(word):
            counts[pair] += frequency
    return counts


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
        self._merges = list(merges)
        self._specials = list(special_tokens)
        learned = [bytes([byte]) for byte in alphabet] + [left + right for left, right in self._merges]
        ids = {token: id for id, token in enumerate(learned)}
        # A merge's result has a higher id than that of any earlier merge, so ids are also ranks.
        self._results = {(ids[left], ids[right]): ids[left + right] for left, right in self._merges}
        self._byte_ids = bytes(map(alphabet.index, range(256)))  # for bytes.translate
        self._special_ids = {token: len(learned) + place for place, token in enumerate(self._specials)}
        self._tokens = learned + [token.encode() for token in self._specials]
        self._known: dict[str, list[int]] = {}  # the ids of pieces that were encoded before

    @property
    def vocab_size(self) -> int:
        """The number of tokens, and so the number of ids."""
        return len(self._tokens)

    @property
    def merges(self) -> list[tuple[bytes, bytes]]:
        """The merges in the order in which they were learned, in a list of the caller's own."""
        return list(self._merges)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text with these ids: their bytes, joined and then read as UTF-8.

        A character may be spread over several tokens. Bytes that are not UTF-8 become U+FFFD, as
        bytes.decode with errors="replace" does it. `ids` may be any iterable, and can be read only once.

        Raises IndexError naming the first id that is outside 0 … vocab_size - 1; a negative id is
        outside.
        """
        tokens = []
        for id in ids:
            if not 0 <= id < len(self._tokens):
                raise IndexError(f"id {id} is outside 0 … {len(self._tokens) - 1}")
            tokens.append(self._tokens[id])
        return b"".join(tokens).decode("utf-8", errors="replace")

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Return the ids of the text: each piece of `pretokenize` by itself, as bytes with merges applied.

        As long as a piece has a pair with a merge, the pair whose merge was learned first is joined.

        Special tokens are text like any other, unless `allow_special` is set: then each occurrence is
        one id, the longest where several begin, and the text between them is encoded as usual.

        A piece that was encoded before should not be worked out again: most words of a text are
        repeated.
        """
        ids: list[int] = []
        for part in _split_at(self._specials if allow_special else (), text):
            if allow_special and part in self._special_ids:
                ids.append(self._special_ids[part])
            else:
                for piece in pretokenize(part):
                    ids.extend(self._encode_piece(piece))
        return ids

    def _encode_piece(self, piece: str) -> list[int]:
        if piece not in self._known:
            self._known[piece] = self._merge_all(list(piece.encode("utf-8").translate(self._byte_ids)))
        return self._known[piece]

    def _merge_all(self, ids: list[int]) -> list[int]:
        while len(ids) > 1:
            pair = min(pairwise(ids), key=self._rank)
            if pair not in self._results:
                break
            # All its places at once: none of them is made by merging it, as that makes another id.
            ids = merge(ids, pair, self._results[pair])
        return ids

    def _rank(self, pair: tuple[int, int]) -> int:
        return self._results.get(pair, len(self._tokens))  # pairs without a merge come last

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
        number = vocab_size - 256 - len(special_tokens)
        if number < 0:
            raise ValueError(f"vocab_size has to be at least {vocab_size - number}, not {vocab_size}")
        specials = set(special_tokens)
        parts = [part for part in _split_at(special_tokens, text) if part not in specials]
        pieces = Counter(piece for part in parts for piece in pretokenize(part))
        words = {tuple(piece.encode("utf-8")): frequency for piece, frequency in pieces.items()}
        return cls(islice(_Words(words).learn(), number), special_tokens)

    def encode_chunks(self, chunks: Iterable[str]) -> Iterator[int]:
        """Yield the ids of a text that comes in chunks: those of `encode` for the whole text.

        They do not depend on where the text is cut. A chunk is read only when it is needed, and of what
        was read no more than the last few pieces are held back, so a text may be longer than memory.
        """
        text = ""
        for chunk in chunks:
            # More text can change the last two pieces: "'" and "l" are one once another "l" follows.
            # All pieces before them are final.
            *final, before, last = ["", "", *pretokenize(text + chunk)]
            for piece in final:
                yield from self._encode_piece(piece)
            text = before + last
        yield from self.encode(text)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the tokenizer into the folder, as the two files of GPT-2, in UTF-8.

        The folder is made if it does not exist, together with the folders above it.

        vocab.json is one object that maps each token to its id. Its bytes are spelled with the
        characters of `byte_characters`; a special token is spelled as it is. merges.txt has the line
        "#version: 0.2", and then a line for each merge, in the order of learning: its two tokens, so
        spelled, with a blank between them.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        characters = byte_characters()

        def spelled(token: bytes) -> str:
            return "".join(characters[byte] for byte in token)

        learned = self._tokens[: len(self._tokens) - len(self._specials)]
        vocabulary = {spelled(token): id for id, token in enumerate(learned)} | self._special_ids
        lines = ["#version: 0.2", *(f"{spelled(left)} {spelled(right)}" for left, right in self._merges)]
        # The encoding is named because the default depends on the machine, and so are line breaks.
        (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8", newline="\n")
        (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "BPETokenizer":
        """Return the tokenizer whose two files are in the folder: saved by `save`, or GPT-2's own.

        Every token has the id that vocab.json gives it, wherever in the file its entry stands. The bytes
        have the ids 0 … 255 in any order, merges follow in the order of merges.txt, and any token after
        them is special. Each line of merges.txt but the first is a merge, also one that begins with "#".
        """
        folder = Path(folder)
        ids: dict[str, int] = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
        byte_of = {character: byte for byte, character in byte_characters().items()}

        def read(spelled: str) -> bytes:
            return bytes(byte_of[character] for character in spelled)

        merges = [(read(left), read(right)) for left, right in map(str.split, lines)]
        in_order = sorted(ids, key=ids.__getitem__)
        alphabet = b"".join(map(read, in_order[:256]))
        return cls(merges, in_order[256 + len(merges) :], alphabet=alphabet)


class _Words:
    """The different words of a text, and the counts of their pairs, which every merge keeps up to date.

    A merge changes only the words that hold its pair. An index finds these, and their pairs alone are
    taken out of the counts before the merge and put back after it. All others stay as they were.
    """

    def __init__(self, words: Mapping[tuple[int, ...], int]):
        self.tokens = [bytes([byte]) for byte in range(256)]
        self.words = [list(word) for word in words]
        self.frequencies = list(words.values())
        self.counts = count_pairs(words)
        self.numbers: dict[tuple[int, int], set[int]] = defaultdict(set)  # of the words that hold a pair
        for number, word in enumerate(self.words):
            for pair in pairwise(word):
                self.numbers[pair].add(number)

    def learn(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield merge after merge, until no pair is left."""
        while self.counts:
            pair = self._best_pair()
            yield self._as_bytes(pair)
            self._merge(pair)

    def _best_pair(self) -> tuple[int, int]:
        # The builtin max over plain numbers is quick, and few pairs are left to be compared as bytes.
        highest = max(self.counts.values())
        best = [pair for pair, count in self.counts.items() if count == highest]
        return max(best, key=self._as_bytes)

    def _as_bytes(self, pair: tuple[int, int]) -> tuple[bytes, bytes]:
        return self.tokens[pair[0]], self.tokens[pair[1]]

    def _merge(self, pair: tuple[int, int]) -> None:
        new_id = len(self.tokens)
        self.tokens.append(b"".join(self._as_bytes(pair)))
        for number in list(self.numbers[pair]):
            self._take_out(number)
            self.words[number] = merge(self.words[number], pair, new_id)
            self._put_back(number)

    def _take_out(self, number: int) -> None:
        for pair in pairwise(self.words[number]):
            self.counts[pair] -= self.frequencies[number]
            if self.counts[pair] == 0:
                del self.counts[pair]  # so that counts is empty when no pair is left
            self.numbers[pair].discard(number)

    def _put_back(self, number: int) -> None:
        for pair in pairwise(self.words[number]):
            self.counts[pair] += self.frequencies[number]
            self.numbers[pair].add(number)


def _split_at(special_tokens: Sequence[str], text: str) -> list[str]:
    """Return the text cut before and after each special token, the longest where several begin."""
    if not special_tokens:
        return [text]
    longest_first = sorted(special_tokens, key=len, reverse=True)
    # Escaped, as "|" and "." have a meaning in a pattern; in a group, as split then keeps what it matches.
    return regex.split(f"({'|'.join(map(regex.escape, longest_first))})", text)
