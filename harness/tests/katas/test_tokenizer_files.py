"""The files of kata 04's tokenizer: `save` and `load` are given."""

from __future__ import annotations

import builtins
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.tests.support.references import reference


@pytest.fixture
def opens_like_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text files that are opened without an encoding get cp1252, as on Windows, on any system."""
    really_open = io.open

    def opened(
        file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, *rest: Any, **more: Any
    ) -> Any:
        if "b" not in mode and encoding in (None, "locale"):
            encoding = "cp1252"
        return really_open(file, mode, buffering, encoding, *rest, **more)

    monkeypatch.setattr(io, "open", opened)
    monkeypatch.setattr(builtins, "open", opened)
    monkeypatch.setattr(io, "text_encoding", lambda encoding, stacklevel=2: encoding or "cp1252")


@pytest.mark.parametrize("as_path", [str, Path])
@pytest.mark.parametrize(
    "chars",
    ["zab", " \t\n\r\v\"'\\/{}[],:", "zaéàß語я\u2028", "😀e\u0301é\ufeff\x00\x7f", "\ud83d\ude00a", ""],
    ids=["letters", "what JSON escapes", "not ASCII", "beyond", "halves of a pair", "empty"],
)
def test_a_loaded_tokenizer_is_the_saved_one(
    chars: str, as_path: Callable[[Path], Any], tmp_path: Path, opens_like_windows: None
) -> None:
    tokenizer, path = reference("04").CharTokenizer, tmp_path / "tokenizer.json"
    path.write_bytes(b"an old file, longer than the new one" * 50)
    tokenizer(chars).save(as_path(path))
    loaded = tokenizer.load(as_path(path))
    assert loaded.decode(range(loaded.vocab_size)) == chars
    assert loaded.encode(chars) == list(range(len(chars)))


def test_a_tokenizer_written_by_another_program_is_loaded(tmp_path: Path, opens_like_windows: None) -> None:
    """JSON may have every character in it as it is."""
    path = tmp_path / "tokenizer.json"
    path.write_bytes(json.dumps({"chars": list("zaé語😀")}, ensure_ascii=False).encode("utf-8"))
    loaded = reference("04").CharTokenizer.load(path)
    assert loaded.decode(range(loaded.vocab_size)) == "zaé語😀"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"to be or not to be",
        b'["a", "b"',
        b"null",
        b"7",
        b"[1, 2, 3]",
        b'["to", "be"]',
        b'{"max_steps": 2000, "learning_rate": 3e-4}',
        b'{"chars": null}',
        b'{"chars": [1, 2]}',
        b'{"chars": ["a", "xyz", "b"]}',
        b'{"chars": ["a", "", "b"]}',
        b'{"chars": ["a", "b", "a"]}',
        b'{"chars": ["\xff\xfe"]}',
        b"[" * 100_000,
        b'{"chars":' * 100_000,
    ],
    ids=[
        "nothing",
        "a text",
        "broken JSON",
        "null",
        "a number",
        "numbers",
        "words",
        "a configuration",
        "no vocabulary",
        "numbers as vocabulary",
        "more than a character",
        "less than a character",
        "a character twice",
        "not UTF-8",
        "nested lists",
        "nested tables",
    ],
)
def test_a_file_that_is_not_a_tokenizer_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "something_else.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"something_else\.json is not a saved tokenizer"):
        reference("04").CharTokenizer.load(path)


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        reference("04").CharTokenizer.load(tmp_path / "nowhere.json")
