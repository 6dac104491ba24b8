"""Sources that Python refuses with words about something else: conflicts and encodings."""

from __future__ import annotations

import io
import re
import tokenize
from contextlib import suppress
from pathlib import Path

from harness.isolation import words

_MARK = re.compile(rb"^<{7}( |\r?$)", re.MULTILINE)


class MergeConflict(SyntaxError):
    """A file in which git has left the two sides of a merge."""


class NotUtf8(SyntaxError):
    """A file in another encoding than the one that Python reads."""


def check_source(path: Path, data: bytes) -> None:
    """Raise MergeConflict or NotUtf8, with line and remedy, if that is why a source cannot be compiled."""
    if mark := _MARK.search(data):
        raise MergeConflict(words.merge_conflict(path.name), _place(path, data, mark.start()))
    if b"\0" in data or data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise NotUtf8(words.not_utf8(path.name, "UTF-16"), _place(path, data, 0))
    start = _first_undecodable(data)
    if start is not None:
        raise NotUtf8(words.not_utf8(path.name), _place(path, data, start))


def _place(path: Path, data: bytes, start: int) -> tuple[str, int, int, str]:
    return (str(path), data.count(b"\n", 0, start) + 1, 1, "")


def _first_undecodable(data: bytes) -> int | None:
    """Return where the first byte is that the declared encoding, by default UTF-8, does not allow."""
    encoding = "utf-8"
    # A SyntaxError: the first lines are not UTF-8, or declare an encoding that Python does not know.
    with suppress(SyntaxError):
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        return error.start
    return None
