"""Ordered tests of kata 10: each adds one idea, and needs only what stands above it."""

import json
import random
import re
from collections import Counter
from itertools import chain, islice, pairwise
from pathlib import Path

import pytest

from katas.k10_tokens.tokens import (
    GPT2_PATTERN,
    BPETokenizer,
    byte_characters,
    count_pairs,
    merge,
    pretokenize,
)

VOCABULARY = (
    Path(__file__).parent / "vocabulary"
)  # 1,000 merges, made by solutions/k10_tokens/make_vocabulary.py
BACKWARDS = bytes(reversed(range(256)))


def merges_of(text):
    """The merges in "a b, ab c". "_" is the blank, and a character up to "ÿ" stands for one byte."""
    pairs = [pair.split() for pair in text.split(", ") if pair]
    return [tuple(half.replace("_", " ").encode("latin-1") for half in pair) for pair in pairs]


def numbers_in(message):
    return [int(number) for number in re.findall(r"-?\d+", message)]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("The cat sat", ["The", " cat", " sat"]),
        ("it's what they'll say", ["it", "'s", " what", " they", "'ll", " say"]),
        ("IT'S don't'", ["IT", "'", "S", " don", "'t", "'"]),
        ("in 1984, 2x3=6!", ["in", " 1984", ",", " 2", "x", "3", "=", "6", "!"]),
        ("a   b\n\n  c \n", ["a", "  ", " b", "\n\n ", " c", " \n"]),
        ("\ta\t b", ["\t", "a", "\t", " b"]),
        ("snake_case <|end|>", ["snake", "_", "case", " <|", "end", "|>"]),
        ("naïve ½ Ωμ 日本語 e\u0301", ["naïve", " ½", " Ωμ", " 日本語", " e", "\u0301"]),
        ("", []),
    ],
)
def test_pieces_rejoin_and_a_word_carries_the_blank_before_it(text, pieces):
    """The pieces are the matches of GPT2_PATTERN, all of them, and joined they are the text."""
    actual = pretokenize(text)
    assert actual == pieces
    assert "".join(actual) == text


@pytest.mark.parametrize(
    ("ids", "pair", "merged"),
    [
        ([5, 1, 2, 7], (1, 2), [5, 300, 7]),
        ([1, 2, 1, 2], (1, 2), [300, 300]),
        ([2, 1, 1, 2, 2], (1, 2), [2, 1, 300, 2]),
        ([1, 1, 1], (1, 1), [300, 1]),
        ([1, 1, 1, 1, 1, 1, 1], (1, 1), [300, 300, 300, 1]),
        ([3, 1, 1, 1, 2], (1, 2), [3, 1, 1, 300]),
        ([300, 2, 1, 2], (300, 2), [300, 1, 2]),
        ([2, 1, 3], (1, 2), [2, 1, 3]),
        ([1], (1, 1), [1]),
        ([], (1, 2), []),
    ],
)
@pytest.mark.parametrize("given", [list, tuple])
def test_merge_replaces_from_the_left_without_overlap(given, ids, pair, merged):
    """From left to right each occurrence becomes the new id, and no id is part of two of them."""
    ids = given(ids)
    before = given(ids)
    assert merge(ids, pair, 300) == merged
    assert ids == before, "the ids were modified"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"banana": 1}, {"ba": 1, "an": 2, "na": 2}),
        ({"banana": 3}, {"ba": 3, "an": 6, "na": 6}),
        ({"banana": 3, "nab": 5}, {"ba": 3, "an": 6, "na": 11, "ab": 5}),
        ({"aaa": 2, "aaaa": 1}, {"aa": 7}),
        ({"a": 9, "": 4}, {}),
        ({}, {}),
    ],
)
def test_every_occurrence_of_a_pair_counts_as_often_as_its_word(words, expected):
    """Each place of a pair in a word counts, and as many times as the word occurs in the text."""
    counts = count_pairs({tuple(word.encode()): frequency for word, frequency in words.items()})
    assert counts == {tuple(pair.encode()): count for pair, count in expected.items()}


