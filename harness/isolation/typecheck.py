"""The run-time checker behind every jaxtyping signature in katas/ and solutions/."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_F = TypeVar("_F", bound=Callable[..., object])


def checked(function: _F) -> _F:
    """Return `function` with annotations checked by beartype; an int is accepted as a float (PEP 484)."""
    from beartype import BeartypeConf, beartype

    checker: Callable[[_F], _F] = beartype(conf=BeartypeConf(is_pep484_tower=True))
    return checker(function)
