"""Names for the cases of a parametrised test, made from its arguments."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

_LONGEST = 150  # characters; longer names are replaced by pytest's own


def case_in_words(case_id: str, arguments: Mapping[str, Any]) -> str:
    """Return the name and value of each argument: "shape=(2, 5), bias=True".

    Falls back to pytest's id if the author chose one or a value is too long.
    """
    if not all(map(_is_plain, arguments.values())) or not _is_made_by_pytest(case_id, arguments):
        return case_id
    shown = ", ".join(f"{name}={_text(value)}" for name, value in arguments.items())
    return shown if len(shown) <= _LONGEST else case_id


def _is_made_by_pytest(case_id: str, arguments: Mapping[str, Any]) -> bool:
    """True if the id is the values joined, or for objects the argument's name and a number."""
    parts = [rf"(?:{re.escape(name)}\d+|{re.escape(_bare(value))})" for name, value in arguments.items()]
    return re.fullmatch("-".join(parts), case_id) is not None


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain, (*value, *value.values())))
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return (
        value is None or isinstance(value, bool | int | float | str) or _is_dtype(value) or _is_named(value)
    )


def _is_dtype(value: Any) -> bool:
    return type(value).__module__ == "torch" and type(value).__name__ == "dtype"


def _is_named(value: Any) -> bool:
    return (inspect.isclass(value) or inspect.isroutine(value)) and value.__name__.isidentifier()


def _bare(value: Any) -> str:
    return str(value.__name__) if _is_named(value) else str(value)


def _text(value: Any) -> str:
    return _bare(value) if _is_named(value) or _is_dtype(value) else repr(value)
