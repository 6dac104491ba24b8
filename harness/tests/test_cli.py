"""The `harness` command: output, exit status, and the folders in which it works."""

from __future__ import annotations

import json
from importlib.resources import files

import jsonschema
import pytest

from harness.tests.support.miniature import Miniature


def solved(mini: Miniature) -> Miniature:
    mini.solve(mini.doubles)
    mini.pytest("katas/00")
    return mini


@pytest.mark.parametrize(
    "command", ["status", "verify", "hint", "data", "check", "review", "validate", "publish-solutions"]
)
def test_every_command_has_help(mini: Miniature, command: str) -> None:
    result = mini.harness(command, "--help")
    assert result.code == 0
    assert "Usage: " in result.out


def test_status_lists_every_kata_with_its_state(mini: Miniature) -> None:
    out = solved(mini).harness("status").out
    rows = [line.split() for line in out.splitlines()]
    assert ["00", "doubles", "4/4", "complete"] in rows
    assert ["01", "layers", "0/2", "current"] in rows
    assert "Next: pytest katas/01\n      test_doubler\n" in out


def test_status_of_an_untouched_clone(mini: Miniature) -> None:
    result = mini.harness("status")
    assert result.code == 0
    rows = [line.split() for line in result.out.splitlines()]
    assert ["00", "doubles", "0/4", "current"] in rows
    assert ["01", "layers", "0/2", "locked"] in rows


def schema() -> dict:
    return json.loads((files("harness.commands") / "status.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("prepare", [lambda mini: mini, solved], ids=["untouched", "one kata complete"])
def test_status_json_follows_the_published_schema(mini: Miniature, prepare) -> None:
    report = json.loads(prepare(mini).harness("status", "--json").out)
    jsonschema.validate(report, schema(), cls=jsonschema.Draft202012Validator)


def test_the_schema_refuses_an_unknown_state(mini: Miniature) -> None:
    report = json.loads(mini.harness("status", "--json").out)
    report["katas"][0]["state"] = "perhaps"
    with pytest.raises(jsonschema.ValidationError, match="perhaps"):
        jsonschema.validate(report, schema())


def test_status_check_exits_with_1_until_every_kata_is_complete(mini: Miniature) -> None:
    assert mini.harness("status", "--check").code == 1
    mini.solve(mini.doubles)
    mini.solve(mini.layers)
    mini.pytest("katas")
    assert mini.harness("status", "--check").code == 0
    mini.write_doubles(double="return x + x")
    assert mini.harness("status", "--check").code == 1


def test_status_works_from_a_sub_folder(mini: Miniature) -> None:
    assert mini.harness("status", folder="katas/k01_layers").out == mini.harness("status").out


@pytest.mark.parametrize("command", ["status", "hint", "verify", "data", "review", "publish-solutions"])
def test_outside_a_course_it_says_where_to_go(mini: Miniature, command: str) -> None:
    result = mini.harness(command, folder="../")
    assert result.code == 1
    assert "No katas here" in result.err
    assert "Go to your clone" in result.err


def test_each_hint_shows_one_more_level(mini: Miniature) -> None:
    first, second, third, fourth = (mini.harness("hint").out for _ in range(4))
    assert "Look at test_double_of_one." in first
    assert "At its docstring." not in first
    assert "2 more hints: harness hint 00 shows the next one." in first
    assert "At its docstring." in second
    assert "Twice." not in second
    assert "Twice." in third
    assert "That was the last hint." in third
    assert fourth == third


def test_hint_is_for_the_test_that_failed_last(mini: Miniature) -> None:
    mini.write_doubles(double="return 2 * x", outer="return None")
    mini.pytest("katas/00")
    assert "test_outer" in mini.harness("hint", "0").out


def test_hint_follows_pytest_to_a_kata_that_an_edit_broke(mini: Miniature) -> None:
    solved(mini).write_doubles(outer="return None")
    mini.pytest()
    assert "kata 00 doubles · test_outer" in mini.harness("hint").out


@pytest.mark.parametrize(
    ("kata", "message", "code"),
    [
        ("1", "Kata 01 layers is locked: kata 00 doubles is not complete (0/4). Type: harness hint 00", 1),
        ("9", "There is no kata '9'; the katas are 00 to 01.", 2),
        ("layer", "Did you mean k01_layers?", 2),
    ],
)
def test_hint_refuses_with_the_remedy(mini: Miniature, kata: str, message: str, code: int) -> None:
    result = mini.harness("hint", kata)
    assert result.code == code
    assert message in result.err


def test_a_complete_kata_needs_no_hint(mini: Miniature) -> None:
    result = solved(mini).harness("hint", "0")
    assert result.code == 1
    assert "Kata 00 doubles is complete" in result.err


def test_a_test_without_a_hint_points_to_the_theory(mini: Miniature) -> None:
    mini.doubles.hints.write_text("")
    assert "Read katas/k00_doubles/theory.md instead" in mini.harness("hint").err


def test_hint_works_in_a_read_only_folder(mini: Miniature) -> None:
    (mini.root / ".harness").write_text("a file instead of the folder")
    result = mini.harness("hint")
    assert result.code == 0
    assert "Look at test_double_of_one." in result.out
    assert "progress is not saved" in result.out


@pytest.mark.parametrize("command", ["status", "hint", "data"])
def test_it_prints_ascii_to_an_ascii_terminal(mini: Miniature, command: str) -> None:
    result = mini.harness(command, PYTHONIOENCODING="ascii")
    assert result.code == 0
    assert result.out.isascii()


@pytest.mark.parametrize("command", ["status", "hint", "data"])
def test_it_prints_no_escape_codes_into_a_pipe(mini: Miniature, command: str) -> None:
    assert "\x1b" not in mini.harness(command).out


def test_status_fits_a_narrow_terminal(mini: Miniature) -> None:
    out = mini.harness("status", COLUMNS="40").out
    assert max(len(line) for line in out.splitlines()) <= 40
