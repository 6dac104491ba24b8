"""Names for the cases of a parametrised test, made from its arguments."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import string
from collections.abc import Mapping, Sequence
from types import CodeType
from typing import Any

_LONGEST = 150  # characters; longer names are replaced by pytest's own
_LONGEST_VALUE = 90  # characters of one value


def case_in_words(case_id: str, arguments: Mapping[str, Any]) -> str:
    """Return the name and value of each argument: "shape=(2, 5), bias=True".

    A lambda is shown by its code, and an argument that the author has named by that name. Falls back to
    pytest's id if the author chose it whole or a value is too long.
    """
    for chosen in (None, *arguments) if len(arguments) > 1 else (None,):
        named = _named_by_the_author(case_id, arguments, chosen)
        rest = {name: value for name, value in arguments.items() if name != chosen}
        if named is not None and all(map(_can_be_shown, rest.values())):
            texts = [f"{name}={_text(arguments[name])}" if name in rest else named for name in arguments]
            shown = ", ".join(texts)
            return shown if len(shown) <= _LONGEST else case_id
    return case_id


def _named_by_the_author(case_id: str, arguments: Mapping[str, Any], chosen: str | None) -> str | None:
    """Return the name of the argument `chosen` in an id that pytest has made of the others; "" for none.

    It joins the values, or for objects the argument's name and a number. None if the id is not made so.
    """
    given = list(arguments.items())
    at = list(arguments).index(chosen) if chosen is not None else len(given)
    rest = _behind(given[:at], f"{case_id}-")
    if chosen is None or rest is None:
        return "" if rest == "" else None
    hyphens = [place for place, character in enumerate(rest) if character == "-" and place > 0]
    ends = (end for end in reversed(hyphens) if _behind(given[at + 1 :], rest[end + 1 :]) == "")
    return next((rest[:end] for end in ends), None)


def _behind(arguments: Sequence[tuple[str, Any]], text: str) -> str | None:
    """Return the part of an id behind those of these arguments, a hyphen after each; None if they differ."""
    for name, value in arguments:
        parts = [f"{part}-" for part in (_bare(value), _numbered(name, text)) if part is not None]
        part = next((part for part in parts if text.startswith(part)), None)
        if part is None:
            return None
        text = text.removeprefix(part)
    return text


def _numbered(name: str, text: str) -> str | None:
    """Return the argument's name and the digits behind it, as pytest names objects; None without digits."""
    behind = text.removeprefix(name)
    digits = behind[: len(behind) - len(behind.lstrip(string.digits))]
    return name + digits if digits else None


def _can_be_shown(value: Any) -> bool:
    return _is_plain(value) or _is_tensor(value) or bool(_lambda_code(value))


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain_or_tensor, (*value, *value.values())))
    if isinstance(value, list | tuple):
        return all(map(_is_plain_or_tensor, value))
    return (
        value is None or isinstance(value, bool | int | float | str) or _is_dtype(value) or _is_named(value)
    )


def _is_plain_or_tensor(value: Any) -> bool:
    return _is_plain(value) or _is_tensor(value)


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "detach") and hasattr(value, "shape")


def _is_dtype(value: Any) -> bool:
    return type(value).__module__ == "torch" and type(value).__name__ == "dtype"


def _is_named(value: Any) -> bool:
    return (inspect.isclass(value) or inspect.isroutine(value)) and value.__name__.isidentifier()


def _bare(value: Any) -> str:
    """Return what pytest makes of a value in an id."""
    return str(value.__name__) if _is_named(value) or inspect.isfunction(value) else str(value)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_text(key)}: {_text(each)}' for key, each in value.items())}}}"
    if isinstance(value, list | tuple) and any(map(_is_tensor, value)):
        return f"[{', '.join(map(_text, value))}]"
    if _is_tensor(value):
        return f"tensor {tuple(value.shape)}"
    if inspect.isfunction(value) and not _is_named(value):
        return _lambda_code(value)
    return _bare(value) if _is_named(value) or _is_dtype(value) else repr(value)


def _lambda_code(value: Any) -> str:
    """Return the expression of a lambda as it is written; "" for anything else."""
    if not inspect.isfunction(value) or value.__name__ != "<lambda>":
        return ""
    source = "".join(linecache.getlines(value.__code__.co_filename))
    extent = _extent(value.__code__)
    if extent is None:
        return ""
    first, last = extent
    around = [body for body in _lambdas(source) if _start(body) <= first and last <= _end(body)]
    text = ast.get_source_segment(source, max(around, key=_start)) if around else None
    text = " ".join((text or "").split())
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


@functools.lru_cache(maxsize=1)  # a test has many cases, and its file takes long to parse
def _lambdas(source: str) -> list[ast.expr]:
    """Return the expressions of all lambdas; none if the file is no longer Python."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    return [node.body for node in ast.walk(tree) if isinstance(node, ast.Lambda)]


def _extent(code: CodeType) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return where a function's expression starts and ends in its file; None if Python keeps no columns."""
    known = [
        ((line, column), (end_line, end_column))
        for line, end_line, column, end_column in code.co_positions()
        if line and end_line and column is not None and end_column
    ]
    return (min(known)[0], max(end for _, end in known)) if known else None


def _start(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _end(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
