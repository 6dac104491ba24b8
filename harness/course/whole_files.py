"""Files that are written whole or not at all, and names that are free."""

from __future__ import annotations

import errno
import itertools
import os
import tempfile
from pathlib import Path

_FOR_EVERYONE = 0o644  # only its owner may read a temporary file


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file at `path`, or leave what was there if that fails. Raises OSError.

    A link stays a link: the file that it leads to is replaced. A file keeps its permissions.
    """
    target = Path(os.path.realpath(path))
    mode = _mode_to_keep(target)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:50]}.", suffix=".part")
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or the new name might reach the disk before the content
        os.chmod(name, mode)
        os.replace(name, target)
    except BaseException:  # an interruption too
        Path(name).unlink(missing_ok=True)
        raise


def free_name(path: Path) -> Path:
    """Return `path`, or if it exists the same with the first free number before the suffix."""
    numbered = (path.with_name(f"{path.stem}.{number}{path.suffix}") for number in itertools.count(2))
    return next(each for each in itertools.chain([path], numbered) if not os.path.lexists(each))


def _mode_to_keep(path: Path) -> int:
    """Return the permissions of the file. Raises PermissionError if it may not be written."""
    if not path.exists():
        return _FOR_EVERYONE
    if not os.access(path, os.W_OK):  # in a writable folder a protected file could be replaced
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return path.stat().st_mode & 0o777
