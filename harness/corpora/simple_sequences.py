"""`simple_sequences`: lines that follow simple rules, so few that a model knows them by heart in seconds."""

from __future__ import annotations

import random
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


def generate() -> str:
    """The whole corpus, the same on every machine."""
    source = random.Random(SEED)
    return "".join(f"{_line(source)}\n" for _ in range(LINES))


def _line(source: random.Random) -> str:
    kinds = (_counting_up, _counting_down, _alphabet, _copy, _reversal)
    return kinds[_below(len(kinds), source)](source)


def _counting_up(source: random.Random) -> str:
    start, step, length = _below(20, source), 1 + _below(3, source), 4 + _below(4, source)
    numbers = range(start, start + step * length, step)
    return f"{'count' if step == 1 else f'count by {step}'}: {_spaced(numbers)}"


def _counting_down(source: random.Random) -> str:
    length = 4 + _below(4, source)
    start = length + _below(20, source)
    return f"down: {_spaced(range(start, start - length, -1))}"


def _alphabet(source: random.Random) -> str:
    length = 4 + _below(5, source)
    start = _below(len(ascii_lowercase) - length + 1, source)
    return f"alphabet: {_spaced(ascii_lowercase[start : start + length])}"


def _copy(source: random.Random) -> str:
    word = _word(source)
    return f"copy: {word} > {word}"


def _reversal(source: random.Random) -> str:
    word = _word(source)
    return f"reverse: {word} > {word[::-1]}"


def _word(source: random.Random) -> str:
    return _WORDS[_below(len(_WORDS), source)]


def _spaced(items: range | str) -> str:
    return " ".join(map(str, items))


def _below(end: int, source: random.Random) -> int:
    """A number from 0 up to `end`, by `random()` alone: only that draws the same in every Python."""
    return int(source.random() * end)
