"""The text of a run is UTF-8, and its tokens have a folder of their own."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.corpora import catalogue
from harness.tests.support.miniature import Miniature
from harness.training.request import CannotTrain
from harness.training.texts import find_text, prepare


def refusal(mini: Miniature, name: Path) -> str:
    with pytest.raises(CannotTrain) as caught:
        find_text(mini.course, str(name))
    return str(caught.value)


def test_a_text_that_is_not_utf8_is_refused_with_its_place_and_the_command_that_converts_it(
    mini: Miniature,
) -> None:
    path = mini.root / "my café.txt"
    path.write_bytes("one\ntwo caf\u00e9s\n".encode("latin-1"))
    assert refusal(mini, path) == (
        f"{path} is not UTF-8 text: see the byte 0xE9 in line 2. Save it as UTF-8 in your"
        " editor, or convert it (if its encoding is latin1) and train on the result:\n"
        f"  iconv -f latin1 -t utf-8 '{path}' > '{mini.root / 'my café-utf8.txt'}'"
    )


def test_the_command_that_converts_a_text_replaces_no_file(mini: Miniature) -> None:
    path = mini.root / "text.txt"
    path.write_bytes(b"\xff\xfeh\x00i\x00")
    (mini.root / "text-utf8.txt").write_text("mine")
    assert refusal(mini, path).endswith(f"iconv -f utf-16 -t utf-8 {path} > {mini.root}/text-utf8.2.txt")


@pytest.mark.parametrize(
    ("text", "length"), [("", "0 characters"), ("a", "1 character"), ("äöü", "3 characters")]
)
def test_a_text_that_cannot_be_split_in_two_is_refused(mini: Miniature, text: str, length: str) -> None:
    path = mini.root / "short.txt"
    path.write_text(text, encoding="utf-8")
    assert (
        refusal(mini, path) == f"{path} has {length}, and at least 4 are needed. Next: choose a longer text"
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_what_is_not_a_file_is_not_read(mini: Miniature) -> None:
    os.mkfifo(mini.root / "fifo")
    for path in (mini.root / "fifo", mini.root, Path("/dev/zero")):
        assert refusal(mini, path) == f"{path} is not a file. Give the path of a text file."


def test_a_name_that_is_too_long_for_a_file_is_not_a_corpus(mini: Miniature) -> None:
    with pytest.raises(
        catalogue.UnknownCorpus, match=r"There is no file '/x+ … \(\d,\d+ more characters\) … x"
    ):
        find_text(mini.course, "/" + "x" * 5000)


def test_a_text_of_ones_own_named_like_a_corpus_is_another_text(mini: Miniature) -> None:
    corpus = find_text(mini.course, "tiny_tales")
    own = mini.root / "tiny_tales.txt"
    own.write_text("Once upon a time")
    mine = find_text(mini.course, str(own))
    assert catalogue.lowest_loss(corpus.path) is not None
    assert catalogue.lowest_loss(mine.path) is None
    assert (corpus.name, mine.name) == ("tiny_tales", str(own))
    assert corpus.folder == "tiny_tales" != mine.folder


@pytest.mark.parametrize("name", ["...txt", "x" * 250 + ".txt"])
def test_tokens_stay_below_the_folder_of_prepared_texts(mini: Miniature, name: str) -> None:
    (mini.root / name).write_text("text")
    folder = find_text(mini.course, str(mini.root / name)).folder
    assert Path(folder).name == folder and len(folder) < 60


def test_two_texts_of_the_same_name_do_not_share_their_tokens(mini: Miniature) -> None:
    for folder in ("a", "b"):
        (mini.root / folder).mkdir()
        (mini.root / folder / "text.txt").write_text(folder * 9)
    first, second = (find_text(mini.course, str(mini.root / folder / "text.txt")) for folder in "ab")
    assert first.folder != second.folder


def test_tokens_that_cannot_be_written_are_reported(mini: Miniature) -> None:
    (mini.root / "data").write_text("a file instead of the folder")
    with pytest.raises(CannotTrain, match=r"tokens of the text cannot be written to .*\. Free some space"):
        prepare(SimpleNamespace(), mini.root / "text.txt", mini.root / "data" / "prepared" / "text")
