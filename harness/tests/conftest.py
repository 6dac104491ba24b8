"""Fixtures of the harness's own tests."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from harness.course.unsolved import copy_shipped
from harness.tests.support import commands
from harness.tests.support.miniature import Miniature, make_miniature

LONGEST = ("test_journey.py", "test_pictures.py", "test_capstone.py", "test_loop.py")
REPOSITORY = Path(__file__).resolve().parents[2]


def pytest_configure() -> None:
    """Ctrl-C means what it says, to the programs under test too.

    A shell starts what runs in the background with interrupts ignored, and every child inherits that.
    """
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    if ignored and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that several workers end at the same time."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_xdist_auto_num_workers() -> int:
    """Use one worker more than there are processors: workers mostly wait for the commands they type."""
    return (os.cpu_count() or 1) + 1


def pytest_unconfigure() -> None:
    commands.close()


@pytest.fixture(autouse=True)
def only_marked_tests_measure_their_commands(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Coverage doubles the time of a command, and most execute what others do: `measured` marks those."""
    if request.node.get_closest_marker("measured") is None:
        for name in commands.measuring(os.environ):
            monkeypatch.delenv(name)


@pytest.fixture
def mini(tmp_path: Path) -> Miniature:
    """An untouched miniature course."""
    return make_miniature(tmp_path)


@pytest.fixture
def repository() -> Path:
    """The root of this repository."""
    return REPOSITORY


@pytest.fixture
def untouched(repository: Path, tmp_path: Path) -> Miniature:
    """This repository's katas and solutions as they are shipped, in a folder of their own."""
    return Miniature(copy_shipped(repository, tmp_path).root)
