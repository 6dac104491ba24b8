"""The list of corpora, and how to obtain them.

Training needs only `find(root, name)`; `harness data` uses the rest (harness/commands/data.py).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.corpora import simple_sequences, tiny_tales
from harness.corpora.grammar import Amount
from harness.corpora.storage import NotObtained, StoredFile, get, locate
from harness.corpora.words import unknown_corpus


class UnknownCorpus(NotObtained):
    """No corpus has this name; the message lists those that exist."""


@dataclass(frozen=True)
class Corpus(StoredFile):
    """A text to train on."""

    entropy: Callable[[], Amount] | None = None


CORPORA = (
    Corpus(
        "simple_sequences",
        "lines that follow simple rules; our own (MIT)",
        simple_sequences.SIZE,
        simple_sequences.SHA256,
        make=simple_sequences.generate,
    ),
    Corpus(
        "tiny_tales",
        "little stories from a grammar; our own (MIT)",
        tiny_tales.SIZE,
        tiny_tales.SHA256,
        make=tiny_tales.generate,
        entropy=tiny_tales.entropy,
    ),
    Corpus(
        "tiny_shakespeare",
        "scenes from the plays; public domain",
        1_115_394,
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    ),
)
NAMES = tuple(corpus.name for corpus in CORPORA)


def find(root: Path, name: str) -> Path:
    """Return the file of a corpus, generated or downloaded first if necessary. Raises NotObtained."""
    corpus = corpus_named(name)
    return locate(root, corpus) or get(root, corpus)


def corpus_named(name: str, also: Sequence[str] = ()) -> Corpus:
    """Return the corpus of this name. Raises UnknownCorpus naming the nearest one, `also` considered."""
    for corpus in CORPORA:
        if corpus.name == name:
            return corpus
    names = [*(corpus.name for corpus in CORPORA), *also]
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    raise UnknownCorpus(unknown_corpus(name, nearest[0] if nearest else "", names))


def lowest_loss(text: Path) -> float | None:
    """Return the least possible loss on new text like this, in nats per character, if known.

    It is known of a corpus by its content: a file that has only the name of one is another text.
    """
    entropy = next((corpus.entropy for corpus in CORPORA if corpus.entropy and corpus.is_in(text)), None)
    return entropy().nats_per_character if entropy else None
