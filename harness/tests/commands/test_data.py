"""`harness data`: the list of corpora, and getting one without a network."""

from __future__ import annotations

import dataclasses
import errno
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.commands import data
from harness.corpora import catalogue, tiny_tales
from harness.corpora.catalogue import Corpus, UnknownCorpus
from harness.corpora.storage import NotObtained
from harness.tests.support.miniature import Miniature
from harness.tests.support.server import serving
from harness.tests.support.texts import MINE, SONG, folder

pytestmark = pytest.mark.measured

ELSEWHERE = "HARNESS_DATA_DIR"


@pytest.fixture(autouse=True)
def no_other_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ELSEWHERE, raising=False)


@pytest.fixture
def bottles(monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """A corpus of eleven bytes, in addition to the others."""
    monkeypatch.setattr(catalogue, "CORPORA", (*catalogue.CORPORA, MINE))
    return MINE


# --- the list ------------------------------------------------------------------------------------


def test_the_list_has_descriptions_paths_and_commands(mini: Miniature) -> None:
    mini.harness("data", "simple_sequences")
    assert mini.harness("data").out == (
        "simple_sequences · 25 kB · lines that follow simple rules; our own (MIT)\n"
        "  here: data/simple_sequences.txt\n"
        "tiny_tales · 1.0 MB · little stories from a grammar; our own (MIT)\n"
        "  not here yet. Type: harness data tiny_tales\n"
        f"  no model can do better than {tiny_tales.entropy().nats_per_character:.4f} nats"
        f" ({tiny_tales.entropy().nats_per_character * 1.442695:.4f} bits) per character\n"
        "tiny_shakespeare · 1.1 MB · scenes from the plays; public domain\n"
        "  not here yet. Type: harness data tiny_shakespeare\n"
        "gpt2 · 549.6 MB · weights and vocabulary for kata 16; OpenAI (MIT)\n"
        "  not here yet. Type: harness data gpt2\n"
        "\n"
        "Looked for in data/.\n"
    )


def test_the_list_recognises_a_different_text_of_the_same_name(mini: Miniature) -> None:
    folder(mini.root, "data", tiny_tales=b"Once upon a time")
    out = mini.harness("data", COLUMNS="200").out
    assert (
        "data/tiny_tales.txt is a different text (its checksum differs). Type: harness data tiny_tales\n"
        in out
    )


def test_the_list_names_the_other_folder(mini: Miniature, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("texts")
    out = mini.harness("data", **{ELSEWHERE: str(other)}, COLUMNS="300").out
    assert f"Looked for in {other}/, then in data/.\n" in out


def test_the_list_fits_a_narrow_terminal(mini: Miniature) -> None:
    assert max(map(len, mini.harness("data", COLUMNS="40").out.splitlines())) <= 40


def test_the_list_of_this_repository_finds_the_committed_sequences(repository: Path) -> None:
    listed = Miniature(repository).harness("data", folder="harness")  # from a sub-folder
    assert "here: data/simple_sequences.txt" in listed.out


# --- getting one ---------------------------------------------------------------------------------


def test_a_generated_corpus_needs_no_network_and_is_generated_once(mini: Miniature) -> None:
    first = mini.harness("data", "tiny_tales", folder="katas")
    assert first.out == "tiny_tales is now here (checksum verified): data/tiny_tales.txt\n"
    assert first.err == "Generating tiny_tales (1.0 MB) …\n"
    again = mini.harness("data", "tiny_tales")
    assert again.out == "tiny_tales is already here (checksum verified): data/tiny_tales.txt\n"
    assert again.err == ""


def test_a_damaged_text_is_generated_again_and_the_old_one_kept(mini: Miniature) -> None:
    texts = folder(mini.root, "data", simple_sequences=b"count: 1 2 4\n")
    result = mini.harness("data", "simple_sequences")
    assert result.code == 0
    assert "data/simple_sequences.txt was a different text (its checksum differs)" in result.err
    assert (texts / "simple_sequences.txt.old").read_bytes() == b"count: 1 2 4\n"


@pytest.mark.parametrize(
    ("name", "nearest"), [("tiny_shakespear", "tiny_shakespeare"), ("tales", "tiny_tales"), ("x", "")]
)
def test_for_an_unknown_name_the_nearest_and_all_are_listed(mini: Miniature, name: str, nearest: str) -> None:
    result = mini.harness("data", name)
    assert result.code == 2
    assert f"There is no corpus '{name}'; the corpora are simple_sequences, tiny_tales, tiny_sh" in result.err
    assert ("Did you mean" in result.err) == bool(nearest)
    assert f"Did you mean {nearest}?" in result.err or not nearest
    with pytest.raises(UnknownCorpus):
        catalogue.find(mini.root, name)


def test_an_error_is_one_block_with_exit_code_1(mini: Miniature) -> None:
    (mini.root / "data").write_text("a file instead of the folder")
    result = mini.harness("data", "tiny_tales")
    assert result.code == 1
    assert re.fullmatch(
        r"Error: tiny_tales cannot be written to data: .+\.\n"
        r"Free some space or make the folder writable; or set HARNESS_DATA_DIR to another folder\.\n",
        result.err,
    )


def test_a_download_is_interrupted_without_a_traceback(
    mini: Miniature, bottles: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.corpora.download.fetch", interrupt)
    monkeypatch.chdir(mini.root)
    result = CliRunner().invoke(main, ["data", "bottles"])
    assert result.exit_code == 2
    assert result.stderr.endswith("Interrupted. The partial download was kept. Next: harness data bottles\n")


def test_the_command_downloads(mini: Miniature, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(mini.root)
    with serving(SONG) as server:
        monkeypatch.setattr(catalogue, "CORPORA", (dataclasses.replace(MINE, url=server.url),))
        result = CliRunner().invoke(main, ["data", "bottles"])
    assert result.stdout == "bottles is now here (checksum verified): data/bottles.txt\n"


# --- from a file ---------------------------------------------------------------------------------


def test_a_file_is_copied_and_checked(
    mini: Miniature, bottles: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mini.root)
    Path("download.txt").write_bytes(SONG)
    result = CliRunner().invoke(main, ["data", "bottles", "--from", "download.txt"])
    assert result.output == "bottles is now here (checksum verified): data/bottles.txt\n"
    assert Path("data/bottles.txt").read_bytes() == SONG
    result = CliRunner().invoke(main, ["data", "bottles", "--from", "data/bottles.txt"])
    assert result.output == "bottles is already here (checksum verified): data/bottles.txt\n"


def test_a_file_is_tiny_shakespeare_by_default_and_a_wrong_one_changes_nothing(mini: Miniature) -> None:
    (mini.root / "download.txt").write_bytes(SONG)
    result = mini.harness("data", "--from", "download.txt")
    assert result.code == 1
    assert "download.txt is not tiny_shakespeare; nothing was changed. Its SHA-256 is\n" in result.err
    assert MINE.sha256 in result.err
    assert catalogue.corpus_named("tiny_shakespeare").sha256 in result.err
    assert not (mini.root / "data").exists()


def test_a_missing_file_is_a_usage_error(mini: Miniature) -> None:
    result = mini.harness("data", "--from", "nowhere.txt")
    assert result.code == 2
    assert "nowhere.txt" in result.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_what_is_not_a_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        with pytest.raises(NotObtained, match=rf"^{path} is not a file\. Give the path of a text file\.$"):
            data.take(tmp_path, "tiny_shakespeare", path)


def test_of_a_larger_file_no_more_is_read_than_the_corpus_has(tmp_path: Path, bottles: Corpus) -> None:
    large = tmp_path / "large.txt"
    with large.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(
        NotObtained, match=r"large.txt is not bottles, which has 11 bytes: it is larger\. Nothing"
    ):
        data.take(tmp_path, "bottles", large)


def test_an_unreadable_file_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(errno.EACCES, "no")

    (tmp_path / "secret.txt").touch()
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(NotObtained, match=r"cannot be read: no\. Give the path of a file"):
        data.take(tmp_path, "tiny_shakespeare", tmp_path / "secret.txt")