@pytest.mark.parametrize("given", [list, tuple, iter], ids=["list", "tuple", "iterator"])
def test_ids_are_bytes_then_merges_then_special_tokens(given):
    """Ids 0 … 255 are the bytes in order, or in that of `alphabet`; then merges, in order; then specials."""
    merges = merges_of("t h, _ th, _th e")
    tokenizer = BPETokenizer(given(merges), ["<|end|>", "<|é|>"])
    assert tokenizer.vocab_size == 256 + 3 + 2
    assert [tokenizer.decode([id]) for id in (0, 10, 32, 101, 127)] == ["\0", "\n", " ", "e", "\x7f"]
    assert tokenizer.decode([0xC3, 0xA9, 260]) == "é<|é|>", "ids 195 and 169 are the two bytes of é"
    assert [tokenizer.decode([id]) for id in range(256, 261)] == ["th", " th", " the", "<|end|>", "<|é|>"]
    assert tokenizer.merges == merges
    tokenizer.merges.clear()  # the caller's own list
    assert tokenizer.merges == merges, "the tokenizer's own list of merges was handed out"
    assert BPETokenizer([]).vocab_size == 256
    backwards = BPETokenizer(given(merges), ["<|end|>"], alphabet=BACKWARDS)
    ids = [255 - ord("t"), 255 - ord("\n"), 255 - 0xC3, 255 - 0xA9, 258, 259]
    assert backwards.decode(ids) == "t\né the<|end|>"


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        (list("naïve 日本語 😀".encode()), "naïve 日本語 😀"),
        ([256, 0xAC, 0x21], "€!"),
        ([0x78, 256, 0x78], "x\ufffdx"),
        ([0xAC, 0xAC], "\ufffd\ufffd"),
        ([0xFF, 257, 0xC3], "\ufffdé\ufffd"),
        ([0xED, 0xA0, 0x80], "\ufffd\ufffd\ufffd"),  # half of a surrogate pair is no character
        ([], ""),
    ],
)
@pytest.mark.parametrize("given", [list, iter], ids=["list", "iterator"])
def test_decode_joins_the_bytes_and_replaces_what_is_not_text(given, ids, text):
    """All bytes are joined before they are read as UTF-8; what is not UTF-8 becomes U+FFFD."""
    tokenizer = BPETokenizer([(b"\xe2", b"\x82"), (b"\xc3", b"\xa9")])
    assert tokenizer.decode(given(ids)) == text


@pytest.mark.parametrize(
    ("merges", "text", "tokens"),
    [
        pytest.param("", "hé!", "h|Ã|©|!", id="no merges"),
        # Leftmost first, longest first, and latest first would each give other tokens.
        ("y z, u v, c d, b c, a bc, a b, x y, v w", "abcdxyzuvw", "ab|cd|x|yz|uv|w"),
        ("a b, b c", "abc", "ab|c"),
        ("b c, a b", "abc", "a|bc"),
        ("c d, a b, ab c", "abcd", "ab|cd"),
        ("a b, ab c, abc d", "xabcdabc", "x|abcd|abc"),
        ("a a, aa aa", "aaaaaaa", "aaaa|aa|a"),
        ("a n, b an, an an", "bananan", "ban|anan"),
        ("Ã ©, t Ã©", "été", "Ã©|tÃ©"),
        ("a _, _ b", "a b a", "a| b| |a"),  # no merge joins two pieces
        ("b c, a b", "abc abc\nabc", "a|bc| |a|bc|\n|a|bc"),
    ],
)
@pytest.mark.parametrize("alphabet", [bytes(range(256)), BACKWARDS], ids=["in order", "backwards"])
def test_encode_applies_the_earliest_merge_first(alphabet, merges, text, tokens):
    """Of all pairs of a piece the one learned first is joined, not the leftmost, nor the longest token."""
    tokenizer = BPETokenizer(merges_of(merges), alphabet=alphabet)
    ids = {bytes([byte]): id for id, byte in enumerate(alphabet)}
    ids |= {left + right: 256 + place for place, (left, right) in enumerate(merges_of(merges))}
    assert tokenizer.encode(text) == [ids[token.encode("latin-1")] for token in tokens.split("|")]


