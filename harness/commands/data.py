"""`harness data`: list the corpora and GPT-2's files, and get one of these."""

from __future__ import annotations

from pathlib import Path

from harness.corpora import catalogue, gpt2, storage
from harness.corpora.catalogue import Corpus, corpus_named
from harness.corpora.words import corpus_already_here, corpus_entry, corpus_obtained, data_folders
from harness.course.katas import display_path
from harness.terminal.lines import Line

DEFAULT = "tiny_shakespeare"  # with `--from FILE` and no name


def listing(root: Path) -> list[Line]:
    """Return every corpus with its description, its path and, if it is missing, the command that gets it."""
    lines = [line for corpus in catalogue.CORPORA for line in _entry(root, corpus)]
    lines += _entry_of_gpt2(root)
    return lines + data_folders([f"{display_path(root, folder)}/" for folder in storage.folders(root)])


def obtain(root: Path, name: str) -> list[Line]:
    """Get a corpus, or GPT-2's files, and say where it is. Raises NotObtained."""
    if name == gpt2.NAME:
        before, folder = gpt2.find(root), gpt2.obtain(root)
        said = corpus_already_here if before == folder else corpus_obtained
        return said(name, display_path(root, folder))
    corpus = corpus_named(name, also=[gpt2.NAME])
    here = storage.locate(root, corpus)
    if here:
        return corpus_already_here(name, display_path(root, here))
    return corpus_obtained(name, display_path(root, storage.get(root, corpus)))


def take(root: Path, name: str, source: Path) -> list[Line]:
    """Copy a corpus from a file, or GPT-2 from a folder, and say where it is. Raises NotObtained."""
    if name == gpt2.NAME:
        return corpus_obtained(name, display_path(root, gpt2.take(root, source)))
    corpus = corpus_named(name, also=[gpt2.NAME])
    storage.check_content(corpus, source)
    here = storage.locate(root, corpus)
    if here:
        return corpus_already_here(name, display_path(root, here))
    return corpus_obtained(name, display_path(root, storage.copy(root, corpus, source)))


def _entry_of_gpt2(root: Path) -> list[Line]:
    here = gpt2.find(root)
    path = display_path(root, here) if here else ""
    return corpus_entry(gpt2.NAME, gpt2.ABOUT, gpt2.size(), path=path, good=bool(here), limit=None)


def _entry(root: Path, corpus: Corpus) -> list[Line]:
    """Return the entry of a corpus; a file that has only its name is mentioned too."""
    good = storage.locate(root, corpus)
    there = [folder / corpus.file for folder in storage.folders(root) if (folder / corpus.file).is_file()]
    path = good or next(iter(there), None)
    return corpus_entry(
        corpus.name,
        corpus.about,
        corpus.size,
        path=display_path(root, path) if path else "",
        good=good is not None,
        limit=corpus.entropy().nats_per_character if corpus.entropy else None,
    )
