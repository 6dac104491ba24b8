"""Stand-ins for names that cannot be imported; using one raises the error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from harness.isolation.words import cannot_import, missing_name

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # as torch writes in some messages


def text_of(error: BaseException) -> str:
    """Return an exception's message, without colours, in characters that every encoding has.

    Empty if the class of the exception is broken.
    """
    try:
        return _COLOUR.sub("", str(error)).encode("utf-8", "backslashreplace").decode()
    except BaseException:  # a learner's own __str__
        return ""


class CannotImport(Exception):
    """A learner's file cannot be imported; `__cause__` is the error."""

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
        self.present = tuple(present)  # public names outside the contract


class _StandInType(type):
    """The type of stand-ins, which are classes so that annotations and subclasses can use them."""

    _error: Exception

    def __call__(cls, *args: object, **kwargs: object) -> NoReturn:
        raise cls._error.with_traceback(None)  # one error serves every use

    def __getattr__(cls, name: str) -> NoReturn:
        if name.startswith("__"):  # for introspection by inspect, pytest and doctest
            raise AttributeError(name)
        raise cls._error.with_traceback(None)


def stand_in(name: str, error: Exception) -> type:
    """A class that raises `error` whenever it is called or an attribute of it is read."""
    return _StandInType(name, (), {"_error": error})
