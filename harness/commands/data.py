"""`harness data`: list the corpora, and get one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from harness.corpora import catalogue
from harness.corpora.catalogue import Corpus, NoCorpus, corpus_named, locate
from harness.corpora.words import (
    corpus_already_here,
    corpus_entry,
    corpus_obtained,
    data_folders,
    larger_than_that_corpus,
    not_a_file,
    not_read,
    not_that_corpus,
)
from harness.course.katas import display_path
from harness.terminal.lines import Line

DEFAULT = "tiny_shakespeare"  # with `--from FILE` and no name


def listing(root: Path) -> list[Line]:
    """Return every corpus with its description, its path and, if it is missing, the command that gets it."""
    lines = [line for corpus in catalogue.CORPORA for line in _entry(root, corpus)]
    return lines + data_folders([f"{display_path(root, folder)}/" for folder in catalogue.folders(root)])


def obtain(root: Path, name: str) -> list[Line]:
    """Get a corpus and say where it is. Raises NoCorpus."""
    corpus = corpus_named(name)
    here = locate(root, corpus)
    if here:
        return corpus_already_here(name, display_path(root, here))
    return corpus_obtained(name, display_path(root, catalogue.get(root, corpus)))


def take(root: Path, name: str, source: Path) -> list[Line]:
    """Copy a corpus from the learner's file and say where it is. Raises NoCorpus."""
    corpus = corpus_named(name)
    text = _text_of(corpus, source)
    here = locate(root, corpus)
    if here:
        return corpus_already_here(name, display_path(root, here))
    return corpus_obtained(name, display_path(root, catalogue.put(root, corpus, text)))


def _text_of(corpus: Corpus, source: Path) -> bytes:
    """Return the content of the file if it is the corpus. Raises NoCorpus."""
    if not source.is_file():  # nothing is read that may wait, or never end
        raise NoCorpus(not_a_file(str(source)))
    try:
        with source.open("rb") as file:
            text = file.read(corpus.size + 1)
    except OSError as error:
        raise NoCorpus(not_read(str(source), error.strerror or str(error))) from None
    if len(text) > corpus.size:
        raise NoCorpus(larger_than_that_corpus(corpus.name, str(source), corpus.size))
    actual = hashlib.sha256(text).hexdigest()
    if actual != corpus.sha256:
        raise NoCorpus(not_that_corpus(corpus.name, str(source), actual, corpus.sha256))
    return text


def _entry(root: Path, corpus: Corpus) -> list[Line]:
    """Return the entry of a corpus; a file that has only its name is mentioned too."""
    good = locate(root, corpus)
    there = [folder / corpus.file for folder in catalogue.folders(root) if (folder / corpus.file).is_file()]
    path = good or next(iter(there), None)
    return corpus_entry(
        corpus.name,
        corpus.about,
        corpus.size,
        path=display_path(root, path) if path else "",
        good=good is not None,
        limit=corpus.entropy().nats_per_character if corpus.entropy else None,
    )
