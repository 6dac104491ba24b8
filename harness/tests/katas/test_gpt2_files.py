"""The given `check_folder` of kata 16: what it accepts of config.json, vocab.json and merges.txt."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.tests.conftest import REPOSITORY
from harness.tests.support.references import reference

TINY = REPOSITORY / "katas" / "k16_gpt2" / "tiny_gpt2"
DEEP = "[" * 200_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "tiny"))


def checked(folder: Path) -> Any:
    return reference("16").check_folder(folder)


def test_good_folders_give_the_values_of_config_json(folder: Path) -> None:
    expected = json.loads((TINY / "config.json").read_text(encoding="utf-8"))
    assert checked(TINY) == checked(folder) == expected
    change_config(n_inner=None)(folder)
    assert checked(folder) == {**expected, "n_inner": None}
    change_config(n_inner=80)(folder)
    assert checked(folder) == {**expected, "n_inner": 80}


def change_config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8")) | changes
        kept = {key: value for key, value in values.items() if value != "left out"}
        (folder / "config.json").write_text(json.dumps(kept), encoding="utf-8")

    return change


def change_ids(change_them: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        ids = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        changed = change_them(ids)
        (folder / "vocab.json").write_text(json.dumps(ids if changed is None else changed), encoding="utf-8")

    return change


def change_merges(change_them: Callable[[list[str]], Any]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
        change_them(lines)
        (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    return change


def write(name: str, content: bytes | str) -> Callable[[Path], None]:
    raw = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(raw) and None


def make_sparse(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, size)


def exchange(ids: dict[str, Any], one: str, other: str) -> None:
    ids[one], ids[other] = ids[other], ids[one]


REFUSED = {
    "config: a list": (write("config.json", "[]"), "config.json must be an object"),
    "config: not JSON": (write("config.json", "n_embd: 20"), "config.json is not JSON"),
    "config: not text": (write("config.json", b"\xff\xfe"), "config.json is not JSON in UTF-8"),
    "config: nested": (write("config.json", DEEP), "config.json is nested too deeply"),
    "config: a key twice": (write("config.json", '{"n_embd": 1, "n_embd": 2}'), "'n_embd' twice"),
    "config: a gigabyte": (make_sparse("config.json", 2**30), "config.json has 1,073,741,824 bytes or more"),
    "config: no width": (change_config(n_embd="left out"), "config.json has no n_embd"),
    "config: width 0": (change_config(n_embd=0), "n_embd in config.json must be a positive integer, not 0"),
    "config: a text": (change_config(n_layer="2"), "n_layer in config.json must be a positive"),
    "config: a fraction": (change_config(n_head=2.5), "n_head in config.json must be a positive"),
    "config: true": (change_config(n_head=True), "n_head in config.json must be a positive"),
    "config: inner 0": (change_config(n_inner=0), "n_inner in config.json must be a positive integer, not 0"),
    "config: too wide": (change_config(n_embd=768), "weights; model.safetensors has 79,392 bytes"),
    "config: too deep": (change_config(n_layer=10**12), "weights; model.safetensors has 79,392 bytes"),
    "config: long": (change_config(n_positions=2**62), "weights; model.safetensors has 79,392 bytes"),
    "config: other vocabulary": (change_config(vocab_size=316), "317 tokens, vocab_size in"),
    "vocab: a list": (write("vocab.json", "[1]"), "vocab.json must map tokens to ids"),
    "vocab: a gigabyte": (make_sparse("vocab.json", 2**30), "vocab.json has 1,073,741,824 bytes or more"),
    "vocab: zeros": (make_sparse("vocab.json", 10**5), "vocab.json is not JSON"),
    "vocab: nested": (write("vocab.json", '{"a":' * 200_000), "vocab.json is nested too deeply"),
    "vocab: ids are texts": (change_ids(lambda ids: dict.fromkeys(ids, "1")), "must map tokens to ids"),
    "vocab: a hole": (change_ids(lambda ids: ids.update({"<|endoftext|>": 400})), "316 is missing"),
    "vocab: an id twice": (change_ids(lambda ids: ids.update({"Ġ": 3})), "must be 0 … 316, each once"),
    "vocab: negative": (change_ids(lambda ids: ids.update({"Ġ": -1})), "vocab.json must map tokens to ids"),
    "vocab: no bytes": (change_ids(lambda ids: exchange(ids, "a", "Ġa")), "those of the 256 bytes"),
    "vocab: merges exchanged": (change_ids(lambda ids: exchange(ids, "he", "Ġa")), "of merges.txt"),
    "vocab: empty": (write("vocab.json", "{}"), "those of the 256 bytes"),
    "vocab: special token without letters": (
        change_ids(lambda ids: ids.update({"": ids.pop("<|endoftext|>")})), 'the special token ""',
    ),
    "merges: not text": (write("merges.txt", b"#version: 0.2\n\xff \xfe\n"), "merges.txt is not a text"),
    "merges: a gigabyte": (make_sparse("merges.txt", 2**30), "merges.txt has 1,073,741,824 bytes or more"),
    "merges: zeros": (write("merges.txt", b"x\n" + bytes(1000)), "line 2 of merges.txt"),
    "merges: one too many": (change_merges(lambda lines: lines.append("a a")), "line 62 of merges.txt"),
    "merges: another order": (change_merges(lambda lines: lines.reverse()), "line 2 of merges.txt"),
    "merges: one half": (change_merges(lambda lines: lines.insert(1, "he")), "line 2 of merges.txt, 'he'"),
    "merges: three parts": (change_merges(lambda lines: lines.insert(1, "a b c")), "line 2 of merges.txt"),
    "merges: unknown": (change_merges(lambda lines: lines.insert(1, "日 本")), "line 2 of merges.txt"),
}  # fmt: skip  # a line for each mistake


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_folder_that_does_not_fit_is_refused_in_words(mistake: str, folder: Path) -> None:
    damage, words = REFUSED[mistake]
    damage(folder)
    with pytest.raises(ValueError) as refusal:
        checked(folder)
    assert words in str(refusal.value)
    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.json", "merges.txt"])
def test_a_missing_file_is_not_found_and_a_folder_is_no_file(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        checked(folder)
    (folder / name).mkdir()
    with pytest.raises(ValueError, match=f"{name} is not a file"):
        checked(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither pipes in folders nor /dev/zero")
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.json", "merges.txt"])
def test_a_file_without_an_end_is_refused(name: str, folder: Path) -> None:
    """A pipe would block who opens it; a device of zeros has no end."""
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ValueError, match=f"{name} is not a file"):
        checked(folder)
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=f"{name} is not a file"):
        checked(folder)
