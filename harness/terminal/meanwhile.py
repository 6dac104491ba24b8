"""A note on the terminal's last line while something takes time."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from harness.terminal.lines import encodable


@contextlib.contextmanager
def shown_meanwhile(text: str, wanted: bool) -> Iterator[None]:
    """Show `text` on a terminal's last line while the block runs."""
    visible = wanted and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    if visible:
        print(encodable(text, sys.stdout.encoding), end="\r", flush=True)
    try:
        yield
    finally:
        if visible:
            print(" " * len(text), end="\r", flush=True)
