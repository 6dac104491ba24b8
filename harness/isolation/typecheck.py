"""The run-time checker behind every jaxtyping signature in katas/ and solutions/."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., object])
_OWN = random.Random()


def checked(function: _F) -> _F:
    """Return `function` with annotations checked by beartype; an int is accepted as a float (PEP 484)."""
    from beartype import BeartypeConf, beartype

    if _returns_what_it_is_given(function):
        function.__annotations__ = {"return": function.__annotations__["return"]}
    checker: Callable[[_F], _F] = beartype(conf=BeartypeConf(is_pep484_tower=True))
    return _without_global_draws(checker(function))


def _returns_what_it_is_given(function: Callable[..., object]) -> bool:
    """True if jaxtyping made this function to check a result.

    It takes the parameters as well, which another function has checked before: checking them again would cost
    a sixth of the time of a kata's tests.
    """
    made_from_text = function.__code__.co_filename == "<string>"
    return made_from_text and function.__annotations__.get("return", Any) is not Any


def _without_global_draws(function: _F) -> _F:
    """Let beartype choose the item of a list that it checks without advancing Python's global generator.

    A test may compare that generator's state with an earlier one.
    """
    passed = getattr(function, "__kwdefaults__", None) or {}
    for name, value in passed.items():
        if value == random.getrandbits:
            passed[name] = _OWN.getrandbits
    return function
