"""Recognises a disk that became full while the katas were writing."""

from __future__ import annotations

import errno
import os
import re

from harness.isolation.causes import causes_of

_NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")  # NumPy gives no number


def no_room(error: BaseException) -> str | None:
    """Return the system's words if the error began with a write that found no room.

    torch and learners' code raise another error on top, so the errors before it are searched.
    """
    for each in (error, *causes_of(error)):
        if isinstance(each, OSError) and each.errno in _NO_ROOM:
            return each.strerror
        if isinstance(each, OSError) and _SHORT_WRITE.search(str(each)):
            return os.strerror(errno.ENOSPC)
    return None
