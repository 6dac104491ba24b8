"""The `harness` command: help, output, and the folders in which it works."""

from __future__ import annotations

import pytest

from harness.tests.support.miniature import Miniature

pytestmark = pytest.mark.measured


@pytest.mark.parametrize(
    "command", ["status", "verify", "hint", "data", "check", "review", "validate", "publish-solutions"]
)
def test_every_command_has_help(mini: Miniature, command: str) -> None:
    result = mini.harness(command, "--help")
    assert result.code == 0
    assert "Usage: " in result.out


@pytest.mark.parametrize("command", ["status", "hint", "verify", "data", "review", "publish-solutions"])
def test_outside_a_course_it_says_where_to_go(mini: Miniature, command: str) -> None:
    result = mini.harness(command, folder="../")
    assert result.code == 1
    assert "No katas here" in result.err
    assert "Go to your clone" in result.err


@pytest.mark.parametrize("command", ["status", "hint", "data"])
def test_it_prints_ascii_to_an_ascii_terminal(mini: Miniature, command: str) -> None:
    result = mini.harness(command, PYTHONIOENCODING="ascii")
    assert result.code == 0
    assert result.out.isascii()


@pytest.mark.parametrize("command", ["status", "hint", "data"])
def test_it_prints_no_escape_codes_into_a_pipe(mini: Miniature, command: str) -> None:
    assert "\x1b" not in mini.harness(command).out
