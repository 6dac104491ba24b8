"""A corpus is found in its folders, or generated or downloaded into one."""

from __future__ import annotations

import dataclasses
import errno
import os
from pathlib import Path

import pytest

from harness.corpora import catalogue, storage, tiny_tales
from harness.corpora.catalogue import Corpus
from harness.corpora.storage import DATA_VARIABLE, NotObtained
from harness.tests.support.texts import MINE, SONG, folder


@pytest.fixture(autouse=True)
def no_other_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)


def test_training_finds_or_generates_a_corpus(tmp_path: Path) -> None:
    path = catalogue.find(tmp_path, "simple_sequences")
    assert path == catalogue.find(tmp_path, "simple_sequences") == tmp_path / "data" / "simple_sequences.txt"
    assert path.stat().st_size == catalogue.corpus_named("simple_sequences").size


def test_a_generated_text_with_a_wrong_checksum_is_not_kept(tmp_path: Path) -> None:
    wrong = dataclasses.replace(MINE, make=lambda: "98 bottles\n")
    with pytest.raises(NotObtained, match="bottles was generated with the wrong checksum"):
        storage.get(tmp_path, wrong)
    assert not (tmp_path / "data" / "bottles.txt").exists()


def test_a_text_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(*paths: object) -> None:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(NotObtained, match="bottles cannot be written to data: no"):
        storage.put(tmp_path, MINE, SONG)
    assert list((tmp_path / "data").glob("bottles*")) == []


def test_every_text_that_is_set_aside_keeps_a_name_of_its_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = folder(tmp_path, "data")
    for text in ("first", "second", "third"):
        (data / "bottles.txt").write_text(text)
        storage.put(tmp_path, MINE, SONG)
    kept = {path.name: path.read_text() for path in data.glob("*.old")}
    assert kept == {
        "bottles.txt.old": "first",
        "bottles.txt.2.old": "second",
        "bottles.txt.3.old": "third",
    }
    assert "it was kept as data/bottles.txt.3.old" in capfd.readouterr().err


def test_the_folder_of_the_environment_comes_first_and_receives_new_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.find(tmp_path, "simple_sequences")
    other = folder(tmp_path, "texts")
    monkeypatch.setenv(DATA_VARIABLE, str(other))
    assert catalogue.find(tmp_path, "simple_sequences").parent == tmp_path / "data"
    assert catalogue.find(tmp_path, "tiny_tales") == other / "tiny_tales.txt"
    storage.put(
        tmp_path,
        catalogue.corpus_named("simple_sequences"),
        (tmp_path / "data/simple_sequences.txt").read_bytes(),
    )
    assert catalogue.find(tmp_path, "simple_sequences").parent == other


def test_a_read_only_folder_is_searched_but_new_texts_go_to_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = folder(tmp_path, "texts", bottles=SONG)
    before = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != other and before(path, mode))
    monkeypatch.setenv(DATA_VARIABLE, str(other))
    assert storage.locate(tmp_path, MINE) == other / "bottles.txt"
    assert catalogue.find(tmp_path, "tiny_tales").parent == tmp_path / "data"
    assert [path.name for path in other.iterdir()] == ["bottles.txt"]


def test_a_missing_folder_is_reported_when_a_text_must_be_written_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.find(tmp_path, "simple_sequences")
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "nowhere"))
    assert catalogue.find(tmp_path, "simple_sequences").is_file()
    with pytest.raises(
        NotObtained, match=r"nowhere, which is not a folder\. Create it, or unset HARNESS_DATA_DIR"
    ):
        catalogue.find(tmp_path, "tiny_tales")


@pytest.mark.parametrize("corpus", catalogue.CORPORA, ids=catalogue.NAMES)
def test_the_page_on_data_names_every_corpus_with_size_and_digest(corpus: Corpus, repository: Path) -> None:
    page = (repository / "data" / "README.md").read_text(encoding="utf-8")
    assert f"## {corpus.name}\n" in page
    assert f"{corpus.size:,} bytes" in page
    assert corpus.sha256 in page
    assert corpus.url in page


def test_the_page_on_data_gives_the_best_loss(repository: Path) -> None:
    page = (repository / "data" / "README.md").read_text(encoding="utf-8")
    entropy = tiny_tales.entropy()
    for amount in (entropy.nats_per_character, entropy.nats_per_character * 1.442695):
        assert f"{amount:.4f}" in page


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOLCK, "none"), OSError(errno.EOPNOTSUPP, "none"), NotImplementedError()]
)
def test_where_there_are_no_locks_a_corpus_is_got_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    assert storage.put(tmp_path, MINE, SONG).read_bytes() == SONG


def test_who_waits_for_another_process_is_told_which_lock_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from filelock import FileLock

    other = FileLock(folder(tmp_path, "data") / ".bottles.txt.lock")
    other.acquire()
    monkeypatch.setattr(storage, "_PATIENCE", 0.01)
    report = storage._report
    monkeypatch.setattr(storage, "_report", lambda line: (report(line), other.release()))
    storage.put(tmp_path, MINE, SONG)
    assert "delete data/.bottles.txt.lock" in capfd.readouterr().err