EVERY_KIND = [
    "".join(map(chr, range(0x800))),  # all characters of one or two bytes
    " ".join(map(chr, range(0x800, 0xD800, 97))),
    "".join(map(chr, range(0xE000, 0x110000, 1009))),
    "line\r\nline\rline\n\n\r\n",
    "\0 \0\0",
    "\u0301 e\u0301 \u0301\u0301",
    "the the 👩‍👩‍👧 the\u00a0the \ufeffthe",
    " the",
    "",
]


@pytest.mark.parametrize(
    "text",
    EVERY_KIND,
    ids=[
        "short",
        "three bytes",
        "beyond",
        "line breaks",
        "NUL",
        "lone accents",
        "joined",
        "one piece",
        "empty",
    ],
)
def test_decode_undoes_encode(text):
    """Every text comes back: each of its characters, its line breaks, NUL, an accent without a letter."""
    tokenizer = BPETokenizer([*merges_of("t h, th e, _ the, Ì \x81, à ¤"), (b"\n", b"\n")])
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    before = list(ids)
    ids.append(0)  # the caller's own list
    assert tokenizer.encode(text) == before, "encoded a second time, it is not the same"


@pytest.mark.parametrize(
    ("text", "special_tokens", "merges"),
    [
        # How often each pair occurs when it is merged: 4, 3, 2, 2, 2.
        ("hug hug hug pug pun bun", (), "u g, h ug, u n, _ p, _ hug"),
        ("aaaaaaaaaaa", (), "a a, aa aa, aaaa aaaa, aaaaaaaa aa, aaaaaaaaaa a"),  # 10, 4, 1, 1, 1
        ("abababab cd", (), "a b, ab ab, c d, abab abab, _ cd"),  # 4, 3, 1, 1, 1
        ("banana", (), "n a, na na, b a, ba nana"),  # 2, 1, 1, 1
        ("bac bac bad", (), "b a, ba c, ba d, _ bad, _ bac"),  # 3, 2, 1, 1, 1
        ("aba abc bc", (), "b c, b a, a bc, a ba, _ bc"),  # 2, 1, 1, 1, 1
        ("zz aé", (), "Ã ©, z z, a Ã©, _ aÃ©"),
        ("a b a b a b", (), "_ b, _ a"),  # not "a" with the blank behind it: these are two pieces
        # "ab" if the special tokens are only taken out, "_b" or two line breaks if others replace them.
        ("cd<|s|>a<|s|><|s|>b a<|s|><|s|>b a<|s|><|s|>b", ["<|s|>"], "_ a"),
        ("xy<|s|>xy<|s|>z", (), "| >, x y, < |"),
    ],
)
def test_most_frequent_pair_is_merged_first(text, special_tokens, merges):
    """The most frequent pair is next, of equals the greater pair of bytes; special tokens teach nothing."""
    expected = merges_of(merges)
    vocab_size = 256 + len(expected) + len(special_tokens)
    tokenizer = BPETokenizer.train(text, vocab_size, special_tokens)
    assert tokenizer.merges == expected
    assert tokenizer.vocab_size == vocab_size
    assert tokenizer.decode(range(256 + len(expected), vocab_size)) == "".join(special_tokens)


def recount_everything(text, number):
    """The first merges of a text, by counting all pairs of all words again for each of them."""
    words = Counter(tuple(bytes([byte]) for byte in piece.encode()) for piece in GPT2_PATTERN.findall(text))
    merges = []
    while len(merges) < number:
        counts = Counter()
        for word, frequency in words.items():
            for pair in pairwise(word):
                counts[pair] += frequency
        if not counts:
            break
        merges.append(max(counts, key=lambda pair: (counts[pair], pair)))
        words = {joined(word, merges[-1]): frequency for word, frequency in words.items()}
    return merges


def joined(word, pair):
    """The word with the tokens of this pair joined, from left to right."""
    tokens = ()
    while word:
        size = 2 if word[:2] == pair else 1
        tokens, word = (*tokens, b"".join(word[:size])), word[size:]
    return tokens


