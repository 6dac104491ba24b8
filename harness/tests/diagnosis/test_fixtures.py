"""Tests of fixtures that are set up again for a replay."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.diagnosis.case import CannotReplay
from harness.diagnosis.fixtures import Fixtures
from harness.diagnosis.snapshots import snapshot


def number() -> int:
    return 3


def doubled(number: int) -> Iterator[int]:
    yield 2 * number
    FINISHED.append(number)


FINISHED: list[int] = []


def test_fixtures_of_the_file_use_each_other_and_are_finished() -> None:
    FINISHED.clear()
    with contextlib.ExitStack() as stack:
        fixtures = Fixtures({"number": number, "doubled": doubled}, {}, stack)
        assert fixtures["doubled"] == 6
        assert FINISHED == []
    assert FINISHED == [3]


def test_parameters_come_before_fixtures() -> None:
    fixtures = Fixtures({"number": number}, {"number": 5}, contextlib.ExitStack())
    assert fixtures["number"] == 5


def test_monkeypatch_is_undone() -> None:
    with contextlib.ExitStack() as stack:
        Fixtures({}, {}, stack)["monkeypatch"].setenv("HARNESS_TEST", "1")
        assert os.environ["HARNESS_TEST"] == "1"
    assert "HARNESS_TEST" not in os.environ


def folders() -> list[Path]:
    """Return the folders of one replay."""
    with contextlib.ExitStack() as stack:
        fixtures = Fixtures({}, {}, stack)
        made = [fixtures["tmp_path"], fixtures["tmp_path_factory"].mktemp("more")]
        assert all(folder.is_dir() for folder in made)
    assert not any(folder.exists() for folder in made)
    return made


def test_folders_are_removed_and_look_the_same_in_every_replay() -> None:
    one, other = folders(), folders()
    assert one != other
    assert snapshot(one) == snapshot(other)


def test_other_fixtures_of_pytest_cannot_be_replayed() -> None:
    with pytest.raises(CannotReplay):
        Fixtures({}, {}, contextlib.ExitStack())["capsys"]
