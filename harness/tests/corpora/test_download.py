"""Downloads from a local server that misbehaves in every known way."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from harness.corpora import download, storage
from harness.corpora.catalogue import Corpus
from harness.corpora.storage import NotObtained
from harness.tests.support.commands import without_coverage
from harness.tests.support.server import Server, serving

pytestmark = pytest.mark.measured

TEXT = b"".join(b"%d bottles\n" % number for number in range(20_000))
SHA256 = hashlib.sha256(TEXT).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(storage.DATA_VARIABLE, raising=False)
    with serving(TEXT) as running:
        yield running


def corpus(server: Server) -> Corpus:
    return Corpus("bottles", "a song", len(TEXT), SHA256, url=server.url)


def part(root: Path) -> Path:
    return root / "data" / "bottles.txt.part"


def files(root: Path) -> set[str]:
    """The files in the data folder except the lock."""
    return {path.name for path in (root / "data").iterdir() if not path.name.endswith(".lock")}


def refusal(root: Path, server: Server) -> str:
    with pytest.raises(NotObtained) as caught:
        storage.get(root, corpus(server))
    return str(caught.value)


def leave_part(root: Path, content: bytes) -> None:
    (root / "data").mkdir(exist_ok=True)
    part(root).write_bytes(content)


def test_a_download_leaves_only_the_complete_file(tmp_path: Path, server: Server) -> None:
    path = storage.get(tmp_path, corpus(server))
    assert path == tmp_path / "data" / "bottles.txt"
    assert path.read_bytes() == TEXT
    assert files(tmp_path) == {"bottles.txt"}
    assert server.behaviour.asked == [None]


def test_a_corpus_is_downloaded_only_once(tmp_path: Path, server: Server) -> None:
    storage.get(tmp_path, corpus(server))
    storage.get(tmp_path, corpus(server))
    assert len(server.behaviour.asked) == 1


def test_one_line_names_the_download(
    tmp_path: Path, server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    storage.get(tmp_path, corpus(server))
    assert capfd.readouterr() == ("", f"Downloading bottles (269 kB) from {server.url}\n")


@pytest.mark.parametrize("says_length", [True, False], ids=["length announced", "no length"])
def test_after_a_broken_connection_the_next_try_requests_only_the_rest(
    tmp_path: Path, server: Server, says_length: bool
) -> None:
    server.behaviour.says_length = says_length
    server.behaviour.stop_after = 100_000
    message = refusal(tmp_path, server)
    kept = part(tmp_path).read_bytes()
    assert TEXT.startswith(kept)
    assert 100_000 - 8 * 1024 <= len(kept) <= 100_000
    assert message == (
        f"The connection broke. {len(kept):,} of {len(TEXT):,} bytes of bottles were downloaded and kept.\n"
        "Next: harness data bottles   (it requests only the rest)"
    )
    server.behaviour.stop_after = None
    assert storage.get(tmp_path, corpus(server)).read_bytes() == TEXT
    assert server.behaviour.asked == [None, f"bytes={len(kept)}-"]
    assert files(tmp_path) == {"bottles.txt"}


def test_a_silent_server_times_out_and_the_partial_download_is_kept(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "READ_TIMEOUT", 0.2)
    server.behaviour.stop_after, server.behaviour.stall = 50_000, 2.0
    assert "The connection broke" in refusal(tmp_path, server)
    assert 40_000 < part(tmp_path).stat().st_size <= 50_000


@pytest.mark.parametrize("what", ["headers", "body"])
def test_a_server_that_sends_a_byte_now_and_then_is_given_up(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(download, "READ_TIMEOUT", 0.5)
    server.behaviour.drip, server.behaviour.stop_after = what, 50_000
    message = refusal(tmp_path, server)
    kept = part(tmp_path).stat().st_size if what == "body" else 0
    assert message == (
        "The connection is too slow: fewer than 8,192 bytes arrived within 1 s.\n"
        f"{kept:,} of {len(TEXT):,} bytes of bottles were downloaded and kept.\n"
        "Next: harness data bottles   (it requests only the rest)"
    )
    assert what == "headers" or 40_000 < kept <= 50_000
    server.behaviour.drip, server.behaviour.stop_after = "", None
    assert storage.get(tmp_path, corpus(server)).read_bytes() == TEXT


def test_a_file_is_set_aside_only_for_a_complete_download(tmp_path: Path, server: Server) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "bottles.txt").write_text("my own")
    server.behaviour.status = 404
    refusal(tmp_path, server)
    assert files(tmp_path) == {"bottles.txt"}
    assert (tmp_path / "data" / "bottles.txt").read_text() == "my own"


def test_a_server_without_ranges_sends_the_whole_file(tmp_path: Path, server: Server) -> None:
    leave_part(tmp_path, TEXT[:1000])
    server.behaviour.ranges = False
    assert storage.get(tmp_path, corpus(server)).read_bytes() == TEXT
    assert server.behaviour.asked == ["bytes=1000-"]


def test_a_wrong_range_is_not_used(tmp_path: Path, server: Server) -> None:
    leave_part(tmp_path, TEXT[:1000])
    server.behaviour.shift = 5
    assert storage.get(tmp_path, corpus(server)).read_bytes() == TEXT
    assert server.behaviour.asked == ["bytes=1000-", None]


@pytest.mark.parametrize(
    ("left", "asked"),
    [
        (b"x" * 1000, ["bytes=1000-", None]),
        (b"x" * len(TEXT), [None]),
        (b"x" * (len(TEXT) + 1), [None]),
        (b"", [None]),
        (TEXT, []),
    ],
    ids=["another file", "same length", "too long", "empty", "complete"],
)
def test_a_partial_download_is_used_only_if_it_is_right(
    tmp_path: Path, server: Server, left: bytes, asked: list[str | None]
) -> None:
    leave_part(tmp_path, left)
    assert storage.get(tmp_path, corpus(server)).read_bytes() == TEXT
    assert server.behaviour.asked == asked
    assert files(tmp_path) == {"bottles.txt"}


def test_a_file_that_became_shorter_is_requested_from_the_start(tmp_path: Path, server: Server) -> None:
    leave_part(tmp_path, TEXT[:1000])
    server.behaviour.content = b"short"  # so byte 1000 is refused with status 416
    assert "The downloaded file is not bottles" in refusal(tmp_path, server)
    assert server.behaviour.asked == ["bytes=1000-", None]


@pytest.mark.parametrize("content", [b"<html>Log in</html>", TEXT[:-1] + b"?", TEXT * 2])
def test_wrong_content_is_deleted_and_both_digests_are_shown(
    tmp_path: Path, server: Server, content: bytes
) -> None:
    server.behaviour.content = content
    message = refusal(tmp_path, server)
    assert message.startswith("The downloaded file is not bottles and was deleted. Its SHA-256 is\n")
    assert f"{SHA256}\n" in message
    if len(content) <= len(TEXT):
        assert f"{hashlib.sha256(content).hexdigest()}, expected" in message
    assert "harness data bottles --from FILE" in message
    assert files(tmp_path) == set()


@pytest.mark.parametrize(
    ("status", "answer", "later"), [(404, "404 Not Found", False), (503, "503 Service Unavailable", True)]
)
def test_a_refusal_is_shown_with_its_status(
    tmp_path: Path, server: Server, status: int, answer: str, later: bool
) -> None:
    server.behaviour.status = status
    message = refusal(tmp_path, server)
    assert message.startswith(f"bottles cannot be downloaded: the server answers {answer}.\n  {server.url}\n")
    assert "harness data bottles --from FILE" in message
    assert ("Try again later." in message) == later
    assert files(tmp_path) == set()


def test_a_refusal_leaves_the_partial_download_alone(tmp_path: Path, server: Server) -> None:
    leave_part(tmp_path, TEXT[:1000])
    server.behaviour.status = 500
    refusal(tmp_path, server)
    assert part(tmp_path).read_bytes() == TEXT[:1000]


def test_without_a_network_the_message_suggests_what_works_offline(tmp_path: Path, server: Server) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: nobody answers there
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        message = refusal(tmp_path, Server(url, server.behaviour))
    assert message == (
        f"bottles cannot be downloaded: no connection.\n  {url}\n"
        "Do you already have a copy?  harness data bottles --from FILE\n"
        "A text that needs no network:  harness data tiny_tales"
    )


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (requests.exceptions.SSLError("x"), "the server's certificate cannot be verified"),
        (requests.exceptions.ProxyError("x"), "the proxy blocks the connection"),
        (requests.exceptions.ConnectTimeout("x"), "no answer within 10 s"),
        (requests.exceptions.ReadTimeout("x"), "no answer within 30 s"),
        (requests.exceptions.TooManyRedirects("Exceeded 30 redirects."), "Exceeded 30 redirects."),
    ],
)
def test_the_reason_for_no_connection_is_given_in_words(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    def get(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(requests, "get", get)
    assert refusal(tmp_path, server).startswith(f"bottles cannot be downloaded: {why}")


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path, server: Server) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    message = refusal(tmp_path, server)
    assert message.startswith("bottles cannot be written to data: ")
    assert "HARNESS_DATA_DIR" in message
    assert server.behaviour.asked == []


def test_a_different_file_in_its_place_is_renamed(
    tmp_path: Path, server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "bottles.txt").write_text("my own")
    assert storage.get(tmp_path, corpus(server)).read_bytes() == TEXT
    assert (tmp_path / "data" / "bottles.txt.old").read_text() == "my own"
    assert "it was kept as data/bottles.txt.old" in capfd.readouterr().err


GET = """
import sys
from pathlib import Path
from harness.corpora import catalogue, storage
from harness.tests.support.commands import without_coverage
root, size, sha256, url = sys.argv[1:]
print(storage.get(Path(root), catalogue.Corpus("bottles", "a song", int(size), sha256, url=url)))
"""


def start(root: Path, server: Server, **streams: object) -> subprocess.Popen[bytes]:
    """Another process that gets the corpus."""
    command = [sys.executable, "-c", GET, str(root), str(len(TEXT)), SHA256, server.url]
    streams.setdefault("env", without_coverage(os.environ))  # its data would not fit onto a full disk
    return subprocess.Popen(command, **streams)  # type: ignore[call-overload, no-any-return]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_an_interruption_keeps_the_partial_download(tmp_path: Path, server: Server) -> None:
    server.behaviour.stop_after, server.behaviour.stall = 100_000, 30.0
    process = start(tmp_path, server, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 20
        while not (part(tmp_path).is_file() and part(tmp_path).stat().st_size > 80_000):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert b"KeyboardInterrupt" in err
    assert files(tmp_path) == {"bottles.txt.part"}
    assert TEXT.startswith(part(tmp_path).read_bytes())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")
def test_a_full_disk_is_reported_and_the_partial_download_is_used_later(
    tmp_path: Path, server: Server
) -> None:
    import resource

    def leave_little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    process = start(tmp_path, server, stderr=subprocess.PIPE, preexec_fn=leave_little_room)
    _, err = process.communicate(timeout=30)
    problem = os.strerror(errno.EFBIG)
    assert f"bottles cannot be written to data: {problem}.\nFree some space or" in err.decode()
    kept = part(tmp_path).stat().st_size
    assert 0 < kept <= 50_000
    storage.get(tmp_path, corpus(server))
    assert server.behaviour.asked == [None, f"bytes={kept}-"]


def test_two_processes_download_a_corpus_once(tmp_path: Path, server: Server) -> None:
    server.behaviour.stall = 0.3
    both = [start(tmp_path, server, stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.wait(timeout=30) for process in both] == [0, 0]
    assert len(server.behaviour.asked) == 1
    for process in both:
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals on Windows")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_terminal_gets_a_progress_bar(tmp_path: Path, server: Server, encoding: str) -> None:
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "TERM": "xterm", "COLUMNS": "80"}
    process = start(tmp_path, server, stderr=theirs, stdout=subprocess.PIPE, env=environment)
    process.communicate(timeout=30)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert process.returncode == 0
    assert "Downloading bottles" in shown
    assert "\x1b[" in shown
    assert "MB" in shown or "kB" in shown
