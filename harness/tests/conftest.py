"""Fixtures of the harness's own tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.tests.miniature import Miniature, make_miniature

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def mini(tmp_path: Path) -> Miniature:
    """An untouched miniature course."""
    return make_miniature(tmp_path)


@pytest.fixture
def repository() -> Path:
    """The root of this repository."""
    return REPOSITORY
