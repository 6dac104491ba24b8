"""The corpora: which there are, where they are, and how to get one that is not here.

`find(root, name)` is all that training needs; `harness data` uses the rest (harness/commands/data.py).
"""

from __future__ import annotations

import difflib
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.corpora import download, simple_sequences, tiny_tales
from harness.corpora.grammar import Amount
from harness.corpora.words import (
    data_folder_missing,
    data_not_written,
    downloading,
    made_otherwise,
    making,
    not_downloaded,
    set_aside,
    unknown_corpus,
)
from harness.course.katas import display_path
from harness.terminal.lines import Line, encodable

DATA_VARIABLE = "HARNESS_DATA_DIR"
FOLDER = "data"


class NoCorpus(Exception):
    """A corpus cannot be had; the message says why and what to type."""


class UnknownCorpus(NoCorpus):
    """There is no corpus of that name; the message says which there are."""


@dataclass(frozen=True)
class Corpus:
    """A text to train on, made here or downloaded from `url`."""

    name: str
    about: str  # what it is, and its licence in a word
    size: int  # bytes
    sha256: str
    url: str = ""
    make: Callable[[], str] | None = None
    entropy: Callable[[], Amount] | None = None

    @property
    def file(self) -> str:
        return f"{self.name}.txt"

    def is_in(self, path: Path) -> bool:
        """Whether the file at `path` is this text, to the byte."""
        try:
            return path.stat().st_size == self.size and download.digest_of(path) == self.sha256
        except OSError:
            return False


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
    """The file of a corpus, which is made or downloaded first if it is not here. Raises NoCorpus."""
    corpus = corpus_named(name)
    return locate(root, corpus) or get(root, corpus)


def corpus_named(name: str) -> Corpus:
    """The corpus of that name. Raises UnknownCorpus naming the nearest one."""
    for corpus in CORPORA:
        if corpus.name == name:
            return corpus
    names = [corpus.name for corpus in CORPORA]
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    raise UnknownCorpus(unknown_corpus(name, nearest[0] if nearest else "", names))


def lowest_loss(name: str) -> float | None:
    """The nats per character below which no model can be on new text of a corpus, where that is known."""
    entropy = next((corpus.entropy for corpus in CORPORA if corpus.name == name), None)
    return entropy().nats_per_character if entropy else None


def locate(root: Path, corpus: Corpus) -> Path | None:
    """Where the corpus is, if it is here and is what it should be."""
    paths = (folder / corpus.file for folder in folders(root))
    return next((path for path in paths if corpus.is_in(path)), None)


def folders(root: Path) -> list[Path]:
    """Where corpora are looked for, in this order."""
    chosen = os.environ.get(DATA_VARIABLE)
    return [*([Path(chosen).expanduser().absolute()] if chosen else []), root / FOLDER]


def get(root: Path, corpus: Corpus) -> Path:
    """Make or download a corpus that is not here, and say on stderr what goes on. Raises NoCorpus."""
    return _put(root, corpus, lambda target: (_make if corpus.make else _download)(corpus, target))


def put(root: Path, corpus: Corpus, text: bytes) -> Path:
    """Place the text of a corpus that is not here. Raises NoCorpus."""
    return _put(root, corpus, lambda target: _place(target, text))


def _put(root: Path, corpus: Corpus, write: Callable[[Path], None]) -> Path:
    """Write a corpus where new ones belong; another file in its place is kept beside it."""
    target = _folder_for_new(root) / corpus.file
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(target):
            if not corpus.is_in(target):  # by now another process may have put it there
                _set_aside(root, target)
                write(target)
                download.part_of(target).unlink(missing_ok=True)
    except OSError as error:
        folder = display_path(root, target.parent)
        raise NoCorpus(data_not_written(corpus.name, folder, error.strerror or str(error))) from None
    return target


def _folder_for_new(root: Path) -> Path:
    """The folder that the environment names, unless it can only be read; else the repository's own."""
    for folder in folders(root)[:-1]:
        if not folder.is_dir():
            raise NoCorpus(data_folder_missing(str(folder)))
        if os.access(folder, os.W_OK):
            return folder
    return root / FOLDER


def _make(corpus: Corpus, target: Path) -> None:
    _say(making(corpus.name, corpus.size))
    text = corpus.make().encode() if corpus.make else b""
    if hashlib.sha256(text).hexdigest() != corpus.sha256:
        raise NoCorpus(made_otherwise(corpus.name))
    _place(target, text)


def _download(corpus: Corpus, target: Path) -> None:
    _say(downloading(corpus.name, corpus.size, corpus.url))
    try:
        download.fetch(download.Source(corpus.url, corpus.size, corpus.sha256, corpus.name), target)
    except download.DownloadFailed as error:
        raise NoCorpus(not_downloaded(error.failure, corpus.name, corpus.url)) from None


def _set_aside(root: Path, target: Path) -> None:
    """Keep a file that is not the corpus: somebody may have written it."""
    if target.exists():
        kept = target.with_name(f"{target.name}.old")
        os.replace(target, kept)
        _say(set_aside(display_path(root, target), display_path(root, kept)))


def _place(target: Path, text: bytes) -> None:
    """Write a file that is there whole or not at all. Raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f"{target.name}.", suffix=".part")
    try:
        with open(descriptor, "wb") as file:
            file.write(text)
        os.chmod(name, 0o644)  # a temporary file is for its owner alone, a corpus for everybody
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def _one_at_a_time(target: Path) -> Iterator[None]:
    """Other processes that want the same corpus, as in distributed training, wait until it is there."""
    from filelock import FileLock  # imported where used: most corpora are here already

    with FileLock(target.with_name(f".{target.name}.lock")):
        yield


def _say(line: Line) -> None:
    """Tell what goes on, apart from what is printed as the result."""
    print(encodable(line.text, sys.stderr.encoding), file=sys.stderr, flush=True)
