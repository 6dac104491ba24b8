"""An error that began with a full disk is recognised, whatever was raised on top."""

from __future__ import annotations

import errno
import os

import pytest

from harness.training.full_disk import no_room


def raised(*errors: Exception) -> Exception:
    """Raise each error while the one before it is handled; return the last."""
    try:
        if len(errors) > 1:
            raise raised(*errors[:-1])
        raise errors[0]
    except Exception as error:
        if error is errors[-1]:
            return error
        try:
            raise errors[-1]
        except Exception as last:
            return last


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "errors",
    [
        (FULL,),
        (FULL, RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598")),
        (FULL, RuntimeError("unexpected pos"), ValueError("not saved")),
        (OSError("100000 requested and 6250 written"),),
    ],
)
def test_a_full_disk_is_recognised(errors: tuple[Exception, ...]) -> None:
    assert no_room(raised(*errors)) == os.strerror(errno.ENOSPC)


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "no"), RuntimeError("unexpected pos")])
def test_another_error_is_not_blamed_on_the_disk(error: Exception) -> None:
    assert no_room(raised(error)) is None
