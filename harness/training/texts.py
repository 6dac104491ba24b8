"""The text of a run: a corpus or a file, checked, and prepared by the capstone."""

from __future__ import annotations

import codecs
import filecmp
import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from harness.corpora import catalogue, storage
from harness.course.katas import Course
from harness.course.whole_files import free_name
from harness.training import words
from harness.training.request import CannotTrain

DEFAULT, WITHOUT_NETWORK = "tiny_shakespeare", "tiny_tales"
_SHORTEST = 4  # characters: an input and its target for training, and for validation
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Text:
    """A text to train on."""

    path: Path
    is_corpus: bool

    @property
    def name(self) -> str:
        """Return the name by which a resumed run finds it."""
        return self.path.stem if self.is_corpus else str(self.path.resolve())

    @property
    def folder(self) -> str:
        """Return the folder of its tokens: another for each file, whatever it is called."""
        digest = hashlib.sha256(os.fsencode(self.name)).hexdigest()
        return self.path.stem if self.is_corpus else f"{self.path.stem[:40]}-{digest[:8]}"


def find_text(course: Course, name: str | None) -> Text:
    """Return a corpus or a file; by default the best corpus available. Raises CannotTrain or NotObtained."""
    if name is None:
        return Text(_default(course), is_corpus=True)
    if os.path.isfile(name):
        _check(Path(name))
        return Text(Path(name), is_corpus=False)
    if os.path.exists(name):
        raise CannotTrain(words.not_a_text_file(name))
    return Text(catalogue.find(course.root, name), is_corpus=True)


def prepare(capstone: ModuleType, text: Path, folder: Path) -> None:
    """Let the capstone turn a text into tokens in `folder`, replacing only files that differ.

    Another run may have mapped a file into its memory, so no file is written in place: new ones are
    written to a temporary folder and moved. Raises CannotTrain, or an error of the katas.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(dir=folder.parent)
    except OSError as error:
        raise CannotTrain(words.tokens_not_written(folder, error.strerror or str(error))) from None
    with temporary:
        capstone.prepare_data(text, temporary.name)
        for made in sorted(Path(temporary.name).iterdir()):
            there = folder / made.name
            if not (there.is_file() and filecmp.cmp(made, there, shallow=False)):
                os.replace(made, there)


def _default(course: Course) -> Path:
    try:
        return catalogue.find(course.root, DEFAULT)
    except storage.NotObtained:
        return catalogue.find(course.root, WITHOUT_NETWORK)


def _check(path: Path) -> None:
    """Check that a file is UTF-8, as the capstone needs it. Raises CannotTrain."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CannotTrain(words.text_not_read(path, error.strerror or str(error))) from None
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        place = content.count(b"\n", 0, error.start) + 1, content[error.start]
        encoding = "utf-16" if content.startswith(_UTF_16) else "latin1"
        converted = free_name(path.with_name(f"{path.stem}-utf8.txt"))
        raise CannotTrain(words.not_utf8(path, *place, encoding, converted)) from None
    if len(text) < _SHORTEST:
        raise CannotTrain(words.too_short(path, len(text), _SHORTEST))
