"""The corpus `simple_sequences`: short lines that follow simple rules."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from string import ascii_lowercase

SEED = 9
LINES = 1_200
SIZE = 25_262  # bytes
SHA256 = "12a90b3291b8fd2144937d9ef7fe53ed9d8c3cbfd30d1d44a6156ab253a4a10f"

_WORDS = (
    *("ant", "bee", "cat", "dog", "eel", "fox", "goat", "hen", "ibis", "jay", "koala", "lion", "mouse"),
    *("newt", "owl", "pig", "quail", "rat", "seal", "toad", "urchin", "viper", "wolf", "yak", "zebra"),
    *("abc", "xyz", "hat", "lamp", "spoon"),
)


def generate(*, seed: int = SEED, lines: int = LINES, words: Sequence[str] = _WORDS) -> str:
    """Return the whole corpus, which is the same on every machine; or more like it, with other words."""
    source = random.Random(seed)
    return "".join(f"{_random_line(source, words)}\n" for _ in range(lines))


def _random_line(source: random.Random, words: Sequence[str]) -> str:
    kinds = (_counting_up, _counting_down, _alphabet, partial(_copy, words), partial(_reversal, words))
    return kinds[random_below(len(kinds), source)](source)


def _counting_up(source: random.Random) -> str:
    start, step, length = (
        random_below(20, source),
        1 + random_below(3, source),
        4 + random_below(4, source),
    )
    numbers = range(start, start + step * length, step)
    return f"{'count' if step == 1 else f'count by {step}'}: {_join(numbers)}"


def _counting_down(source: random.Random) -> str:
    length = 4 + random_below(4, source)
    start = length + random_below(20, source)
    return f"down: {_join(range(start, start - length, -1))}"


def _alphabet(source: random.Random) -> str:
    length = 4 + random_below(5, source)
    start = random_below(len(ascii_lowercase) - length + 1, source)
    return f"alphabet: {_join(ascii_lowercase[start : start + length])}"


def _copy(words: Sequence[str], source: random.Random) -> str:
    word = words[random_below(len(words), source)]
    return f"copy: {word} > {word}"


def _reversal(words: Sequence[str], source: random.Random) -> str:
    word = words[random_below(len(words), source)]
    return f"reverse: {word} > {word[::-1]}"


def _join(items: range | str) -> str:
    return " ".join(map(str, items))


def random_below(end: int, source: random.Random) -> int:
    """Draw an integer below `end` with `random()`, the only draw that is stable across Pythons."""
    return int(source.random() * end)
