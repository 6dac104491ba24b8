"""The fixtures of a test, set up again for a replay."""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.diagnosis.case import CannotReplay
from harness.diagnosis.snapshots import TEMPORARY


class Fixtures(dict[str, Any]):
    """Arguments by name: parameters, and fixtures, which are set up on first use."""

    def __init__(
        self,
        namespace: Mapping[str, Any],
        parameters: Mapping[str, Any],
        stack: contextlib.ExitStack,
    ) -> None:
        super().__init__(parameters)
        self._namespace, self._stack, self._folders = namespace, stack, itertools.count()

    def __missing__(self, name: str) -> Any:
        set_up = self._set_up_own if name in self._namespace else self._set_up_pytests
        self[name] = value = set_up(name)
        return value

    def _set_up_pytests(self, name: str) -> Any:
        if name == "monkeypatch":
            patch = pytest.MonkeyPatch()
            self._stack.callback(patch.undo)
            return patch
        if name == "tmp_path":
            return self._new_folder(name)
        if name == "tmp_path_factory":
            return SimpleNamespace(mktemp=self._new_folder)
        raise CannotReplay(name)

    @functools.cached_property
    def _folder(self) -> Path:
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix=TEMPORARY)))

    def _new_folder(self, name: str) -> Path:
        """Create a folder whose path below the replay's folder is the same in every replay."""
        path = self._folder / f"{name}{next(self._folders)}"
        path.mkdir()
        return path

    def _set_up_own(self, name: str) -> Any:
        """Call a fixture that the test's file defines; a generator is finished after the test."""
        function = inspect.unwrap(self._namespace[name])
        value = function(**{each: self[each] for each in inspect.signature(function).parameters})
        if not inspect.isgenerator(value):
            return value
        self._stack.callback(next, value, None)
        return next(value)
