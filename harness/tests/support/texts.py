"""A small corpus, and folders of texts."""

from __future__ import annotations

import hashlib
from pathlib import Path

from harness.corpora.catalogue import Corpus

SONG = b"99 bottles\n"
MINE = Corpus("bottles", "a song", len(SONG), hashlib.sha256(SONG).hexdigest(), url="http://127.0.0.1:9/")


def folder(root: Path, name: str, **files: bytes) -> Path:
    """Make a folder of text files with these contents."""
    made = root / name
    made.mkdir()
    for file, content in files.items():
        (made / f"{file}.txt").write_bytes(content)
    return made
