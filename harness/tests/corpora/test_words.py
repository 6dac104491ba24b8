"""An unknown corpus is named in a message that fits it."""

from __future__ import annotations

import pytest

from harness.corpora.words import unknown_corpus


@pytest.mark.parametrize(
    ("name", "kind"), [("shakespear", "corpus"), ("notes.txt", "file"), ("../my texts/a", "file")]
)
def test_a_missing_text_is_called_a_corpus_or_a_file_by_its_name(name: str, kind: str) -> None:
    message = unknown_corpus(name, "tiny_shakespeare", ["tiny_tales", "tiny_shakespeare"])
    assert message.startswith(f"There is no {kind} {name!r}")
    assert message.endswith("tiny_tales, tiny_shakespeare. Did you mean tiny_shakespeare?")
