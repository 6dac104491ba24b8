"""A small trained model, words that it has never seen, and tasks. This module is given.

The model is a run, as `harness train` leaves it, in the folder small_model. It was trained by
solutions/k18_finetuning/make_small_model.py on lines as in data/simple_sequences.txt, with made-up words:
"copy: quaxo > quaxo", "reverse: abc > cba", and lines of numbers and letters. No held-out word was in them.
"""

import random
from collections.abc import Iterable
from pathlib import Path
from string import ascii_lowercase

import torch

from harness.corpora import simple_sequences
from harness.corpora.simple_sequences import random_below
from katas.k04_embeddings.embeddings import CharTokenizer
from katas.k05_model.model import TransformerLM
from katas.k08_engineering.config import RunConfig

FOLDER = Path(__file__).parent / "small_model"
LENGTHS = (3, 4, 5)  # of made-up words
ANSWERS = {"copy": lambda word: word, "reverse": lambda word: word[::-1]}  # by kind of task


def load_small_model() -> tuple[TransformerLM, CharTokenizer]:
    """Return your TransformerLM with the trained weights, in evaluation mode, and its tokenizer."""
    model = TransformerLM(RunConfig.from_file(FOLDER / "config.yaml").model).eval()
    checkpoint = torch.load(FOLDER / "best.pt", map_location="cpu", weights_only=True)
    model.load_state_dict(checkpoint["model"])
    return model, CharTokenizer.load(FOLDER / "tokenizer.json")


def is_held_out(word: str) -> bool:
    """True of a fifth of all words; all words of the same letters, as a word and its reversal, agree."""
    return sum(map(ord, word)) % 5 == 0


def made_up_words(count: int, *, held_out: bool, seed: int = 0) -> list[str]:
    """Return different words of 3 to 5 random letters: all of them held out, or none."""
    source, found = random.Random(seed), dict.fromkeys(())
    while len(found) < count:
        length = LENGTHS[random_below(len(LENGTHS), source)]
        word = "".join(ascii_lowercase[random_below(26, source)] for _ in range(length))
        if is_held_out(word) == held_out:
            found[word] = None  # a dict keeps their order
    return list(found)


def tasks(words: Iterable[str], kinds: Iterable[str] = ("copy", "reverse")) -> list[tuple[str, str]]:
    """Return an instruction and its answer for each word and kind, such as ("reverse abc now > ", "cba").

    The model has learned to continue "reverse: abc > ". It does not know how to answer this.
    """
    kinds = tuple(kinds)
    return [(f"{kind} {word} now > ", ANSWERS[kind](word)) for word in words for kind in kinds]


def old_text(lines: int = 300, *, held_out: bool = True) -> str:
    """Return new lines of the kind that the model was trained on, with held-out words or with others."""
    words = made_up_words(lines, held_out=held_out, seed=1)
    return simple_sequences.generate(seed=1, lines=lines, words=words)