@pytest.mark.parametrize("letters", ["ab", "abc é", "aaab \n", "xyzé語 '1"])
@pytest.mark.parametrize(("length", "number"), [(40, 500), (300, 7), (300, 40)])
def test_learned_merges_are_those_of_recounting_everything(letters, length, number):
    """All merges are the same as when all pairs are counted again each time; they end when none is left."""
    text = "".join(random.Random(length).choices(letters, k=length))
    expected = recount_everything(text, number)
    tokenizer = BPETokenizer.train(text, 256 + number)
    assert tokenizer.merges == expected
    assert tokenizer.vocab_size == 256 + len(expected)


SPECIALS = ["<|a|>", "<|a|>b", "a.c"]


@pytest.mark.parametrize(
    "parts",
    [
        ["x", "<|a|>", "y"],
        ["<|a|>", "<|a|>"],
        ["<|a|>b", "<|a|>", "c"],  # the longest where two begin
        ["abc ", "a.c"],  # a dot is a dot
        ["<a| |a> <||>"],
        ["x  ", "<|a|>", "  x"],  # the blanks before it are one piece, as at the end of a text
        ["dc", "a.c", "cd"],  # no merge crosses it
        ["", "a.c", ""],
    ],
    ids="".join,
)
def test_special_tokens_are_whole_and_only_where_allowed(parts):
    """Where allowed a special token is one id, the longest first; elsewhere it is text like any other."""
    merges = merges_of("_ _, c d, < |, | >")
    tokenizer, text = BPETokenizer(merges, SPECIALS), "".join(parts)
    plain = BPETokenizer(merges)
    ids = [[260 + SPECIALS.index(part)] if part in SPECIALS else plain.encode(part) for part in parts]
    assert tokenizer.encode(text, allow_special=True) == [id for part in ids for id in part]
    assert tokenizer.encode(text) == plain.encode(text), "not allowed, it has to be text like any other"
    assert plain.encode(text, allow_special=True) == plain.encode(text), (
        "without special tokens, none is found"
    )
    assert tokenizer.decode(tokenizer.encode(text, allow_special=True)) == text


CHUNKED = "they'll don't  go\n\n  99 'll ''s <|a|>\u00a0naïve  \t"


@pytest.mark.parametrize(
    "chunks",
    [
        *([CHUNKED[:cut], CHUNKED[cut:]] for cut in range(len(CHUNKED) + 1)),
        list(CHUNKED),
        ["", *(CHUNKED[start : start + 3] for start in range(0, len(CHUNKED), 3)), ""],
        [],
    ],
    ids=[*(f"cut at {cut}" for cut in range(len(CHUNKED) + 1)), "single characters", "threes", "no chunk"],
)
def test_chunks_give_the_ids_of_the_whole_text(chunks):
    """Wherever a text is cut, even within a word, the ids are the same; and they come while it is read."""
    # Each merge joins two neighbours within a piece: another piece shows in the ids.
    pairs = [pair for piece in GPT2_PATTERN.findall(CHUNKED) for pair in pairwise(piece.encode())]
    merges = [tuple(bytes([byte]) for byte in pair) for pair in dict.fromkeys(pairs)]
    tokenizer = BPETokenizer([*merges, *merges_of("'l l")], ["<|a|>"])
    expected = tokenizer.encode("".join(chunks))
    assert list(tokenizer.encode_chunks(iter(chunks))) == expected
    more = iter([" and", " more"] * 50)
    ids = tokenizer.encode_chunks(chain(chunks, more))
    assert list(islice(ids, len(expected))) == expected
    assert len(list(more)) >= 95, "ids came only after much more of the text was read"


