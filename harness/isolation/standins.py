"""Stand-ins for what cannot be imported: names that raise the error when used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from harness.isolation.words import cannot_import, missing_name


def text_of(error: BaseException) -> str:
    """An exception's message, also when its class is broken, as text that every encoding can hold."""
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except Exception:  # a learner's own __str__
        return ""


class CannotImport(Exception):
    """A learner's file fails to import; `__cause__` is the error it fails with."""

    def __init__(self, path: Path, cause: BaseException) -> None:
        super().__init__(cannot_import(path.name, type(cause).__name__, text_of(cause)))
        self.path = path
        self.__cause__ = cause


class MissingName(Exception):
    """A learner's file lacks a name that its contract promises."""

    def __init__(self, path: Path, name: str, present: Sequence[str]) -> None:
        super().__init__(missing_name(path.name, name))
        self.path = path
        self.missing = name
        self.present = tuple(present)  # public names that the contract does not have


class _StandInType(type):
    """The type of stand-ins: classes, so that they may stand in annotations and as bases."""

    _error: Exception

    def __call__(cls, *args: object, **kwargs: object) -> NoReturn:
        raise cls._error.with_traceback(None)  # one error for many uses: each starts afresh

    def __getattr__(cls, name: str) -> NoReturn:
        if name.startswith("__"):  # introspection (inspect, pytest, doctest) must not trip over it
            raise AttributeError(name)
        raise cls._error.with_traceback(None)


def stand_in(name: str, error: Exception) -> type:
    """A class that raises `error` whenever it is called or an attribute of it is read."""
    return _StandInType(name, (), {"_error": error})
