"""The fixtures of a test, made again for a replay."""

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
    """Values of arguments by name: parametrised ones, and fixtures, set up when they are asked for."""

    def __init__(
        self,
        namespace: Mapping[str, Any],
        given: Mapping[str, Any],
        stack: contextlib.ExitStack,
    ) -> None:
        super().__init__(given)
        self._namespace, self._stack, self._folders = namespace, stack, itertools.count()

    def __missing__(self, name: str) -> Any:
        self[name] = value = self._of_pytest(name) if name not in self._namespace else self._of_the_file(name)
        return value

    def _of_pytest(self, name: str) -> Any:
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
        """The same path below the replay's folder in every replay."""
        path = self._folder / f"{name}{next(self._folders)}"
        path.mkdir()
        return path

    def _of_the_file(self, name: str) -> Any:
        function = inspect.unwrap(self._namespace[name])
        value = function(**{each: self[each] for each in inspect.signature(function).parameters})
        if not inspect.isgenerator(value):
            return value
        self._stack.callback(next, value, None)
        return next(value)