@pytest.mark.parametrize("in_gpt2s_order", [False, True], ids=["bytes in order", "GPT-2's order"])
def test_saved_files_are_those_of_gpt2(in_gpt2s_order, tmp_path):
    """vocab.json and merges.txt spell bytes with byte_characters; the folder is made if need be."""
    merges = [*merges_of("# #, _ ##, Ã ©"), (b"\n", b"\n")]
    folder = tmp_path / "new" / "tokenizer.json"
    alphabet = bytes(byte_characters() if in_gpt2s_order else range(256))
    BPETokenizer(merges, ["<|é |>", "<|a|>"], alphabet=alphabet).save(folder)
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    characters = byte_characters()
    assert {token: id for token, id in vocabulary.items() if id < 256} == {
        characters[byte]: id for id, byte in enumerate(alphabet)
    }
    assert {id: token for token, id in vocabulary.items() if id >= 256} == dict(
        enumerate(["##", "Ġ##", "Ã©", "ĊĊ", "<|é |>", "<|a|>"], start=256)
    )
    lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    assert lines == ["#version: 0.2", "# #", "Ġ ##", "Ã ©", "Ċ Ċ"]


EXAMPLE = 'Once upon a time there was a fox. "It\'s the 2nd!" said Ünal.\n<|endoftext|>'
EXAMPLE_IDS = [
    536,
    537,
    256,
    538,
    264,
    288,
    305,
    256,
    1232,
    13,
    285,
    40,
    83,
    1209,
    264,
    220,
    17,
    260,
    382,
    314,
    220,
    127,
    250,
    77,
    331,
    13,
    198,
    1256,
]


@pytest.mark.parametrize("saved_again", [False, True], ids=["committed", "saved again"])
def test_loaded_vocabulary_gives_its_own_ids(saved_again, tmp_path):
    """The ids are those of vocab.json, which GPT-2 numbers in another order; "# #" is a merge, no comment."""
    tokenizer = BPETokenizer.load(VOCABULARY)
    if saved_again:
        tokenizer.save(tmp_path)
        tokenizer = BPETokenizer.load(tmp_path)
    assert tokenizer.vocab_size == 256 + 1000 + 1
    assert len(tokenizer.merges) == 1000
    assert tokenizer.encode(EXAMPLE, allow_special=True) == EXAMPLE_IDS
    assert tokenizer.decode(EXAMPLE_IDS) == EXAMPLE
    by_hand = BPETokenizer(merges_of("# #, _ ##, _ a"), ["<|b|>", "<|a|>"])
    by_hand.save(tmp_path / "by hand")
    vocabulary = tmp_path / "by hand" / "vocab.json"
    entries = sorted(json.loads(vocabulary.read_text(encoding="utf-8")).items(), key=lambda entry: entry[1])
    entries[:256] = reversed(entries[:256])  # the same ids, but byte 255 is the first entry
    vocabulary.write_text(json.dumps(dict(entries)), encoding="utf-8")
    loaded = BPETokenizer.load(str(tmp_path / "by hand"))
    assert loaded.merges == by_hand.merges
    assert loaded.encode("## a ##<|a|>b", allow_special=True) == [256, 258, 257, 260, ord("b")]


@pytest.mark.parametrize(
    ("error", "named", "call"),
    [
        (IndexError, 258, lambda: BPETokenizer(merges_of("a b"), ["<|a|>"]).decode([97, 258, 259])),
        (IndexError, -1, lambda: BPETokenizer(merges_of("a b"), ["<|a|>"]).decode([97, -1])),
        (ValueError, 255, lambda: BPETokenizer.train("abab", 255)),
        (ValueError, 257, lambda: BPETokenizer.train("abab", 257, ["<|a|>", "<|b|>"])),
        (ValueError, -5, lambda: BPETokenizer.train("abab", -5)),
    ],
    ids=[
        "id 258 of 258",
        "id -1",
        "vocab_size 255",
        "vocab_size 257 with two special tokens",
        "vocab_size -5",
    ],
)
def test_ids_out_of_range_and_too_small_a_vocabulary_are_refused(error, named, call):
    """IndexError names an id that is not a token, ValueError a vocab_size without room for the bytes."""
    with pytest.raises(error) as refusal:
        call()
    assert named in numbers_in(str(refusal.value)), f"the message does not name {named}: {refusal.value}"
