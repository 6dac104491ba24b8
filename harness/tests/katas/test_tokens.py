"""Kata 10 against the library tokenizers, its committed vocabulary, and speed."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from harness.corpora import simple_sequences, tiny_tales
from harness.tests.conftest import REPOSITORY
from harness.tests.support.references import reference

VOCABULARY = REPOSITORY / "katas" / "k10_tokens" / "vocabulary"
SPECIAL = "<|endoftext|>"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.text(
    "'abdelrstv \n\t09.<|>é", max_size=60
)


@pytest.fixture(scope="module")
def tokens() -> ModuleType:
    return reference("10")


@pytest.fixture(scope="module")
def tokenizer(tokens: ModuleType) -> Any:
    return tokens.BPETokenizer.load(VOCABULARY)


@pytest.fixture(scope="module")
def library() -> Tokenizer:
    """The library's byte-level BPE from the same two files."""
    made = Tokenizer(BPE.from_file(str(VOCABULARY / "vocab.json"), str(VOCABULARY / "merges.txt")))
    made.pre_tokenizer = ByteLevel(add_prefix_space=False)
    return made


@settings(max_examples=400, deadline=None)
@given(text=TEXTS)
def test_ids_are_those_of_the_library(text: str, tokenizer: Any, library: Tokenizer) -> None:
    ids = tokenizer.encode(text)
    assert ids == library.encode(text).ids
    assert tokenizer.decode(ids) == text


def test_ids_of_a_corpus_are_those_of_the_library(tokenizer: Any, library: Tokenizer) -> None:
    for corpus in (tiny_tales, simple_sequences):
        text = corpus.generate()[:100_000]
        assert tokenizer.encode(text) == library.encode(text).ids


def test_the_library_reads_what_is_saved(tokens: ModuleType, tmp_path: Path) -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    trained = tokens.BPETokenizer.train(text, 256 + 300)
    trained.save(tmp_path)
    loaded = Tokenizer(BPE.from_file(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt")))
    loaded.pre_tokenizer = ByteLevel(add_prefix_space=False)
    assert loaded.encode(text).ids == trained.encode(text)


@settings(max_examples=200, deadline=None)
@given(chunks=st.lists(TEXTS, max_size=6))
def test_chunks_are_cut_anywhere(chunks: list[str], tokenizer: Any) -> None:
    assert list(tokenizer.encode_chunks(chunks)) == tokenizer.encode("".join(chunks))


def test_a_text_of_one_long_piece_is_encoded_in_time(tokens: ModuleType) -> None:
    text = "ab" * 50_000
    start = time.process_time()
    ids = tokens.BPETokenizer([(b"a", b"b"), (b"ab", b"ab")]).encode(text)
    assert ids == [257] * 25_000
    assert time.process_time() - start < 5  # it takes 0.1 s; place by place it would be minutes


def test_the_committed_vocabulary_is_what_the_script_makes(
    tokens: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "katas.k10_tokens.tokens", tokens)
    path = REPOSITORY / "solutions" / "k10_tokens" / "make_vocabulary.py"
    spec = importlib.util.spec_from_file_location("make_vocabulary", path)
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.make_vocabulary(tmp_path)
    for name in ("vocab.json", "merges.txt"):
        # As text: a checkout on Windows may have other line breaks.
        made, committed = ((each / name).read_text(encoding="utf-8") for each in (tmp_path, VOCABULARY))
        assert made == committed
    assert json.loads((VOCABULARY / "vocab.json").read_text(encoding="utf-8"))[SPECIAL] == 1256


def test_a_megabyte_is_learned_and_encoded_in_seconds(tokens: ModuleType) -> None:
    text = tiny_tales.generate()
    start = time.process_time()
    tokenizer = tokens.BPETokenizer.train(text, 256 + 1024)
    trained = time.process_time()
    tokenizer.encode(text)
    # In processor time, which others on the machine hardly change. Each takes about 0.2 s.
    assert trained - start < 5
    assert time.process_time() - trained < 5
