"""The files of GPT-2, for kata 16: obtained once, and found again by their sizes."""

from __future__ import annotations

from pathlib import Path

from harness.corpora import storage
from harness.corpora.storage import NotObtained, StoredFile
from harness.corpora.words import gpt2_files_missing

NAME = "gpt2"
ABOUT = "weights and vocabulary for kata 16; OpenAI (MIT)"
# The sizes and digests are those of this revision, which no later upload changes.
_URL = "https://huggingface.co/openai-community/gpt2/resolve/607a30d783dfa663caf39e06633721c8d4cfcd7e/"


def _file(name: str, size: int, sha256: str) -> StoredFile:
    return StoredFile(NAME, ABOUT, size, sha256, url=_URL + name, place=f"{NAME}/{name}")


FILES = (
    _file("config.json", 665, "0daed7749b4f02b8f76240d5444551d7b08712dab4d0adb8239c56ba823bb7b4"),
    _file("vocab.json", 1_042_301, "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"),
    _file("merges.txt", 456_318, "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"),
    _file(
        "model.safetensors", 548_105_171, "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707"
    ),
)


def size() -> int:
    """Return the size of all files in bytes."""
    return sum(file.size for file in FILES)


def find(root: Path) -> Path | None:
    """Return the folder that holds all files, if there is one.

    Only sizes are compared: the contents, which take seconds to read, were checked when they were obtained.
    """
    for folder in storage.folders(root):
        if all(file.has_size_of(folder / file.file) for file in FILES):
            return folder / NAME
    return None


def obtain(root: Path) -> Path:
    """Download the files that are missing, and return their folder. Raises NotObtained."""
    paths = [storage.get(root, file) for file in FILES]
    return paths[0].parent


def take(root: Path, source: Path) -> Path:
    """Copy the files from a folder, and return that of the copies. Raises NotObtained."""
    sources = [source / Path(file.file).name for file in FILES]
    missing = [path.name for path in sources if not path.is_file()]
    if missing:
        raise NotObtained(gpt2_files_missing(str(source), missing))
    for file, path in zip(FILES, sources, strict=True):  # all of them, before anything is copied
        storage.check_content(file, path)
    copies = [storage.copy(root, file, path) for file, path in zip(FILES, sources, strict=True)]
    return copies[0].parent
