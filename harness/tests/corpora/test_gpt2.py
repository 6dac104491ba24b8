"""GPT-2's files are downloaded or copied, checked, and found again."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.corpora import gpt2, storage
from harness.corpora.download import CHUNK
from harness.tests.support.miniature import Miniature
from harness.tests.support.server import Server, serving
from harness.tests.support.texts import folder

CONTENT = b"".join(b"%d weights\n" % number for number in range(2_000))  # of every file
NAMES = ["config.json", "vocab.json", "merges.txt", "model.safetensors"]


@pytest.fixture
def server(mini: Miniature, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server of a stand-in for every file, in a miniature course."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(storage.DATA_VARIABLE, raising=False)
    monkeypatch.chdir(mini.root)
    digest = hashlib.sha256(CONTENT).hexdigest()
    with serving(CONTENT) as running:
        known = {"size": len(CONTENT), "sha256": digest, "url": running.url}
        stand_ins = tuple(dataclasses.replace(file, **known) for file in gpt2.FILES)
        monkeypatch.setattr(gpt2, "FILES", stand_ins)
        yield running


def typed(*words: str) -> tuple[str, int]:
    result = CliRunner().invoke(main, ["data", *words], env={"COLUMNS": "200"})
    return result.output, result.exit_code


def test_the_command_downloads_all_files_and_finds_them_again(server: Server, mini: Miniature) -> None:
    assert gpt2.find(mini.root) is None
    output, code = typed("gpt2")
    assert code == 0
    assert output.endswith("gpt2 is now here (checksum verified): data/gpt2\n")
    assert gpt2.find(mini.root) == mini.root / "data" / "gpt2"
    files = {path.name: path.read_bytes() for path in (mini.root / "data/gpt2").glob("[a-z]*")}
    assert files == dict.fromkeys(NAMES, CONTENT)
    requests = len(server.behaviour.asked)
    assert typed("gpt2") == ("gpt2 is already here (checksum verified): data/gpt2\n", 0)
    assert len(server.behaviour.asked) == requests == len(NAMES)
    assert "  here: data/gpt2\n" in typed()[0]


def test_a_broken_download_resumes(server: Server, mini: Miniature) -> None:
    server.behaviour.stop_after = 9_000
    output, code = typed("gpt2")
    assert code == 1
    assert "The connection broke" in output
    assert "Next: harness data gpt2   (it requests only the rest)" in output
    server.behaviour.stop_after = None
    assert typed("gpt2")[1] == 0
    assert f"bytes={CHUNK}-" in server.behaviour.asked


def test_without_a_network_a_folder_is_offered(server: Server, mini: Miniature) -> None:
    server.behaviour.status = 503
    output, code = typed("gpt2")
    assert code == 1
    assert output.endswith("Do you already have its files?  harness data gpt2 --from FOLDER\n")


def test_the_files_of_a_folder_are_copied(server: Server, mini: Miniature) -> None:
    source = mini.root / "snapshot"
    source.mkdir()
    for name in NAMES:
        (source / name).write_bytes(CONTENT)
    assert typed("gpt2", "--from", "snapshot") == ("gpt2 is now here (checksum verified): data/gpt2\n", 0)
    assert server.behaviour.asked == []
    assert (mini.root / "data/gpt2/merges.txt").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "snapshot lacks model.safetensors; nothing was changed. Give a folder with the files"),
        (b"2" + CONTENT[1:], "snapshot/model.safetensors is not gpt2; nothing was changed. Its SHA-256 is"),
        (CONTENT + b"0", "snapshot/model.safetensors is not gpt2, which has 24,890 bytes: it is larger"),
    ],
    ids=["missing", "changed", "too large"],
)
def test_a_folder_with_other_files_changes_nothing(
    server: Server, mini: Miniature, content: bytes | None, said: str
) -> None:
    source = folder(mini.root, "snapshot")
    for name in NAMES[:3]:
        (source / name).write_bytes(CONTENT)
    if content is not None:
        (source / NAMES[3]).write_bytes(content)
    output, code = typed("gpt2", "--from", "snapshot")
    assert (said in output, code) == (True, 1), output
    assert not (mini.root / "data").exists()


def test_a_misspelled_name_is_set_right(server: Server) -> None:
    output, code = typed("gpt-2")
    assert code == 2
    assert "Did you mean gpt2?" in output


def test_the_page_on_data_names_every_file_with_size_and_digest(repository: Path) -> None:
    page = (repository / "data" / "README.md").read_text(encoding="utf-8")
    for file in gpt2.FILES:
        assert f"| `{Path(file.file).name}` | {file.size:,} | `{file.sha256}` |" in page
