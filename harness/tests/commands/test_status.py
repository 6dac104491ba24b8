"""`harness status` as a table and as JSON."""

from __future__ import annotations

import json
from importlib.resources import files

import jsonschema
import pytest

from harness.course.graph import COURSE_FILE
from harness.tests.support.miniature import Miniature

pytestmark = pytest.mark.measured


def solved(mini: Miniature) -> Miniature:
    mini.solve(mini.doubles)
    mini.pytest("katas/00")
    return mini


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


def with_an_advanced_kata(mini: Miniature) -> Miniature:
    """Nothing but a table of the course says that kata 01 is advanced and needs no other."""
    first, _, second = (mini.root / COURSE_FILE).read_text().partition("[k01_layers]")
    second = second.replace('track = "core"\nneeds = ["k00_doubles"]', 'track = "advanced"\nneeds = []')
    (mini.root / COURSE_FILE).write_text(f"{first}[k01_layers]{second}")
    return mini


def test_status_shows_core_and_advanced_katas_apart(mini: Miniature) -> None:
    rows = [line.split() for line in with_an_advanced_kata(mini).harness("status").out.splitlines()]
    assert rows[1:5] == [
        ["core", "track", "0", "of", "1", "complete"],
        ["00", "doubles", "0/4", "current"],
        ["advanced", "track", "0", "of", "1", "complete"],
        ["01", "layers", "0/2", "open"],
    ]


def schema() -> dict:
    return json.loads((files("harness.commands") / "status.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "prepare",
    [lambda mini: mini, solved, with_an_advanced_kata],
    ids=["untouched", "one kata complete", "an advanced kata"],
)
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


def test_status_fits_a_narrow_terminal(mini: Miniature) -> None:
    out = mini.harness("status", COLUMNS="40").out
    assert max(len(line) for line in out.splitlines()) <= 40


def at(clock: str, **outcome: list[str]) -> str:
    receipt = {"kata": "k00_doubles", "passed": [], "tests_digest": "t", "stub_digest": "s", "failed": []}
    return json.dumps(receipt | outcome | {"time": f"2026-03-01T{clock}+00:00"}) + "\n"


def test_status_times_shows_each_tests_minutes_beside_the_expected_ones(mini: Miniature) -> None:
    state = mini.root / ".harness"
    state.mkdir(exist_ok=True)
    (state / "progress.jsonl").write_text(
        at("10:00:00", failed=["test_double_of_one"])
        + at("10:12:00", passed=["test_double_of_one"])
        + at("10:12:20", passed=["test_double_of_any"])
    )
    out = mini.harness("status", "--times").out
    rows = [line.split() for line in out.splitlines()]
    assert ["00", "doubles", "12", "4"] in rows
    assert ["test_double_of_one", "12", "1"] in rows
    assert ["test_double_of_any", "<1", "1"] in rows
    assert ["test_outer", "1"] in rows
    assert ["01", "layers", "2"] in rows, "a kata that was not begun has one row"
    assert "test_doubler" not in out
    assert "pauses of more than 30 minutes left out" in out


def test_status_times_without_readable_hints_shows_ones_own_times(mini: Miniature) -> None:
    mini.doubles.hints.write_text("not = = toml")
    result = mini.harness("status", "--times")
    assert result.code == 0
    assert ["00", "doubles"] in [line.split() for line in result.out.splitlines()]


def test_status_refuses_times_as_json(mini: Miniature) -> None:
    result = mini.harness("status", "--times", "--json")
    assert result.code == 2
    assert "--times shows a table. Next: leave out --json, or --times" in result.err
