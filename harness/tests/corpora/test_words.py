"""An unknown corpus is named in a message that fits it."""

from __future__ import annotations

import pytest

from harness.corpora.words import unknown_corpus


@pytest.mark.parametrize(
    ("name", "kind"), [("shakespear", "corpus"), ("notes.txt", "file"), ("../my texts/a", "file")]
)
def test_what_is_not_there_to_train_on_is_told_by_what_its_name_looks_like(name: str, kind: str) -> None:
    told = unknown_corpus(name, "tiny_shakespeare", ["tiny_tales", "tiny_shakespeare"])
    assert told.startswith(f"There is no {kind} {name!r}")
    assert told.endswith("tiny_tales, tiny_shakespeare. Did you mean tiny_shakespeare?")
