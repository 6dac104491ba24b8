"""Downloads: checked, resumable, and complete or absent.

The bytes received so far are kept in NAME.part. The next attempt requests only the rest.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from requests import RequestException, Response

CONNECT_TIMEOUT = 10.0  # seconds until the server must accept
READ_TIMEOUT = 30.0  # seconds of silence after which the download fails
CHUNK = 8 * 1024  # bytes; less than one chunk is lost when the connection breaks

_T = TypeVar("_T")
Update = Callable[[int], None]  # is called with the number of bytes received so far


@dataclass(frozen=True)
class Offline:
    """No server answered."""

    error: RequestException


@dataclass(frozen=True)
class Refused:
    """The server answered with an error."""

    status: int
    reason: str


@dataclass(frozen=True)
class Truncated:
    """The connection broke after `received` of `size` bytes."""

    received: int
    size: int


@dataclass(frozen=True)
class SlowServer:
    """The next CHUNK bytes, or the answer, took longer than `seconds`."""

    received: int
    size: int
    seconds: float


@dataclass(frozen=True)
class WrongDigest:
    """The downloaded file is a different one."""

    actual: str
    expected: str


class DownloadFailed(Exception):
    """A file was not downloaded; `failure` holds the reason."""

    def __init__(self, failure: Offline | Refused | Truncated | SlowServer | WrongDigest) -> None:
        super().__init__(failure)
        self.failure = failure


@dataclass(frozen=True)
class Source:
    """A file to download, with its known size and digest."""

    url: str
    size: int  # bytes
    sha256: str
    label: str  # in front of the progress bar


def fetch(source: Source, target: Path, part: Path) -> None:
    """Download `source` to `target`, which is complete or absent; `part` keeps an unfinished download.

    Raises DownloadFailed, and OSError if a file cannot be written.
    """
    digest = _complete(source, part)
    if digest != source.sha256:
        part.unlink()
        raise DownloadFailed(WrongDigest(digest, source.sha256))
    os.replace(part, target)


def part_of(target: Path) -> Path:
    """Return the path that keeps an unfinished download of `target`."""
    return target.with_name(f"{target.name}.part")


def digest_of(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _complete(source: Source, part: Path) -> str:
    """Download the missing bytes of `part`, and return its digest."""
    used = _bytes_kept(source, part)
    if used < source.size:
        used = _request(source, part, used)
    digest = digest_of(part)
    if used and digest != source.sha256:  # the kept bytes were the beginning of another file
        _request(source, part, 0)
        digest = digest_of(part)
    return digest


def _bytes_kept(source: Source, part: Path) -> int:
    """Return how many bytes an earlier attempt left; 0 if they are more than the file has."""
    size = part.stat().st_size if part.is_file() else 0
    return size if size <= source.size else 0


def _request(source: Source, part: Path, start: int) -> int:
    """Append the file from byte `start`; download all of it if the server does not resume.

    Returns how many of the kept bytes were used.
    """
    response = _open(source, start)
    with response:
        if start and not _resumes(response, start):
            if response.status_code in (206, 416):  # another range, or none
                return _request(source, part, 0)
            start = 0
        if not response.ok:
            raise DownloadFailed(Refused(response.status_code, response.reason or ""))
        _receive(source, part, response, start)
    return start


def _open(source: Source, start: int) -> Response:
    import requests

    # With compression, positions and lengths would be those of the compressed file.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    timeout = (CONNECT_TIMEOUT, READ_TIMEOUT)
    get = partial(requests.get, source.url, headers=headers, stream=True, timeout=timeout)
    try:
        return _within(_limit(), get)
    except requests.RequestException as error:
        raise DownloadFailed(Offline(error)) from None
    except TimeoutError:
        raise DownloadFailed(SlowServer(start, source.size, _limit())) from None


def _receive(source: Source, part: Path, response: Response, start: int) -> None:
    """Append the body of the response. Raises DownloadFailed if it ends too early."""
    import urllib3

    received = start
    try:
        with part.open("ab" if start else "wb") as file, _progress_bar(source, start) as update:
            for chunk in _chunks(response):
                file.write(chunk)
                received += len(chunk)
                update(received)
                if received > source.size:
                    return  # another file, as its digest will show
    except urllib3.exceptions.HTTPError:
        pass  # the connection broke; `received` shows where
    except TimeoutError:
        raise DownloadFailed(SlowServer(received, source.size, _limit())) from None
    if received < _announced_size(source, response, start):
        raise DownloadFailed(Truncated(received, source.size))


def _limit() -> float:
    """Return the seconds that the next chunk, or the answer, may take: silence is noticed before."""
    return 2 * READ_TIMEOUT


def _within(seconds: float, call: Callable[[], _T]) -> _T:
    """Return what a call returns. Raises TimeoutError if it takes longer; it is then left to itself.

    A server that sends its headers byte by byte keeps the call waiting, without one long silence.
    """
    answer: Future[_T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer.result(timeout=seconds)


def _chunks(response: Response) -> Iterator[bytes]:
    """Yield the body in chunks. Raises TimeoutError if one takes too long."""
    chunk, began = bytearray(), time.monotonic()
    # read1 waits for no more than has arrived, so that the time is checked on a slow connection too.
    while sip := response.raw.read1(CHUNK - len(chunk)):
        chunk += sip
        if len(chunk) >= CHUNK:
            yield bytes(chunk)
            chunk, began = bytearray(), time.monotonic()
        elif time.monotonic() - began > _limit():
            raise TimeoutError
    yield bytes(chunk)


def _announced_size(source: Source, response: Response, start: int) -> int:
    """Return the size of the whole file according to the server, if it announces one."""
    length = response.headers.get("Content-Length", "")
    plain = "Content-Encoding" not in response.headers
    return start + int(length) if plain and length.isdigit() else source.size


def _resumes(response: Response, start: int) -> bool:
    """True if the server sends only the bytes from `start` on."""
    content_range = str(response.headers.get("Content-Range", ""))
    return bool(response.status_code == 206) and content_range.startswith(f"bytes {start}-")


@contextmanager
def _progress_bar(source: Source, start: int) -> Iterator[Update]:
    """Show a progress bar on a terminal, and yield the function that moves it."""
    if not sys.stderr.isatty():
        yield lambda received: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(source.label, total=source.size, completed=start)
        yield lambda received: progress.update(task, completed=received)
