"""Keys are separated from escape sequences."""

from __future__ import annotations

import pytest

from harness.terminal.keys import keys_in


@pytest.mark.parametrize(
    ("typed", "keys"),
    [("r", ["r"]), ("rq", ["r", "q"]), ("\x1b[Aq\x1bOPn\x1b[1;5C", ["q", "n"]), ("\x1b", [])],
)
def test_arrows_and_function_keys_are_ignored(typed: str, keys: list[str]) -> None:
    assert keys_in(typed) == keys
