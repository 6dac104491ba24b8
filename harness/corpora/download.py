"""One file from the network: checked, placed in one step, and resumed where it was interrupted.

Pooch checks and places it. This module adds what it lacks: what has come is kept in NAME.part, a later try
asks for the rest, and each way to fail is told apart.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from requests import RequestException, Response

CONNECT_TIMEOUT = 10.0  # seconds until the server has to accept
READ_TIMEOUT = 30.0  # seconds of silence after which it is given up
_CHUNK = 8 * 1024  # bytes; less than one chunk is lost when the connection breaks

Moved = Callable[[int], None]  # told how many bytes are here now


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
class WrongDigest:
    """The downloaded file is another one."""

    actual: str
    expected: str


class DownloadFailed(Exception):
    """A file was not downloaded; `failure` holds the reason."""

    def __init__(self, failure: Offline | Refused | Truncated | WrongDigest) -> None:
        super().__init__(failure)
        self.failure = failure


@dataclass(frozen=True)
class Source:
    """What is to be downloaded, and what it is known to be."""

    url: str
    size: int  # bytes
    sha256: str
    label: str  # what stands before the progress bar


def fetch(source: Source, target: Path) -> None:
    """Download `source` to `target`, which is there whole or not at all.

    Raises DownloadFailed, and OSError where nothing can be written.
    """
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)  # the caller says what happens
    downloader = _Resuming(source, part_of(target))
    try:
        pooch.retrieve(
            source.url,
            f"sha256:{source.sha256}",
            fname=target.name,
            path=target.parent,
            downloader=downloader,
        )
    except ValueError:  # pooch's own for a wrong digest, after deleting the file
        raise DownloadFailed(WrongDigest(downloader.digest, source.sha256)) from None


def part_of(target: Path) -> Path:
    """Where an unfinished download of `target` is kept."""
    return target.with_name(f"{target.name}.part")


def digest_of(path: Path) -> str:
    """The file's SHA-256 in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class _Resuming:
    """Pooch's downloader interface: a URL to a file, which pooch then checks."""

    source: Source
    part: Path
    digest: str = field(default="", init=False)  # of what came

    def __call__(self, url: str, output_file: str, pooch: object, check_only: bool = False) -> None:
        used = self._kept()
        if used < self.source.size:
            used = self._ask_for(used)
        self.digest = digest_of(self.part)
        if used and self.digest != self.source.sha256:  # what was kept was the beginning of another file
            self._ask_for(0)
            self.digest = digest_of(self.part)
        os.replace(self.part, output_file)

    def _kept(self) -> int:
        """How many bytes an earlier try left; none if they are more than there can be."""
        size = self.part.stat().st_size if self.part.is_file() else 0
        return size if size <= self.source.size else 0

    def _ask_for(self, start: int) -> int:
        """The file from byte `start` on, after what is kept; all of it if the server does not resume.

        Returns how many of the bytes that were kept are a part of it.
        """
        import requests

        # Undone compression would make positions and lengths those of something else.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        timeout = (CONNECT_TIMEOUT, READ_TIMEOUT)
        try:
            response = requests.get(self.source.url, headers=headers, stream=True, timeout=timeout)
        except requests.RequestException as error:
            raise DownloadFailed(Offline(error)) from None
        with response:
            if start and not _resumes(response, start):
                if response.status_code in (206, 416):  # another part than the one asked for, or none
                    return self._ask_for(0)
                start = 0
            if not response.ok:
                raise DownloadFailed(Refused(response.status_code, response.reason or ""))
            self._receive(response, start)
        return start

    def _receive(self, response: Response, start: int) -> None:
        """Append what the response sends. Raises DownloadFailed if that ends too early."""
        import requests

        here = start
        try:
            with self.part.open("ab" if start else "wb") as file, _shown(self.source, start) as moved:
                for chunk in response.iter_content(_CHUNK):
                    file.write(chunk)
                    here += len(chunk)
                    moved(here)
                    if here > self.source.size:
                        return  # it is something else; its digest will say so
        except requests.RequestException:
            pass  # the connection broke: the count says where
        if here < self._announced(response, start):
            raise DownloadFailed(Truncated(here, self.source.size))

    def _announced(self, response: Response, start: int) -> int:
        """How many bytes there are when all has come."""
        length = response.headers.get("Content-Length", "")
        plain = "Content-Encoding" not in response.headers
        return start + int(length) if plain and length.isdigit() else self.source.size


def _resumes(response: Response, start: int) -> bool:
    """Whether the server sends what comes after byte `start`, and not all of it again."""
    content_range = str(response.headers.get("Content-Range", ""))
    return bool(response.status_code == 206) and content_range.startswith(f"bytes {start}-")


@contextmanager
def _shown(source: Source, start: int) -> Iterator[Moved]:
    """A progress bar on a terminal, else nothing; yields what to tell it."""
    if not sys.stderr.isatty():
        yield lambda here: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(source.label, total=source.size, completed=start)
        yield lambda here: progress.update(task, completed=here)
